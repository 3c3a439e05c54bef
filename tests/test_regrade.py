"""Grading again: only whom a change concerns, with the same seed, and who gained or lost by it."""

import csv
from dataclasses import replace

import pytest
from autograder.course.regrade import compare, concerned, in_words
from autograder.output.pages import write_submission
from autograder.output.stored import load_grades
from autograder.results import FAILED, NOT_ATTEMPTED, PASSED, Grade, TestResult
from autograder.rubric import load_rubric
from autograder.text import InputError

from helpers.scripts import assert_refused, call_program

RUBRIC = load_rubric()
PARTS = ["unet", "q_sample", "p_sample"]


def grade(name, failed=(), stubs=(), seed=7, **hints):
    """A grade with a test for each of three parts; `hints` by part."""
    tests = []
    for part in PARTS:
        outcome = FAILED if part in failed else NOT_ATTEMPTED if part in stubs else PASSED
        tests.append(TestResult(part, f"test_{part}", outcome, hint_id=hints.get(part, "")))
    return Grade(name, parts=RUBRIC.mark(tests), seed=seed)


OLD = [
    grade("a.zip", ["q_sample"], q_sample="q_sample_swapped"),
    grade("b.zip", ["p_sample"], p_sample="p_sample_mean"),
    grade("c.zip", stubs=["q_sample"]),
]
NEW = [
    grade("a.zip"),
    grade("b.zip", ["p_sample", "unet"], p_sample="p_sample_wrong_sigma"),
    grade("c.zip", stubs=["q_sample"]),
    grade("d.zip"),
]


def test_changes_name_part_test_and_hint():
    """A comparison names the part, the test and the hint of each change."""
    found = compare(OLD, NEW)
    assert [(c.submission, c.part, c.before, c.after) for c in found] == [
        ("a.zip", "q_sample", 0, 1), ("b.zip", "unet", 1, 0), ("b.zip", "p_sample", 0, 0)
    ]  # fmt: skip
    assert found[0].tests == ("test_q_sample: failed, now passed",)
    assert (found[2].hint_before, found[2].hint_after) == ("p_sample_mean", "p_sample_wrong_sigma")
    words = "\n".join(in_words(found, OLD, NEW))
    assert "1 gained, 1 lost, 1 as before" in words
    assert (
        "a.zip: q_sample 0 to 1 (test_q_sample: failed, now passed; hint q_sample_swapped" in words
    )
    assert "0 only in the old results, 1 only in the new" in words
    assert compare(OLD, OLD) == []


def test_a_test_that_came_or_went_is_said():
    """Tests that only one of two runs has are part of a comparison."""
    gone = replace(OLD[2], parts=[replace(p, tests=[]) for p in OLD[2].parts])
    came = compare([gone], [OLD[2]])
    assert came[0].tests == ("test_unet: not there, now passed",)
    assert compare([OLD[2]], [gone])[0].tests == ("test_unet: passed, now not there",)


def test_who_is_concerned():
    """A part concerns all who attempted it, a hint those who got it."""
    names = [one.submission for one in OLD]
    assert concerned(OLD, "q_sample", None, names) == ({"a.zip", "b.zip"}, "q_sample")
    assert concerned(OLD, None, "p_sample_mean", names) == ({"b.zip"}, "p_sample")
    both = [*OLD, grade("d.zip", ["unet"], unet="p_sample_mean")]
    assert concerned(both, None, "p_sample_mean", names) == ({"b.zip", "d.zip"}, None)


@pytest.mark.parametrize(
    ("part", "hint", "names", "words"),
    [
        (None, "p_sample_maen", ["b.zip"], "nobody got.*did you mean 'p_sample_mean'"),
        ("unet", "p_sample_mean", ["b.zip"], "--hint: nobody got this hint in unet"),
        ("q_sample", None, ["c.zip"], "--part: none of these .* attempted q_sample; a.zip did"),
        (None, "p_sample_mean", ["x.zip"], "--hint: none of these .* got .*; b.zip did"),
    ],
)
def test_a_choice_of_nobody_is_refused(part, hint, names, words):
    """Whoever chooses nobody meant somebody: another part, another hint, or other files."""
    with pytest.raises(InputError, match=words):
        concerned(OLD, part, hint, names)
    with pytest.raises(InputError, match="--part: nobody attempted q_sample; nothing to do"):
        concerned(OLD[2:], "q_sample", None, ["c.zip"])


@pytest.fixture
def out(tmp_path, monkeypatch):
    """A folder of results and of the zips they are of; grading them again gives NEW, by part."""
    for one in OLD:
        write_submission(one, RUBRIC, tmp_path / "out")
        (tmp_path / one.submission).write_bytes(b"zip")
    new = {one.submission: one for one in NEW}

    def grade_all(paths, order, _):
        for path in paths:
            parts = [p for p in new[path.name].parts if order.only in (None, p.id)]
            yield replace(new[path.name], parts=parts, seed=order.seed)

    monkeypatch.setattr("autograder.batch.grade_all", grade_all)
    return tmp_path / "out"


def points(out):
    return {g.submission: [g.part(p).points for p in PARTS] for g in load_grades(out)}


def test_a_regrade_of_a_part_touches_nothing_else(out):
    """`--part` tests one part again, of those who attempted it, and keeps points given by hand."""
    before = points(out)
    (out / "manual.csv").write_text("submission,report_unet\na.zip,2\n", encoding="utf-8")
    args = (out.parent, "--out", out, "--part", "q_sample", "--against", out)
    done = call_program("autograder/grade.py", *args)
    assert done.returncode == 0, done.stderr
    assert "2 of 3 submissions to retest" in done.stdout
    assert "seed 7: --seed 7 repeats" in done.stdout
    assert "1 gained, 0 lost, 2 as before" in done.stdout
    assert points(out) == {**before, "a.zip": [1, 1, 1]}
    with (out / "grades.csv").open(encoding="utf-8", newline="") as file:
        row = next(csv.DictReader(file))
    assert (row["report_unet"], row["q_sample"], row["total"]) == ("2", "1", "5")
    with (out / "changes.csv").open(encoding="utf-8", newline="") as file:
        (change,) = csv.DictReader(file)
    assert (change["submission"], change["before"], change["after"]) == ("a.zip", "0", "1")


def test_a_regrade_by_hint(out):
    """`--hint` tests again only the submissions that got this hint."""
    done = call_program("autograder/grade.py", out.parent, "--out", out, "--hint", "p_sample_mean")
    assert done.returncode == 0, done.stderr
    assert "1 of 3 submissions to retest" in done.stdout
    assert points(out)["b.zip"] == [1, 1, 0], "unet was not tested again"


def test_resume_keeps_the_seed(out):
    """A resumed run grades the rest with the seed of the first."""
    (out.parent / "d.zip").write_bytes(b"zip")
    done = call_program("autograder/grade.py", out.parent, "--out", out, "--resume")
    assert done.returncode == 0, done.stderr
    assert {g.seed for g in load_grades(out)} == {7}


def test_two_folders_are_compared_without_grading(out, tmp_path):
    """`--against` without submissions compares two folders of results."""
    other = tmp_path / "other"
    for one in NEW:
        write_submission(one, RUBRIC, other)
    done = call_program("autograder/grade.py", "--out", other, "--against", out)
    assert done.returncode == 0, done.stderr
    assert "1 gained, 1 lost, 1 as before" in done.stdout


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--against", "nowhere"], ["--against: nowhere holds no results"]),
        (["--part", "p_sampel"], ["--part: there is no part 'p_sampel'", "mean 'p_sample'"]),
        (["--hint", "nothing"], ["--hint: nobody got 'nothing'"]),
        (["--part", "unet", "--only", "unet"], ["--only"]),
    ],
)
def test_mistakes_are_sentences_and_change_nothing(out, args, words):
    """Wrong calls are sentences, and leave all stored results as they are."""
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert_refused(call_program("autograder/grade.py", out.parent, "--out", out, *args), *words)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_choice_needs_submissions_and_results(tmp_path):
    """`--part` is refused without submissions or without earlier results."""
    done = call_program("autograder/grade.py", "--part", "unet", "--out", tmp_path)
    assert_refused(done, "--part and --hint need the paths of the submissions")
    (tmp_path / "a.zip").write_bytes(b"zip")
    args = (tmp_path / "a.zip", "--part", "unet", "--out", tmp_path / "x")
    assert_refused(call_program("autograder/grade.py", *args), "holds no results")
