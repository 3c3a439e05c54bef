"""Small helpers with no dependency on torch: defaults, errors for people, safe writing."""

import contextlib
import difflib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path to write to that becomes `path` at the end, so that it is never half written.

    Where writing fails, what was written is removed and an earlier file of that name survives.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


class UserError(Exception):
    """A mistake the user can mend. Scripts print its text as one sentence and exit with code 2."""


def default(value: T | None, fallback: T) -> T:
    """Return `value`, or `fallback` where `value` is None."""
    return fallback if value is None else value


def choose(option: str, name: str, choices: Mapping[str, T]) -> T:
    """Return choices[name]; ValueError, which lists them, where an option has no such choice."""
    if name not in choices:
        raise ValueError(f"unknown {option} '{name}': choose {', '.join(choices)}")
    return choices[name]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return " (did you mean 'x'?)" for the known name closest to `name`, or an empty string."""
    by_lower = {str(k).lower(): str(k) for k in known}
    close = difflib.get_close_matches(name.lower(), list(by_lower), n=1, cutoff=0.6)
    return f" (did you mean '{by_lower[close[0]]}'?)" if close else ""
