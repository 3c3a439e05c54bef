"""What late hand-ins cost: the policy of the rubric, and its bill line by line."""

import datetime
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from autograder.results import Grade
from autograder.text import number

LATE_KEYS = {"percent": (int, float)}
OPTIONAL_LATE_KEYS = {"grace": (int, float), "days": int, "budget": int}
# How Moodle writes times in English, and how people do.
FORMATS = (
    "%A, %d %B %Y, %I:%M %p",
    "%A, %B %d, %Y, %I:%M %p",
    "%A, %d %B %Y, %H:%M",
    "%d.%m.%Y %H:%M",
)
UNKNOWN = "Marked as late, and nothing says by how much: counted as one day"


@dataclass(frozen=True)
class LatePolicy:
    """`late` in the rubric."""

    percent: float  # of the core points, for each day begun
    due: datetime.datetime | None = None
    grace: float = 0.0  # minutes after `due` that do not count
    days: int | None = None  # a hand-in that is later earns nothing
    budget: int = 0  # days that each team may be late for free

    def days_late(self, time: datetime.datetime, due: datetime.datetime) -> int:
        """The days begun since the hand-in was due; 0 where it was on time, or within the grace."""
        late = time - due
        grace = datetime.timedelta(minutes=self.grace)
        return 0 if late <= grace else math.ceil(late / datetime.timedelta(days=1))

    def bill(
        self, days: int, core: float, *, extension: int = 0, budget: int | None = None
    ) -> tuple[float, list[str]]:
        """Points to take off, at most `core`, and how they come about, a line each.

        Args:
            days: late, 0 or more.
            core: the core points of the assignment.
            extension: days that were granted.
            budget: late days that the team has left; None takes the rubric's.
        """
        if days <= 0:
            return 0.0, []
        lines = [f"Handed in {_days(days)} late"]
        left = max(0, days - extension)
        if extension:
            lines.append(f"Extension of {_days(extension)}: {_days(left)} left")
        own = self.budget if budget is None else budget
        free = min(own, left)
        if free:
            lines.append(f"From the team's late days: {free} of {own}")
        counting = left - free
        if self.days is not None and left > self.days:
            return math.inf, [*lines, f"Later than {_days(self.days)}: no points"]
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
    """The grade with what its lateness costs among the deductions, and a line for each step.

    Args:
        core: the core points of the assignment.
        days: late, as a person says; None counts them, from `time` or the hand-in's own, or takes
            one day where the system marks it as late and no time is known.
        extension: days that were granted.
        budget: late days that the team has left; None takes the policy's.
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
        charged.needs_look = [*grade.needs_look, f"{UNKNOWN}; say it under 'days_late'"]
    return charged


def read_late(problems: Any, values: Any) -> LatePolicy | None:
    """`late` of a rubric's file; None, with the problems noted, where it is wrong or missing."""
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
    return LatePolicy(due=at, **rest)


def time_of(text: str, zone: datetime.tzinfo | None = None) -> datetime.datetime | None:
    """A time as ISO 8601 or Moodle writes it, in `zone` where it names none; None for others."""
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
    """The last of the times that are known and have a zone."""
    return max((time for time in times if time and time.tzinfo), default=None)


def _shown(time: datetime.datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"


def _days(days: int) -> str:
    return f"{days} day{'s' if days != 1 else ''}"
