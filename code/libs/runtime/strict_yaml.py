"""Filling dataclasses with what YAML and JSON hold, strictly: no unknown keys or wrong types."""

import dataclasses
import os
import types
import typing
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from ..utils import Dataclass, UserError, did_you_mean, shown_value

T = TypeVar("T", bound=Dataclass)
MAX_NAME = 200  # characters of a key that a message shows
NAMES = {
    Path: "a path",
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}


def merge(target: Any, values: dict, base: Path, source: str, prefix: str = "") -> None:
    """Set the fields of a dataclass, and of those inside it, from nested dicts.

    Args:
        target: the dataclass to change.
        values: keys and values, as YAML gives them.
        base: folder that relative paths count from.
        source: what error messages name.
        prefix: name of the section, with a dot at its end.

    Raises:
        UserError: a key is unknown or a value has the wrong type.
    """
    hints = typing.get_type_hints(type(target))
    for key, value in values.items():
        name = f"{prefix}{key}"[:MAX_NAME] if isinstance(key, str) else shown_value(key)
        if not isinstance(key, str) or key not in hints:
            hint = did_you_mean(name[len(prefix) :], hints)
            hint = hint or f"; known here: {', '.join(hints)}"
            raise UserError(f"{source}: unknown key '{name}'{hint}")
        if not dataclasses.is_dataclass(hints[key]):
            setattr(target, key, _convert(value, hints[key], base, source, name))
        elif isinstance(value, dict):
            merge(getattr(target, key), value, base, source, f"{name}.")
        elif value is not None:  # None: a section with all its keys commented out
            raise _no_section(value, source, name)


def _no_section(value: Any, source: str, name: str) -> UserError:
    return UserError(f"{source}: '{name}' is a section with keys, found {shown_value(value)}")


def _convert(value: Any, kind: Any, base: Path, source: str, name: str) -> Any:
    """Check a value against its declared type; return it in that type."""
    options = typing.get_args(kind)
    origin = typing.get_origin(kind)
    if origin in (Union, types.UnionType):  # X | None
        return None if value is None else _convert(value, options[0], base, source, name)
    if origin is Literal:
        if value in options:
            return value
        found = shown_value(value)
        hint = did_you_mean(found.strip("'"), options)
        listed = ", ".join(options)
        raise UserError(f"{source}: '{name}' cannot be {found}{hint}; choose one of {listed}")
    if origin is list and value is not None:
        items = value if isinstance(value, list) else [value]
        return [
            _convert(item, options[0], base, source, f"{name}[{i}]") for i, item in enumerate(items)
        ]
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        # a section that may be missing, or one of several
        if not isinstance(value, dict):
            raise _no_section(value, source, name)
        section = kind()
        merge(section, value, base, source, f"{name}.")
        return section
    if kind is Path and isinstance(value, str):
        try:
            return (base / Path(value).expanduser()).resolve()
        except (ValueError, RuntimeError) as error:  # such as a null character, or ~nobody
            raise UserError(f"{source}: '{name}' cannot be a path ({error})") from None
    if kind is float and not isinstance(value, bool):
        try:
            return float(value)  # YAML reads 2e-5, without a dot, as text
        except (TypeError, ValueError, OverflowError):
            pass
    elif kind in NAMES and isinstance(value, kind) and isinstance(value, bool) == (kind is bool):
        return value
    quotes = "; put it in quotes" if kind is str and value is not None else ""
    wanted = NAMES.get(kind, "a list")
    raise UserError(f"{source}: '{name}' must be {wanted}, found {shown_value(value)}{quotes}")


def plain(value: Any, base: Path) -> Any:
    """A dataclass as nested dicts of what YAML can write, paths relative to `base`."""
    if dataclasses.is_dataclass(value):
        return {f.name: plain(getattr(value, f.name), base) for f in dataclasses.fields(value)}
    if isinstance(value, list):
        return [plain(item, base) for item in value]
    return os.path.relpath(value, base) if isinstance(value, Path) else value


def resolve_paths(section: T, base: Path) -> T:
    """Make the relative paths of a dataclass absolute, counted from `base`."""
    for f in dataclasses.fields(section):
        value = getattr(section, f.name)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            resolve_paths(value, base)
        elif isinstance(value, Path):
            setattr(section, f.name, (base / value).resolve())
    return section
