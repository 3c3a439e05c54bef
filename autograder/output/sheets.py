"""The sheets: grades.csv for people, canvas.csv, moodle.csv and moodle_worksheet.csv to import."""

from collections import Counter
from pathlib import Path

from autograder.course.people import Course
from autograder.course.roster import Person
from autograder.course.tables import as_csv, cell
from autograder.output.summary import (
    about,
    core_and_bonus,
    first_with_reason,
    listed,
    overridden,
    shared_hints,
)
from autograder.results import CANVAS, MOODLE, Grade
from autograder.rubric import Rubric
from autograder.text import alike, number, one_line, write_text

WORKSHEET = "moodle_worksheet.csv"
# How Moodle finds people: its form's name for a column, and the field of a person.
MOODLE_KEYS = {"Email address": "email", "Username": "netid", "ID number": "sis_id"}


def write_sheets(
    grades: list[Grade], rubric: Rubric, folder: Path, course: Course | None = None
) -> None:
    """Write grades.csv, canvas.csv and moodle.csv, and a worksheet where Moodle's ids are known.

    Args:
        grades: of the whole class, with a person's points where there are any (`merge_manual`).
        course: the people of the roster with their grades; without it, those of the team files.
    """
    grades = sorted(grades, key=lambda grade: grade.submission)
    rows = people_rows(course, rubric) if course else grades_rows(grades, rubric)
    sheets = {"grades.csv": rows}
    people = recipients(grades, course)
    sheets["canvas.csv"] = canvas_rows(people, rubric, course)
    sheets["moodle.csv"] = moodle_rows(people, rubric)
    if course and course.roster.kind == MOODLE:
        sheets[WORKSHEET] = worksheet_rows(people, rubric)
    for name, rows in sheets.items():
        write_text(folder / name, as_csv(rows))


def _header(rubric: Rubric) -> list[str]:
    return ["submission", "team", "member", "netid", *rubric.ids, "deductions", "total"]


def _points(grade: Grade, rubric: Rubric) -> list[str]:
    points = {part.id: part.earned for part in grade.parts}
    cells = [_blank_or_number(points.get(part_id)) for part_id in rubric.ids]
    return [*cells, number(grade.deductions), number(grade.total)]


def grades_rows(grades: list[Grade], rubric: Rubric) -> list[list[str]]:
    """The header, then one row per member, or one row where the team is not known."""
    rows = [_header(rubric)]
    for grade in grades:
        for member in grade.members or [{}]:
            who = [grade.submission, grade.team, member.get("member", ""), member.get("netid", "")]
            rows.append([*map(cell, who), *_points(grade, rubric)])
    return rows


def people_rows(course: Course, rubric: Rubric) -> list[list[str]]:
    """The header, then one row for each person of the roster, graded or not, in its order."""
    rows = [_header(rubric)]
    for seat in course.seats:
        person, grade = seat.person, seat.grade
        where = [grade.submission, grade.team] if grade else ["", ""]
        points = _points(grade, rubric) if grade else [""] * (len(rubric.ids) + 2)
        rows.append([*map(cell, [*where, person.name, person.login]), *points])
    return rows


def recipients(grades: list[Grade], course: Course | None) -> list[tuple[Person, Grade]]:
    """Each person who can be given one total, once, with the grade that counts."""
    if course:
        return [(seat.person, seat.grade) for seat in course.seats if seat.grade]
    found = []
    done = set(contested(grades))
    for grade in grades:
        for member in grade.members:
            netid = member.get("netid", "").strip()
            if netid and alike(netid) not in done:
                done.add(alike(netid))
                name = member.get("member", "")
                is_address = "@" in netid
                person = Person(name, email=netid) if is_address else Person(name, netid=netid)
                found.append((person, grade))
    return found


def canvas_rows(
    people: list[tuple[Person, Grade]], rubric: Rubric, course: Course | None = None
) -> list[list[str]]:
    """Rows for Canvas: Grades > Import.

    Of its importer (gradebook_importer.rb of canvas-lms): the first columns are Student, ID, SIS
    User ID, SIS Login ID and Section; it finds people by the first of the ids that is filled in; a
    column "Name (id)" is the assignment of that id, any other name one to ask about; the row with
    "Points Possible" sets an assignment's points. Bonus points are a column of their own, with 0
    points possible: that makes them extra credit. An empty cell would delete a score that is there,
    so whoever has no grade has no row. The points are those so far.
    """
    columns = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
    rows = [
        [*columns, *with_bonus(rubric, cell(rubric.assignment), cell(rubric.bonus_assignment))],
        ["    Points Possible", *[""] * 4, *with_bonus(rubric, number(rubric.core), "0")],
    ]
    is_canvas = course is not None and course.roster.kind == CANVAS
    for person, grade in people:
        ids = [person.id if is_canvas else "", person.sis_id, person.netid or person.email]
        points = with_bonus(rubric, *map(number, core_and_bonus(grade, rubric)))
        rows.append([*map(cell, [person.name, *ids, person.section]), *points])
    return rows


def moodle_rows(people: list[tuple[Person, Grade]], rubric: Rubric) -> list[list[str]]:
    """Rows for Moodle: Grades > Import > CSV file, with the feedback for each person.

    Of its importer (grade/import/csv/classes/load_data.php): one column finds people, chosen in
    its form under "Map from" and "Map to"; a row where it is empty would go to the person of the
    row before, and one unknown person or a grade above the maximum ends the import. So the first
    column is what the most people have; whoever lacks it is left out. "Grade" goes to the
    assignment's item, "Bonus" to an item of its own, "Feedback comments" to the feedback of the
    first. Moodle keeps usernames in small letters, and compares addresses with their case.
    """
    heading = moodle_key(people)
    columns = with_bonus(rubric, "Grade", "Bonus")
    rows = [[heading, "Full name", *columns, "Feedback comments"]]
    for person, grade in people:
        key = getattr(person, MOODLE_KEYS[heading])
        if key:
            key = key.lower() if heading == "Username" else key
            points = with_bonus(rubric, *map(number, core_and_bonus(grade, rubric)))
            comments = cell(feedback(grade, rubric), keep_lines=True)
            rows.append([cell(key), cell(person.name), *points, comments])
    return rows


def with_bonus(rubric: Rubric, core: str, bonus: str) -> list[str]:
    """Cells of core and bonus points; an edition without bonus parts has the first alone."""
    return [core, bonus] if rubric.bonus else [core]


def moodle_key(people: list[tuple[Person, Grade]]) -> str:
    """The heading of the column by which moodle.csv finds people: what the most of them have."""
    have: Counter[str] = Counter(dict.fromkeys(MOODLE_KEYS, 0))
    for person, _ in people:
        have.update(heading for heading, key in MOODLE_KEYS.items() if getattr(person, key))
    return have.most_common(1)[0][0]


def without_key(people: list[tuple[Person, Grade]]) -> tuple[str, list[Person]]:
    """The heading of moodle.csv's first column, and the people left out without one."""
    heading = moodle_key(people)
    return heading, [person for person, _ in people if not getattr(person, MOODLE_KEYS[heading])]


def worksheet_rows(people: list[tuple[Person, Grade]], rubric: Rubric) -> list[list[str]]:
    """Rows of an assignment's grading worksheet, which finds people whose names are hidden, too.

    Of its importer (mod/assign/feedback/offline/importgradeslib.php): Identifier, Grade and "Last
    modified (grade)" must be there; the number is what follows "Participant ".
    """
    rows = [["Identifier", "Full name", "Grade", "Last modified (grade)", "Feedback comments"]]
    for person, grade in people:
        if person.id:
            comments = cell(feedback(grade, rubric), keep_lines=True)
            core, _ = core_and_bonus(grade, rubric)
            who = [f"Participant {person.id}", cell(person.name)]
            rows.append([*who, number(core), "-", comments])
    return rows


def contested(grades: list[Grade]) -> dict[str, list[Grade]]:
    """The netids, as `alike` spells them, that several submissions with different totals name.

    Only a person can say whose points these are, so canvas.csv and moodle.csv leave them out.
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
        changed = overridden(part)
        lines.append(one_line(" ".join(filter(None, [score, changed, reason, hint]))))
    lines += [one_line(f"{listed(ids)}: {hint}") for hint, ids in shared.items()]
    if grade.deductions:
        lines.append(f"Deductions: {number(grade.deductions)}.")
    return "\n".join([*lines, *map(one_line, [*grade.deduction_reasons, *grade.notes])])


def _blank_or_number(value: float | None) -> str:
    return "" if value is None else number(value)
