"""How good is the grader? python instructor/scorecard.py [--json FILE] [--list [PART]]

Grades every scenario of instructor/scenarios and compares with what each expects: wrong
implementations must lose the right points with the right hint, right ones none, hostile ones must
gain none. Then it measures flakes, times and a large batch, and prints README.md's table. Exit code
1 where a target is missed, except for times, which depend on the machine. With --mutants it grades
mistakes made by rule instead (mutants.py), and names those that nothing notices. With --list it
prints the scenarios, one in a line: name, kind, what it is, what must come out.
"""

import argparse
import contextlib
import json
import random
import resource
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "instructor")]

from autograder.text import check_installed, did_you_mean, not_installed

try:
    import mutation
    from autograder.batch import Order, grade_all
    from autograder.results import NOT_ATTEMPTED, Grade, PartResult
    from catalogue import PARTS, ScenarioError
    from editions import rubric_of_all_parts
    from overlay import Scenario, scenarios

    check_installed("torch")  # which the sandbox imports later
except ImportError as error:
    print(f"error: {not_installed(error)}", file=sys.stderr)
    sys.exit(2)

KINDS = ["wrong", "right", "hostile"]
FIGURES = {
    "wrong": ("wrong", "killed", "right_function", "hinted"),
    "right": ("alternatives", "false_fails"),
    "hostile": ("hostile", "hostile_gains", "hostile_stuck"),
}
UNLISTED = 0.03  # of a sample of mutants, at most: right answers that nobody has listed yet
SOAK = 500  # submissions in one batch, at least
HINTED = 0.98  # of the wrong ones, at least, with the right hint
BATCH = 40  # submissions in the batch that is timed
# Hostile submissions that mostly wait. Last in the batch, one would keep a process to itself.
WAITS = ("loop_", "slow_", "grandchildren_", "threads_", "leaves_", "stops_")


# README.md's table: what each row needs to have been measured, and the row.
ROWS = {
    "killed": "wrong implementations that lose points | {killed} of {wrong} | all",
    "right_function": "... for the right function, and no other | {right_function} of {wrong} "
    "| all",
    "hinted": "... with the right hint | {hinted} of {wrong} | {hinted_share:.0%}",
    "false_fails": "right implementations that lose a point | {false_fails} of {alternatives} | 0",
    "hostile_gains": "hostile and careless submissions that gain a point, or hang | "
    "{hostile_bad} of {hostile} | 0",
    "repeats": "repeats of the reference that lose a point, by 1, 2 and 4 processes | "
    "{flakes} of {repeats} | 0",
    "starter_points": "points of the empty starter, of the reference | "
    "{starter_points:g}, {reference_points:g} | 0, {points_by_tests:g}",
    "soak": "a batch of {submissions}, hostile ones included | {graded} graded, {left_behind} left "
    "behind, parent at {parent_mb_after_a_tenth} MB after a tenth, at {parent_mb_at_the_end} MB at "
    "the end | all, 0, flat",
    "seconds_alone": "a submission alone, from the command line | {seconds_alone:.1f} s | 6 s",
    "seconds_batch": "a submission in a batch of {batch}, by {jobs} processes | "
    "{seconds_batch:.1f} s | ",
    "speedup": "... against one pytest process after the other, {seconds_usual:.1f} s each | "
    "{speedup:.1f} times faster | 5 times",
}


class Scorecard:
    """Runs the measurements and collects figures and complaints.

    Args:
        work: an empty folder for the submissions.
        jobs: processes to grade with.
        names: pattern of the scenarios to run.
        share: how many of these scenarios, drawn again each time, and of the repeats; 1 is all.
    """

    def __init__(self, work: Path, jobs: int, names: str = "*", share: float = 1.0) -> None:
        self.work, self.jobs, self.names, self.share = work, jobs, names, share
        self.rubric = rubric_of_all_parts()
        self.figures: dict[str, Any] = {}
        self.slowest: list[tuple[float, str]] = []
        self.complaints: list[str] = []

    def order(self, public: bool = False, only: str | None = None) -> Order:
        """A fresh seed for each measurement."""
        return Order(self.rubric, secrets.randbelow(2**31), public, only, trust=True)

    def grade(  # noqa: ANN201
        self,
        paths: list[Path],
        jobs: int | None = None,
        public: bool = False,
        only: str | None = None,
    ):
        """Grade, with a line of progress."""
        grades = grade_all(paths, self.order(public, only), jobs or self.jobs)
        for done, grade in enumerate(grades, start=1):
            print(f"\r{done} of {len(paths)} ", end="", file=sys.stderr, flush=True)
            yield grade
        print("\r", end="", file=sys.stderr)

    def base(self, name: str) -> Scenario:
        """The starter or the reference as a submission."""
        return Scenario("right", name, f"the {name} as it is", name)

    def run(self, kinds: list[str]) -> None:
        """Grade all scenarios of these kinds in one batch, and compare.

        With all kinds, copies of the reference fill the batch up to SOAK, and what a long batch
        leaves behind is measured.
        """
        found = {f"{s.name}.zip": s for s in chosen(kinds, self.names)}
        drawn = random.sample(sorted(found), round(self.share * len(found)))
        found = {name: found[name] for name in drawn}
        for kind in kinds:
            self.figures |= dict.fromkeys(FIGURES[kind], 0)
            self.figures[FIGURES[kind][0]] = sum(s.kind == kind for s in found.values())
        judged = {"wrong": self.judge_wrong, "right": self.judge_right}
        judged["hostile"] = self.judge_hostile
        paths = [s.zip_to(self.work / f"{s.name}.zip") for s in found.values()]
        soak = kinds == KINDS and self.names == "*" and self.share == 1
        if soak:
            base = self.base("reference")
            fillers = [self.work / f"reference-{i}.zip" for i in range(max(0, SOAK - len(paths)))]
            paths += [base.zip_to(path) for path in fillers]
        random.shuffle(paths)
        paths.sort(key=lambda path: not path.name.startswith(WAITS))  # stable: these come first
        before = leftovers()
        memory, graded = [], set()
        for grade in self.grade(paths, self.jobs + 1):  # where one waits, another goes on
            self.slowest = sorted([*self.slowest, (grade.seconds, grade.submission)])[-5:]
            memory.append(resident())
            graded.add(grade.submission)
            if grade.submission in found:
                scenario = found[grade.submission]
                judged[scenario.kind](scenario, grade)
            else:
                self.judge_repeat(grade)
        for path in paths:
            if path.name not in graded:
                self.complaints.append(f"{path.name} was not graded at all")
        if soak:
            left = sorted(leftovers() - before)
            self.complaints += [f"left behind: {what}" for what in left]
            self.figures["soak"] = {
                "submissions": len(paths),
                "graded": len(graded),
                "left_behind": len(left),
                # once the pool is up and the first few are done
                "parent_mb_after_a_tenth": round(memory[len(memory) // 10]),
                "parent_mb_at_the_end": round(memory[-1]),
            }

    def mutants(self) -> None:
        """Mistakes made by rule lose points, unless nobody can tell them from the reference."""
        parts = [part.id for part in self.rubric.parts if part.automatic]
        found = mutation.chosen(parts, self.names)
        drawn = set(random.sample(range(len(found)), round(self.share * len(found))))
        found = [mutant for i, mutant in enumerate(found) if i in drawn]
        tallies = mutation.measure(
            found,
            lambda paths, part: self.grade(paths, only=part),
            self.work,
            self.complaints.append,
        )
        self.figures |= mutation.figures(tallies.values())
        if self.share < 1:
            self.figures["mutants_unlisted"] = int(UNLISTED * self.figures["mutants"])
        self.complaints += [f"survives: {m}" for t in tallies.values() for m in t.survivors]
        print("\n".join(mutation.table(tallies)))
        print(mutation.in_words(self.figures))

    def judge_repeat(self, grade: Grade) -> None:
        """A copy of the reference gets all points."""
        lost = [p for p in grade.parts if p.points is not None and p.points < p.max_points]
        self.figures["flakes"] = self.figures.get("flakes", 0) + bool(lost)
        self.complaints += [f"flake, seed {grade.seed}: {p.id}: {p.reason}" for p in lost]

    def complain(self, scenario: Scenario, what: str) -> None:
        """Keep what went against expectation."""
        self.complaints.append(f"{scenario.kind}/{scenario.name}: {what}")

    def lost(self, scenario: Scenario, grade: Grade) -> list[PartResult]:
        """The parts without all points, except those that its edition lacks, which earn nothing."""
        gained = [id_ for id_ in scenario.lacks if grade.part(id_).points]
        if gained:
            self.complain(scenario, f"gains {gained}, which its edition lacks")
        tested = [p for p in grade.parts if p.points is not None and p.id not in scenario.lacks]
        return [p for p in tested if p.points < p.max_points]

    def judge_wrong(self, scenario: Scenario, grade: Grade) -> None:
        """It loses points for its own part, for no other, and with the right hint."""
        lost = {part.id for part in self.lost(scenario, grade)}
        part = grade.part(scenario.fails)
        self.figures["killed"] += bool(lost)
        if scenario.fails not in lost or lost - {scenario.fails, *scenario.may_fail}:
            self.complain(scenario, f"fails {sorted(lost)}, expected {scenario.fails}")
        else:
            self.figures["right_function"] += 1
        hints = {test.hint_id for test in part.tests}
        if scenario.hint == part.hint_id:
            self.figures["hinted"] += 1
        else:
            self.complain(
                scenario,
                f"hint {part.hint_id}, expected {scenario.hint}"
                f"{' (which another test gave)' if scenario.hint in hints else ''}: {part.reason}",
            )

    def judge_right(self, scenario: Scenario, grade: Grade) -> None:
        """It gets all points."""
        lost = self.lost(scenario, grade)
        self.figures["false_fails"] += bool(lost)
        for part in lost:
            self.complain(scenario, f"loses {part.id}: {part.reason} {grade.log[:300]}")

    def judge_hostile(self, scenario: Scenario, grade: Grade) -> None:
        """It gains nothing it should not, and loses nothing that is its own."""
        earns = set(scenario.earns)
        earned = {p.id for p in grade.parts if p.points}
        full = {p.id for p in grade.parts if p.points == p.max_points}
        gained = earned - {*earns, *scenario.may_earn}
        self.figures["hostile_gains"] += bool(gained)
        if gained:
            self.complain(scenario, f"gains {sorted(gained)}")
        if earns - full:
            missed = grade.part(min(earns - full))
            self.complain(scenario, f"does not get {sorted(earns - full)}: {missed.reason}")
        if grade.seconds > 200:
            self.figures["hostile_stuck"] += 1
            self.complain(scenario, f"took {grade.seconds:.0f} s")
        for part, words in scenario.reason.items():
            if words.lower() not in grade.part(part).reason.lower():
                self.complain(scenario, f"{part}: '{grade.part(part).reason}' lacks '{words}'")
        if "HOLE:" in grade.log:
            self.complain(scenario, f"found a hole: {grade.log[grade.log.index('HOLE:') :][:200]}")
            self.figures["hostile_gains"] += not gained
        if any("grader" in text.lower() for text in grade.needs_look):
            self.complain(scenario, f"broke the grader: {grade.needs_look}")

    def bases(self) -> None:
        """The empty starter gets nothing, the reference everything."""
        paths = [self.base(b).zip_to(self.work / f"{b}.zip") for b in ("starter", "reference")]
        grades = {grade.submission: grade for grade in self.grade(paths)}
        points = {name: sum(p.points or 0 for p in g.parts) for name, g in grades.items()}
        self.figures["starter_points"] = points["starter.zip"]
        self.figures["reference_points"] = points["reference.zip"]
        self.figures["points_by_tests"] = sum(part.by_tests for part in self.rubric.parts)
        attempted = [
            p.id for p in grades["starter.zip"].parts if p.id in PARTS and p.status != NOT_ATTEMPTED
        ]
        if attempted:
            self.complaints.append(f"starter: {attempted} are not reported as not attempted")

    def flakes(self, repeats: int) -> None:
        """The reference again and again, on fresh seeds, by one process, two and four."""
        base = self.base("reference")
        for jobs, share in ((1, repeats // 4), (2, repeats // 4), (4, repeats - repeats // 4 * 2)):
            paths = [self.work / f"repeat-{jobs}-{i}.zip" for i in range(share)]
            for grade in self.grade([base.zip_to(path) for path in paths], jobs):
                self.judge_repeat(grade)
        self.figures["repeats"] = repeats

    def seconds(self, command: list[str]) -> float:
        """How long a command takes."""
        start = time.monotonic()
        code = subprocess.run(command, check=False, capture_output=True).returncode
        if code:
            self.complaints.append(f"{' '.join(command)} ended with exit code {code}")
        return time.monotonic() - start

    def times(self, batch: int) -> None:
        """Seconds for a submission alone, in a batch, and the usual way, one after the other."""
        base = self.base("reference")
        path = base.zip_to(self.work / "timed.zip")
        command = [sys.executable, str(ROOT / "autograder/grade.py"), str(path), "--public"]
        self.figures["seconds_alone"] = median([self.seconds(command) for _ in range(3)])
        paths = [base.zip_to(self.work / f"batch-{i}.zip") for i in range(batch)]
        start = time.monotonic()
        list(self.grade(paths, public=True))
        ours = (time.monotonic() - start) / batch
        usual = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-c",
            str(ROOT / "autograder/tests/pytest.ini"),
        ]
        usual += [str(ROOT / "autograder/tests"), "--public", "--in-process", "--submission"]
        theirs = median([self.seconds([*usual, str(path)]) for path in paths[:5]])
        self.figures |= {"seconds_batch": ours, "seconds_usual": theirs, "speedup": theirs / ours}
        self.figures["jobs"] = self.jobs


def chosen(kinds: list[str], names: str) -> list[Scenario]:
    """The scenarios of these kinds whose names fit a pattern."""
    return [s for kind in kinds for s in scenarios(kind) if fnmatch(s.name, names)]


def listed(found: list[Scenario], part: str = "") -> list[str]:
    """Lines of aligned columns, one for each scenario: of all, or of a part or another catalogue.

    Raises:
        ScenarioError: there is no such part.
    """
    topics = sorted({s.topic for s in found})
    if part and part not in topics:
        close = did_you_mean(part, topics)
        raise ScenarioError(f"nothing to list under '{part}'{close}: there is {', '.join(topics)}")
    rows = [(s.name, s.kind, s.about, s.expectation) for s in found if not part or s.topic == part]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def resident() -> float:
    """Memory of this process, in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * resource.getpagesize() / 1e6


def leftovers() -> set[str]:
    """What a grader may leave behind: its temporary folders, and processes of its workers."""
    folders = {p.name for p in Path(tempfile.gettempdir()).glob("*")}
    folders = {name for name in folders if name.startswith(("grade-", "autograder-"))}
    processes = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b"sandbox/zygote.py" in (folder / "cmdline").read_bytes():
                processes.add(f"process {folder.name}")
    return folders | processes


def targets(f: dict[str, Any]) -> list[str]:
    """The targets that the figures miss, among those that were measured."""
    unlisted = f.get("mutants_unlisted", 0)
    wanted = {
        "killed": lambda: f["killed"] == f["wrong"],
        "right_function": lambda: f["right_function"] == f["wrong"],
        "hinted": lambda: f["hinted"] >= HINTED * f["wrong"],
        "mutants_killed": lambda: f["mutants_killed"] + unlisted >= f["mutants"],
        "mutants_right_part": lambda: f["mutants_right_part"] + unlisted >= f["mutants"],
        "false_fails": lambda: f["false_fails"] == 0,
        "hostile_gains": lambda: f["hostile_gains"] == 0,
        "hostile_stuck": lambda: f["hostile_stuck"] == 0,
        "flakes": lambda: f["flakes"] == 0,
        "soak": lambda: (
            f["soak"]["graded"] == f["soak"]["submissions"] >= SOAK
            and f["soak"]["left_behind"] == 0
        ),
        "starter_points": lambda: f["starter_points"] == 0,
        "reference_points": lambda: f["reference_points"] == f["points_by_tests"],
        "seconds_alone": lambda: f["seconds_alone"] < 6,
        "speedup": lambda: f["speedup"] >= 5,
    }
    return [name for name, met in wanted.items() if name in f and not met()]


def markdown(figures: dict[str, Any]) -> list[str]:
    """README.md's table of the figures, in Markdown; rows of what was not measured are left out."""
    f = {"hinted_share": HINTED, "batch": BATCH, **figures, **figures.get("soak", {})}
    f["hostile_bad"] = f.get("hostile_gains", 0) + f.get("hostile_stuck", 0)
    lines = ["| what | measured | target |", "| --- | --- | --- |"]
    for name, row in ROWS.items():
        if name in f:
            lines.append(f"| {row.format(**f)} |")
    return lines


def main() -> int:
    """Read the flags, then measure or list; returns the exit code."""
    parser = argparse.ArgumentParser(description="Measure the grader.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument(
        "--only", choices=["bases", "scenarios", "flakes", "times"], action="append"
    )
    parser.add_argument("--mutants", action="store_true", help="grade mistakes made by rule")
    parser.add_argument("--kind", choices=KINDS, action="append", help="only these scenarios")
    parser.add_argument(
        "--names", default="*", metavar="GLOB", help="only these, of scenarios or mutants"
    )
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
    try:
        if args.list is None:
            return measure(args)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` is not an error
        lines = listed(chosen(args.kind or KINDS, args.names), args.list)
        sys.stdout.writelines(f"{line}\n" for line in lines)
        return 0
    except ScenarioError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def measure(args: argparse.Namespace) -> int:
    """Measure, print, write; returns the exit code."""
    with tempfile.TemporaryDirectory(prefix="scorecard-") as folder:
        card = Scorecard(Path(folder), args.jobs, args.names, args.share)
        steps: dict[str, Callable[[], None]] = {
            "bases": card.bases,
            "scenarios": lambda: card.run(args.kind or KINDS),
            "flakes": lambda: card.flakes(round(100 * args.share)),
            "times": lambda: card.times(BATCH),
        }
        if args.mutants:
            steps = {"mutants": card.mutants}
        for name, step in steps.items():
            if not args.only or name in args.only:
                start = time.monotonic()
                step()
                print(f"{name}: {time.monotonic() - start:.0f} s", file=sys.stderr)
    for complaint in card.complaints:
        print(complaint)
    for seconds_, name in reversed(card.slowest):
        print(f"slow: {name} took {seconds_:.0f} s")
    if not args.mutants:
        print("\n".join(["", *markdown(card.figures), ""]))
    if args.json:
        args.json.write_text(json.dumps(card.figures, indent=1) + "\n", encoding="utf-8")
    missed = targets(card.figures)
    if missed:
        print(f"missed: {', '.join(missed)}")
    return 1 if set(missed) - {"seconds_alone", "speedup"} else 0


if __name__ == "__main__":
    sys.exit(main())
