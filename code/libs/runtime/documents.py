"""Reading YAML and JSON strictly, in bounded time and memory for any file.

Beyond the formats' own rules, no key may appear twice and all keys are text. Each mistake is a
UserError of one sentence that names the file and, where it is one of syntax, the line.
"""

import json
from pathlib import Path
from typing import Any

import yaml

from ..utils import MAX_DIGITS, UserError, reason

MAX_YAML = 200_000  # characters: PyYAML needs a second for them at worst
MAX_JSON = 1_000_000  # bytes, where the caller names no other limit
MAX_NODES = 10_000  # values of a YAML file, aliases written out
MAX_DEPTH = 32  # of values inside each other
TAG = "tag:yaml.org,2002:"
TAGS = {TAG + kind for kind in "map seq str int float bool null timestamp merge".split()}
MISTAKES = (ValueError, KeyError, AttributeError, IndexError, TypeError, OverflowError)


def read_text(path: Path, limit: int, source: str = "") -> str:
    """The text of a UTF-8 file, with or without a byte order mark.

    Args:
        limit: on its size, in bytes.
        source: what messages call it; by default its path.

    Raises:
        UserError: it cannot be read, is not text, or is larger.
    """
    source = source or str(path)
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
        if len(content) > limit:
            raise UserError(f"{source} is too large: more than {limit:,} bytes")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{source} is not a text file") from None
    except OSError as error:
        raise UserError(f"{source} cannot be read ({reason(error)})") from None


class _Loader(yaml.SafeLoader):
    """Refuses what is ambiguous, such as a key that appears twice, and what explodes."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = self.nodes = 0
        self.sizes: dict[str, int | None] = {}  # nodes below an anchor; None while it is read

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


def parse_yaml(text: str, source: str) -> Any:
    """Parse YAML; raises UserError that names the source, line and column of a mistake."""
    if len(text) > MAX_YAML:
        raise UserError(f"{source} is too large: more than {MAX_YAML:,} characters")
    try:
        return yaml.load(text, _Loader)  # a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(f"{source}: not valid YAML, {_cut(_problem(error))}{where}") from None


def _problem(error: yaml.YAMLError) -> str:
    """What PyYAML found, in words."""
    if isinstance(error, yaml.reader.ReaderError):
        return f"the character U+{error.character:04X} is not allowed"
    context, problem = getattr(error, "context", None), getattr(error, "problem", None)
    return f"{context} {problem}" if str(problem).startswith("but ") else problem or "syntax error"


def read_yaml(path: Path, source: str = "") -> Any:
    """What a YAML file holds, None where it is empty; raises UserError."""
    return parse_yaml(read_text(path, 4 * MAX_YAML, source), source or str(path))


def parse_json(text: str, source: str) -> Any:
    """Parse JSON as strictly; None for no text at all, as in YAML."""

    def once(pairs: list[tuple[str, Any]]) -> dict:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise UserError(f"{source}: not valid JSON, key '{_cut(key)}' appears twice")
            found[key] = value
        return found

    def refuse(name: str) -> None:
        raise UserError(f"{source}: not valid JSON, '{name}' is not a number")

    def whole(digits: str) -> int:
        if len(digits) > MAX_DIGITS:
            problem = f"a number with more than {MAX_DIGITS} digits"
            raise UserError(f"{source}: not valid JSON, {problem}")
        return int(digits)

    if not text.strip():
        return None
    try:
        return json.loads(text, object_pairs_hook=once, parse_constant=refuse, parse_int=whole)
    except json.JSONDecodeError as error:
        where = f" in line {error.lineno}, column {error.colno}"
        raise UserError(f"{source}: not valid JSON, {error.msg}{where}") from None
    except RecursionError:
        raise UserError(f"{source}: not valid JSON, too many levels inside each other") from None


def read_json(path: Path, source: str = "", limit: int = MAX_JSON) -> Any:
    """What a JSON file of at most `limit` bytes holds; raises UserError."""
    return parse_json(read_text(path, limit, source), source or str(path))


def _cut(text: str) -> str:
    """Text of a file for a message."""
    return text if len(text) <= 300 else f"{text[:300]} ..."
