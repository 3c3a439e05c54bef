"""Feedback goes back: zips that Canvas and Moodle match with people, and pages that stand alone."""

import io
import re
import zipfile
from dataclasses import replace

import pytest
from autograder.output.feedback import write_feedback
from autograder.output.pages import TEMPLATES, write_submission
from autograder.results import Grade, Origin
from autograder.rubric import load_rubric

from helpers.feedback_names import canvas_finds, moodle_finds
from helpers.scripts import assert_refused, call_program

RUBRIC = load_rubric()


def graded(folder, *grades):
    for grade in grades:
        write_submission(replace(grade, parts=RUBRIC.mark([])), RUBRIC, folder)


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
    assert (number, left) == (2, 0)
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


def test_the_command_says_what_it_wrote(tmp_path):
    """The command counts the files it wrote and the hand-ins it could not name."""
    origin = Origin("canvas", "1001", 70001)
    graded(tmp_path, Grade(NAMES[0][0], team="alphaada", origin=origin), Grade("odd.zip"))
    done = call_program("autograder/grade.py", "feedback", tmp_path, "--canvas")
    assert done.returncode == 0, done.stderr
    assert "1 files; 1 hand-ins have no name from Canvas" in done.stdout


def test_paper_is_white_and_pages_are_one_file():
    """Dark colours are for screens; nothing is fetched when a page is opened or printed."""
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    assert "@media screen and (prefers-color-scheme: dark)" in style
    assert "@media print" in style
    assert not re.search(r"url\(|@import|https?:", style)
    report = (TEMPLATES / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|<link|<script", report)
