"""The sheets: grades.csv for people; canvas.csv, moodle.csv and moodle_worksheet.csv to import."""

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
# How Moodle finds people: the column's name in its form, and the field of Person.
MOODLE_KEYS = {"Email address": "email", "Username": "netid", "ID number": "sis_id"}


def write_sheets(
    grades: list[Grade], rubric: Rubric, folder: Path, course: Course | None = None
) -> None:
    """Write grades.csv, canvas.csv and moodle.csv, and a worksheet if Moodle's ids are known.

    Args:
        grades: of the whole class, with the points that people gave (`merge_manual`).
        course: the people of the roster with their grades; None takes the people from team.csv.
    """
    for name, text in sheets_of(grades, rubric, course).items():
        write_text(folder / name, text)


def sheets_of(grades: list[Grade], rubric: Rubric, course: Course | None = None) -> dict[str, str]:
    """The names and texts of all sheets, as `write_sheets` writes them."""
    grades = sorted(grades, key=lambda grade: grade.submission)
    rows = people_rows(course, rubric) if course else grades_rows(grades, rubric)
    sheets = {"grades.csv": rows}
    people = recipients(grades, course)
    sheets["canvas.csv"] = canvas_rows(people, rubric, course)
    sheets["moodle.csv"] = moodle_rows(people, rubric)
    if course and course.system == MOODLE:
        sheets[WORKSHEET] = worksheet_rows(people, rubric)
    return {name: as_csv(rows) for name, rows in sheets.items()}


def _header(rubric: Rubric) -> list[str]:
    return ["submission", "team", "member", "netid", *rubric.ids, "deductions", "total"]


def _points(grade: Grade, rubric: Rubric) -> list[str]:
    points = {part.id: part.earned for part in grade.parts}
    cells = [_blank_or_number(points.get(part_id)) for part_id in rubric.ids]
    return [*cells, number(grade.deductions), number(grade.total)]


def grades_rows(grades: list[Grade], rubric: Rubric) -> list[list[str]]:
    """The header, then one row per team member, or one per submission if none is known."""
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
    """Each person with a single total, once, with the grade that counts."""
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

    What its importer does (gradebook_importer.rb of canvas-lms): the first columns are Student, ID,
    SIS User ID, SIS Login ID and Section. It finds people by the first id that is filled in. A
    column "Name (id)" is the assignment with that id; for any other name it asks. The row "Points
    Possible" sets an assignment's points. Bonus points are a column of their own with 0 points
    possible, which makes them extra credit. An empty cell would delete an existing score, so people
    without a grade have no row. The points are those so far.
    """
    columns = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
    rows = [
        [*columns, *with_bonus(rubric, cell(rubric.assignment), cell(rubric.bonus_assignment))],
        ["    Points Possible", *[""] * 4, *with_bonus(rubric, number(rubric.core), "0")],
    ]
    is_canvas = course is not None and course.system == CANVAS
    for person, grade in people:
        ids = [person.id if is_canvas else "", person.sis_id, person.netid or person.email]
        points = with_bonus(rubric, *map(number, core_and_bonus(grade, rubric)))
        rows.append([*map(cell, [person.name, *ids, person.section]), *points])
    return rows


def moodle_rows(people: list[tuple[Person, Grade]], rubric: Rubric) -> list[list[str]]:
    """Rows for Moodle: Grades > Import > CSV file, with the feedback for each person.

    What its importer does (grade/import/csv/classes/load_data.php): it finds people by one column,
    chosen in its form under "Map from" and "Map to". If that cell is empty, it grades the person of
    the row before; one unknown person or a grade above the maximum ends the import. So the first
    column is the key that most people have, and people without it are left out. "Grade" goes to the
    assignment's item, "Bonus" to an item of its own, "Feedback comments" to the feedback of the
    first. Moodle stores usernames in lower case, and compares addresses case-sensitively.
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
    """Cells of core and bonus points; an edition without bonus parts has only the first."""
    return [core, bonus] if rubric.bonus else [core]


def moodle_key(people: list[tuple[Person, Grade]]) -> str:
    """The heading of moodle.csv's first column, which finds people: the one most people have."""
    have: Counter[str] = Counter(dict.fromkeys(MOODLE_KEYS, 0))
    for person, _ in people:
        have.update(heading for heading, key in MOODLE_KEYS.items() if getattr(person, key))
    return have.most_common(1)[0][0]


def without_key(people: list[tuple[Person, Grade]]) -> tuple[str, list[Person]]:
    """The heading of moodle.csv's first column, and the people who are left out without it."""
    heading = moodle_key(people)
    return heading, [person for person, _ in people if not getattr(person, MOODLE_KEYS[heading])]


def worksheet_rows(people: list[tuple[Person, Grade]], rubric: Rubric) -> list[list[str]]:
    """Rows of Moodle's grading worksheet, which also finds people whose names are hidden.

    What its importer does (mod/assign/feedback/offline/importgradeslib.php): it needs Identifier,
    Grade and "Last modified (grade)"; a person's number is what follows "Participant ".
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
    """NetIDs (in the form of `alike`) that several submissions with different totals name.

    Only a person can decide which of them counts, so canvas.csv and moodle.csv leave them out.
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
    """A team's feedback as text: a line per part, then shared hints, deductions and notes."""
    lines = []
    parts = [part for part in grade.parts if part.points is not None]
    shared, again, describe = shared_hints(parts), first_with_reason(parts), about(rubric)
    for part in parts:
        first = again.get(part.id)
        reason = f"The same as {describe(first).called}." if first else part.reason
        hint = part.hint if part.hint not in shared else ""
        score = f"{describe(part.id).title}: {number(part.earned or 0)} of {number(part.possible)}."
        changed = overridden(part)
        lines.append(one_line(" ".join(filter(None, [score, changed, reason, hint]))))
    for hint, ids in shared.items():
        lines.append(one_line(f"{listed([describe(i).called for i in ids])}: {hint}"))
    if grade.deductions:
        lines.append(f"Deductions: {number(grade.deductions)}.")
    return "\n".join([*lines, *map(one_line, [*grade.deduction_reasons, *grade.notes])])


def _blank_or_number(value: float | None) -> str:
    return "" if value is None else number(value)
