"""What late hand-ins cost: the rubric's policy, and the deduction explained line by line."""

import datetime
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from autograder.results import Grade
from autograder.text import number

LATE_KEYS = {"percent": (int, float)}
OPTIONAL_LATE_KEYS = {"grace": (int, float), "days": int, "budget": int}
# How Moodle writes times in English, and how people write them in Europe.
FORMATS = (
    "%A, %d %B %Y, %I:%M %p",
    "%A, %B %d, %Y, %I:%M %p",
    "%A, %d %B %Y, %H:%M",
    "%d.%m.%Y %H:%M",
)
UNKNOWN = "Marked as late, by how much is unknown: counted as one day"


@dataclass(frozen=True)
class LatePolicy:
    """The policy for late hand-ins: `late` in the rubric."""

    percent: float  # of the core points, for each day or part of a day
    due: datetime.datetime | None = None
    grace: float = 0.0  # minutes after the deadline that do not count
    days: int | None = None  # a hand-in later than this earns nothing
    budget: int = 0  # days that each team may be late for free

    def days_late(self, time: datetime.datetime, due: datetime.datetime) -> int:
        """Days late, rounded up; 0 if the hand-in was on time or within the grace."""
        late = time - due
        grace = datetime.timedelta(minutes=self.grace)
        return 0 if late <= grace else math.ceil(late / datetime.timedelta(days=1))

    def bill(
        self, days: int, core: float, *, extension: int = 0, budget: int | None = None
    ) -> tuple[float, list[str]]:
        """The points to deduct, and lines that explain them; inf if the hand-in earns nothing.

        Args:
            days: days late, 0 or more.
            core: the core points of the assignment; the most that is deducted otherwise.
            extension: days of extension granted.
            budget: free late days that the team has left; None means the rubric's.
        """
        if days <= 0:
            return 0.0, []
        lines = [f"Handed in {_days(days)} late"]
        left = max(0, days - extension)
        if extension:
            lines.append(f"Extension of {_days(extension)}: {_days(left)} left")
        if self.days is not None and left > self.days:
            return math.inf, [*lines, f"Later than {_days(self.days)}: no points"]
        own = self.budget if budget is None else budget
        free = min(own, left)
        if free:
            lines.append(f"From the team's late days: {free} of {own}")
        counting = left - free
        points = round(min(core, counting * self.percent / 100 * core), 6)
        if counting:
            each = f"{number(self.percent)}% of {number(core)}"
            lines.append(f"{_days(counting)} at {each} points each: {number(points)} points")
        return points, lines


def charge(
    grade: Grade,
    policy: LatePolicy,
    core: float,
    *,
    days: int | None = None,
    time: datetime.datetime | None = None,
    extension: int = 0,
    budget: int | None = None,
) -> Grade:
    """The grade with the cost of its lateness added to the deductions, with lines that explain it.

    Args:
        core: the core points of the assignment.
        days: days late as a person gave them. None computes them from the system's time, or else
            from `time`; without either, a hand-in that the system marks as late counts as one day.
        time: when it was handed in, if the system does not say.
        extension: days of extension granted.
        budget: free late days that the team has left; None means the policy's.
    """
    due = time_of(grade.origin.due) or policy.due
    time = time_of(grade.origin.time) or time
    said: list[str] = []
    if days is None and time and due:
        days = policy.days_late(time, due)
        said = [f"Due {_shown(due)}, handed in {_shown(time.astimezone(due.tzinfo))}"]
    elif days is None:
        days = int(grade.origin.late)
        said = [UNKNOWN]
    if not days:
        return replace(grade, origin=replace(grade.origin, late=False))
    points, lines = policy.bill(days, core, extension=extension, budget=budget)
    points = min(points, sum(part.earned or 0.0 for part in grade.parts))
    charged = replace(grade, origin=replace(grade.origin, late=days > extension))
    charged.deductions = round(grade.deductions + points, 6)
    charged.deduction_reasons = [*grade.deduction_reasons, *said, *lines]
    if said == [UNKNOWN]:
        charged.needs_look = [*grade.needs_look, f"{UNKNOWN}; enter the days under 'days_late'"]
    return charged


def read_late(problems: Any, values: Any) -> LatePolicy | None:
    """Parse the rubric's `late`; None if it is missing, or wrong, which is added to `problems`."""
    if values is None:
        return None
    if not isinstance(values, dict):
        problems.add("late", "must be a mapping with the key percent")
        return None
    due, rest = values.get("due"), {k: v for k, v in values.items() if k != "due"}
    if not problems.check_keys("late", rest, LATE_KEYS, OPTIONAL_LATE_KEYS):
        return None
    at = due if isinstance(due, datetime.datetime) else time_of(str(due)) if due else None
    if due is not None and (at is None or at.tzinfo is None):
        problems.add(
            "late.due",
            f"must be a time with its zone, such as 2026-10-20 23:59 -07:00, not '{due}'",
        )
        return None
    policy = LatePolicy(due=at, **rest)
    if policy.percent > 100:
        problems.add("late.percent", f"must be at most 100, not {number(policy.percent)}")
    if policy.days is not None and policy.budget > policy.days:
        problems.add(
            "late.budget",
            f"must be at most late.days ({policy.days}), since later hand-ins earn nothing, not "
            f"{policy.budget}",
        )
    return policy


def time_of(text: str, zone: datetime.tzinfo | None = None) -> datetime.datetime | None:
    """Parse a time in ISO 8601 or Moodle's format; `zone` is used if the text names none."""
    text = " ".join(text.split())
    found = None
    for candidate in (text, text.replace(" +", "+").replace(" -", "-")):
        try:
            found = datetime.datetime.fromisoformat(candidate)
        except ValueError:
            continue
        break
    for layout in () if found else FORMATS:
        try:
            found = datetime.datetime.strptime(text, layout)
        except ValueError:
            continue
        break
    if found and found.tzinfo is None and zone:
        found = found.replace(tzinfo=zone)
    return found


def latest(times: Iterable[datetime.datetime | None]) -> datetime.datetime | None:
    """The latest of the times that are known and have a zone; None if there are none."""
    return max((time for time in times if time and time.tzinfo), default=None)


def _shown(time: datetime.datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"


def _days(days: int) -> str:
    return f"{days} day{'s' if days != 1 else ''}"
