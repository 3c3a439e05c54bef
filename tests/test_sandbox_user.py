"""A worker of the sandbox that root started is another user."""

import errno
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.files import ROOT
from helpers.labs import ask, linux_only, skip_without


@linux_only
def test_root_is_dropped_for_good(full, offered):
    """A worker that was started by root has a user of its own, no groups, and no way back."""
    skip_without(offered, "root", "landlock")
    code = "import os; result = [os.getresuid(), os.getresgid(), os.getgroups()]"
    (real, effective, saved), groups, others = full.run(code)["result"]
    assert real == effective == saved >= 2_000_000_000
    assert 0 not in groups
    assert others == []
    for call in ("setuid(0)", "setgid(0)", "setgroups([0])", "chroot('.')", "nice(-5)"):
        assert full.run(f"import os; os.{call}").get("number") == errno.EPERM, call
    with full.worker() as one, full.worker() as two:
        code = "import os; result = os.getuid()"
        assert ask(one, code) != ask(two, code)  # or one could use up the processes of the other


@pytest.fixture
def public() -> Iterator[Path]:
    """An empty folder that every user can reach; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@linux_only
def test_another_user_alone_keeps_roots_files_and_processes_safe(offered, public):
    """Where a container gives root but neither Landlock nor namespaces nor filters."""
    skip_without(offered, "root")
    (public / "code").mkdir(mode=0o700)
    (public / "code" / "ddpm.py").write_text("mine")
    (public / "code" / "private.py").write_text("mine")
    (public / "code" / "private.py").chmod(0o600)
    (public / "scratch").mkdir(mode=0o700)
    public.chmod(0o755)
    (public / "of_root").write_text("x")
    code = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from autograder.sandbox import confine
# Python itself may lie where only root may go: here, all is imported already.
confine.readable_paths = lambda folder: ["/usr", folder]
plan = confine.Plan({str(public / "code")!r}, {str(public / "scratch")!r}, {str(ROOT)!r},
                    confine.Limits(), without=("view", "namespaces", "landlock", "seccomp"))
os.setgroups([4, 27])  # as those of an administrator
print(confine.confine(plan).words()["user"], os.getgroups())
print(open(plan.code_folder + "/ddpm.py").read(), open(plan.code_folder + "/private.py").read())
open("own", "w").close()
for attempt in (lambda: open({str(public / "of_root")!r}, "w"), lambda: os.kill(os.getppid(), 0),
                lambda: os.listdir({str(public / "code")!r}), lambda: os.setuid(0)):
    try:
        attempt()
        print("went well")
    except PermissionError:
        print("refused")
"""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False
    )
    assert run.stdout.splitlines() == ["a uid of its own []", "mine mine", *["refused"] * 4], (
        run.stderr
    )


@linux_only
def test_a_submission_is_not_copied_into_itself(offered, tmp_path):
    """A scratch folder below the submission does not make its copy grow without end."""
    skip_without(offered, "root")
    from autograder.sandbox import user

    (tmp_path / "temporary" / "scratch").mkdir(parents=True)
    (tmp_path / "ddpm.py").write_text("mine")
    copy = user.own_copy(str(tmp_path), str(tmp_path / "temporary" / "scratch"), 0)
    assert sorted(path.name for path in Path(copy).rglob("*")) == ["ddpm.py", "temporary"]
