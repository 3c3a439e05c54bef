"""Text: errors as sentences, invisible characters made visible, files written whole or not."""

import difflib
import importlib.util
import os
import re
import sys
import unicodedata
from collections.abc import Iterable
from pathlib import Path

UNUSUAL = re.compile(r"[^\x20-\x7e\n\t]")
# Control, format (which includes all that change the direction of writing), surrogates, separators.
HIDDEN_KINDS = {"Cc", "Cf", "Cs", "Zl", "Zp"}
JOINERS = "\u200c\u200d"  # names in Persian and Hindi need them


class InputError(ValueError):
    """A mistake that whoever grades can correct; its text is one sentence for each problem."""


def visible(text: str) -> str:
    """The text with control characters, terminal escapes and direction marks spelled out.

    Line ends, tabs and letters of all scripts stay; an escape becomes the four letters `\\x1b`.
    The result can be written as UTF-8.
    """
    return UNUSUAL.sub(_spelled, text.replace("\r\n", "\n"))


def _spelled(match: re.Match[str]) -> str:
    letter = match[0]
    if letter in JOINERS or unicodedata.category(letter) not in HIDDEN_KINDS:
        return letter
    return letter.encode("unicode_escape").decode()


def one_line(text: str) -> str:
    """The text in one line, white space collapsed, invisible characters spelled out."""
    return " ".join(visible(text).split())


def alike(name: str) -> str:
    """The same text for names that a file system, a spreadsheet or a reader may take for equal.

    Blanks, case, Unicode's forms, joiners and the apostrophe that a sheet puts before a formula are
    ignored.
    """
    kept = one_line(name).translate(dict.fromkeys(map(ord, f"'{JOINERS}")))
    return unicodedata.normalize("NFKC", kept).casefold()


def number(value: float) -> str:
    """Points as people write them: 1, 0.5, 3.3333."""
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
        ImportError: this same error, if it is about a file of the kit.
    """
    module = (error.name or "autograder").partition(".")[0]
    if module in ("autograder", "libs"):
        raise error
    return (
        f"the package {PACKAGES.get(module, module)} is not installed for {sys.executable}: "
        "run `make setup` and use .venv/bin/python, or pip install -r requirements.txt"
    )


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 so that the file is complete or unchanged; makes its folder.

    Raises:
        OSError: the folder cannot be written; an earlier file of that name survives.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8", newline="")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
