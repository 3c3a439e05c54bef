"""Moodle's importer of grades, as its source describes it, for sheets to be tried on.

Written from the rules of grade/import/csv/classes/load_data.php (class gradeimport_csv_load_data):
`prepare_import_grade_data` walks the cells of a row; an empty user cell is skipped and leaves the
person of the row before in place; an unknown person, a grade that is not a number and one above the
site's maximum end the whole import, and nothing of it is kept. Beside that, an item has a maximum.
"""

import csv
from dataclasses import dataclass, field
from pathlib import Path

SITE_MAXIMUM = 100.0  # unless the site allows unlimited grades


class ImportEnds(Exception):
    """Moodle shows an error and keeps nothing."""


@dataclass
class Imported:
    """What the gradebook holds after the import: values by person and column."""

    grades: dict[str, dict[str, float]] = field(default_factory=dict)
    feedback: dict[str, str] = field(default_factory=dict)


def import_grades(
    sheet: Path, users: set[str], maxima: dict[str, float], feedback: str = "Feedback comments"
) -> Imported:
    """Import a sheet whose first column finds people.

    Args:
        users: what that column may hold.
        maxima: of the columns that are mapped to grade items.
        feedback: the column that is mapped to the first item's feedback.
    """
    with sheet.open(encoding="utf-8", newline="") as file:
        header, *lines = list(csv.reader(file))
    header = [heading.strip() for heading in header]
    found, student = Imported(), None
    for line in lines:
        if len(line) <= 1:
            continue
        grades, comment = {}, None
        for heading, text in zip(header, map(str.strip, line), strict=True):
            if heading == header[0]:
                if text not in ("", "0"):  # PHP's empty()
                    if text not in users:
                        raise ImportEnds(f"User mapping error: {heading} {text}")
                    student = text
            elif heading in maxima:
                grades[heading] = number(text)
            elif heading == feedback:
                comment = text
        if student is None:
            raise ImportEnds("User mapping error: could not find user")
        for heading, value in grades.items():
            if value is not None and value > min(SITE_MAXIMUM, maxima[heading]):
                raise ImportEnds(f"{value} is above the maximum of {heading}")
        if student in found.grades:
            raise AssertionError(f"a second row for {student}: their grade is overwritten")
        found.grades[student] = {k: v for k, v in grades.items() if v is not None}
        if comment is not None:
            found.feedback[student] = comment
    return found


def number(text: str) -> float | None:
    """A cell's grade; None for an empty one, which means no grade."""
    if text in ("", "-"):
        return None
    try:
        return float(text.replace(",", ".").replace(" ", ""))
    except ValueError as error:
        raise ImportEnds(f"Bad grade: {text}") from error
