"""Choose scenarios and mutants by their names, or some of them at random; list scenarios."""

import difflib
import random
from collections.abc import Sequence
from fnmatch import filter as fitting
from typing import TypeVar

from autograder.text import InputError, did_you_mean

from instructor.submissions.overlay import Scenario, scenarios

T = TypeVar("T")
NEAREST = 3  # names that are suggested


def choose(found: dict[str, T], pattern: str, what: str) -> list[T]:
    """Those whose names fit a pattern such as "q_sample_*", in their order.

    Args:
        found: what there is, by name.
        what: what it is, for the message, such as "scenario".

    Raises:
        InputError: none fits; it says which come nearest.
    """
    names = fitting(found, pattern)
    if names:
        return [found[name] for name in names]
    wider = f"*{pattern.strip('*')}*"
    if more := len(fitting(found, wider)):
        raise InputError(f"--names: no {what} is called '{pattern}'; '{wider}' fits {more}")
    near = difflib.get_close_matches(pattern, found, NEAREST, cutoff=0)
    listed = ", ".join(f"'{name}'" for name in near)
    raise InputError(f"--names: no {what} is called '{pattern}'; the nearest are {listed}")


def draw(found: Sequence[T], share: float) -> list[T]:
    """A share of these at random, in their order; all of them for 1.

    Raises:
        InputError: the share comes to none.
    """
    number = round(share * len(found))
    if not number:
        least = f"a share of {1 / len(found):.2g} is one"
        raise InputError(f"--share: {share:g} of {len(found)} is none of them; {least}")
    drawn = set(random.sample(range(len(found)), number))
    return [one for i, one in enumerate(found) if i in drawn]


def scenarios_named(kinds: Sequence[str], pattern: str) -> list[Scenario]:
    """The scenarios of these kinds whose names fit a pattern.

    Raises:
        InputError: none does.
        ScenarioError: a catalogue has a mistake.
    """
    found = {s.name: s for kind in kinds for s in scenarios(kind)}
    kind = f"{kinds[0]} " if len(kinds) == 1 else ""
    return choose(found, pattern, f"{kind}scenario")


def listed(found: list[Scenario], part: str = "") -> list[str]:
    """Lines of aligned columns, one for each scenario: of all, or of a part or another catalogue.

    Raises:
        InputError: there is no such part among them.
    """
    topics = sorted({s.topic for s in found})
    if part and part not in topics:
        close = did_you_mean(part, topics)
        raise InputError(f"nothing to list under '{part}'{close}: there is {', '.join(topics)}")
    rows = [(s.name, s.kind, s.about, s.expectation) for s in found if not part or s.topic == part]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
