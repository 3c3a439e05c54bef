"""Write oral questions: python autograder/grade.py viva OUT [PATH...]

Writes to OUT/viva/: sheets.html to print, keys.html, keys.csv, sheets.txt, viva.gift, viva_qti.zip,
and with --pdf also sheets.pdf and keys.pdf.
"""

import argparse
import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from autograder.course.tables import as_csv, cell
from autograder.extras.viva.facts import SERVE, observe
from autograder.extras.viva.questions import Sheet, make_sheet, setting_of
from autograder.extras.viva.quizzes import data, gift, qti
from autograder.output.feedback import RUBRIC_HELP, counting_grades
from autograder.output.pages import render
from autograder.output.stored import places_of
from autograder.reading.submission import (
    Refused,
    find_submissions,
    hash_of_file,
    names_of,
    open_submission,
)
from autograder.reading.work_folder import work_folder
from autograder.results import Grade
from autograder.rubric import DEFAULT, load_rubric
from autograder.sandbox.sandbox import Sandbox
from autograder.text import (
    InputError,
    check_installed,
    one_line,
    visible,
    write_bytes,
    write_text,
)

KIT_CODE = Path(__file__).resolve().parents[3] / "code"
TEMPLATE = Path(__file__).with_name("viva.html")
FOLDER = "viva"


def viva_command(arguments: list[str]) -> int:
    """`grade.py viva`, on the hand-ins that count; returns the exit code."""
    parser = argparse.ArgumentParser("grade.py viva", description="Questions on the teams' code.")
    parser.add_argument("folder", type=Path, metavar="OUT", help="the --out folder of a run")
    parser.add_argument("paths", nargs="*", type=Path, help="the submissions, if they moved")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="another N gives other questions (0)"
    )
    parser.add_argument("--pdf", action="store_true", help="also PDFs for orals, to take notes on")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N", help="threads")
    parser.add_argument("--rubric", type=Path, default=DEFAULT, metavar="FILE", help=RUBRIC_HELP)
    parser.add_argument("--trust", action="store_true", help="see grade.py --trust")
    args = parser.parse_args(arguments)
    if args.jobs < 1:
        parser.error("--jobs must be at least 1")
    as_pdf = pdf_writer() if args.pdf else None
    grades, _ = counting_grades(args.folder, load_rubric(args.rubric), "viva")
    places = places_of(args.folder)
    if args.paths:
        found = find_submissions([path.absolute() for path in args.paths])
        names = [grade.submission for grade in grades]
        here = {name: path for path, name in names_of(found, names).items()}
        if not here.keys() & set(names):
            raise InputError(
                f"viva: none of these submissions is among the results in {args.folder}, such as "
                f"{min(names)}"
            )
        places |= here
    with Sandbox(SERVE, trusted=args.trust, private=(str(args.folder.absolute()),)) as sandbox:
        _ = sandbox.protections  # raises now if a submission could grade itself

        def one(grade: Grade) -> Sheet:
            return sheet_of(grade, places.get(grade.submission), sandbox, args.seed)

        with ThreadPoolExecutor(args.jobs) as pool:
            sheets = list(pool.map(one, grades))
    write(sheets, args.folder / FOLDER)
    if as_pdf:
        for name, keys in (("sheets.pdf", False), ("keys.pdf", True)):
            write_bytes(args.folder / FOLDER / name, as_pdf(sheets, keys))
    for sheet in sheets:
        if sheet.trouble:
            print(
                one_line(f"{sheet.submission}: {len(sheet.questions)} questions: {sheet.trouble}")
            )
    whole = sum(not sheet.trouble for sheet in sheets)
    print(
        one_line(f"{args.folder / FOLDER}: sheets of five questions for {whole} of {len(sheets)}")
    )
    return 0


def pdf_writer() -> Callable[[Sequence[Sheet], bool], bytes]:
    """What makes a PDF of sheets, without keys or with them.

    Raises:
        InputError: fpdf2 is not installed.
    """
    try:
        check_installed("fpdf")
    except ImportError as error:
        raise InputError(
            "--pdf needs fpdf2, which is not installed; install it with: "
            "python -m pip install -r requirements/grade.txt"
        ) from error
    from autograder.extras.viva.pdf import as_pdf

    return as_pdf


def sheet_of(grade: Grade, path: Path | None, sandbox: Sandbox, seed: int = 0) -> Sheet:
    """The questions for one submission, if its files are still those that were graded.

    Args:
        seed: another one gives other questions for the same submission.
    """
    own = hashlib.sha256(f"{seed} {grade.submission} {grade.sha256}".encode(errors="replace"))
    setting = setting_of(int.from_bytes(own.digest()[:4], "big"))
    sheet = Sheet(grade.submission, grade.team, setting)
    if path is None or not path.exists():
        sheet.trouble = "its files have moved: name their folder after the folder of grades"
        return sheet
    if path.is_file() and hash_of_file(path) != grade.sha256:
        sheet.trouble = "its file has changed since it was graded"
        return sheet
    with work_folder() as work:
        try:
            submission = open_submission(path, work / "submission", KIT_CODE)
        except Refused as refusal:
            sheet.trouble = str(refusal)
            return sheet
        facts = observe(sandbox, submission.code_folder, work / "log.txt", setting)
        return make_sheet(grade.submission, grade.team, facts, submission.code_folder)


def write(sheets: list[Sheet], folder: Path) -> None:
    """Write all files; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, keys in (("sheets.html", False), ("keys.html", True)):
        write_text(folder / name, render(TEMPLATE, sheets=sheets, keys=keys, data=data))
    write_text(folder / "sheets.txt", as_text(sheets))
    write_text(folder / "keys.csv", as_csv(keys_of(sheets)))
    write_text(folder / "viva.gift", gift(sheets))
    (folder / "viva_qti.zip").write_bytes(qti(sheets))


def as_text(sheets: Iterable[Sheet]) -> str:
    """The sheets as plain text, one per page; only the other files have the pictures."""
    pages = []
    for sheet in sheets:
        lines = [visible(sheet.team or sheet.submission), ""]
        lines += (
            [f"Fewer questions than five: {visible(sheet.trouble)}.", ""] if sheet.trouble else []
        )
        for number, question in enumerate(sheet.questions, 1):
            lines += [f"{number}. {question.text}", *filter(None, [question.code])]
            answers = zip("ABCD", question.answers, strict=False)
            lines += [*(f"   {letter}) {answer}" for letter, answer in answers), ""]
        pages.append("\n".join(lines))
    return "\n\f\n".join(pages)


def keys_of(sheets: Iterable[Sheet]) -> list[list[str]]:
    """A row for each submission, with the letters of the right answers."""
    rows = [["submission", "team", *(f"question {n}" for n in range(1, 6))]]
    for sheet in sheets:
        letters = ["ABCD"[question.key] for question in sheet.questions]
        rows.append(
            [cell(sheet.submission), cell(sheet.team), *letters, *[""] * (5 - len(letters))]
        )
    return rows
