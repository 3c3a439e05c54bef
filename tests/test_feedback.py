"""Feedback goes back: zips that Canvas and Moodle match with people, and pages that stand alone."""

import io
import re
import zipfile
from dataclasses import replace

import pytest
import yaml
from autograder.course.manual import merge_manual
from autograder.course.people import seat
from autograder.course.roster import keep_roster
from autograder.output.feedback import write_feedback
from autograder.output.pages import TEMPLATES, write_submission
from autograder.output.sheets import write_sheets
from autograder.output.stored import load_grades
from autograder.results import Grade, Origin
from autograder.rubric import DEFAULT, load_rubric

from helpers.feedback_names import canvas_finds, moodle_finds
from helpers.scripts import assert_refused, call_program

RUBRIC = load_rubric()


def graded(folder, *grades, rubric=RUBRIC):
    """A folder of results with the sheets, as grade.py leaves it; parts without any are marked."""
    for grade in grades:
        write_submission(replace(grade, parts=grade.parts or RUBRIC.mark([])), RUBRIC, folder)
    roster = keep_roster(folder, None)
    final = merge_manual(load_grades(folder), rubric, folder, roster=roster)
    write_sheets(final, rubric, folder, seat(final, roster, rubric.hand_ins) if roster else None)


def content(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


NAMES = [
    ("alphaada_1001_70001_submission.zip", "alphaada"),
    ("team_07_LATE_1002_70002_final_12_34.zip", "team_07"),
]


def test_canvas_finds_user_and_upload_and_shows_a_file_that_opens(tmp_path):
    """It gives the file the name that was handed in, which is a zip's: so it is a zip."""
    origins = [Origin("canvas", "1001", 70001), Origin("canvas", "1002", 70002, True)]
    graded(
        tmp_path, *(Grade(n, team=t, origin=o) for (n, t), o in zip(NAMES, origins, strict=True))
    )
    path, number, left = write_feedback(tmp_path, "canvas", RUBRIC)
    files = content(path)
    assert (number, left) == (2, [])
    assert sorted(map(canvas_finds, files)) == [("1001", "70001"), ("1002", "70002")]
    for name, inside in files.items():
        assert name.endswith(".zip")
        with zipfile.ZipFile(io.BytesIO(inside)) as archive:
            assert archive.read("report.html").startswith(b"<!doctype html>")
    before = path.read_bytes()
    write_feedback(tmp_path, "canvas", RUBRIC)
    assert path.read_bytes() == before


def test_moodle_finds_every_member(tmp_path):
    """Each member with a participant number gets the report in a folder that Moodle matches."""
    (tmp_path / "roster.csv").write_text(
        "Identifier,Full name,Email address\nParticipant 5,A_d/a,a@x.y\nParticipant 6,Bo,b@x.y\n",
        encoding="utf-8",
    )
    name = "A_5_assignsubmission_file_/x.zip"
    members = [{"member": "Bo", "netid": "b@x.y"}]
    graded(tmp_path, Grade(name, team="A", members=members, origin=Origin("moodle", "5")))
    path, number, _ = write_feedback(tmp_path, "moodle", RUBRIC)
    found = sorted(map(moodle_finds, content(path)))
    assert (number, found) == (2, [(5, "report.html"), (6, "report.html")])


def test_a_hand_in_that_was_replaced_gets_no_feedback(tmp_path):
    """Only the hand-in that counts is in the feedback zip."""
    (tmp_path / "roster.csv").write_text(
        'Student,ID,SIS User ID,SIS Login ID,Section\n"A, B",1001,,aa1,x\n', encoding="utf-8"
    )
    for upload in (70001, 70002):
        origin = Origin("canvas", "1001", upload)
        graded(tmp_path, Grade(f"a_1001_{upload}_x.zip", team="a", origin=origin))
    path, _, _ = write_feedback(tmp_path, "canvas", RUBRIC)
    assert [canvas_finds(name) for name in content(path)] == [("1001", "70002")]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["feedback", "nowhere", "--canvas"], ["nowhere holds no results"]),
        (["feedback", "OUT", "--moodle"], ["no hand-in has a name as Moodle gives it"]),
        (["feedback", "OUT"], ["--canvas", "--moodle"]),
        (["feedback"], ["OUT"]),
    ],
)
def test_mistakes_are_sentences(tmp_path, args, words):
    """Wrong calls of `grade.py feedback` are sentences and write no zip."""
    graded(tmp_path, Grade("a.zip", team="a"))
    given = [str(tmp_path) if word == "OUT" else word for word in args]
    assert_refused(call_program("autograder/grade.py", *given), *words)
    assert not list(tmp_path.glob("*.zip/*.zip"))
    assert not (tmp_path / "feedback_moodle.zip").exists()


def test_a_run_that_was_stopped_is_continued_first(tmp_path):
    """Without sheets nobody knows which hand-ins count."""
    graded(tmp_path, Grade("a.zip", team="a"))
    (tmp_path / "grades.csv").unlink()
    done = call_program("autograder/grade.py", "feedback", tmp_path, "--canvas")
    assert_refused(done, "has no grades.csv, since its run was stopped", "--resume")


def test_the_command_says_what_it_wrote(tmp_path):
    """The command counts the files it wrote and the hand-ins it could not name."""
    origin = Origin("canvas", "1001", 70001)
    graded(tmp_path, Grade(NAMES[0][0], team="alphaada", origin=origin), Grade("odd.zip"))
    done = call_program("autograder/grade.py", "feedback", tmp_path, "--canvas")
    assert done.returncode == 0, done.stderr
    assert "feedback_canvas.zip: 1 file\n" in done.stdout
    assert "odd.zip is not in it: its name carries no id of Canvas" in done.stdout


def test_who_gets_no_feedback_is_named_also_where_others_get_it_twice(tmp_path):
    """Two members get one report, which does not hide that another report goes nowhere."""
    (tmp_path / "roster.csv").write_text(
        "Identifier,Full name,Email address\nParticipant 5,Ada,a@x.y\nParticipant 6,Bo,b@x.y\n",
        encoding="utf-8",
    )
    members = [{"member": "Bo", "netid": "b@x.y"}]
    one = Grade("A_5_assignsubmission_file_/x.zip", members=members, origin=Origin("moodle", "5"))
    graded(tmp_path, one, Grade("odd.zip"))
    assert write_feedback(tmp_path, "moodle", RUBRIC)[1:] == (2, ["odd.zip"])


def test_the_rule_of_the_courses_own_rubric_says_what_goes_back(tmp_path):
    """Without the rubric of the run, or with points that the reports lack, nothing is written."""
    (tmp_path / "roster.csv").write_text(
        "Student,ID,SIS User ID,SIS Login ID,Section\nAda,1001,,aa1,x\n", encoding="utf-8"
    )
    values = yaml.safe_load(DEFAULT.read_text(encoding="utf-8"))
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump({**values, "hand_ins": "best"}), encoding="utf-8")
    for upload, points in ((70001, 1.0), (70002, 0.0)):
        parts = [replace(p, points=points) if p.id == "unet" else p for p in RUBRIC.mark([])]
        origin = Origin("canvas", "1001", upload)
        one = Grade(f"a_1001_{upload}_x.zip", team="a", parts=parts, origin=origin)
        graded(tmp_path, one, rubric=load_rubric(own))
    args = ("autograder/grade.py", "feedback", tmp_path, "--canvas")
    assert_refused(call_program(*args), "grades.csv is not what manual.csv", "--rubric")
    path = tmp_path / "feedback_canvas.zip"
    assert not path.exists()
    done = call_program(*args, "--rubric", own)
    assert done.returncode == 0, done.stderr
    assert [canvas_finds(name) for name in content(path)] == [("1001", "70001")]
    manual = (tmp_path / "manual.csv").read_text(encoding="utf-8")
    given = manual.replace("70001_x.zip,", "70001_x.zip,2")
    (tmp_path / "manual.csv").write_text(given, encoding="utf-8")
    assert_refused(call_program(*args, "--rubric", own), "--manual", "manual.csv --out")


def test_paper_is_white_and_pages_are_one_file():
    """Dark colours are for screens; nothing is fetched when a page is opened or printed."""
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    assert "@media screen and (prefers-color-scheme: dark)" in style
    assert "@media print" in style
    assert not re.search(r"url\(|@import|https?:", style)
    report = (TEMPLATES / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|<link|<script", report)
