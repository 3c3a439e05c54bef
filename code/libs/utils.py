"""Small helpers with no dependency on torch: defaults, errors for people, safe writing."""

import contextlib
import difflib
import functools
import json
import linecache
import os
import re
import reprlib
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
SHOWN_LETTERS = 50  # of a value in a message
NOT_ASKED = "this is not part of this homework"  # what a stub says that nobody has to write
MAX_DIGITS = 300  # of a whole number in a file; a float holds as many

_short = reprlib.Repr()
_short.maxlevel, _short.maxlist, _short.maxdict = 2, 8, 8
_short.maxstring = _short.maxother = 80


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path to write to that becomes `path` at the end, so that it is never half written.

    If writing fails, the partial file is removed and an earlier file of that name survives. A link
    keeps its target; a device, such as /dev/stdout, is written to directly.
    """
    if in_place(path):
        yield path
        return
    path = path.resolve()
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def in_place(path: Path) -> bool:
    """Whether a path is a device or a pipe, which no finished file can replace."""
    return path.parent == Path("/dev") or (path.exists() and not path.is_file())


class Dataclass(Protocol):
    """Any dataclass, for types alone."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


class UserError(Exception):
    """A mistake the user can mend. Scripts print its text as one sentence and exit with code 2."""


def save_result(path: Path, write: Callable[[Path], object], suffix: str | None = None) -> None:
    """Write a result that took long to make; if that fails, write it somewhere else.

    Args:
        path: where it belongs; a missing folder is created.
        write: called with a path.
        suffix: of the file elsewhere, such as ".png" for pictures; by default that of `path`.

    Raises:
        UserError: it could not be written to `path`; says why, and where it is instead.
    """
    import tempfile  # which would take a fifth of --help's time

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
        return
    except (OSError, ValueError) as error:  # ValueError: a picture that its format cannot hold
        problem = f"could not write {path} ({reason(error)})"
    name = path.stem + (path.suffix if suffix is None else suffix)
    for folder in (lambda: path.parent, tempfile.gettempdir, os.getcwd):
        with contextlib.suppress(OSError, ValueError):
            place = unused(Path(folder()) / name)
            write(place)
            raise UserError(f"{problem}; it was saved as {place} instead")
    raise UserError(f"{problem}, and no other place could be written to: free some disk space")


def save_json(content: object, path: Path) -> None:
    """Write a result as JSON; see `save_result`."""
    save_text(json.dumps(content, indent=1), path)


def save_text(text: str, path: Path) -> None:
    """Write a result as text; see `save_result`."""

    def write(path: Path) -> None:
        with replacing(path) as partial:
            partial.write_text(text + "\n", encoding="utf-8")

    save_result(path, write)


def unused(path: Path) -> Path:
    """The path, or if such a file exists, the first free one of NAME-2, NAME-3 ..."""
    free, number = path, 1
    while free.exists() or free.is_symlink():
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free


def reason(error: Exception) -> str:
    """Why something could not be written or read, in a few words."""
    return getattr(error, "strerror", None) or str(error).strip().split("\n")[0] or str(type(error))


def visible(text: str) -> str:
    """The text with terminal escapes, other control characters and direction marks spelled out.

    Newlines, tabs and letters of all scripts stay; an escape becomes the four letters `\\x1b`.
    """
    return "".join(c if c in "\n\t" or not _is_hidden(c) else _spelled(c) for c in text)


def visible_line(text: str) -> str:
    """As `visible`, but newlines and tabs are spelled out, too: for names and sentences."""
    return "".join(_spelled(c) if _is_hidden(c) else c for c in text)


def shown_value(value: Any) -> str:
    """A value for a message: its repr, cut where it is long, deep or a number of many digits."""
    if isinstance(value, int) and abs(value) >= 10**MAX_DIGITS:
        return f"a number with more than {MAX_DIGITS} digits"
    return str(value) if hasattr(value, "isoformat") else _short.repr(value)


def _is_hidden(letter: str) -> bool:
    # control, format (all that turns the direction of writing), half of a pair, separators;
    # names in Persian and Hindi are spelled with the two joiners
    kinds = "Cc", "Cf", "Cs", "Zl", "Zp"
    return unicodedata.category(letter) in kinds and letter not in "\u200c\u200d"


def _spelled(letter: str) -> str:
    return letter.encode("unicode_escape").decode()


def default(value: T | None, fallback: T) -> T:
    """Return `value`, or `fallback` where `value` is None."""
    return fallback if value is None else value


def choose(option: str, name: str, choices: Mapping[str, T]) -> T:
    """Return choices[name]; ValueError, which lists the choices, if there is no such one."""
    if name not in choices:
        raise ValueError(f"unknown {option} '{name}': choose {', '.join(choices)}")
    return choices[name]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return " (did you mean 'x'?)" for the known name closest to `name`, or an empty string."""
    by_lower = {str(k).lower(): str(k) for k in known}
    close = difflib.get_close_matches(name[:100].lower(), list(by_lower), n=1, cutoff=0.6)
    return f" (did you mean '{by_lower[close[0]]}'?)" if close else ""


def slug(text: str) -> str:
    """A short file name made from a text, such as 01-a-red-bus."""
    return "-".join(re.findall(r"[a-z0-9+.]+", text.lower()))[:60].rstrip("-.")


# What a student's functions return


def check_result(
    result: T,
    function: Callable[..., T],
    expected: str,
    shape: Sequence[int | str] | None = None,
    did: str = "returned",
) -> T:
    """Return the result of a function, if it is a tensor of the expected shape.

    Args:
        result: of the function, which may be a student's.
        function: named in the message, with its file and line.
        expected: what it should have returned, in words.
        shape: sizes, or letters such as "H" for any size; None for any shape.
        did: verb for the message.

    Raises:
        UserError: it is something else; names the function, what it returned and what is expected.
    """
    torch = sys.modules.get("torch")  # which scripts load late; without it, nothing is a tensor
    if torch is not None and isinstance(result, torch.Tensor):
        found = result.shape
        sizes = zip(found, shape or found, strict=False)
        alike = all(a == b for a, b in sizes if not isinstance(b, str))
        if shape is None or (alike and len(found) == len(shape)):
            return result
        text = f"a tensor of shape {list(found)}"
    else:
        text = "None" if result is None else f"{type(result).__name__} {_beginning(str(result))}"
    wanted = expected if shape is None else f"{expected}, [{', '.join(map(str, shape))}]"
    hint = ": is a return missing?" if result is None and did == "returned" else ""
    raise UserError(f"{place_of(function)} {did} {text}, expected {wanted}{hint}")


def _beginning(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= SHOWN_LETTERS else text[:SHOWN_LETTERS] + " ..."


@contextlib.contextmanager
def results_checked(owner: object, name: str, expected: str) -> Iterator[None]:
    """In this context, owner.name(x, ...) must return a tensor of the shape of x."""
    function, before = getattr(owner, name), vars(owner).get(name)

    @functools.wraps(function)
    def checked(*args: object, **kwargs: object) -> object:
        __tracebackhide__ = True  # for cli.py, too
        result = function(*args, **kwargs)
        shape = getattr(first_argument(function, args, kwargs), "shape", None)
        return check_result(result, function, expected, shape)

    setattr(owner, name, checked)  # shadows the method on this instance
    try:
        yield
    finally:
        delattr(owner, name) if before is None else setattr(owner, name, before)


def first_argument(
    function: Callable, args: Sequence[object], kwargs: Mapping[str, object]
) -> object:
    """The argument for a function's first parameter, by position or name; None if there is none."""
    import inspect  # torch has loaded it by then

    return args[0] if args else kwargs.get(next(iter(inspect.signature(function).parameters), ""))


def place_of(function: Callable) -> str:
    """Where a function is defined: its name, its file, and the line of its `def`."""
    function = getattr(function, "forward", function)  # of a network
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    function = getattr(function, "__func__", function)  # of a method
    code = getattr(function, "__code__", None)
    if code is None:
        return getattr(function, "__qualname__", repr(function))
    lines = linecache.getlines(code.co_filename)[code.co_firstlineno - 1 :]
    decorators = next((i for i, line in enumerate(lines) if line.lstrip().startswith("def ")), 0)
    where = f"{file_shown(code.co_filename)}, line {code.co_firstlineno + decorators}"
    return f"{function.__name__} in {where}"


def shown(path: Path) -> str:
    """A path as a person would type it: relative to the current folder if it is near."""
    relative = os.path.relpath(path)
    is_far = relative.startswith(os.path.join("..", ".."))
    return visible_line(str(path) if is_far else relative)


def file_shown(file: str) -> str:
    """The path of a project file relative to the root; any other path as it is."""
    path = Path(file).resolve()
    return path.relative_to(ROOT).as_posix() if ROOT in path.parents else str(path)
