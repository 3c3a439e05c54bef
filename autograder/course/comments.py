"""A library of named comments, used for many teams and changed in one place: COMMENTS_FILE.

    missing-axis: {text: An axis has no label., points: -0.25, part: report_mnist}

The file is in the folder of results. A cell `comment` of manual.csv names comments, separated by
semicolons from each other and from other text: "c: missing-axis; good pictures". The points of a
comment change those that a person gave for `part`; without a part they change the total.
"""

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path

from autograder.documents import read_yaml
from autograder.results import MANUAL, Grade, PartResult
from autograder.rubric import Rubric
from autograder.text import InputError, did_you_mean, number, one_line

COMMENTS_FILE = "comments.yaml"
NAME = re.compile(r"c:\s*([\w.-]+)", re.IGNORECASE)
KEYS = {"text", "points", "part"}


@dataclass(frozen=True)
class Comment:
    """One entry of the library."""

    name: str
    text: str
    points: float = 0.0  # usually negative
    part: str = ""  # id of a part that a person grades; "": the total

    def __str__(self) -> str:
        points = f"{self.points:+g}" if self.points else ""
        about = ", ".join(filter(None, [points, self.part]))
        return f"{self.text} ({about})" if about else self.text


def read_comments(folder: Path, rubric: Rubric) -> dict[str, Comment]:
    """The comments of a folder of results, by name; empty if it has no file.

    Raises:
        InputError: the file has mistakes; one sentence for each.
    """
    file = folder / COMMENTS_FILE
    if not file.exists():
        return {}
    found = read_yaml(file) or {}
    if not isinstance(found, dict):
        raise InputError(f"{file} must hold names, each with text, points and part")
    comments, problems = {}, []
    for name, values in found.items():
        values = {"text": values} if isinstance(values, str) else values
        problem = _problem(name, values, rubric)
        if problem:
            problems.append(f"{file}: {one_line(name)}: {problem}")
        else:
            comments[name] = Comment(name, **{**values, "text": one_line(values["text"])})
    if problems:
        raise InputError("\n".join(problems[:20]))
    return comments


def _problem(name: str, values: object, rubric: Rubric) -> str:
    if not NAME.fullmatch(f"c: {name}"):
        return "a name may have only letters, digits, '-', '_' and '.'"
    if not isinstance(values, dict) or not isinstance(values.get("text"), str):
        return "needs a text"
    if unknown := sorted(set(values) - KEYS):
        return f"unknown key '{one_line(unknown[0])}'{did_you_mean(unknown[0], KEYS)}"
    points, part = values.get("points", 0), values.get("part", "")
    if isinstance(points, bool) or not isinstance(points, int | float) or not math.isfinite(points):
        return f"points must be a number, not '{one_line(str(points))}'"
    known = f"parts that a person grades: {', '.join(rubric.manual_ids)}"
    if part and part not in rubric.manual_ids:
        guess = did_you_mean(str(part), rubric.manual_ids)
        return f"no person grades a part '{one_line(str(part))}'{guess}; {known}"
    if points > 0 and not part:
        return f"points above 0 need the key part; {known}"
    return ""


def named_in(cell: str) -> tuple[list[str], str]:
    """The comments that a cell names, each once, and its other text."""
    names: dict[str, None] = {}
    rest = []
    for text in re.split(r"[;\n]", cell):
        if match := NAME.fullmatch(text.strip()):
            names[match[1]] = None
        elif text.strip():
            rest.append(text.strip())
    return list(names), "; ".join(rest)


def unknown_names(cell: str, library: dict[str, Comment]) -> list[str]:
    """A sentence for each comment named that the library lacks."""
    names, _ = named_in(cell)
    return [
        f"there is no comment '{name}' in {COMMENTS_FILE}{did_you_mean(name, library)}; write it "
        "there, or correct the name"
        for name in names
        if name not in library
    ]


def comment_on(grade: Grade, cell: str, library: dict[str, Comment]) -> Grade:
    """The grade with the comments that a cell names, their points, and the cell's other text."""
    names, rest = named_in(cell)
    given = [library[name] for name in names if name in library]
    off = -sum(comment.points for comment in given if not comment.part)
    commented = replace(grade, parts=[_changed(part, given) for part in grade.parts])
    if off:
        commented.deductions = max(0.0, round(grade.deductions + off, 6))
    commented.deduction_reasons = grade.deduction_reasons + [
        f"{comment.text}: {number(-comment.points)} points"
        for comment in given
        if comment.points and not comment.part
    ]
    words = [str(comment) for comment in given if comment.part or not comment.points]
    commented.notes = grade.notes + [f"Comment: {text}" for text in [*words, rest] if text]
    return commented


def _changed(part: PartResult, given: list[Comment]) -> PartResult:
    """A part with the points of its comments added to a person's points, if there are any; >= 0."""
    change = sum(comment.points for comment in given if comment.part == part.id)
    if not change:
        return part
    if part.status == MANUAL and part.points is not None:
        return replace(part, points=min(part.max_points, max(0.0, part.points + change)))
    if part.by_person is not None:
        limit = max(part.human, part.by_person)
        return replace(part, by_person=min(limit, max(0.0, part.by_person + change)))
    return part
