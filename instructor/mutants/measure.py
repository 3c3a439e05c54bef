"""Grade mutants: which ones the grader notices, and which nobody can tell from the reference."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from autograder.results import Grade, PartResult
from autograder.sandbox.sandbox import Sandbox
from autograder.sandbox.wire import BadMessage, Channel, Closed, Slow

from instructor.mutants.rules import Mutant, equivalents
from instructor.submissions.overlay import Scenario, scenarios

SEEDS = (0, 1, 2)  # of the random inputs that outputs are compared on
PROBE_SECONDS = 60.0
FIGURES = ("mutants", "mutants_equivalent", "mutants_killed", "mutants_right_part")
Grader = Callable[[list[Path], str | None], Iterable[Grade]]


@dataclass
class Tally:
    """What became of the mutants of one part.

    Attributes:
        killed: cost points in the part.
        elsewhere: cost points in other parts alone.
        equal: compute what the reference computes on random inputs, to the last digits.
        listed: are in equivalent.yaml with a reason.
        survivors: cost nothing, and are none of these.
    """

    total: int = 0
    killed: int = 0
    elsewhere: int = 0
    equal: int = 0
    listed: int = 0
    survivors: list[Mutant] = field(default_factory=list)

    @property
    def different(self) -> int:
        """Those that are not equivalent to the reference."""
        return self.total - self.equal - self.listed


def measure(
    found: list[Mutant], grade: Grader, work: Path, complain: Callable[[str], None]
) -> dict[str, Tally]:
    """Grade each mutant on its own part, and survivors on all parts; returns the tallies by part.

    Args:
        grade: grades paths, on one part or, for None, on all.
        work: an empty folder.
        complain: gets what went against expectation.
    """
    tallies: dict[str, Tally] = {}
    reasons = equivalents()
    for part in dict.fromkeys(mutant.part for mutant in found):
        own = {f"{part}-{i}.zip": m for i, m in enumerate(found) if m.part == part}
        tally = tallies[part] = Tally(len(own))
        paths = [m.submission(name).zip_to(work / name) for name, m in own.items()]
        alive = []
        for result in grade(paths, part):
            mutant = own[result.submission]
            is_listed = mutant.change in reasons.get(part, {})
            if part in {one.id for one in lost(result)}:
                tally.killed += 1
                if is_listed:
                    complain(f"{mutant}: is in equivalent.yaml, but loses points")
            elif is_listed:
                tally.listed += 1
            else:
                alive.append(mutant)
        different = list(not_equal(alive, work))
        tally.equal = len(alive) - len(different)
        again = {f"{part}-again-{i}.zip": mutant for i, mutant in enumerate(different)}
        paths = [m.submission(name).zip_to(work / name) for name, m in again.items()]
        for result in grade(paths, None):
            if lost(result):
                tally.elsewhere += 1
            else:
                tally.survivors.append(again[result.submission])
    return tallies


def lost(grade: Grade) -> list[PartResult]:
    """The parts that were tested and have less than their points."""
    return [p for p in grade.parts if p.points is not None and p.points < p.max_points]


def not_equal(found: list[Mutant], work: Path) -> Iterator[Mutant]:
    """The mutants whose outputs differ from the reference's on random inputs."""
    if not found:
        return
    with Sandbox("instructor.mutants.probes:serve", trusted=True) as sandbox:
        whole = Scenario("right", "compared-reference", "the reference", "reference")
        reference = whole.build(work) / "code"
        part = found[0].part
        expected = [outputs(sandbox, reference, part, seed) for seed in SEEDS]
        for i, mutant in enumerate(found):
            folder = mutant.submission(f"compared-{part}-{i}").build(work) / "code"
            seen = (outputs(sandbox, folder, part, seed) for seed in SEEDS)
            if any(not same(a, b) for a, b in zip(seen, expected, strict=True)):
                yield mutant


def outputs(sandbox: Sandbox, code_folder: Path, part: str, seed: int) -> dict[str, Any] | None:
    """What the part's probe sees of a submission in a worker of its own; None for no answer."""
    log = code_folder.parent / "log.txt"
    worker = sandbox.worker(code_folder, log)
    channel: Channel = worker.channel
    try:
        deadline = time.monotonic() + PROBE_SECONDS
        channel.send({"part": part, "seed": seed}, deadline)
        return channel.receive(deadline)
    except (BadMessage, Closed, Slow):
        return None
    finally:
        worker.kill()


def same(a: Any, b: Any) -> bool:
    """Whether two observations are equal, numbers up to rounding."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        return np.allclose(a, b, rtol=1e-5, atol=1e-7, equal_nan=True)
    if isinstance(a, float) and isinstance(b, float):
        return bool(np.isclose(a, b, rtol=1e-5, atol=1e-7, equal_nan=True))
    return type(a) is type(b) and a == b


@cache
def catalogued(part: str) -> int:
    """How many mistakes of a part the catalogue has."""
    return sum(scenario.fails == part for scenario in scenarios("wrong"))


def table(tallies: dict[str, Tally]) -> list[str]:
    """A row for each part in Markdown, beside the number of its mistakes in the catalogue."""
    lines = [
        "| part | catalogue | mutants | equivalent | killed | by another part | survive |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for part, t in tallies.items():
        numbers = [catalogued(part), t.total, t.equal + t.listed, t.killed, t.elsewhere]
        lines.append(f"| {part} | {' | '.join(map(str, numbers))} | {len(t.survivors)} |")
    return lines


def figures(tallies: Iterable[Tally]) -> dict[str, int]:
    """The figures of all parts together."""
    total: Counter[str] = Counter()
    for tally in tallies:
        total["mutants"] += tally.different
        total["mutants_equivalent"] += tally.total - tally.different
        total["mutants_killed"] += tally.killed + tally.elsewhere
        total["mutants_right_part"] += tally.killed
    return {name: total[name] for name in FIGURES}


def in_words(figures: dict[str, int]) -> str:
    """The figures in one line."""
    return (
        "{mutants_killed} of {mutants} mutants lose points, {mutants_right_part} for the right "
        "part; {mutants_equivalent} more are equivalent to the reference"
    ).format(**figures)
