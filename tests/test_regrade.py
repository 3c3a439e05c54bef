"""Grading again: only whom a change concerns, with the same seed, and who gained or lost by it."""

import csv
from dataclasses import replace

import pytest
import yaml
from autograder.course.regrade import compare, concerned, in_words, retested
from autograder.output.pages import write_submission
from autograder.output.stored import load_grades
from autograder.results import FAILED, NOT_ATTEMPTED, PASSED, Grade, TestResult
from autograder.rubric import DEFAULT, load_rubric
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
    both = {"a.zip": {"q_sample"}, "b.zip": {"q_sample"}}
    assert concerned(OLD, "q_sample", None, names) == both
    assert concerned(OLD, None, "p_sample_mean", names) == {"b.zip": {"p_sample"}}
    more = [*OLD, grade("d.zip", ["unet"], unet="p_sample_mean")]
    both = {"b.zip": {"p_sample"}, "d.zip": {"unet"}}
    assert concerned(more, None, "p_sample_mean", names) == both


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
            parts = [p for p in new[path.name].parts if not order.only or p.id in order.only]
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


def test_a_hint_of_several_parts_changes_each_hand_in_in_its_own(out):
    """Who got a hint in one part keeps the others, also if somebody else got it in those."""
    write_submission(grade("a.zip", ["unet"], unet="p_sample_mean"), RUBRIC, out)
    before = load_grades(out)[1].part("unet")
    done = call_program("autograder/grade.py", out.parent, "--out", out, "--hint", "p_sample_mean")
    assert done.returncode == 0, done.stderr
    assert "2 of 3 submissions to retest" in done.stdout
    one, other, _ = load_grades(out)
    assert one.part("unet").points == 1
    assert other.part("p_sample").hint_id == "p_sample_wrong_sigma"
    assert other.part("unet") == before


@pytest.mark.parametrize("flags", [["--part", "q_sample"], ["--only", "q_sample"]])
def test_a_part_of_other_files_is_not_mixed_with_earlier_parts(out, monkeypatch, flags):
    """A hand-in that changed since keeps its points, and the terminal says what to do."""
    before = (out / "a.zip" / "results.json").read_bytes()
    changed = {**{one.submission: one for one in NEW}, "a.zip": replace(NEW[0], sha256="other")}
    monkeypatch.setattr(
        "autograder.batch.grade_all",
        lambda paths, order, _: (
            replace(changed[p.name], parts=[changed[p.name].part("q_sample")]) for p in paths
        ),
    )
    done = call_program("autograder/grade.py", out.parent, "--out", out, *flags)
    assert done.returncode == 0, done.stderr
    assert "a.zip keeps its earlier points: its files" in done.stdout
    assert "b.zip keeps" not in done.stdout
    assert (out / "a.zip" / "results.json").read_bytes() == before


def test_remarks_on_tests_are_those_of_the_last_time():
    """What a test that was mended said is gone, what a test says that broke is there."""
    broken = "A test of q_sample broke down: a mistake."
    both = "Not judged completely: latent, q_sample. Time ran out."
    old = replace(OLD[0], needs_look=[broken, both, "No report."])
    assert retested(old, NEW[0], ["q_sample"]).needs_look == [both, "No report."]
    again = retested(replace(NEW[0], needs_look=["No report."]), old, ["q_sample"])
    assert again.needs_look == ["No report.", broken, both]


@pytest.mark.parametrize("args", [["--roster", "ROSTER"], ["ZIP"], ["ALL", "--part", "unet"]])
def test_points_of_another_rubric_are_not_added_up(out, tmp_path, args):
    """Results stay as they are until the rubric is named, or all is graded again."""
    values = yaml.safe_load(DEFAULT.read_text(encoding="utf-8"))
    values["parts"][0]["points"], values["points"]["core"] = 2, 13
    other, roster = tmp_path / "other.yaml", tmp_path / "people.csv"
    other.write_text(yaml.safe_dump(values), encoding="utf-8")
    roster.write_text("name,netid\nAda,aa1\n", encoding="utf-8")
    places = {"ROSTER": roster, "ZIP": out.parent / "a.zip", "ALL": out.parent}
    given = [places.get(word, word) for word in args]
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    done = call_program("autograder/grade.py", *given, "--out", out, "--rubric", other)
    assert_refused(done, "another rubric: unet is worth 1 there, and 2 in", "--rubric")
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert (
        call_program("autograder/grade.py", out.parent, "--out", out, "--rubric", other).returncode
        == 0
    ), "all of it is graded again"


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
