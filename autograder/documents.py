"""Read YAML files strictly, in bounded time and memory: no key twice, and all keys are text.

`code/libs/runtime/documents.py` does the same for configs; the grader imports nothing from code/.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from reprlib import repr as short
from typing import Any

import yaml

from autograder.text import InputError, did_you_mean, one_line

MAX_BYTES = 200_000  # which take PyYAML a second at worst
MAX_NODES = 10_000  # values, with aliases expanded
MAX_DEPTH = 32  # of nested values
MAX_DIGITS = 300  # of a whole number; about as many as a float can hold
TAG = "tag:yaml.org,2002:"
TAGS = {TAG + kind for kind in "map seq str int float bool null timestamp merge".split()}
Lines = dict[tuple[str | int, ...], int]
NUMBER = (int, float)
KINDS = {
    str: "text",
    dict: "a mapping",
    list: "a list",
    bool: "true or false",
    int: "a whole number, 0 or more",
    NUMBER: "a number, 0 or more",
}
MISTAKES = (ValueError, KeyError, AttributeError, IndexError, TypeError, OverflowError)


class _Loader(yaml.SafeLoader):
    """Refuses ambiguous YAML, such as a repeated key, and aliases that expand to huge values."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = self.nodes = 0
        self.sizes: dict[str, int | None] = {}  # nodes below an anchor; None while it is being read

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node:
        event, before = self.peek_event(), self.nodes
        is_alias = isinstance(event, yaml.AliasEvent)
        size = self.sizes.get(event.anchor, 0) if is_alias else 1
        if size is None:
            raise _mistake(f"the alias '{event.anchor}' contains itself", event)
        self.nodes += size
        if self.nodes > MAX_NODES:
            raise _mistake(f"more than {MAX_NODES:,} values, aliases written out", event)
        if self.depth == MAX_DEPTH:
            raise _mistake(f"more than {MAX_DEPTH} levels of values inside each other", event)
        if not is_alias and event.anchor:
            self.sizes[event.anchor] = None
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        if not is_alias and event.anchor:
            self.sizes[event.anchor] = self.nodes - before
        if node.tag not in TAGS:
            raise _mistake(f"the tag '{node.tag.removeprefix(TAG)}' is not allowed here", event)
        return node

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if key.tag not in (f"{TAG}str", f"{TAG}merge") or not isinstance(key.value, str):
                found = f"'{key.value}'" if isinstance(key.value, str) else "a list or section"
                raise _mistake(f"a key must be text, found {found}; put it in quotes", key)
            if key.value in seen:
                raise _mistake(f"key '{key.value}' appears twice", key)
            seen.add(key.value)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        if node.tag == f"{TAG}int" and len(node.value) > MAX_DIGITS:
            raise _mistake(f"a number with more than {MAX_DIGITS} digits", node)
        try:
            return super().construct_object(node, deep)
        except MISTAKES:
            kind = node.tag.removeprefix(TAG).replace("timestamp", "date")
            problem = f"impossible {kind} {node.value!r}; put text in quotes"
            raise _mistake(problem, node) from None


def _mistake(problem: str, at: yaml.Node | yaml.Event) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=at.start_mark)


def read_yaml(path: Path) -> Any:
    """Read a YAML file; None if it is empty.

    Raises:
        InputError: it cannot be read, or it is too large, ambiguous or not YAML; one sentence that
            names the file and, for syntax errors, the line.
    """
    return read_with_lines(path)[0]


def read_with_lines(path: Path) -> tuple[Any, Lines]:
    """Read a YAML file; returns its content, and the line of each value or its key, from 1.

    The lines' keys are the keys and positions that lead to a value, such as ("parts", 0, "id");
    () is the whole file.

    Raises:
        InputError: see `read_yaml`.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise InputError(f"{path} is too large: more than {MAX_BYTES:,} bytes")
        loader = _Loader(content.decode("utf-8-sig"))
        node = loader.get_single_node()
        lines = {(): 1, **dict(_lines(node, ()))} if node else {}
        return loader.construct_document(node) if node else None, lines
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text; save it as UTF-8") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise InputError(
            f"{path}{line}: not valid YAML, {one_line(_problem(error))[:300]}"
        ) from error


def _lines(node: yaml.Node, way: tuple) -> Iterator[tuple[tuple, int]]:
    """Yield the path and line of each value below a node, whose own path is `way`."""
    entries: list[tuple[Any, yaml.Node, yaml.Node]] = []
    if isinstance(node, yaml.MappingNode):
        entries = [(key.value, key, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        entries = [(position, value, value) for position, value in enumerate(node.value)]
    for name, at, value in entries:
        yield (*way, name), at.start_mark.line + 1
        yield from _lines(value, (*way, name))


def _problem(error: yaml.YAMLError) -> str:
    """PyYAML's complaint, in words."""
    if isinstance(error, yaml.reader.ReaderError):
        return f"the character U+{error.character:04X} is not allowed"
    context, problem = getattr(error, "context", None), getattr(error, "problem", None)
    return f"{context} {problem}" if str(problem).startswith("but ") else problem or "syntax error"


def key_problems(
    values: dict[str, Any],
    required: dict[str, Any],
    optional: dict[str, Any],
    may_be_empty: bool = False,
) -> Iterator[tuple[str, str]]:
    """What is wrong with the keys of a mapping and the kinds of their values, as (key, problem).

    Args:
        required, optional: one of KINDS by key.
        may_be_empty: whether the value of an optional key may be an empty text, mapping or list.
    """
    known = {**required, **optional}
    for key in values:
        if key not in known:
            hint = did_you_mean(key, known) or f"; known are {', '.join(known)}"
            yield key, f"unknown key{hint}"
    for key, kind in known.items():
        if key in values:
            problem = kind_problem(values[key], kind, may_be_empty and key in optional)
            if problem:
                yield key, problem
        elif key in required:
            yield key, "the key is missing"


def kind_problem(value: Any, kind: Any, may_be_empty: bool = False) -> str:
    """Why a value is not of one of KINDS, or ""; numbers are finite, and no less than 0."""
    fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    wanted = KINDS[kind]
    if kind in (NUMBER, int):
        fits = fits and math.isfinite(value) and value >= 0
    elif kind is not bool and not may_be_empty:
        fits = fits and bool(value)
        wanted += " and not empty"
    return "" if fits else f"must be {wanted}, not {short(value)}"
