"""The points that a person gives.

A folder of results holds manual.csv, one row per submission, with the points that a person gave.
`--manual FILE.csv` is checked as a whole and then added to it, cell by cell; grading again never
changes it. The file may also be edited in place.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from autograder.course.tables import as_csv, cell, read_csv
from autograder.results import MANUAL, NOT_ATTEMPTED, Grade, PartResult
from autograder.rubric import Rubric
from autograder.text import InputError, did_you_mean, number, one_line, write_text

MANUAL_FILE = "manual.csv"
DECIMAL_COMMA = re.compile(r"\d+,\d+")

Row = dict[str, str]


def merge_manual(
    grades: list[Grade], rubric: Rubric, folder: Path, file: Path | None = None
) -> list[Grade]:
    """Add a person's file to the folder's manual.csv; returns the grades with all that is there.

    A cell with a value replaces what was there; empty cells, and submissions that `file` leaves
    out, change nothing. A number under `deductions` takes the place of what the grader found, a
    comment becomes a note. manual.csv gets a row for each submission. The grades given stay as
    they are: what write_submission stores is the grader's own result.

    Args:
        grades: of the whole class.
        file: what `--manual` names, with a column `submission` or `team`.

    Raises:
        InputError: `file` or manual.csv has mistakes; one sentence for each of them, and nothing
            is written.
    """
    store = folder / MANUAL_FILE
    kept: dict[str, Row] = {}
    unknown: list[Row] = []
    if store.exists():
        kept, unknown = _read_manual(grades, rubric, store, strangers=True)
    if file and not (store.exists() and store.samefile(file)):
        for submission, row in _read_manual(grades, rubric, file)[0].items():
            kept[submission] = {**kept.get(submission, {}), **row}
    _write_manual(sorted(grades, key=lambda grade: grade.submission), rubric, store, kept, unknown)
    return [_merged(grade, kept.get(grade.submission, {})) for grade in grades]


def _write_manual(
    grades: list[Grade], rubric: Rubric, store: Path, kept: dict[str, Row], unknown: list[Row]
) -> None:
    """Write manual.csv where it changed; rows of submissions that are not there come last."""
    columns = ["submission", *_manual_columns(rubric)]
    rows = [{**kept.get(g.submission, {}), "submission": g.submission} for g in grades]
    text = as_csv([columns, *([cell(row.get(c, "")) for c in columns] for row in rows + unknown)])
    if not store.exists() or store.read_text(encoding="utf-8-sig") != text:
        write_text(store, text)


def _manual_columns(rubric: Rubric) -> list[str]:
    return [*rubric.manual_ids, "deductions", "comment"]


def _merged(grade: Grade, row: Row) -> Grade:
    parts = [
        _with_human_points(part, float(row[part.id])) if part.id in row else part
        for part in grade.parts
    ]
    merged = replace(grade, parts=parts)
    if "deductions" in row:
        merged.deductions = float(row["deductions"])
        reason = f"The person who graded decided: {number(merged.deductions)} points in all"
        merged.deduction_reasons = [*grade.deduction_reasons, reason]
    if "comment" in row:
        merged.notes = [*grade.notes, f"Comment: {row['comment']}"]
    return merged


def _with_human_points(part: PartResult, points: float) -> PartResult:
    """The part with what a person gives, alone or beside the tests' points."""
    if part.status == MANUAL:
        return replace(part, points=points)
    return replace(part, by_person=points)


def _read_manual(
    grades: list[Grade], rubric: Rubric, file: Path, strangers: bool = False
) -> tuple[dict[str, Row], list[Row]]:
    """Filled cells by submission, numbers as float() reads them; and rows of unknown submissions.

    Args:
        strangers: whether rows of submissions that are not there are kept instead of refused.
    """
    names = {name: grade.submission for grade in grades for name in _spellings(grade.submission)}
    of = {grade.submission: grade for grade in grades}
    teams: dict[str, list[str]] = {}
    for grade in grades:
        for name in {*_spellings(grade.team)} - {""}:
            teams.setdefault(name, []).append(grade.submission)
    header, lines = read_csv(file)
    problems = _header_problems(rubric, file, header)
    given: dict[str, Row] = {}
    unknown: list[Row] = []
    for line, row in lines:
        where = f"{file}, line {line}"
        if None in row:
            problems.append(f"{where}: more cells than columns; put quotes around text with commas")
            continue
        row = {key: value.strip() for key, value in row.items() if (value or "").strip()}
        if not row:
            continue
        submission, problem = _find(row, names, teams)
        grade = of.get(submission)
        problems += [f"{where}: {text}" for text in _cell_problems(rubric, row, grade)]
        if submission is None and strangers and "submission" in row:
            unknown.append(row)
        elif submission is None:
            problems.append(f"{where}: {problem}")
        elif submission in given:
            problems.append(f"{where}: a second row for '{one_line(submission)}'")
        else:
            given[submission] = {k: v for k, v in row.items() if k not in ("submission", "team")}
    if problems:
        raise InputError("\n".join(problems))
    return given, unknown


def _spellings(name: str) -> set[str]:
    """A name as it is, and as a sheet shows it."""
    return {name, cell(name)}


def _find(row: Row, names: dict[str, str], teams: dict[str, list[str]]) -> tuple[str | None, str]:
    """The submission a row speaks of; or None, and why not."""
    if "submission" in row:
        name = row["submission"]
        guess = did_you_mean(name, names)
        return names.get(name), f"there is no submission '{one_line(name)}'{guess}"
    if "team" not in row:
        return None, "neither a submission nor a team"
    name = row["team"]
    found = teams.get(name, [])
    if len(found) > 1:
        several = ", ".join(map(one_line, sorted(found)))
        return None, f"several submissions are of the team '{one_line(name)}': {several}"
    if found:
        return found[0], ""
    return None, f"there is no team '{one_line(name)}'{did_you_mean(name, teams)}"


def _header_problems(rubric: Rubric, file: Path, header: list[str]) -> list[str]:
    known = ["submission", "team", *_manual_columns(rubric)]
    problems = []
    if not {"submission", "team"} & set(header):
        problems.append(f"{file}: needs a column 'submission' or 'team'")
    for name in dict.fromkeys(header):
        if header.count(name) > 1:
            problems.append(f"{file}: the column '{one_line(name)}' is there more than once")
        if name in rubric.ids and name not in known:
            problems.append(f"{file}: the column '{name}' is of a part that the tests grade")
        elif name not in known:
            shown = one_line(name)
            problems.append(f"{file}: unknown column '{shown}'{did_you_mean(name, known)}")
    return problems


def _cell_problems(rubric: Rubric, row: Row, grade: Grade | None) -> Iterable[str]:
    """What is wrong with a row's numbers; rewrites decimal commas in it.

    Where the tests found nothing to grade in a part, a person may give all of its points: a team
    that builds another sampler or model than the tests know can still earn the whole part.
    """
    limits = {part_id: rubric.part(part_id).by_hand for part_id in rubric.manual_ids}
    for part in grade.parts if grade else []:
        if part.status == NOT_ATTEMPTED and part.id in limits:
            limits[part.id] = part.possible
    limits["deductions"] = rubric.core + rubric.bonus
    for key in row.keys() & limits.keys():
        if DECIMAL_COMMA.fullmatch(row[key]):
            row[key] = row[key].replace(",", ".")
        try:
            value = float(row[key])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            yield f"{key} must be a number, not '{one_line(row[key])}'"
        elif not 0 <= value <= limits[key]:
            yield f"{key} must be between 0 and {number(limits[key])}, not {number(value)}"
