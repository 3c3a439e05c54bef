"""The marked solutions: where they begin and end, the stubs in their place, and copies of them.

    # TODO 2 q_sample: One or two sentences of task, with the paper's equation number.
    # BEGIN SOLUTION q_sample
    ...
    # END SOLUTION

The word after BEGIN SOLUTION is the id of the part that the region belongs to.
"""

import ast
import io
import json
import re
import textwrap
import tokenize
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache

BEGIN, END = "# BEGIN SOLUTION", "# END SOLUTION"
MARKER = re.compile(rf"{BEGIN} (?P<part>[a-z][a-z0-9_]*)|{END}")
NO_PART = 'raise NotImplementedError("this is not part of this homework")'
RUN_OF_LINES = 3  # this many lines of a solution in a row elsewhere are a leak


class ReleaseError(Exception):
    """Why the starter cannot be cut; names file and line."""


@dataclass
class Region:
    """A marked solution: its place, the text of its task, and its lines."""

    file: str
    line: int  # of the BEGIN marker, counted from 1
    part: str  # its id
    todo: str
    lines: list[str]

    def significant(self) -> list[str]:
        """The lines in normal form, without empty ones and comments."""
        return [text for line in self.lines if (text := normalise(line.split("#")[0]))]


def cut(
    text: str, file: str, given: Collection[str] = (), absent: Collection[str] = ()
) -> tuple[str, list[Region]]:
    """Replace the marked regions of a file by stubs.

    Args:
        text: of the file.
        file: its name, for messages.
        given: ids of the parts whose solutions stay in; their markers and tasks go.
        absent: ids of the parts that are not asked for; their tasks are cut, too.

    Returns:
        The starter's text, and the regions taken out.

    Raises:
        ReleaseError: markers are nested or unbalanced, a region has no part, no TODO text or no
            lines, or the result is not valid Python.
    """
    kept: list[str] = []
    regions: list[Region] = []
    begin, part = 0, ""  # line and part of the open region
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        if not is_marker(line):
            if not begin:
                kept.append(line)
            continue
        found = MARKER.fullmatch(line.strip())
        if not found:
            raise ReleaseError(
                f"{file}, line {number}: a marker is '{BEGIN} PART' or '{END}' alone"
            )
        if found["part"] and begin:
            raise ReleaseError(f"{file}, line {number}: BEGIN inside the region of line {begin}")
        if found["part"]:
            begin, part = number, found["part"]
            continue
        if not begin:
            raise ReleaseError(f"{file}, line {number}: END without BEGIN")
        comment = comment_above(lines[: begin - 1])
        region = checked(Region(file, begin, part, task_of(comment), lines[begin : number - 1]))
        begin, indent = 0, len(line) - len(line.lstrip())
        if part in given:
            kept[len(kept) - len(comment) :] = region.lines
            continue
        regions.append(region)
        if part in absent:
            kept[len(kept) - len(comment) :] = [" " * indent + NO_PART]
        else:
            kept += stub(region, indent)
    if begin:
        raise ReleaseError(f"{file}, line {begin}: BEGIN without END")
    starter = "\n".join(kept) + "\n"
    if file.endswith(".py") and (wrong := wrong_line(starter)) is not None:
        raise ReleaseError(f"{file}, line {wrong}: the starter does not parse")
    return starter, regions


@cache
def wrong_line(text: str) -> int | None:
    """The line where a text stops being Python; None where it is."""
    try:
        ast.parse(text)
    except SyntaxError as error:
        return error.lineno or 1
    return None


def checked(region: Region) -> Region:
    """The region; raises ReleaseError where it has no task or no lines."""
    if not region.todo:
        raise ReleaseError(f"{region.file}, line {region.line}: no '# TODO ...: ' above the region")
    if not region.significant():
        raise ReleaseError(f"{region.file}, line {region.line}: the region is empty")
    return region


def is_marker(line: str) -> bool:
    """Whether a line begins or ends a region, or is a try at it."""
    return BEGIN in line or END in line


def parts_of(text: str) -> set[str]:
    """The ids of the parts that have regions in a file."""
    return {m["part"] for m in re.finditer(rf"(?m)^ *{BEGIN} (?P<part>\w+)$", text)}


def unmarked(text: str) -> str:
    """A file's text with its solutions, without the markers."""
    return "".join(line for line in text.splitlines(True) if not is_marker(line))


def comment_above(lines: list[str]) -> list[str]:
    """The comment that ends the lines."""
    comment: list[str] = []
    for line in reversed(lines):
        if not line.strip().startswith("#") or is_marker(line):
            break
        comment.insert(0, line)
    return comment


def task_of(comment: list[str]) -> str:
    """The text of a comment after its TODO; empty without one."""
    text = " ".join(line.strip().lstrip("# ") for line in comment)
    found = re.match(r"TODO[^:]*: *(?P<task>.+)", text)
    return found["task"] if found else ""


def stub(region: Region, indent: int) -> list[str]:
    """The statement that replaces a region: the first sentence of its task, as an error."""
    sentence = re.split(r"(?<!eq)(?<!\.)\. |; ", region.todo)[0].rstrip(".")
    sentence += ": see the TODO above"
    one_line = f"raise NotImplementedError({quote(sentence)})"
    if indent + len(one_line) <= 100:
        return [" " * indent + one_line]
    parts = textwrap.wrap(sentence, width=100 - indent - 6, drop_whitespace=False)
    body = ["raise NotImplementedError(", *("    " + quote(part) for part in parts), ")"]
    return [" " * indent + line for line in body]


def quote(text: str) -> str:
    """A string literal in double quotes."""
    return json.dumps(text, ensure_ascii=False)


@cache
def normalise(line: str) -> str:
    """A line without indentation, comment and list signs, quotes and white space."""
    return re.sub(r"\s+", "", line.strip(" \t#>*-|`\"'"))


def find_leaks(regions: list[Region], starter: dict[str, bytes]) -> list[str]:
    """Where lines of a solution survive in the starter.

    A line that is also in the solution's own file as code, unmarked, is given, not leaked. Of the
    others, RUN_OF_LINES in a row anywhere are a leak, or all lines of a shorter solution.
    """
    leaks = set()
    for file, content in starter.items():
        text = readable(file, content)
        found = [(n, t) for n, line in enumerate(text.splitlines(), 1) if (t := normalise(line))]
        plain = [t for _, t in found]
        for region in regions:
            given = code_lines(text) if file == region.file else set()
            wanted = [line for line in region.significant() if line not in given]
            length = min(RUN_OF_LINES, len(wanted))
            runs = [wanted[i : i + length] for i in range(len(wanted) - length + 1)]
            for at in range(len(plain) - length + 1):
                if length > 0 and plain[at : at + length] in runs:
                    where = f"{file}, line {found[at][0]}"
                    leaks.add(
                        f"{where}: lines of the solution in {region.file}, line {region.line}"
                    )
    return sorted(leaks)


def readable(file: str, content: bytes) -> str:
    """A file as text; of a notebook the text of its cells, of a picture nothing."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    if file.endswith(".ipynb"):
        return "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    return text


def code_lines(text: str) -> set[str]:
    """The lines of a Python file in normal form that are neither comments nor in strings."""
    no_code: tuple[int, ...] = (tokenize.COMMENT, tokenize.STRING, tokenize.NL, tokenize.NEWLINE)
    no_code += (tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    lines = text.splitlines()
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {normalise(lines[t.start[0] - 1]) for t in tokens if t.type not in no_code}
