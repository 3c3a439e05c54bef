"""Classical item analysis of a class: how hard parts and tests were, and what they separate.

Difficulty is the mean share of a part's points. Discrimination is the correlation of a part's
points with the points of all other parts, without the part itself (Crocker and Algina, Introduction
to Classical and Modern Test Theory, 1986, chapter 14; Moodle calls the two facility index and
discrimination).
"""

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from autograder.results import FAILED, NOT_ATTEMPTED, Grade
from autograder.rubric import Rubric

FEWEST = 5  # submissions needed for a correlation


@dataclass
class Item:
    """The statistics of one part over the class."""

    id: str
    number: int  # submissions graded in this part
    difficulty: float  # mean share of the points, 0 (nobody earned any) to 1
    discrimination: float | None  # -1 to 1; None if there are too few submissions


@dataclass
class Failed:
    """A test that at least one submission failed."""

    part: str
    name: str
    title: str
    tried: int  # submissions that attempted it
    grades: list[Grade] = field(default_factory=list)  # those that failed it

    @property
    def share(self) -> float:
        """The share of those who attempted it that failed, 0 to 1."""
        return len(self.grades) / self.tried


def items(grades: list[Grade], rubric: Rubric) -> list[Item]:
    """Statistics of the parts that somebody was graded in, in the rubric's order."""
    found = []
    for part in rubric.parts:
        pairs = []
        for grade in grades:
            points = {p.id: p.earned for p in grade.parts if p.earned is not None}
            earned = points.pop(part.id, None)
            if earned is not None:
                pairs.append((earned, sum(points.values())))
        if pairs:
            own, others = zip(*pairs, strict=True)
            share = min(1.0, statistics.fmean(own) / part.points) if part.points else 0.0
            found.append(Item(part.id, len(pairs), share, correlation(own, others)))
    return found


def correlation(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Pearson's r, -1 to 1; None for fewer than FEWEST pairs, or if one sequence is constant."""
    if len(a) < FEWEST or len(set(a)) < 2 or len(set(b)) < 2:
        return None
    return max(-1.0, min(1.0, statistics.correlation(a, b)))


def failed_tests(grades: list[Grade]) -> list[Failed]:
    """The tests that somebody failed, largest share first; an unreadable file failed none."""
    found: dict[tuple[str, str], Failed] = {}
    tried: Counter[tuple[str, str]] = Counter()
    for grade in grades:
        for part in grade.parts:
            for test in part.tests:
                if test.hint_id == "unreadable":
                    continue
                key = part.id, test.name
                tried[key] += test.outcome != NOT_ATTEMPTED
                if test.outcome == FAILED:
                    one = Failed(part.id, test.name, test.title or test.name, 0)
                    found.setdefault(key, one).grades.append(grade)
    for key, one in found.items():
        one.tried = tried[key]
    return sorted(found.values(), key=lambda one: (-one.share, one.part, one.name))


def histogram(points: Sequence[float], most: float, bins: int = 12) -> list[int]:
    """How many of the points are in each of `bins` equal intervals from 0 to `most`."""
    counts = [0] * bins
    for value in points:
        place = math.floor(value / most * bins) if most else 0
        counts[min(bins - 1, max(0, place))] += 1
    return counts


def by_tests(grade: Grade, rubric: Rubric) -> float:
    """The points that the tests gave for the core parts, before any person changed them."""
    ids = {part.id for part in rubric.parts if part.automatic and not part.bonus}
    return sum(
        (part.points if part.tests_gave is None else part.tests_gave) or 0.0
        for part in grade.parts
        if part.id in ids
    )
