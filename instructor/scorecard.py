"""How good is the grader? python instructor/scorecard.py [--json FILE] [--list [PART]]

Grades every scenario of instructor/scenarios and compares with what each expects: wrong
implementations must lose the right points with the right hint, right ones none, hostile ones must
gain none. Then it measures flakes, times and a large batch, and prints README.md's table. Exit code
1 where a target is missed, except for times, which depend on the machine. With --mutants it grades
mistakes made by rule instead (mutants/), and names those that nothing notices. With --list it
prints the scenarios, one in a line: name, kind, what it is, what must come out.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from autograder.output.ending import run_command
from autograder.text import InputError, check_folder, check_installed, not_installed

try:
    from instructor.measuring.card import Scorecard
    from instructor.measuring.table import BATCH, markdown, targets
    from instructor.mutants.rules import all_mutants
    from instructor.submissions.catalogue import ScenarioError
    from instructor.submissions.choice import choose, draw, listed, scenarios_named
    from instructor.submissions.overlay import KINDS

    check_installed("torch")  # which the sandbox imports later
except ImportError as error:
    print(f"error: {not_installed(error)}", file=sys.stderr)
    sys.exit(2)

STEPS = ("bases", "scenarios", "flakes", "times")
REPEATS = 100  # of the reference


def parse_args() -> argparse.Namespace:
    """The command line; a flag that would choose nothing is refused."""
    parser = argparse.ArgumentParser(description="Measure the grader.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--only", choices=STEPS, action="append", help="some of the measurements")
    parser.add_argument("--mutants", action="store_true", help="grade mistakes made by rule")
    parser.add_argument("--kind", choices=KINDS, action="append", help="only these scenarios")
    parser.add_argument("--names", metavar="GLOB", help="only these, of scenarios or mutants")
    parser.add_argument(
        "--share", type=float, default=1.0, metavar="S", help="a random part, as 0.25"
    )
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes (2)")
    parser.add_argument(
        "--list",
        nargs="?",
        const="",
        metavar="PART",
        help="print the scenarios, of one part if it is given, and grade nothing",
    )
    args = parser.parse_args()
    if not 0 < args.share <= 1:
        parser.error("--share must be above 0, and 1 at most")
    if args.jobs < 1:
        parser.error("--jobs must be at least 1")
    if args.mutants and (args.only or args.kind or args.list is not None):
        parser.error("--mutants grades mutants alone: leave out --only, --kind and --list")
    if (args.names or args.kind) and args.only and "scenarios" not in args.only:
        parser.error("--names and --kind choose scenarios, which --only leaves out")
    return args


def main() -> int:
    """Measure or list; returns the exit code."""
    args = parse_args()
    try:
        if args.list is None:
            return measure(args)
        lines = listed(scenarios_named(args.kind or KINDS, args.names or "*"), args.list)
        sys.stdout.writelines(f"{line}\n" for line in lines)
        return 0
    except (InputError, ScenarioError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def measure(args: argparse.Namespace) -> int:
    """Measure, print, write; returns the exit code."""
    if args.json:  # before hours of work
        if args.json.is_dir():
            raise InputError(f"--json: {args.json} is a folder; name a file")
        check_folder(args.json.absolute().parent, "--json")
    with tempfile.TemporaryDirectory(prefix="scorecard-") as folder:
        card = Scorecard(Path(folder), args.jobs)
        for name, step in steps_of(card, args).items():
            start = time.monotonic()
            step()
            print(f"{name}: {time.monotonic() - start:.0f} s", file=sys.stderr)
    for complaint in card.complaints:
        print(complaint)
    for seconds, name in reversed(card.slowest):
        print(f"slow: {name} took {seconds:.0f} s")
    if not args.mutants:
        print("\n".join(["", *markdown(card.figures), ""]))
    if args.json:
        args.json.write_text(json.dumps(card.figures, indent=1) + "\n", encoding="utf-8")
    missed = targets(card.figures)
    if missed:
        print(f"missed: {', '.join(missed)}")
    return 1 if set(missed) - {"seconds_alone", "speedup"} else 0


def steps_of(card: Scorecard, args: argparse.Namespace) -> dict[str, Callable[[], None]]:
    """The measurements that the flags ask for, by name.

    Raises:
        InputError: one of them would measure nothing.
    """
    names = args.names or "*"
    if args.mutants:
        mutants = choose({str(m): m for m in all_mutants()}, names, "mutant")
        mutants = draw(mutants, args.share)
        return {"mutants": lambda: card.mutants(mutants, is_sample=args.share < 1)}
    steps: dict[str, Callable[[], None]] = {}
    if not args.only or "bases" in args.only:
        steps["bases"] = card.bases
    if not args.only or "scenarios" in args.only:
        found = draw(scenarios_named(args.kind or KINDS, names), args.share)
        soak = not (args.kind or args.names) and args.share == 1
        steps["scenarios"] = lambda: card.run(found, soak)
    if not args.only or "flakes" in args.only:
        repeats = len(draw(range(REPEATS), args.share))
        steps["flakes"] = lambda: card.flakes(repeats)
    if not args.only or "times" in args.only:
        steps["times"] = lambda: card.times(BATCH)
    return steps


if __name__ == "__main__":
    run_command(main)
