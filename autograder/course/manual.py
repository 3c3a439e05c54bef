"""The points that people give.

A folder of results holds manual.csv, one row per submission, with the points that people gave.
`--manual FILE.csv` is checked as a whole, and then merged into it, cell by cell. Grading again
never changes it. The file may also be edited in place.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from autograder.course.comments import Comment, comment_on, read_comments, unknown_names
from autograder.course.people import Claims, claims_of, teams_of
from autograder.course.roster import Person, Roster
from autograder.course.tables import as_csv, cell, read_csv
from autograder.late import charge, latest, time_of
from autograder.results import (
    FAILED,
    MANUAL,
    NOT_ATTEMPTED,
    PARTIAL,
    PASSED,
    Grade,
    PartResult,
)
from autograder.rubric import Rubric
from autograder.text import InputError, did_you_mean, number, one_line, write_text

MANUAL_FILE = "manual.csv"
MAX_PROBLEMS = 50
MAX_DAYS = 365
OVERRIDE = re.compile(r"(\w+)[\s:=]+(\d+(?:[.,]\d+)?)\s*,\s*(\S.*)", re.DOTALL)
DECIMAL_COMMA = re.compile(r"\d+,\d+")

Row = dict[str, str]


def merge_manual(
    grades: list[Grade],
    rubric: Rubric,
    folder: Path,
    file: Path | None = None,
    roster: Roster | None = None,
) -> list[Grade]:
    """Merge a file into the folder's manual.csv; returns the grades with everything in it applied.

    A cell with a value replaces the earlier one. Empty cells, and submissions that `file` leaves
    out, change nothing. A number under `deductions` replaces the grader's deductions; a comment
    becomes a note. manual.csv gets a row for each submission. The given grades are not modified:
    write_submission stores the grader's own results. With a roster, a team keeps its points when
    it hands in again: an empty cell of a hand-in is filled from the team's other hand-ins, the
    latest one first.

    Args:
        grades: of the whole class, as the grader found them.
        file: the CSV that `--manual` names, with a column `submission` or `team`.
        roster: the people of the course, whom the column `people` may name.

    Raises:
        InputError: `file` or manual.csv has mistakes; one sentence for each, and nothing is
            written.
    """
    store = folder / MANUAL_FILE
    library = read_comments(folder, rubric)
    kept: dict[str, Row] = {}
    unknown: list[Row] = []
    if store.exists():
        kept, unknown = _read_manual(grades, rubric, store, library, roster, strangers=True)
    if file and not (store.exists() and store.samefile(file)):
        for submission, row in _read_manual(grades, rubric, file, library, roster)[0].items():
            kept[submission] = {**kept.get(submission, {}), **row}
    used = {"people": bool(roster), "days_late": bool(rubric.late)}
    written = [*kept.values(), *unknown]
    columns = [
        column
        for column in ["submission", *_manual_columns(rubric)]
        if used.get(column, True) or any(column in row for row in written)
    ]
    _write_manual(columns, sorted(g.submission for g in grades), store, kept, unknown)
    grades = [
        replace(g, people=_logins(kept.get(g.submission, {}).get("people", ""))) for g in grades
    ]
    claims = claims_of(grades, roster) if roster else {}
    rows = _shared_in_teams(grades, kept, claims) if roster else kept
    merged = []
    for grade in grades:
        people = claims[grade.submission].all if roster else set()
        row = rows.get(grade.submission, {})
        one = _merged(grade, rubric, row, people, kept.get(grade.submission, {}))
        merged.append(comment_on(one, row["comment"], library) if "comment" in row else one)
    return merged


def _shared_in_teams(
    grades: list[Grade], kept: dict[str, Row], claims: dict[str, Claims]
) -> dict[str, Row]:
    """Each hand-in's row, with empty cells filled from the other hand-ins of its team."""
    rows: dict[str, Row] = {}
    for team in teams_of(grades, claims):
        of_team: Row = {}
        for grade in team:
            of_team |= kept.get(grade.submission, {})
        of_team.pop("days_late", None)  # concerns one hand-in only
        for grade in team:
            rows[grade.submission] = {**of_team, **kept.get(grade.submission, {})}
    return rows


def _logins(cell: str) -> list[str]:
    """The people that a cell names, separated by spaces, commas or semicolons."""
    return re.split(r"[\s,;]+", cell.strip()) if cell.strip() else []


def _write_manual(
    columns: list[str], names: list[str], store: Path, kept: dict[str, Row], unknown: list[Row]
) -> None:
    """Write manual.csv if it changed; rows of unknown submissions come last."""
    rows = [{**kept.get(name, {}), "submission": name} for name in names]
    text = as_csv([columns, *([cell(row.get(c, "")) for c in columns] for row in rows + unknown)])
    if not store.exists() or store.read_text(encoding="utf-8-sig") != text:
        write_text(store, text)


def _manual_columns(rubric: Rubric) -> list[str]:
    return [*rubric.manual_ids, "deductions", "override", "days_late", "people", "comment"]


def _merged(grade: Grade, rubric: Rubric, row: Row, people: set[Person], own: Row) -> Grade:
    """The grade with the points of a person's row, and with the cost of its lateness.

    Args:
        own: the cells that are for this hand-in; the row's others are for other hand-ins of the
            team, whose overrides take no points from this one.
    """
    changes = {change.part: change for change in overrides(row.get("override", ""))}
    parts, remarks = [], list(grade.needs_look)
    for part in grade.parts:
        change = changes.get(part.id)
        if change and "override" not in own and change.points < (part.points or 0):
            remarks.append(
                f"The override of an earlier hand-in, {part.id} {number(change.points)}, is not "
                f"used, since the tests give {number(part.points or 0)} now"
            )
        elif change:
            part = change.applied(part)
        parts.append(_with_human_points(part, float(row[part.id])) if part.id in row else part)
    merged = replace(grade, parts=parts, needs_look=remarks)
    if rubric.late and not grade.public:
        times = (time_of(p.time, rubric.late.due.tzinfo) for p in people if rubric.late.due)
        budgets = [person.late_days for person in people if person.late_days is not None]
        merged = charge(
            merged,
            rubric.late,
            rubric.core,
            days=int(float(row["days_late"])) if "days_late" in row else None,
            time=latest(times),
            extension=max((person.extension for person in people), default=0),
            budget=min(budgets, default=None),
        )
        unread = [p.time for p in people if p.time.strip(" -") and time_of(p.time) is None]
        if unread and rubric.late.due and "days_late" not in row:
            merged.needs_look = [
                *merged.needs_look,
                f"The roster's time '{one_line(unread[0])[:60]}' is in a form that is not known: "
                "enter the days under 'days_late'",
            ]
    if "deductions" in row:
        found, merged.deductions = merged.deductions, float(row["deductions"])
        if "deductions" not in own and found != merged.deductions:
            merged.needs_look = [
                *merged.needs_look,
                f"The deductions of an earlier hand-in, {number(merged.deductions)}, replace "
                f"{number(found)}: enter under 'deductions' what is right for this one",
            ]
        reason = f"Set by a person: {number(merged.deductions)} points in all"
        merged.deduction_reasons = [*merged.deduction_reasons, reason]
    return merged


@dataclass(frozen=True)
class Override:
    """Points that a person gave in place of the tests'."""

    part: str
    points: float
    reason: str

    def applied(self, part: PartResult) -> PartResult:
        """The part with these points, and with the tests' points kept in `tests_gave`."""
        status = PARTIAL if self.points else FAILED
        if self.points == part.max_points:
            status = PASSED
        return replace(
            part,
            points=self.points,
            status=status,
            override=self.reason,
            tests_gave=part.points,
            hint="" if status == PASSED else part.hint,
        )


def overrides(cell: str) -> list[Override]:
    """Parse a cell `override`: "PART POINTS, reason", or several separated by semicolons.

    Raises:
        InputError: it has another form.
    """
    found = []
    for text in re.split(r"[;\n]", cell):
        if not text.strip():
            continue
        match = OVERRIDE.fullmatch(text.strip())
        if match is None:
            raise InputError(
                f"override must be PART POINTS, REASON, such as 'p_sample_loop 1, reason', not "
                f"'{one_line(text)[:60]}'"
            )
        found.append(Override(match[1], float(match[2].replace(",", ".")), match[3].strip()))
    return found


def _with_human_points(part: PartResult, points: float) -> PartResult:
    """The part with a person's points, in addition to the tests' points if it has tests."""
    if part.status == MANUAL:
        return replace(part, points=points)
    return replace(part, by_person=points)


def _read_manual(
    grades: list[Grade],
    rubric: Rubric,
    file: Path,
    library: dict[str, Comment],
    roster: Roster | None = None,
    strangers: bool = False,
) -> tuple[dict[str, Row], list[Row]]:
    """Read a manual file: the filled cells by submission, and the rows of unknown submissions.

    Numbers in cells are as float() reads them.

    Args:
        strangers: keep rows of unknown submissions instead of refusing them.
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
        submission, problem = _find(row, names, teams, strangers)
        grade = of.get(submission)
        problems += [f"{where}: {text}" for text in _cell_problems(rubric, row, grade)]
        problems += [f"{where}: {text}" for text in _strangers(row, roster)]
        problems += [f"{where}: {text}" for text in _override_problems(rubric, row)]
        unknown_comments = unknown_names(row.get("comment", ""), library)
        problems += [f"{where}: {text}" for text in unknown_comments]
        if len(problems) > MAX_PROBLEMS:
            problems[MAX_PROBLEMS:] = [f"{file}: and more; correct these first"]
            break
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
    """A name as it is, and as the sheets write it."""
    return {name, cell(name)}


def _find(
    row: Row, names: dict[str, str], teams: dict[str, list[str]], strangers: bool
) -> tuple[str | None, str]:
    """The submission that a row is about, or None and the reason."""
    if "submission" in row:
        name = row["submission"]
        if name in names:
            return names[name], ""
        guess = "" if strangers else did_you_mean(name, names)  # guessing takes long for many rows
        return None, f"there is no submission '{one_line(name)}'{guess}"
    if "team" not in row:
        return None, "names neither a submission nor a team"
    name = row["team"]
    found = teams.get(name, [])
    if len(found) > 1:
        several = ", ".join(map(one_line, sorted(found)))
        return None, f"the team '{one_line(name)}' has several submissions: {several}"
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
            problems.append(f"{file}: the column '{one_line(name)}' appears more than once")
        if name in rubric.ids and name not in known:
            problems.append(f"{file}: the column '{name}' is for a part that only the tests grade")
        elif name not in known:
            shown = one_line(name)
            problems.append(f"{file}: unknown column '{shown}'{did_you_mean(name, known)}")
    return problems


def _cell_problems(rubric: Rubric, row: Row, grade: Grade | None) -> Iterable[str]:
    """What is wrong with a row's numbers; rewrites decimal commas in it.

    If a part was not attempted as far as the tests see, a person may give all of its points: a team
    that builds another sampler or model than the tests know can still earn the whole part.
    """
    limits = {part_id: rubric.part(part_id).by_hand for part_id in rubric.manual_ids}
    for part in grade.parts if grade else []:
        if part.status == NOT_ATTEMPTED and part.id in limits:
            limits[part.id] = part.possible
    limits |= {"deductions": rubric.core + rubric.bonus, "days_late": MAX_DAYS}
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
        elif key == "days_late" and value != int(value):
            yield f"days_late must be a whole number of days, not {number(value)}"
        elif key == "days_late" and not rubric.late:
            yield (
                f"days_late: {rubric.path} has no policy for late hand-ins; add 'late' to it, name "
                "the rubric that has it with --rubric, or leave the cell empty"
            )


def _override_problems(rubric: Rubric, row: Row) -> Iterable[str]:
    """What is wrong with a row's overrides."""
    try:
        found = overrides(row.get("override", ""))
    except InputError as error:
        yield str(error)
        return
    limits = {part.id: part.by_tests for part in rubric.parts if part.automatic}
    for part, times in Counter(change.part for change in found).items():
        if times > 1:
            yield f"override: {part} is there {times} times; keep one"
    for change in found:
        if change.part not in limits and change.part in rubric.manual_ids:
            yield f"override: no tests grade {change.part}; enter it in the column {change.part}"
        elif change.part not in limits:
            guess, listed = did_you_mean(change.part, limits), ", ".join(limits)
            yield f"override: no tests grade a part '{change.part}'{guess}; the parts are {listed}"
        elif change.points > limits[change.part]:
            limit = f"between 0 and {number(limits[change.part])}"
            yield f"override: {change.part} must be {limit}, not {number(change.points)}"


def _strangers(row: Row, roster: Roster | None) -> Iterable[str]:
    """What is wrong with the people that a row names."""
    if "people" in row and not roster:
        yield "people are found on a roster; name one with --roster, or leave the cell empty"
    for login in _logins(row.get("people", "")) if roster else ():
        if not roster.by_login(login):
            close = ", ".join(map(str, roster.nearest([login])))
            guess = f"; the nearest are {close}" if close else ""
            yield f"nobody on the roster has the login '{one_line(login)}'{guess}"
