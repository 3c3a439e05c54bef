"""Text: errors as sentences, invisible characters made visible, files written atomically."""

import difflib
import importlib.util
import os
import re
import sys
import unicodedata
from collections.abc import Iterable
from pathlib import Path

UNUSUAL = re.compile(r"[^\x20-\x7e\n\t]")
# Control, format (with all that change the writing direction), surrogate, separator.
HIDDEN_KINDS = {"Cc", "Cf", "Cs", "Zl", "Zp"}
JOINERS = "\u200c\u200d"  # names in Persian and Hindi need them


class InputError(ValueError):
    """A mistake that the grading person can correct; one sentence for each problem."""


def visible(text: str) -> str:
    """The text with control characters, terminal escapes and direction marks spelled out.

    Line ends, tabs and letters of all scripts stay; an escape character becomes the text `\x1b`.
    The result can be encoded as UTF-8.
    """
    return UNUSUAL.sub(_spelled, text.replace("\r\n", "\n"))


def _spelled(match: re.Match[str]) -> str:
    letter = match[0]
    if letter in JOINERS or unicodedata.category(letter) not in HIDDEN_KINDS:
        return letter
    return letter.encode("unicode_escape").decode()


def one_line(text: str) -> str:
    """The text on one line: white space collapsed, invisible characters spelled out."""
    return " ".join(visible(text).split())


def alike(name: str) -> str:
    """A key that is equal for names that a file system, a spreadsheet or a reader may confuse.

    It ignores extra white space, case, Unicode's equivalent forms, joiners, and apostrophes, which
    a spreadsheet puts before a formula.
    """
    kept = one_line(name).translate(dict.fromkeys(map(ord, f"'{JOINERS}")))
    return unicodedata.normalize("NFKC", kept).casefold()


def number(value: float) -> str:
    """Points as people write them, with at most 4 decimals: 1, 0.5, 3.3333."""
    return f"{round(value, 4):g}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return " (did you mean 'x'?)" for the known name closest to `name`, or an empty string."""
    close = difflib.get_close_matches(name[:100].lower(), list(known), n=1, cutoff=0.6)
    return f" (did you mean '{close[0]}'?)" if close else ""


PACKAGES = {"yaml": "PyYAML", "jinja2": "Jinja2", "markupsafe": "MarkupSafe"}  # module: package


def check_installed(module: str) -> None:
    """Raise ModuleNotFoundError unless a module is installed, without importing it."""
    if importlib.util.find_spec(module) is None:
        raise ModuleNotFoundError(f"No module named '{module}'", name=module)


def not_installed(error: ImportError) -> str:
    """What to do about a package that cannot be imported, in one sentence.

    Raises:
        ImportError: this same error, if the missing module is one of the kit's own.
    """
    module = (error.name or "autograder").partition(".")[0]
    if module in ("autograder", "instructor", "libs"):
        raise error
    return (
        f"the package {PACKAGES.get(module, module)} is not installed for {sys.executable}: "
        "run `make setup` and use .venv/bin/python, or pip install -r requirements.txt"
    )


def check_folder(folder: Path, flag: str = "--out") -> None:
    """Make the folder that a flag names, and check that it can be written to.

    Raises:
        InputError: it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise InputError(
            f"{flag}: {folder} cannot be written to ({error.strerror}); name another folder"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 as `write_bytes` writes."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write atomically: the file is complete or unchanged; makes its folder.

    Raises:
        OSError: it cannot be written; an earlier file of that name survives.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
