"""A contest of trained weights: python instructor/contest.py FOLDER [--contest FILE] [--out DIR]

FOLDER holds a file of weights for each team, TEAM.safetensors or TEAM.pth. The kit draws with them
in the sandbox, the scores are computed here, and DIR/public gets an anonymous leaderboard.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "code")]

from autograder.output.ending import run_command
from autograder.text import InputError, check_folder, not_installed, visible

try:
    from autograder.sandbox.limits import SandboxError
    from autograder.sandbox.sandbox import Sandbox

    from instructor.contests.judge import WORKER, Judge, take_part
    from instructor.contests.leaderboard import ranked, write
    from instructor.contests.rules import DEFAULT, read_rules
except ImportError as error:
    print(f"error: {not_installed(error)}", file=sys.stderr)
    sys.exit(2)

SUFFIXES = (".safetensors", ".pth")


def files_in(folder: Path) -> list[Path]:
    """The files of weights in a folder, by name; raises InputError where there is none."""
    names = sorted(folder.glob("*")) if folder.is_dir() else []
    found = [path for path in names if path.suffix.lower() in SUFFIXES]
    if not found:
        raise InputError(f"{folder} holds no TEAM.safetensors and no TEAM.pth")
    if len({path.stem for path in found}) < len(found):
        raise InputError(f"{folder}: a team has two files of weights; leave one of them")
    return found


def main() -> int:
    """Draw, score, write; returns the exit code."""
    parser = argparse.ArgumentParser(description="A contest of trained weights.")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a file of weights a team")
    parser.add_argument("--contest", type=Path, default=DEFAULT, metavar="FILE", help="its rules")
    parser.add_argument("--out", type=Path, default=Path("contest"), metavar="DIR")
    parser.add_argument("--trust", action="store_true", help="see grade.py --trust")
    args = parser.parse_args()
    try:
        rules, files = read_rules(args.contest), files_in(args.folder)
        check_folder(args.out)
        with Sandbox(WORKER, trusted=args.trust) as sandbox:
            judge_ = Judge(rules)
            entries = [take_part(f, judge_, sandbox, ROOT / "code" / "libs") for f in files]
        write(entries, rules, args.out)
    except (InputError, SandboxError, OSError) as error:
        print(f"error: {visible(str(error))}", file=sys.stderr)
        return 2
    for place, entry in enumerate(ranked(entries, rules.metric), 1):
        print(f"{place}. {visible(entry.team)}: FID {entry.fid:.2f}, accuracy {entry.accuracy:.3f}")
    for path in sorted(set(args.folder.glob("[!.]*")) - set(files)):
        print(f"left out: {visible(path.name)}, which is neither .safetensors nor .pth")
    for entry in entries:
        if entry.refused:
            print(f"refused: {visible(entry.team)}: {visible(entry.refused)}")
    return 0


if __name__ == "__main__":
    run_command(main)
