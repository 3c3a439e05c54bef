"""The files of this branch: which of them students get, in which edition."""

import os
import subprocess

from instructor import ROOT
from instructor.cutting.editions import Edition, default_edition
from instructor.cutting.regions import ReleaseError

GOES_OUT: tuple[str, ...] = ("autograder", "code", "configs", "docs", "notebooks", "requirements")
GOES_OUT += ("requirements.txt", "results", "writeup", "download_dataset.sh", "zip_submission.py")
GOES_OUT += ("LICENSE", ".gitignore")
OVERLAY = "instructor/starter"  # the students' own README, Makefile and team.csv
# Expected values of the hidden tests, tools of instructors, and what is too much like a solution.
STAYS_HERE: tuple[str, ...] = ("autograder/hidden", "autograder/extras")
STAYS_HERE += ("docs/samplers.md", "docs/images/few_evaluations.png")
STAYS_HERE += tuple(f"requirements/{name}.txt" for name in ("bench", "dev", "grade"))
TOO_MUCH_LIKE_DDIM = ("ancestral", "deis", "dpm_solver", "multistep")
STAYS_HERE += tuple(f"code/libs/samplers/{name}.py" for name in TOO_MUCH_LIKE_DDIM)


def tracked_files() -> list[str]:
    """The files that git knows, as paths from the repository's root."""
    listed = git("ls-files", "-z", "--cached").split("\0")
    return [f for f in listed if f and (ROOT / f).is_file()]


def goes_out(file: str, edition: Edition | None = None) -> bool:
    """Whether students of an edition, or of the default one, get a file of this branch."""
    stays = any(file == path or file.startswith(f"{path}/") for path in STAYS_HERE)
    left_out = stays or file in (edition or default_edition()).left_out
    return file.split("/")[0] in GOES_OUT and not left_out


def git(*args: str, data: bytes | None = None, env: dict | None = None, check: bool = True) -> str:
    """Run git in the repository; returns what it prints."""
    environment = {**os.environ, **(env or {})}
    try:
        done = subprocess.run(
            ["git", *args], cwd=ROOT, input=data, env=environment, capture_output=True, check=False
        )
    except FileNotFoundError:
        raise ReleaseError("git, which lists the files that go out, is not installed") from None
    if check and done.returncode != 0:
        raise ReleaseError(f"git {args[0]}: {done.stderr.decode().strip()}")
    return done.stdout.decode()
