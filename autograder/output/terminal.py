"""A grade for a terminal: one line for each part, with its points, its reason and its hint."""

import shutil
import textwrap

from autograder.output.summary import SIGNS, about, first_with_reason, listed, shared_hints, tally
from autograder.results import MANUAL, Grade
from autograder.rubric import Rubric
from autograder.text import number, one_line


def table(grade: Grade, rubric: Rubric, width: int | None = None) -> str:
    """Part, points, reason and hint of one submission, for a terminal.

    What several parts share is printed once: a hint below the table, a reason at its first part.

    Args:
        width: in characters; None means the terminal's.
    """
    width = max(40, width or shutil.get_terminal_size().columns)
    parts = [part for part in grade.parts if part.points is not None]
    scores = {p.id: f"{number(p.points)} of {number(p.max_points)}" for p in parts}
    names = {part.id: about(rubric)(part.id).called for part in parts}
    first = max(map(len, [*names.values(), "total"]))
    second = max(map(len, scores.values()), default=0)
    team = f" ({one_line(grade.team)})" if grade.team else ""
    lines = textwrap.wrap(f"{one_line(grade.submission)}{team}", width)
    shared, again = shared_hints(parts), first_with_reason(parts)
    for part in parts:
        start = f"{names[part.id]:{first}}  {scores[part.id]:>{second}}  {SIGNS[part.status]} "
        word = "by a person" if part.status == MANUAL else part.status
        reason = f"the same as {names[again[part.id]]}" if part.id in again else part.reason
        hint = part.hint if part.hint not in shared else ""
        lines += _wrapped(start, [reason or word, *([f"Hint: {hint}"] if hint else [])], width)
    for hint, ids in shared.items():
        of = listed([names[part_id] for part_id in ids])
        lines += _wrapped("", [f"Hint for {of}: {hint}"], width)
    sentences = tally(grade, rubric).sentences()
    if grade.deductions or any(part.status == MANUAL or part.by_person for part in parts):
        sentences.insert(0, f"{number(grade.total)} points so far")
    lines += _wrapped(f"{'total':{first}}  ", sentences or [""], width)
    return "\n".join(lines) + "\n"


def _wrapped(start: str, texts: list[str], width: int) -> list[str]:
    """Lines with the texts below each other, in a column to the right of `start`."""
    lines = [line for t in texts for line in textwrap.wrap(one_line(t), width - len(start)) or [""]]
    indent = " " * len(start)
    return [f"{start if n == 0 else indent}{line}".rstrip() for n, line in enumerate(lines)]
