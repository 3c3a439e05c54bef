"""Late hand-ins and appeals: days become points as the rubric says, and a person's word is kept."""

import json
from dataclasses import replace

import pytest
import yaml
from autograder.course.manual import merge_manual, overrides
from autograder.course.roster import read_roster
from autograder.extras.gradescope.bundle import points_to_set
from autograder.extras.gradescope.grade_submission import add_metadata
from autograder.late import LatePolicy, charge, time_of
from autograder.output.pages import report_page, write_class
from autograder.results import FAILED, PASSED, Grade, Origin, TestResult
from autograder.rubric import DEFAULT, load_rubric
from autograder.text import InputError

RUBRIC = load_rubric()
DUE = time_of("2026-10-20 23:59 -07:00")
POLICY = LatePolicy(percent=10, due=DUE, grace=15, days=4, budget=1)
STRICT = replace(RUBRIC, late=POLICY)


def grade(name="a.zip", netids=(), **origin):
    tests = [TestResult(part, "t", PASSED) for part in ("unet", "q_sample", "p_sample")]
    tests += [TestResult("p_sample_loop", "t", FAILED, reason="Wrong.", hint="Look.")]
    members = [{"member": "Name", "netid": netid} for netid in netids]
    return Grade(name, members=members, parts=RUBRIC.mark(tests), origin=Origin(**origin))


def manual(folder, *lines):
    file = folder / "points.csv"
    file.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("time", "days"),
    [
        ("2026-10-20 23:00 -07:00", 0), ("2026-10-21 00:14 -07:00", 0),
        ("2026-10-21 00:15 -07:00", 1), ("2026-10-21 23:59 -07:00", 1),
        ("2026-10-22 00:00 -07:00", 2), ("2026-10-22 06:59 +00:00", 1),
    ],
)  # fmt: skip
def test_days_begun_are_counted_after_the_grace(time, days):
    """A day counts from its first minute, unless the hand-in is within the grace."""
    assert POLICY.days_late(time_of(time), DUE) == days


@pytest.mark.parametrize(
    ("days", "given", "points", "words"),
    [
        (0, {}, 0, ""),
        (1, {}, 0, "From the team's late days: 1 of 1"),
        (3, {}, 2.4, "2 days at 10% of 12 points each: 2.4 points"),
        (3, {"extension": 1}, 1.2, "Extension of 1 day: 2 days left"),
        (2, {"budget": 0}, 2.4, "2 days at 10%"),
        (2, {"extension": 5}, 0, "0 days left"),
        (5, {}, 3, "Later than 4 days: no points"),  # all that it has
        (5, {"extension": 1}, 3, "3 days at 10%"),
    ],
)
def test_the_bill_is_shown_line_by_line(days, given, points, words):
    """Extension, free days and percentage give the right deduction, each on its own line."""
    charged = charge(grade(), POLICY, 12, days=days, **given)
    assert charged.deductions == pytest.approx(points)
    assert words in "\n".join(charged.deduction_reasons)
    assert report_page(charged, STRICT).count("<li>Handed in") == (days > 0)
    assert ("no points" in words) <= ("late days" not in "".join(charged.deduction_reasons))


@pytest.mark.parametrize(
    ("late", "words"),
    [
        ({"due": "2026-10-20 23:59", "percent": 10}, ["late.due", "with its zone"]),
        ({"due": "soon", "percent": 10}, ["late.due", "'soon'"]),
        ({"percent": -1}, ["late.percent"]),
        ({"grace": 15}, ["late.percent: the key is missing"]),
        ({"percent": 10, "dayz": 3}, ["late.dayz: unknown key (did you mean 'days'?)"]),
        ({"percent": 10, "days": 1.5}, ["late.days", "whole"]),
        ({"percent": 250}, ["late.percent: must be at most 100, not 250"]),
        ({"percent": 10, "days": 1, "budget": 3}, ["late.budget", "late.days (1)", "not 3"]),
    ],
)
def test_mistakes_of_the_policy_are_sentences(tmp_path, late, words):
    """Each mistake under `late` in the rubric is a sentence."""
    values = yaml.safe_load(DEFAULT.read_text(encoding="utf-8"))
    path = tmp_path / "rubric.yaml"
    path.write_text(yaml.safe_dump({**values, "late": late}), encoding="utf-8")
    with pytest.raises(InputError) as error:
        load_rubric(path)
    for word in words:
        assert word in str(error.value)


def test_a_policy_is_read(tmp_path):
    """The policy in a rubric file is read as it was written."""
    values = yaml.safe_load(DEFAULT.read_text(encoding="utf-8"))
    late = {"due": "2026-10-20 23:59 -07:00", "percent": 10, "grace": 15, "days": 4, "budget": 1}
    path = tmp_path / "rubric.yaml"
    path.write_text(yaml.safe_dump({**values, "late": late}), encoding="utf-8")
    assert load_rubric(path).late == POLICY
    assert RUBRIC.late is None, "this course's own says nothing of it"


def test_moodles_times_extensions_and_late_days_of_the_roster_count(tmp_path):
    """The team has the longest extension, and the fewest late days, of its members."""
    people = tmp_path / "people.csv"
    people.write_text(
        "Identifier,Full name,Email address,Last modified (submission),extension,late_days\n"
        'Participant 1,Ada,aa1@x.y,"Friday, 23 October 2026, 11:59 PM",,0\n'
        "Participant 2,Bo,bb2@x.y,-,1,3\n",
        encoding="utf-8",
    )
    one = grade(netids=["aa1@x.y", "bb2@x.y"], system="moodle", person="1")
    (merged,) = merge_manual([one], STRICT, tmp_path, roster=read_roster(people))
    assert merged.deductions == pytest.approx(2.4)
    assert merged.deduction_reasons[0] == "Due 2026-10-20 23:59, handed in 2026-10-23 23:59"
    assert merged.origin.late


def test_a_time_in_another_form_asks_for_the_days(tmp_path):
    """A time that cannot be read is no hand-in on time: a person has to look."""
    people = tmp_path / "people.csv"
    people.write_text(
        "Identifier,Full name,Email address,Last modified (submission)\n"
        'Participant 1,Ada,aa1@x.y,"vendredi 23 octobre 2026, 23:59"\nParticipant 2,Bo,bb2@x.y,-\n',
        encoding="utf-8",
    )
    one = grade(netids=["aa1@x.y", "bb2@x.y"])
    (merged,) = merge_manual([one], STRICT, tmp_path, roster=read_roster(people))
    assert "'vendredi 23 octobre 2026, 23:59'" in merged.needs_look[0]
    file = manual(tmp_path, "submission,days_late", "a.zip,2")
    (merged,) = merge_manual([one], STRICT, tmp_path, file, read_roster(people))
    assert (merged.deductions, merged.needs_look) == (pytest.approx(1.2), [])


def test_a_late_mark_without_a_time_counts_as_a_day_and_asks(tmp_path):
    """A bare LATE costs one day until somebody fills in days_late."""
    (merged,) = merge_manual([grade(late=True)], replace(RUBRIC, late=LatePolicy(10)), tmp_path)
    assert merged.deductions == pytest.approx(1.2)
    assert "days_late" in merged.needs_look[0]
    file = manual(tmp_path, "submission,days_late", "a.zip,2")
    (merged,) = merge_manual(
        [grade(late=True)], replace(RUBRIC, late=LatePolicy(10)), tmp_path, file
    )
    assert (merged.deductions, merged.needs_look) == (pytest.approx(2.4), [])


def test_no_policy_takes_off_nothing(tmp_path):
    """Without a policy a late hand-in costs nothing."""
    (merged,) = merge_manual([grade(late=True)], RUBRIC, tmp_path)
    assert (merged.deductions, merged.deduction_reasons) == (0, [])


def test_an_override_takes_the_tests_place_and_survives_a_regrade(tmp_path):
    """An override replaces the tests' points, is stored, and shows its reason."""
    cell = '"p_sample_loop 1, chain right; unet 0, no"'
    file = manual(tmp_path, "submission,override", f"a.zip,{cell}")
    (merged,) = merge_manual([grade()], RUBRIC, tmp_path, file)
    again = merge_manual([grade()], RUBRIC, tmp_path)[0]
    assert merged == again
    part = again.part("p_sample_loop")
    assert (part.points, part.status, part.tests_gave) == (1, PASSED, 0)
    assert (again.part("unet").points, again.part("unet").status) == (0, FAILED)
    assert again.total == 3 - 1 + 1
    words = "A person gave 1, the tests 0: chain right"
    assert words in report_page(again, RUBRIC)
    write_class([again], RUBRIC, tmp_path)
    assert words in (tmp_path / "index.html").read_text(encoding="utf-8")
    assert grade().part("p_sample_loop").points == 0, "the grader's own result stays"


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("p_sample_loop 1", "PART POINTS, REASON"),
        ("p_sample_loop, because", "PART POINTS, REASON"),
        ("p_sample_lop 1, why", "did you mean 'p_sample_loop'?); the parts are unet, q_sample"),
        ("report_unet 1, why", "no tests grade report_unet; enter it in the column report_unet"),
        ("unet 1, one; q_sample 0, two; unet 0.5, three", "unet is there 2 times; keep one"),
        ("unet 1.5, why", "between 0 and 1, not 1.5"),
        ("bonus_edm 3, why", "between 0 and 2, not 3"),
        ("unet nan, why", "PART POINTS"),
    ],
)
def test_mistakes_of_an_override_are_sentences(tmp_path, cell, words):
    """A wrong override is refused with its line, and nothing is written."""
    file = manual(tmp_path, "submission,override", f'a.zip,"{cell}"')
    with pytest.raises(InputError, match=r"line 2") as error:
        merge_manual([grade()], RUBRIC, tmp_path, file)
    assert words in str(error.value)
    assert not (tmp_path / "manual.csv").exists()


def test_decimal_commas_and_several_overrides_are_read():
    """Overrides with decimal commas, colons and several lines are read."""
    first, second = overrides("unet 0,5, half of it\nlatent: 1, yes, really")
    assert (first.part, first.points, first.reason) == ("unet", 0.5, "half of it")
    assert (second.points, second.reason) == (1, "yes, really")


METADATA = {
    "created_at": "2026-10-23T12:00:00.000000-07:00",
    "assignment": {"due_date": "2026-10-20T23:59:00.000000-07:00"},
    "users": [{"email": "aa1@x.y", "name": "Ada", "id": 1}],
}


def test_gradescopes_times_and_extensions_are_read(tmp_path):
    """Time, due date and extension come from Gradescope's metadata."""
    file = tmp_path / "submission_metadata.json"
    file.write_text(json.dumps(METADATA), encoding="utf-8")
    one = grade()
    add_metadata(one, file)
    assert one.origin.late
    assert charge(one, POLICY, 12).deductions == pytest.approx(2.4)
    extended = {"assignment": {"due_date": "2026-10-22T23:59:00-07:00", "late_due_date": None}}
    file.write_text(json.dumps({**METADATA, "users": [extended, {}]}), encoding="utf-8")
    add_metadata(one, file)
    assert charge(one, LatePolicy(10), 12).deductions == pytest.approx(1.2)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"users": 3}', '{"users": [], "assignment": 1}'])
def test_metadata_of_another_form_is_left_alone(tmp_path, text):
    """Metadata of an unknown form changes no grade."""
    (tmp_path / "m.json").write_text(text, encoding="utf-8")
    one = grade()
    add_metadata(one, tmp_path / "m.json")
    assert one == grade()


def test_points_to_set_at_gradescope_are_said():
    """The bundle says which points to set at Gradescope."""
    words = points_to_set(RUBRIC)
    assert "autograder points 6 (bonus parts may add up to 8)" in words
    assert "6 points for the report" in words


def test_pages_count_as_the_course_counts(tmp_path):
    """Core of 12 and bonus of 16, each with its own maximum."""
    one = grade()
    one.parts = [replace(part, points=part.max_points) for part in one.parts]
    page = report_page(one, RUBRIC)
    assert "Core so far</dt><dd>12 <small>of 12" in page
    assert "Bonus so far</dt><dd>8 <small>of 16" in page
    write_class([one], RUBRIC, tmp_path)
    overview = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "of the core so far</dt><dd>12 <small>of 12" in overview
