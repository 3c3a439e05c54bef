"""CSV files: read as spreadsheets of any locale write them, written so that no formula runs."""

import csv
import io
import re
from pathlib import Path

from autograder.text import InputError, one_line, visible

MAX_BYTES, MAX_ROWS = 30_000_000, 30_000  # of a file
# The start of a cell that a spreadsheet takes for a formula, also in full-width forms; also after a
# semicolon or line end, where a spreadsheet with other settings starts a cell.
FORMULA = re.compile(r"(^|;\s*|\n)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])")


def cell(text: str, keep_lines: bool = False) -> str:
    """Text from students made safe for a cell: not a formula, nothing invisible."""
    return FORMULA.sub(r"\1'", visible(text).strip() if keep_lines else one_line(text))


def read_csv(file: Path) -> tuple[list[str], list[tuple[int, dict]]]:
    """Read a CSV file: column names, and each row with its line number.

    Cells are separated by the most frequent of comma, semicolon and tab in the first line. Cells
    beyond the columns are in the row under the key None.

    Raises:
        InputError: it cannot be read, is too large, or is not CSV in UTF-8.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise InputError(
                f"{file} is larger than {MAX_BYTES / 1e6:.0f} MB, too large for a course"
            )
        text = content.decode("utf-8-sig")
        first = text.split("\n", 1)[0]
        delimiter = max(",;\t", key=first.count)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        header = [name.strip().lower() for name in next(reader, [])]
        rows = []
        for values in reader:
            if len(rows) == MAX_ROWS:
                raise InputError(f"{file} has more than {MAX_ROWS:,} rows, too many for a course")
            row: dict = dict(zip(header, values, strict=False))
            if any(values[len(header) :]):
                row[None] = values[len(header) :]
            rows.append((reader.line_num, row))
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{file} cannot be read ({error}); save it as CSV in UTF-8") from error
    return header, rows


def as_csv(rows: list[list[str]]) -> str:
    """The rows as CSV text, with quotes where they are needed."""
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()
