"""Reading YAML and JSON into dataclasses strictly: no unknown keys or wrong types, no key twice."""

import dataclasses
import json
import os
import types
import typing
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

import yaml

from .utils import UserError, did_you_mean

T = TypeVar("T")
NAMES = {
    Path: "a path",
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice, where YAML would drop the first one silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"key '{key.value}' stands twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def parse(text: str, source: str) -> Any:
    """Parse YAML; raises UserError that names the source, line and column of a mistake."""
    try:
        return yaml.load(text, _Loader)  # a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "syntax error"
        raise UserError(f"{source}: not valid YAML, {problem}{where}") from None
    except ValueError as error:  # text that looks like a date, such as 2024-13-45
        raise UserError(
            f"{source}: not valid YAML, impossible date in {text.strip()!r} ({error}); put text "
            "that is no date in quotes"
        ) from None


def parse_json(text: str, source: str) -> Any:
    """Parse JSON as strictly; raises UserError that names the source, line and column."""

    def once(pairs: list[tuple[str, Any]]) -> dict:
        keys = [key for key, _ in pairs]
        for key in keys:
            if keys.count(key) > 1:
                raise UserError(f"{source}: not valid JSON, key '{key}' stands twice")
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        where = f" in line {error.lineno}, column {error.colno}"
        raise UserError(f"{source}: not valid JSON, {error.msg}{where}") from None


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
        name = f"{prefix}{key}"
        if key not in hints:
            hint = did_you_mean(str(key), hints) or f"; known here: {', '.join(hints)}"
            raise UserError(f"{source}: unknown key '{name}'{hint}")
        if not dataclasses.is_dataclass(hints[key]):
            setattr(target, key, _convert(value, hints[key], base, source, name))
        elif isinstance(value, dict):
            merge(getattr(target, key), value, base, source, f"{name}.")
        elif value is not None:  # None: a section with all its keys commented out
            raise UserError(f"{source}: '{name}' is a section with keys, found {value!r}")


def _convert(value: Any, kind: Any, base: Path, source: str, name: str) -> Any:
    """Check a value against its declared type; return it in that type."""
    options = typing.get_args(kind)
    origin = typing.get_origin(kind)
    if origin in (Union, types.UnionType):  # X | None
        return None if value is None else _convert(value, options[0], base, source, name)
    if origin is Literal:
        if value in options:
            return value
        hint = did_you_mean(str(value), options)
        listed = ", ".join(options)
        raise UserError(f"{source}: '{name}' cannot be {value!r}{hint}; choose one of {listed}")
    if origin is list and value is not None:
        items = value if isinstance(value, list) else [value]
        return [
            _convert(item, options[0], base, source, f"{name}[{i}]") for i, item in enumerate(items)
        ]
    if dataclasses.is_dataclass(kind):  # a section that may be missing, or one of several
        if not isinstance(value, dict):
            raise UserError(f"{source}: '{name}' is a section with keys, found {value!r}")
        section = kind()
        merge(section, value, base, source, f"{name}.")
        return section
    if kind is Path and isinstance(value, str):
        return (base / Path(value).expanduser()).resolve()
    if kind is float and not isinstance(value, bool):
        try:
            return float(value)  # YAML reads 2e-5, without a dot, as text
        except (TypeError, ValueError, OverflowError):
            pass
    elif kind in NAMES and isinstance(value, kind) and isinstance(value, bool) == (kind is bool):
        return value
    found = str(value) if hasattr(value, "isoformat") else repr(value)
    quotes = "; put it in quotes" if kind is str and value is not None else ""
    wanted = NAMES.get(kind, "a list")
    raise UserError(f"{source}: '{name}' must be {wanted}, found {found}{quotes}")


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
        if dataclasses.is_dataclass(value):
            resolve_paths(value, base)
        elif isinstance(value, Path):
            setattr(section, f.name, (base / value).resolve())
    return section
