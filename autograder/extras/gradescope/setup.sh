#!/usr/bin/env bash
# Gradescope runs this once, as root, when it builds the container's image. It installs Python and
# the packages.
# For a trial elsewhere, AUTOGRADER_ROOT and AUTOGRADER_PYTHON name another folder and Python.
set -euo pipefail
umask 022 # student code runs as another user, who must be able to read Python's packages

root=${AUTOGRADER_ROOT:-/autograder}
# Not inside the grader's folder, which no other user may enter.
venv=${AUTOGRADER_PYTHON:-/opt/autograder-venv/bin/python}
venv=${venv%/bin/python}
export DEBIAN_FRONTEND=noninteractive

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

apt-get update
base=
if is_new_enough python3; then
    base=python3
    apt-get install -y python3-venv
else
    for version in 3.13 3.12 3.11; do
        if apt-get install -y "python$version" "python$version-venv" &&
            is_new_enough "python$version"; then
            base=python$version
            break
        fi
    done
fi
if [ -z "$base" ]; then
    echo "This image offers no Python 3.11 or newer: choose a newer base image for the autograder."
    exit 1
fi

"$base" -m venv "$venv"
# The container has no GPU. PyTorch's CPU builds are much smaller, so the image builds faster. uv takes
# torch and torchvision from the same index; otherwise torchvision fails at import.
"$venv/bin/python" -m pip install --no-cache-dir uv
"$venv/bin/python" -m uv pip install --no-cache --python "$venv/bin/python" --torch-backend=cpu \
    -r "$root/source/requirements.txt"

# The container's kernel may be unable to hide files from student code; permissions always work.
chmod 700 "$root/source"

# Show now what is missing, and not at the first submission.
cd /
PYTHONPATH="$root/source" "$venv/bin/python" -c 'import torch, torchvision, autograder.batch'
if ! setpriv --reuid=65534 --regid=65534 --clear-groups "$venv/bin/python" -c 'import torch'; then
    echo "Student code, which runs as another user, could not start $base of this image: all"
    echo "users must be able to read its folder, as for the system's own Python."
    exit 1
fi
