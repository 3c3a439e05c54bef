"""The sheets: grades.csv, canvas.csv, moodle.csv, and the points that a person gives.

A folder of results holds manual.csv, one row a submission: what a person gave. `--manual FILE.csv`
is checked as a whole and then added to it, cell by cell; grading again never touches it. The file
may also be filled in where it lies.
"""

import csv
import io
import math
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from autograder.output.summary import about, first_with_reason, listed, shared_hints
from autograder.results import MANUAL, NOT_ATTEMPTED, Grade, PartResult
from autograder.rubric import Rubric
from autograder.text import InputError, alike, did_you_mean, number, one_line, visible, write_text

MANUAL_FILE = "manual.csv"
# What a spreadsheet takes for a formula, also in its wide forms, at the start of a cell; and after
# a semicolon or line end, where a spreadsheet with other settings starts a cell.
FORMULA = re.compile(r"(^|;\s*|\n)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])")
DECIMAL_COMMA = re.compile(r"\d+,\d+")

Row = dict[str, str]


def write_sheets(grades: list[Grade], rubric: Rubric, folder: Path) -> None:
    """Write grades.csv, canvas.csv and moodle.csv.

    Args:
        grades: of the whole class, with a person's points where there are any (`merge_manual`).
    """
    grades = sorted(grades, key=lambda grade: grade.submission)
    write_text(folder / "grades.csv", as_csv(grades_rows(grades, rubric)))
    write_text(folder / "canvas.csv", as_csv(canvas_rows(grades, rubric)))
    write_text(folder / "moodle.csv", as_csv(moodle_rows(grades, rubric)))


def grades_rows(grades: list[Grade], rubric: Rubric) -> list[list[str]]:
    """The header, then one row a member, or one row where the team is not known."""
    rows = [["submission", "team", "member", "netid", *rubric.ids, "deductions", "total"]]
    for grade in grades:
        points = {part.id: part.earned for part in grade.parts}
        cells = [_blank_or_number(points.get(part_id)) for part_id in rubric.ids]
        cells += [number(grade.deductions), number(grade.total)]
        for member in grade.members or [{}]:
            who = [grade.submission, grade.team, member.get("member", ""), member.get("netid", "")]
            rows.append([*map(cell, who), *cells])
    return rows


def canvas_rows(grades: list[Grade], rubric: Rubric) -> list[list[str]]:
    """Rows for Canvas: Grades > Import, or Actions > Import.

    Assumed of Canvas: it wants the columns Student, ID, SIS User ID, SIS Login ID and Section in
    this order, finds people by the first of the three ids that is filled in, reads the points
    possible from the row below the header, and takes a column "Name (id)" for the assignment of
    that id, any other name for one to ask about. Our netid is its SIS Login ID. Whoever has none
    cannot be found by Canvas and stands only in grades.csv, and so does whoever is `contested`. The
    points are the total so far.
    """
    rows = [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", cell(rubric.assignment)],
        ["    Points Possible", "", "", "", "", number(rubric.core)],
    ]
    for grade, name, netid in _people(grades):
        rows.append([cell(name), "", "", cell(netid), "", number(grade.total)])
    return rows


def moodle_rows(grades: list[Grade], rubric: Rubric) -> list[list[str]]:
    """Rows for Moodle: Grades > Import > CSV file, with the feedback for each person.

    Assumed of Moodle: the columns' meaning is chosen in its form, where "Map from" is Username (or
    Email address), "Map to" the same, Grade goes to the assignment's grade item and "Feedback
    comments" to the feedback for it. A netid with an @ is an email address, any other a username,
    which Moodle keeps in small letters. Whoever has no netid, or is `contested`, stands only in
    grades.csv. The points are the total so far.
    """
    rows = [["Username", "Email address", "Full name", "Grade", "Feedback comments"]]
    for grade, name, netid in _people(grades):
        address = ["", netid] if "@" in netid else [netid.lower(), ""]
        comments = cell(feedback(grade, rubric), keep_lines=True)
        rows.append([*map(cell, address), cell(name), number(grade.total), comments])
    return rows


def contested(grades: list[Grade]) -> dict[str, list[Grade]]:
    """The netids, as `alike` spells them, that several submissions with different totals name.

    Nobody but a person can say whose points these are, so canvas.csv and moodle.csv leave them out.
    """
    of: dict[str, list[Grade]] = {}
    for grade in grades:
        netids = {alike(member.get("netid", "").strip()) for member in grade.members} - {""}
        for netid in sorted(netids):
            of.setdefault(netid, []).append(grade)
    return {
        netid: found for netid, found in of.items() if len({number(g.total) for g in found}) > 1
    }


def feedback(grade: Grade, rubric: Rubric) -> str:
    """What a team reads beside its points: a line per part, shared hints, deductions and notes."""
    lines = []
    parts = [part for part in grade.parts if part.points is not None]
    shared, again, describe = shared_hints(parts), first_with_reason(parts), about(rubric)
    for part in parts:
        reason = f"The same as {again[part.id]}." if part.id in again else part.reason
        hint = part.hint if part.hint not in shared else ""
        score = f"{describe(part.id).title}: {number(part.earned or 0)} of {number(part.possible)}."
        lines.append(one_line(" ".join(filter(None, [score, reason, hint]))))
    lines += [one_line(f"{listed(ids)}: {hint}") for hint, ids in shared.items()]
    if grade.deductions:
        lines.append(f"Deductions: {number(grade.deductions)}.")
    return "\n".join([*lines, *map(one_line, [*grade.deduction_reasons, *grade.notes])])


def cell(text: str, keep_lines: bool = False) -> str:
    """Text from students for a cell: no formula for any spreadsheet, nothing invisible."""
    return FORMULA.sub(r"\1'", visible(text).strip() if keep_lines else one_line(text))


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
    """The part with what a person gives, in the place of nothing or beside the tests' points."""
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
    header, lines = _read_csv(file)
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
            problems.append(f"{file}: the column '{one_line(name)}' stands there more than once")
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
            yield f"{key} must lie between 0 and {number(limits[key])}, not {number(value)}"


def _read_csv(file: Path) -> tuple[list[str], list[tuple[int, dict]]]:
    """Column names, and each row with its line; with commas, semicolons or tabs between cells."""
    try:
        text = file.read_bytes().decode("utf-8-sig")
        first = text.split("\n", 1)[0]
        delimiter = max(",;\t", key=first.count)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        header = [name.strip().lower() for name in next(reader, [])]
        rows = []
        for values in reader:
            row: dict = dict(zip(header, values, strict=False))
            if any(values[len(header) :]):
                row[None] = values[len(header) :]
            rows.append((reader.line_num, row))
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{file} cannot be read ({error}); save it as CSV in UTF-8") from error
    return header, rows


def _people(grades: list[Grade]) -> Iterable[tuple[Grade, str, str]]:
    """Grade, name and netid of each netid that can be given one total, once."""
    done = set(contested(grades))
    for grade in grades:
        for member in grade.members:
            netid = member.get("netid", "").strip()
            if netid and alike(netid) not in done:
                done.add(alike(netid))
                yield grade, member.get("member", ""), netid


def _blank_or_number(value: float | None) -> str:
    return "" if value is None else number(value)


def as_csv(rows: list[list[str]]) -> str:
    """The rows as a CSV file's text, with commas and quotes where they are needed."""
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()
