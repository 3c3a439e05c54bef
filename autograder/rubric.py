"""The rubric: what each part is worth, read from rubric.yaml, and how tests become points."""

import math
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autograder.documents import NUMBER, key_problems, kind_problem, read_yaml
from autograder.hints import GENERAL
from autograder.late import LatePolicy, read_late
from autograder.results import (
    FAILED,
    MANUAL,
    NOT_ATTEMPTED,
    PARTIAL,
    PASSED,
    PartResult,
    TestResult,
)
from autograder.text import InputError, did_you_mean, number

DEFAULT = Path(__file__).with_name("rubric.yaml")
ID = re.compile(r"[a-z][a-z0-9_]*")
# Columns of the sheets other than the parts.
RESERVED = (
    *("submission", "team", "member", "netid", "deductions", "total"),
    *("override", "days_late", "people", "comment"),
)
RULES = {  # which of a team's hand-ins counts
    "latest": "the latest hand-in counts",
    "best": "the best hand-in counts",
    "on-time": "the latest hand-in on time counts",
}
TOP_KEYS = {"assignment": str, "points": dict, "deduction": dict, "parts": list}
OPTIONAL_TOP_KEYS = {"others": list, "hand_ins": str, "bonus_assignment": str, "late": dict}
POINTS_KEYS = {"core": NUMBER, "bonus": NUMBER}
DEDUCTION_KEYS = {"percent": NUMBER, "free": int}
PART_KEYS = {
    "id": str,
    "title": str,
    "points": NUMBER,
    "automatic": bool,
    "task": str,
}
OPTIONAL_KEYS = {"name": str, "bonus": bool, "look_for": list, "credit": dict, "human": NUMBER}
NO_RESULT = "No test of this part finished: the run broke off before."


@dataclass(frozen=True)
class Part:
    """One part, as the rubric describes it."""

    id: str
    title: str
    points: float
    automatic: bool
    task: str  # the heading of docs/assignment.md that it belongs to
    bonus: bool = False
    look_for: tuple[str, ...] = ()
    credit: dict[str, float] = field(default_factory=dict)  # share of the points, by group of tests
    human: float = 0.0  # the points of an automatic part that a person gives
    name: str = ""  # students read it in place of the id: an edition's name of the function

    @property
    def called(self) -> str:
        """What students read beside the points."""
        return self.name or self.id

    @property
    def by_tests(self) -> float:
        """The points that the tests give."""
        return self.points - self.human if self.automatic else 0.0

    @property
    def by_hand(self) -> float:
        """The points that a person gives."""
        return self.points - self.by_tests

    def mark(self, tests: list[TestResult], broken: str = NO_RESULT) -> PartResult:
        """The result of this part, with 0 to `by_tests` points; see `Rubric.mark`."""
        if not self.automatic:
            return PartResult(self.id, self.points, None, MANUAL, tests=tests)
        if not tests:
            return PartResult(self.id, self.by_tests, 0.0, FAILED, broken, human=self.human)
        missed = [test for test in tests if test.outcome != PASSED]
        share, reason = self._share(tests, missed), ""
        if share == 1:
            return PartResult(
                self.id, self.by_tests, self.by_tests, PASSED, tests=tests, human=self.human
            )
        status = PARTIAL if share else FAILED
        if not share and missed and all(test.outcome == NOT_ATTEMPTED for test in missed):
            status = NOT_ATTEMPTED
        if not missed:
            absent = [group for group in self.credit if all(t.group != group for t in tests)]
            reason = f"No test finished that judges: {', '.join(absent)}."
        telling = most_telling(missed)
        return PartResult(
            self.id,
            self.by_tests,
            round(self.by_tests * share, 6),
            status,
            reason or telling.reason or f"The test {telling.name} did not pass.",
            telling.hint,
            telling.hint_id,
            tests,
            self.human,
        )

    def _share(self, tests: list[TestResult], missed: list[TestResult]) -> float:
        """The share of the points that is earned; exactly 1 if all are."""
        if not self.credit:
            return 0.0 if missed else 1.0
        # a failed test without a group concerns all groups
        if any(test.group not in self.credit for test in missed):
            return 0.0
        ran, lost = {test.group for test in tests}, {test.group for test in missed}
        earned = [group for group in self.credit if group in ran - lost]
        if len(earned) == len(self.credit):
            return 1.0
        return sum(self.credit[group] for group in earned)


@dataclass(frozen=True)
class Rubric:
    """The rubric: all parts, in the order of the file."""

    path: Path
    assignment: str
    core: float  # points of the parts that are not bonus parts
    bonus: float
    percent: float  # of the core points, for each instruction not followed
    free: int  # how many such instructions cost nothing
    parts: tuple[Part, ...]
    others: tuple[Part, ...] = ()  # parts of other editions, which do not count here
    hand_ins: str = "latest"  # one of RULES
    late: LatePolicy | None = None
    bonus_assignment: str = ""  # the name of the bonus column in canvas.csv

    @property
    def ids(self) -> list[str]:
        """The ids of the parts, in order."""
        return [part.id for part in self.parts]

    @property
    def manual_ids(self) -> list[str]:
        """The ids of the parts that a person gives points for, in order."""
        return [part.id for part in self.parts if part.by_hand]

    def part(self, part_id: str) -> Part:
        """The part with this id; KeyError if there is none."""
        return {part.id: part for part in self.parts}[part_id]

    def mark(
        self,
        tests: list[TestResult],
        only: Collection[str] | None = None,
        broken: str = NO_RESULT,
    ) -> list[PartResult]:
        """Turn one submission's test results into a result for each part, in the rubric's order.

        A part without a test result earns nothing. Reason and hint are those of the test that
        `most_telling` picks.

        Args:
            tests: of all parts, in the order in which they ran.
            only: ids of the parts to return; None returns all.
            broken: the reason for parts without test results, one sentence.

        Raises:
            InputError: a test or `only` names a part that the rubric does not have.
        """
        for part_id in [*(test.part for test in tests), *(only or ())]:
            if part_id not in self.ids:
                raise InputError(
                    f"{self.path} has no part '{part_id}'{did_you_mean(part_id, self.ids)}"
                )
        return [
            part.mark([test for test in tests if test.part == part.id], broken)
            for part in self.parts
            if only is None or part.id in only
        ]

    def deduct(self, problems: list[str]) -> tuple[float, list[str]]:
        """The points to deduct for instructions that were not followed, and a reason for each.

        Args:
            problems: one sentence for each instruction not followed, without a full stop.
        """
        each = self.core * self.percent / 100
        costs = [0.0 if n < self.free else each for n in range(len(problems))]
        reasons = [
            f"{problem}: {f'{number(cost)} points' if cost else 'free, the first time'}"
            for problem, cost in zip(problems, costs, strict=True)
        ]
        return round(sum(costs), 6), reasons


def most_telling(missed: list[TestResult]) -> TestResult:
    """The failed test whose reason and hint are shown for its part; an empty one if none failed.

    This is the first one with a hint. If that hint is a general one, the same test on another
    configuration is preferred if its hint is specific: on some schedules mistakes look alike.
    """
    failed = [test for test in missed if test.outcome != NOT_ATTEMPTED] or missed
    hinted = [test for test in failed if test.hint_id]
    first = next(iter(hinted or failed), TestResult("", "", ""))
    alike = [test for test in hinted if test.name.split("[")[0] == first.name.split("[")[0]]
    precise = [test for test in alike if test.hint_id not in GENERAL]
    return precise[0] if precise else first


def load_rubric(path: Path = DEFAULT) -> Rubric:
    """Read and check a rubric.

    Raises:
        InputError: with a sentence for each problem, each naming file and key.
    """
    values = read_yaml(path)
    problems = _Problems(path)
    if not problems.check_keys("", values, TOP_KEYS, OPTIONAL_TOP_KEYS):
        problems.stop()
    rule = values.get("hand_ins", "latest")
    if rule not in RULES:
        problems.add("hand_ins", f"must be one of {', '.join(RULES)}, not '{rule}'")
    problems.check_keys("points", values["points"], POINTS_KEYS, {})
    problems.check_keys("deduction", values["deduction"], DEDUCTION_KEYS, {})
    lists: dict[str, Any] = {
        name: tuple(_read_part(problems, name, n, p) for n, p in enumerate(values.get(name, []), 1))
        for name in ("parts", "others")
    }
    late = read_late(problems, values.get("late"))
    problems.stop()
    points = {**values["points"], **values["deduction"]}
    bonus = values.get("bonus_assignment") or f"{_title(values['assignment'])} bonus"
    course = {"hand_ins": rule, "late": late, "bonus_assignment": bonus}
    rubric = Rubric(path, values["assignment"], **points, **lists, **course)
    _check_sums(problems, rubric)
    problems.stop()
    return rubric


def _title(assignment: str) -> str:
    """An assignment's name without the number that Canvas appends."""
    return re.sub(r"\s*\(\d+\)$", "", assignment)


class _Problems:
    """Collects what is wrong with a rubric, so that all of it can be corrected at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: list[str] = []

    def add(self, key: str, text: str) -> None:
        self.found.append(f"{self.path}: {key}: {text}" if key else f"{self.path}: {text}")

    def stop(self) -> None:
        if self.found:
            raise InputError("\n".join(self.found))

    def check_keys(
        self, where: str, values: Any, required: dict[str, Any], optional: dict[str, Any]
    ) -> bool:
        """Whether exactly these keys are there, with values of these kinds; notes problems."""
        if not isinstance(values, dict):
            self.add(where, f"must be a mapping with the keys {', '.join(required)}")
            return False
        found = list(key_problems(values, required, optional))
        for key, problem in found:
            self.add(f"{where}.{key}" if where else key, problem)
        return not found

    def check_kind(self, key: str, value: Any, kind: Any) -> bool:
        """Whether the value is of this kind; notes a problem."""
        problem = kind_problem(value, kind)
        if problem:
            self.add(key, problem)
        return not problem


def _read_part(problems: _Problems, key: str, position: int, values: Any) -> Part | None:
    """One entry of `parts` or `others`; None if it is wrong, which is added to `problems`."""
    name = values.get("id") if isinstance(values, dict) else None
    where = f"{key}[{position}]" + (f" ({name})" if isinstance(name, str) else "")
    if not problems.check_keys(where, values, PART_KEYS, OPTIONAL_KEYS):
        return None
    if not ID.fullmatch(name) or name in RESERVED:
        problems.add(
            f"{where}.id",
            f"'{name}' cannot name a column: use small letters, digits and _, beginning with a "
            f"letter, and none of {', '.join(RESERVED)}",
        )
    for line in values.get("look_for", []):
        problems.check_kind(f"{where}.look_for", line, str)
    human = values.get("human", 0)
    if (not values["automatic"] or human) and "look_for" not in values:
        problems.add(where, "a part for a person needs the key 'look_for': what earns points")
    if human and not (values["automatic"] and human < values["points"]):
        problems.add(
            f"{where}.human",
            "must be less than the part's points, and needs 'automatic: true'; a part that "
            "only a person grades has 'automatic: false'",
        )
    if not values["automatic"] and "credit" in values:
        problems.add(where, "'credit' is for automatic parts; a person can give any points")
    _check_credit(problems, f"{where}.credit", values.get("credit", {}))
    return Part(**{**values, "look_for": tuple(values.get("look_for", ()))})


def _check_credit(problems: _Problems, where: str, credit: dict[Any, Any]) -> None:
    fits = [
        problems.check_kind(where, group, str)
        and problems.check_kind(f"{where}.{group}", share, NUMBER)
        for group, share in credit.items()
    ]
    if credit and all(fits) and not math.isclose(sum(credit.values()), 1, abs_tol=1e-6):
        shares = " + ".join(number(share) for share in credit.values())
        problems.add(where, f"the shares must sum to 1: {shares} = {number(sum(credit.values()))}")


def _check_sums(problems: _Problems, rubric: Rubric) -> None:
    ids = [part.id for part in (*rubric.parts, *rubric.others)]
    for part_id in dict.fromkeys(ids):
        times = ids.count(part_id)
        if times > 1:
            problems.add("parts", f"the id '{part_id}' appears {times} times")
    for kind, stated in (("core", rubric.core), ("bonus", rubric.bonus)):
        found = sum(part.points for part in rubric.parts if part.bonus == (kind == "bonus"))
        if not math.isclose(found, stated, abs_tol=1e-6):
            problems.add(
                f"points.{kind}",
                f"is {number(stated)}, but the points of these parts add up to {number(found)}",
            )
