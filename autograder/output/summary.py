"""A grade in short: points with their maxima, what people grade, and hints that parts share."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from autograder.results import FAILED, MANUAL, NOT_ATTEMPTED, PARTIAL, PASSED, Grade, PartResult
from autograder.rubric import Part, Rubric
from autograder.text import number, one_line

SIGNS = {PASSED: "✓", PARTIAL: "◐", FAILED: "✗", NOT_ATTEMPTED: "○", MANUAL: "✎"}


@dataclass
class Points:
    """Points of one kind: earned so far, and possible."""

    earned: float = 0.0
    possible: float = 0.0

    def add(self, earned: float, possible: float) -> None:
        self.earned += earned
        self.possible += possible

    def __str__(self) -> str:
        return f"{number(self.earned)} of {number(self.possible)}"


@dataclass
class Tally:
    """A grade's points by who gives them, and what a person has yet to grade."""

    tests: Points  # of the core parts, by their tests
    bonus: Points  # of the bonus parts, by their tests
    person: Points  # given by a person so far
    open_parts: list[tuple[str, float]]  # titles and points of parts yet to be graded
    deductions: float

    def sentences(self) -> list[str]:
        """Lines: the points so far, then what a person has yet to grade."""
        lines = [f"{self.tests} by the autograder"] if self.tests.possible else []
        if self.bonus.possible:
            lines = [", ".join([*lines, f"bonus: {self.bonus}"])]
        if self.person.possible:
            lines.append(f"{self.person} by a person")
        if self.deductions:
            lines.append(f"{number(self.deductions)} deducted")
        if self.open_parts:
            listed = ", ".join(f"{title} ({number(n)})" for title, n in self.open_parts)
            lines.append(f"A person grades: {listed}")
        return lines


def about(rubric: Rubric) -> Callable[[str], Part]:
    """A function that describes a part by its id, also if an edited rubric lacks the part."""
    parts = {part.id: part for part in rubric.parts}
    return lambda part_id: parts.get(part_id, Part(part_id, part_id, 0, False, ""))


def tally(grade: Grade, rubric: Rubric) -> Tally:
    """The points of a grade by who gives them."""
    describe = about(rubric)
    found = Tally(Points(), Points(), Points(), [], grade.deductions)
    for part in grade.parts:
        described = describe(part.id)
        by_hand = part.max_points if part.status == MANUAL else part.human
        given = part.points if part.status == MANUAL else part.by_person
        if part.status != MANUAL:
            tests = found.bonus if described.bonus else found.tests
            tests.add(part.points or 0.0, part.max_points)
        if by_hand and given is None:
            found.open_parts.append((one_line(described.title), by_hand))
        elif given is not None:
            found.person.add(given, max(by_hand, given))  # may exceed by_hand if no test ran
    return found


def core_and_bonus(grade: Grade, rubric: Rubric) -> tuple[float, float]:
    """Core and bonus points, each between 0 and the rubric's; their sum is the total.

    Deductions reduce the core points first, then the bonus points.
    """
    bonus_ids = {part.id for part in rubric.parts if part.bonus}
    bonus = sum(part.earned or 0.0 for part in grade.parts if part.id in bonus_ids)
    core = sum(part.earned or 0.0 for part in grade.parts) - bonus
    left = grade.deductions - core
    core, bonus = max(0.0, -left), max(0.0, bonus - max(0.0, left))
    return min(core, rubric.core), min(bonus, rubric.bonus)


def overridden(part: PartResult) -> str:
    """How a person changed the tests' points, and why; "" if nobody did."""
    if not part.override:
        return ""
    gave = f"{number(part.points or 0)}, the tests {number(part.tests_gave or 0)}"
    return f"A person gave {gave}: {part.override}"


def shared_hints(parts: Iterable[PartResult]) -> dict[str, list[str]]:
    """Hints that several parts got, such as that nothing is implemented: the ids by hint."""
    by_hint: dict[str, list[str]] = {}
    for part in parts:
        if part.hint:
            by_hint.setdefault(part.hint, []).append(part.id)
    return {hint: ids for hint, ids in by_hint.items() if len(ids) > 1}


def first_with_reason(parts: Iterable[PartResult]) -> dict[str, str]:
    """Parts that repeat an earlier part's reason word for word: that part's id, by their id."""
    first: dict[str, str] = {}
    again: dict[str, str] = {}
    for part in parts:
        if part.reason and first.setdefault(part.reason, part.id) != part.id:
            again[part.id] = first[part.reason]
    return again


def listed(names: list[str]) -> str:
    """Names in a sentence: "a", "a and b", "a, b and c"."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
