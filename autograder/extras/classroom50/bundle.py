"""Make the folder for Classroom 50 from a starter.

    python instructor/release.py --out ../starter
    python autograder/extras/classroom50/bundle.py ../starter --out autograders/homework

Put the folder at CLASSROOM/autograders/ASSIGNMENT in the course's classroom50 repository. Students
can read its contents, so it holds the starter's grader, with only the public tests.
"""

import argparse
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from autograder.output.ending import run_command

SCRIPT = Path(__file__).with_name("autograder.py")
NEEDED = ("autograder/grade.py", "requirements.txt", "zip_submission.py", "code/libs/blocks.py")
HIDDEN = "autograder/hidden"


def write_bundle(starter: Path, out: Path) -> int:
    """Write the folder; returns how many files it has.

    Raises:
        ValueError: the starter is not one or holds hidden tests, or the folder already exists.
        OSError: a file cannot be read or written.
    """
    for name in NEEDED:
        if not (starter / name).is_file():
            raise ValueError(
                f"{starter} is not a starter: it has no {name}; cut one with release.py"
            )
    if (starter / HIDDEN).exists():
        raise ValueError(
            f"{starter} has the hidden tests, which students could read; cut a starter"
        )
    if out.exists():
        raise ValueError(f"{out} already exists; remove it or name another folder with --out")
    files = [path for path in (starter / "autograder").rglob("*") if path.is_file()]
    files += [*(starter / "code" / "libs").rglob("*.py"), *(starter / name for name in NEEDED[1:3])]
    for path in files:
        place = out / "kit" / path.relative_to(starter)
        if "__pycache__" not in place.parts:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
    shutil.copyfile(SCRIPT, out / SCRIPT.name)
    return sum(path.is_file() for path in out.rglob("*"))


def main() -> int:
    """Read the flags and write; returns the exit code."""
    parser = argparse.ArgumentParser(description="Make the folder for Classroom 50.")
    parser.add_argument(
        "starter", type=Path, metavar="STARTER", help="the folder that release.py --out wrote"
    )
    parser.add_argument("--out", type=Path, default=Path("classroom50"), metavar="DIR")
    args = parser.parse_args()
    try:
        number = write_bundle(args.starter, args.out)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{args.out}: {number} files")
    return 0


if __name__ == "__main__":
    run_command(main)
