"""Zip the reports to return them: python autograder/grade.py feedback OUT --canvas | --moodle

Writes OUT/feedback_canvas.zip or OUT/feedback_moodle.zip, in the layout that each system imports.
"""

import argparse
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from autograder.course.manual import MANUAL_FILE, merge_manual
from autograder.course.people import Course, seat
from autograder.course.regrade import check_rubric
from autograder.course.roster import keep_roster
from autograder.output.sheets import sheets_of
from autograder.output.stored import load_grades, submission_folder
from autograder.output.zips import zipped
from autograder.results import CANVAS, MOODLE, Grade
from autograder.rubric import DEFAULT, Rubric, load_rubric
from autograder.text import InputError, one_line, write_bytes

REPORT = "report.html"
RUBRIC_HELP = "the rubric of the run (default: autograder/rubric.yaml)"


def canvas_files(
    grades: list[Grade], _: Course | None, report_of: Callable[[Grade], bytes]
) -> Iterator[tuple[str, bytes]]:
    """Yield file names and contents for Canvas: Download Submissions' menu, Upload Submissions.

    Canvas finds a person by the first two numbers between underscores, user and upload, and shows
    the file under the name of the original hand-in (`infer_comment_context_from_filename` of
    canvas-lms, assignment.rb). So each report is in a zip that is named like the hand-in.
    """
    for grade in grades:
        origin = grade.origin
        if origin.system != CANVAS or not origin.upload:
            continue
        name = grade.submission.split("/")[-1]
        start, number, end = name.partition(f"_{origin.upload}_")
        # Canvas would take a number in the team's name for the user
        team = re.sub(r"_(?=\d+(?:_|$))", "", grade.team) if origin.person else start
        who = f"{team}_{origin.person}" if origin.person else start
        end = end.split(" [")[0] if end.endswith("]") else end  # a hash, for equal names
        stem = end[:-4] if end.lower().endswith(".zip") else end
        yield f"{who}{number}{stem}.zip", zipped({REPORT: report_of(grade)})


def moodle_files(
    grades: list[Grade], course: Course | None, report_of: Callable[[Grade], bytes]
) -> Iterator[tuple[str, bytes]]:
    """Yield file names and contents for Moodle: Upload multiple feedback files in a zip.

    Moodle finds a person by the folder NAME_PARTICIPANT_assignfeedback_file
    (mod/assign/feedback/file/importziplib.php). Every member of a team gets the report.
    """
    found: dict[str, tuple[str, Grade]] = {}
    for grade in grades:
        if grade.origin.system == MOODLE and grade.origin.person:
            found[grade.origin.person] = grade.team, grade
    if course and course.system == MOODLE:
        for one in course.seats:
            if one.grade and one.person.id:
                found[one.person.id] = one.person.name, one.grade
    for number, (name, grade) in found.items():
        folder = re.sub(r"[_/\\:\x00-\x1f]+", " ", one_line(name)).strip(" .~") or "Participant"
        yield f"{folder[:80]}_{number}_assignfeedback_file/{REPORT}", report_of(grade)


SYSTEMS = {CANVAS: canvas_files, MOODLE: moodle_files}


def counting_grades(
    folder: Path, rubric: Rubric, command: str
) -> tuple[list[Grade], Course | None]:
    """The stored grades that count, not those of replaced hand-ins; the course, if it has a roster.

    Raises:
        InputError: with the command's name: the folder holds no results; they are of another
            rubric; or what the sheets say is not what people gave by now, or not by this rubric.
    """
    found = load_grades(folder) if folder.is_dir() else []
    if not found:
        raise InputError(f"{command}: {folder} holds no results; name the --out folder of a run")
    check_rubric(found, rubric, folder)
    if not (folder / "grades.csv").is_file():
        raise InputError(
            f"{command}: {folder} has no grades.csv, since its run was stopped; continue it with: "
            f"grade.py SUBMISSIONS --out {folder} --resume"
        )
    roster = keep_roster(folder, None)
    final = merge_manual(found, rubric, folder, roster=roster)
    course = seat(final, roster, rubric.hand_ins) if roster else None
    for name, text in sheets_of(final, rubric, course).items():
        sheet = folder / name
        if not sheet.is_file() or sheet.read_bytes() != text.encode():
            raise InputError(
                f"{command}: {sheet} is not what {MANUAL_FILE}, the roster and {rubric.path} give "
                "now; if the course has another rubric, name it with --rubric, otherwise write the "
                f"sheets again with: grade.py --manual {folder / MANUAL_FILE} --out {folder}"
            )
    return [g for g in final if course is None or g.submission not in course.replaced], course


def write_feedback(folder: Path, system: str, rubric: Rubric) -> tuple[Path, int, list[str]]:
    """Write the zip for a system; returns its path, its number of files, and whom it leaves out.

    Raises:
        InputError: the folder holds no results, or none that the system could assign to a person.
        OSError: it cannot be written; an earlier zip survives.
    """
    counting, course = counting_grades(folder, rubric, "feedback")

    left_out = {grade.submission for grade in counting}

    def report_of(grade: Grade) -> bytes:
        left_out.discard(grade.submission)
        return (submission_folder(folder, grade.submission) / REPORT).read_bytes()

    files = dict(SYSTEMS[system](counting, course, report_of))
    if not files:
        raise InputError(
            f"feedback: no hand-in has a name as {system.capitalize()} gives it, with an id; "
            "grade the files under the names with which they were downloaded"
        )
    path = folder / f"feedback_{system}.zip"
    write_bytes(path, zipped(files))
    return path, len(files), sorted(left_out)


def feedback_command(arguments: list[str]) -> int:
    """`grade.py feedback`; returns the exit code."""
    parser = argparse.ArgumentParser("grade.py feedback", description="Zip the reports.")
    parser.add_argument("folder", type=Path, metavar="OUT", help="the --out folder of a run")
    system = parser.add_mutually_exclusive_group(required=True)
    system.add_argument("--canvas", dest="system", action="store_const", const=CANVAS)
    system.add_argument("--moodle", dest="system", action="store_const", const=MOODLE)
    parser.add_argument("--rubric", type=Path, default=DEFAULT, metavar="FILE", help=RUBRIC_HELP)
    args = parser.parse_args(arguments)
    path, files, left = write_feedback(args.folder, args.system, load_rubric(args.rubric))
    print(one_line(f"{path}: {files} file{'s' * (files != 1)}"))
    why = f"is not in it: its name carries no id of {args.system.capitalize()}"
    print("".join(f"{one_line(name)} {why}\n" for name in left), end="")
    return 0
