"""Grade made-up submissions, and count what the grader got wrong."""

import contextlib
import random
import resource
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from autograder.batch import Order, grade_all
from autograder.reading.work_folder import IN_MEMORY
from autograder.results import NOT_ATTEMPTED, Grade, PartResult

from instructor import ROOT
from instructor.cutting.editions import rubric_of_all_parts
from instructor.measuring.table import SOAK
from instructor.mutants import measure
from instructor.mutants.rules import Mutant
from instructor.submissions.catalogue import PARTS
from instructor.submissions.overlay import Scenario

FIGURES = {
    "wrong": ("wrong", "killed", "right_function", "hinted"),
    "right": ("alternatives", "false_fails"),
    "hostile": ("hostile", "hostile_gains", "hostile_stuck"),
}
UNLISTED = 0.03  # of a sample of mutants, at most: right answers that nobody has listed yet
# Hostile submissions that mostly wait. Last in the batch, one would keep a process to itself.
WAITS = ("loop_", "slow_", "grandchildren_", "threads_", "leaves_", "stops_")


class Scorecard:
    """Runs the measurements and collects figures and complaints.

    Args:
        work: an empty folder for the submissions.
        jobs: processes to grade with.

    Attributes:
        figures: what was counted and measured; see `table.py`.
        slowest: seconds and names of the five submissions that took longest.
        complaints: what went against expectation, a line each.
    """

    def __init__(self, work: Path, jobs: int) -> None:
        self.work, self.jobs = work, jobs
        self.rubric = rubric_of_all_parts()
        self.figures: dict[str, Any] = {}
        self.slowest: list[tuple[float, str]] = []
        self.complaints: list[str] = []

    def order(self, public: bool = False, only: str | None = None) -> Order:
        """A fresh seed for each measurement."""
        parts = (only,) if only else ()
        return Order(self.rubric, secrets.randbelow(2**31), public, parts, trust=True)

    def grade(
        self,
        paths: list[Path],
        jobs: int | None = None,
        public: bool = False,
        only: str | None = None,
    ) -> Iterator[Grade]:
        """Grade, on one part or, for None, on all, with a line of progress."""
        grades = grade_all(paths, self.order(public, only), jobs or self.jobs)
        for done, grade in enumerate(grades, start=1):
            print(f"\r{done} of {len(paths)} ", end="", file=sys.stderr, flush=True)
            yield grade
        print("\r", end="", file=sys.stderr)

    def base(self, name: str) -> Scenario:
        """The starter or the reference as a submission."""
        return Scenario("right", name, f"the {name} as it is", name)

    def run(self, scenarios: list[Scenario], soak: bool) -> None:
        """Grade scenarios in one batch, and compare.

        Args:
            soak: fill the batch up to SOAK with copies of the reference, and measure what a long
                batch leaves behind.
        """
        found = {f"{s.name}.zip": s for s in scenarios}
        for kind, times in Counter(s.kind for s in scenarios).items():
            self.figures |= {**dict.fromkeys(FIGURES[kind], 0), FIGURES[kind][0]: times}
        judged = {"wrong": self.judge_wrong, "right": self.judge_right}
        judged["hostile"] = self.judge_hostile
        paths = [s.zip_to(self.work / name) for name, s in found.items()]
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

    def mutants(self, mutants: list[Mutant], is_sample: bool) -> None:
        """Mistakes made by rule lose points, unless nobody can tell them from the reference.

        Args:
            is_sample: they were drawn at random, so a few may survive that nobody has looked at.
        """
        tallies = measure.measure(
            mutants,
            lambda paths, part: self.grade(paths, only=part),
            self.work,
            self.complaints.append,
        )
        self.figures |= measure.figures(tallies.values())
        if is_sample:
            self.figures["mutants_unlisted"] = int(UNLISTED * self.figures["mutants"])
        self.complaints += [f"survives: {m}" for t in tallies.values() for m in t.survivors]
        print("\n".join(measure.table(tallies)))
        print(measure.in_words(self.figures))

    def judge_repeat(self, grade: Grade) -> None:
        """A copy of the reference gets all points."""
        lost = measure.lost(grade)
        self.figures["flakes"] = self.figures.get("flakes", 0) + bool(lost)
        self.complaints += [f"flake, seed {grade.seed}: {p.id}: {p.reason}" for p in lost]

    def complain(self, scenario: Scenario, grade: Grade, what: str) -> None:
        """Keep what went against expectation, with the seed of the numbers that showed it."""
        self.complaints.append(f"{scenario.kind}/{scenario.name}, seed {grade.seed}: {what}")

    def lost(self, scenario: Scenario, grade: Grade) -> list[PartResult]:
        """The parts without all points, except those that its edition lacks, which earn nothing."""
        gained = [id_ for id_ in scenario.lacks if grade.part(id_).points]
        if gained:
            self.complain(scenario, grade, f"gains {gained}, which its edition lacks")
        return [part for part in measure.lost(grade) if part.id not in scenario.lacks]

    def judge_wrong(self, scenario: Scenario, grade: Grade) -> None:
        """It loses points for its own part, for no other, and with the right hint."""
        lost = {part.id for part in self.lost(scenario, grade)}
        part = grade.part(scenario.fails)
        self.figures["killed"] += bool(lost)
        if scenario.fails not in lost or lost - {scenario.fails, *scenario.may_fail}:
            self.complain(scenario, grade, f"fails {sorted(lost)}, expected {scenario.fails}")
        else:
            self.figures["right_function"] += 1
        hints = {test.hint_id for test in part.tests}
        if scenario.hint == part.hint_id:
            self.figures["hinted"] += 1
        else:
            self.complain(
                scenario,
                grade,
                f"hint {part.hint_id}, expected {scenario.hint}"
                f"{' (which another test gave)' if scenario.hint in hints else ''}: {part.reason}",
            )

    def judge_right(self, scenario: Scenario, grade: Grade) -> None:
        """It gets all points."""
        lost = self.lost(scenario, grade)
        self.figures["false_fails"] += bool(lost)
        for part in lost:
            self.complain(scenario, grade, f"loses {part.id}: {part.reason} {grade.log[:300]}")

    def judge_hostile(self, scenario: Scenario, grade: Grade) -> None:
        """It gains nothing it should not, and loses nothing that is its own."""
        earns = set(scenario.earns)
        earned = {p.id for p in grade.parts if p.points}
        full = {p.id for p in grade.parts if p.points == p.max_points}
        gained = earned - {*earns, *scenario.may_earn}
        self.figures["hostile_gains"] += bool(gained)
        if gained:
            self.complain(scenario, grade, f"gains {sorted(gained)}")
        if earns - full:
            missed = grade.part(min(earns - full))
            self.complain(scenario, grade, f"does not get {sorted(earns - full)}: {missed.reason}")
        if grade.seconds > 200:
            self.figures["hostile_stuck"] += 1
            self.complain(scenario, grade, f"took {grade.seconds:.0f} s")
        for part, words in scenario.reason.items():
            if words.lower() not in grade.part(part).reason.lower():
                self.complain(
                    scenario, grade, f"{part}: '{grade.part(part).reason}' lacks '{words}'"
                )
        if "HOLE:" in grade.log:
            self.complain(
                scenario, grade, f"found a hole: {grade.log[grade.log.index('HOLE:') :][:200]}"
            )
            self.figures["hostile_gains"] += not gained
        if any("grader" in text.lower() for text in grade.needs_look):
            self.complain(scenario, grade, f"broke the grader: {grade.needs_look}")

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


def resident() -> float:
    """Memory of this process, in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * resource.getpagesize() / 1e6


def leftovers() -> set[str]:
    """What a grader may leave behind: its temporary folders, and processes of its workers."""
    places = {Path(tempfile.gettempdir()), IN_MEMORY}
    folders = {p.name for place in places for p in place.glob("*")}
    folders = {name for name in folders if name.startswith(("grade-", "autograder-"))}
    processes = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b"sandbox/zygote.py" in (folder / "cmdline").read_bytes():
                processes.add(f"process {folder.name}")
    return folders | processes
