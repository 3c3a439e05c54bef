"""Limits of numbers, each beside its key: `lr: float = number(2e-5, above=0)`. No torch here."""

import math
from dataclasses import Field, dataclass, field, fields, is_dataclass
from typing import Any

from ..utils import UserError


@dataclass(frozen=True)
class Limits:
    """The range of a number; None leaves an end open."""

    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None

    def hold(self, number: float) -> bool:
        """Whether a number is finite and within the limits."""
        return (
            math.isfinite(number)
            and (self.above is None or number > self.above)
            and (self.at_least is None or number >= self.at_least)
            and (self.below is None or number < self.below)
            and (self.at_most is None or number <= self.at_most)
        )

    def __str__(self) -> str:
        ends = {name.replace("_", " "): end for name, end in vars(self).items() if end is not None}
        return " and ".join(f"{name} {end}" for name, end in ends.items()) or "a finite number"


def number(default: Any, **limits: float) -> Any:
    """A key that is a number, or a list of numbers: its default and its limits.

    Args:
        default: a number, a tuple for a list of them, or None for a key that may be null.
        limits: those of `Limits`; without any, the number must be finite.
    """
    metadata = {"limits": Limits(**limits)}
    if isinstance(default, tuple):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def check_limits(section: Any, prefix: str = "") -> None:
    """Refuse numbers outside their limits, and NaN, in a config or a section.

    Args:
        section: a dataclass, maybe with others in it.
        prefix: its key, with a dot at its end.

    Raises:
        UserError: names the key, what it must be, and what it is.
    """
    for key in fields(section):
        value, name = getattr(section, key.name), f"{prefix}{key.name}"
        if is_dataclass(value):
            check_limits(value, f"{name}.")
        elif isinstance(value, list) and any(map(is_dataclass, value)):
            for i, part in enumerate(value):
                check_limits(part, f"{name}[{i}].")
        elif "limits" in key.metadata:
            _check(key, value, name)


def _check(key: Field, value: Any, name: str) -> None:
    limits, numbers = key.metadata["limits"], value if isinstance(value, list) else [value]
    if all(limits.hold(number) for number in numbers if number is not None):
        return
    optional = " or null" if key.default is None else ""
    raise UserError(f"'{name}' must be {limits}{optional}, found {value}")
