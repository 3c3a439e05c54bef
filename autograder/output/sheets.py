"""The sheets: grades.csv, canvas.csv and moodle.csv."""

from collections.abc import Iterable
from pathlib import Path

from autograder.course.tables import as_csv, cell
from autograder.output.summary import about, first_with_reason, listed, shared_hints
from autograder.results import Grade
from autograder.rubric import Rubric
from autograder.text import alike, number, one_line, write_text


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
    """The header, then one row per member, or one row where the team is not known."""
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
    cannot be found by Canvas and is only in grades.csv, and so is whoever is `contested`. The
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
    which Moodle keeps in lower case. Whoever has no netid, or is `contested`, is only in
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
        lines.append(one_line(" ".join(filter(None, [score, reason, hint]))))
    lines += [one_line(f"{listed(ids)}: {hint}") for hint, ids in shared.items()]
    if grade.deductions:
        lines.append(f"Deductions: {number(grade.deductions)}.")
    return "\n".join([*lines, *map(one_line, [*grade.deduction_reasons, *grade.notes])])


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
