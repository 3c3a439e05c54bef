"""Findings: a test's verdict that something is wrong, also for errors in student code."""

import re
from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import Any

from autograder.checks.messages import WHOLE, Asked
from autograder.sandbox.wire import BadMessage

MAX_KINDS = 20  # of an error: its class and base classes
MAX_REASON = 600  # characters
NOTEBOOK = re.compile(r" in '[%!]\w")  # a notebook command in the line of a syntax error


class Finding(AssertionError):
    """A verdict that something is wrong.

    Args:
        reason: what the output shows, for the student; one or two sentences.
        hint: the id of an entry in hints.yaml.
        not_attempted: whether the function is still a stub.
    """

    def __init__(self, reason: str, hint: str = "", not_attempted: bool = False) -> None:
        reason = reason if len(reason) <= MAX_REASON else f"{reason[:MAX_REASON]} ..."
        super().__init__(reason)
        self.reason, self.hint, self.not_attempted = reason, hint, not_attempted
        self.importing = False  # a module could not be imported
        # What had happened before the student's code raised an error.
        self.structure: dict[str, Any] = {}
        self.asked: list[Asked] = []


@contextmanager
def under(circumstance: str, hint: str, instead_of: Container[str]) -> Iterator[None]:
    """Within this context, a Finding also names the circumstance; "not attempted" stays as it is.

    Args:
        circumstance: such as "In a batch of 17".
        hint: the circumstance's hint, which replaces the Finding's if that is one of `instead_of`.
        instead_of: hints that do not know of the circumstance.

    Raises:
        Finding
    """
    try:
        yield
    except Finding as finding:
        if finding.not_attempted:
            raise
        hint = hint if finding.hint in instead_of else finding.hint
        raise Finding(f"{circumstance}: {finding.reason}", hint) from None


def check_attempted(finding: Finding, module: str) -> None:
    """Raise "not attempted" if a finding is only about the absence of a bonus module."""
    absent = [f"No module named 'libs.{name}'" for name in (module, module.split(".")[0])]
    if module in ("ddpm", "unet") or finding.hint != "missing_package":
        return
    if any(a in finding.reason for a in absent):
        reason = f"There is no code/libs/{module.replace('.', '/')}.py."
        raise Finding(reason, "not_attempted", not_attempted=True) from None


def error_finding(error: Any) -> Finding:
    """The Finding for an error that student code raised; raises BadMessage."""
    if not isinstance(error, dict):
        raise BadMessage("an error without content")
    kinds, text, file, line = (error.get(name) for name in ("type", "text", "file", "line"))
    kinds = kinds[:MAX_KINDS] if isinstance(kinds, list) else []
    kinds = [kind[:80] for kind in kinds if isinstance(kind, str)] or ["Error"]
    text = " ".join(text.split())[:300] if isinstance(text, str) else ""
    place = ""
    if isinstance(file, str) and file:
        number = f", line {line}" if type(line) is int and 0 < line < WHOLE else ""
        place = f" (code/{file[:80]}{number})"
    if "NotImplementedError" in kinds and place:
        return Finding(f"Not implemented yet{place}.", "not_attempted", not_attempted=True)
    finding = Finding(f"{kinds[0]}: {text}{place}".rstrip(), error_hint(kinds, text))
    finding.importing = error.get("importing") is True
    return finding


def error_hint(kinds: list[str], text: str) -> str:
    """The id of the hint for an error of these classes and with this text."""
    lowered = text.lower()
    if "SyntaxError" in kinds:
        return "notebook_line" if NOTEBOOK.search(text) else "syntax_error"
    if "ImportError" in kinds:
        return "missing_package"
    if any(word in lowered for word in ("cuda", "nvidia", "mps backend")):
        return "needs_gpu"
    if "AttributeError" in kinds and "has no attribute" in lowered:
        return "renamed"
    if "TypeError" in kinds and "argument" in lowered:
        return "signature"
    if "OSError" in kinds:
        return "missing_file"
    if "must match the size" in lowered or "expected input" in lowered or "shape" in lowered:
        return "shape_error"
    return "raises"
