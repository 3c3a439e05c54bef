"""Reading the class: item analysis against numpy, shares with links, plots; named comments."""

import re
from dataclasses import replace

import numpy as np
import pytest
from autograder.course.comments import read_comments
from autograder.course.items import correlation, failed_tests, histogram, items
from autograder.course.manual import merge_manual
from autograder.course.people import seat
from autograder.course.roster import read_roster
from autograder.output.pages import write_class
from autograder.results import FAILED, NOT_ATTEMPTED, PASSED, Grade, TestResult
from autograder.rubric import load_rubric
from autograder.text import InputError

RUBRIC = load_rubric()
PARTS = "unet q_sample p_sample p_sample_loop compute_loss latent".split()


def grade(number, outcomes):
    """A grade with a test for each part; `outcomes` by part, passed where none is given."""
    tests = [
        TestResult(part, f"test_{part}", outcomes.get(part, PASSED), group, title=f"About {part}")
        for part in PARTS
        for group in (["encode", "decode"] if part == "latent" else [""])
    ]
    return Grade(f"team-{number:02}.zip", team=f"team-{number:02}", parts=RUBRIC.mark(tests))


@pytest.fixture
def grades():
    """Eight teams who fail at random."""
    random = np.random.default_rng(3)
    return [
        grade(n, {part: FAILED for part in PARTS[:4] if random.random() < 0.4}) for n in range(8)
    ]


def test_items_are_numpys(grades):
    """Difficulty and discrimination equal what numpy computes from the same points."""
    points = np.array([[g.part(part).points for part in PARTS] for g in grades])
    found = {item.id: item for item in items(grades, RUBRIC)}
    assert set(PARTS) <= set(found)
    for column, part in enumerate(PARTS):
        assert found[part].difficulty == pytest.approx(points[:, column].mean())
        rest = points.sum(1) - points[:, column]
        if points[:, column].std() and rest.std():
            expected = np.corrcoef(points[:, column], rest)[0, 1]
            assert found[part].discrimination == pytest.approx(expected)
        else:
            assert found[part].discrimination is None


def test_what_cannot_be_told_is_none():
    """A correlation of constants, or of too few hand-ins, is None and no number."""
    assert correlation([1, 1, 1, 1, 1], [1, 2, 3, 4, 5]) is None
    assert correlation([1, 2], [1, 2]) is None
    assert items([], RUBRIC) == []


def test_shares_are_of_those_who_attempted_a_test():
    """The share of a failed test leaves out those who did not attempt it."""
    grades = [grade(1, {"unet": FAILED}), grade(2, {}), grade(3, {"unet": NOT_ATTEMPTED})]
    (one,) = failed_tests(grades)
    assert (one.part, one.tried, one.share) == ("unet", 2, 0.5)
    assert [g.submission for g in one.grades] == ["team-01.zip"]


def test_a_file_that_cannot_be_read_failed_no_test():
    """One row for each part would hide the tests that the class failed."""
    unread = [TestResult(part, "reading", FAILED, hint_id="unreadable") for part in PARTS]
    grades = [grade(1, {"unet": FAILED}), Grade("bad.zip", parts=RUBRIC.mark(unread))]
    (one,) = failed_tests(grades)
    assert (one.name, one.tried) == ("test_unet", 1)


def test_what_another_hand_in_replaced_does_not_count(tmp_path):
    """Medians, results and hints are of the hand-ins that count; before and now are of the same."""
    tests = [TestResult(part, "t", FAILED, hint="Look.", hint_id="x") for part in PARTS]
    first = Grade("a-1.zip", parts=RUBRIC.mark(tests), members=[{"netid": "aa1"}])
    second = replace(grade(2, {}), submission="a-2.zip", members=[{"netid": "aa1"}])
    (tmp_path / "people.csv").write_text("name,netid\nAda,aa1\n", encoding="utf-8")
    course = seat([first, second], read_roster(tmp_path / "people.csv"), "latest")
    write_class([first, second], RUBRIC, tmp_path, course, old=[first])
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert page.count("replaced</small>") == 2, "in the count and in the table"
    assert "of the core so far</dt><dd>6 <small>" in page
    assert "1.00 of 1" in page
    assert "Hints given" not in page
    assert "before" not in page, "no hand-in of now was there"


def test_all_points_are_in_a_histogram():
    """Points below 0 and above the maximum are counted in the bins at the ends."""
    points = [-1, 0, 0.99, 1, 6, 11.99, 12, 13]
    counts = histogram(points, 12)
    assert sum(counts) == len(points)
    assert (counts[0], counts[1], counts[6], counts[11]) == (3, 1, 1, 3)
    assert histogram([0, 0], 0)[0] == 2


def test_the_overview_shows_them(grades, tmp_path):
    """The overview has the plots, the failed tests with links, and no plots for an empty class."""
    write_class(grades, RUBRIC, tmp_path, old=[grade(n, {"unet": FAILED}) for n in range(8)])
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    for words in ("Difficulty 0.", "discrimination ", "Core so far, 0 to 12", "and now", "before"):
        assert words in page, words
    share = 100 * sum(g.part("unet").points == 0 for g in grades) / 8
    failed = page.split("Failed tests")[1]
    assert re.search(rf"About unet.*?{share:.0f}% <small>of 8.*?team-0\d\.zip/report", failed, re.S)
    heights = [float(h) for h in re.findall(r'class="column"[^>]*height="([\d.]+)"', page)]
    assert max(heights) == 40
    write_class([], RUBRIC, tmp_path)
    assert "Distributions" not in (tmp_path / "index.html").read_text(encoding="utf-8")


# --- comments with a name


LIBRARY = """
missing-axis: {text: An axis has no label., points: -0.25, part: report_mnist}
late-figures: {text: Figures came later., points: -0.5}
nice: Good figures.
"""


def given(folder, text, comment, report_mnist="2"):
    (folder / "comments.yaml").write_text(text, encoding="utf-8")
    sheet = folder / "sheet.csv"
    rows = [f'team-0{n}.zip,{report_mnist},"{comment}"' for n in (1, 2)]
    sheet.write_text("\n".join(["submission,report_mnist,comment", *rows, ""]), encoding="utf-8")
    return merge_manual([grade(1, {}), grade(2, {})], RUBRIC, folder, sheet)


def test_a_comment_is_given_to_many_and_changed_once(tmp_path):
    """Changing the text or points of a comment changes all grades that name it."""
    cell = "c: missing-axis; c: late-figures; C:nice; well done, all"
    for one in given(tmp_path, LIBRARY, cell):
        assert one.part("report_mnist").points == 1.75
        assert one.deductions == 0.5
        assert one.deduction_reasons == ["Figures came later.: 0.5 points"]
        assert one.notes == [
            "Comment: An axis has no label. (-0.25, report_mnist)",
            "Comment: Good figures.",
            "Comment: well done, all",
        ]
    (tmp_path / "comments.yaml").write_text(LIBRARY.replace("-0.25", "-1"), encoding="utf-8")
    changed = merge_manual([grade(1, {}), grade(2, {})], RUBRIC, tmp_path)
    assert [one.part("report_mnist").points for one in changed] == [1, 1]


def test_points_of_comments_stay_within_the_part(tmp_path):
    """A comment takes no part below 0 or above its maximum, and grades none that is not graded."""
    low = given(tmp_path, LIBRARY, "c: missing-axis", report_mnist="0.1")
    assert low[0].part("report_mnist").points == 0
    high = given(tmp_path, LIBRARY.replace("-0.25", "+1"), "c: missing-axis")
    assert high[0].part("report_mnist").points == 2
    (tmp_path / "other").mkdir()
    none = given(tmp_path / "other", LIBRARY, "c: missing-axis", report_mnist="")
    assert none[0].part("report_mnist").points is None, "nobody graded it yet"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[a, b]", "must hold names"),
        ("a b: {text: x}", "a name may have only letters"),
        ("a: {points: 1}", "needs a text"),
        ("a: {text: x, point: 1}", "unknown key 'point' (did you mean 'points'?)"),
        ("a: {text: x, points: .nan}", "points must be a number"),
        ("a: {text: x, part: unet}", "no person grades a part 'unet'; parts that a person grades"),
        ("a: {text: x, points: 0.5}", "points above 0 need the key part"),
        ("a: 1", "needs a text"),
        ("a: [", "not valid YAML"),
    ],
)
def test_mistakes_of_the_library_are_sentences(tmp_path, text, words):
    """Each mistake in comments.yaml is refused with the reason."""
    (tmp_path / "comments.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as error:
        read_comments(tmp_path, RUBRIC)
    assert words in str(error.value)


def test_an_unknown_name_is_a_sentence_and_nothing_is_written(tmp_path):
    """A misspelt name of a comment is refused with a suggestion, before anything is stored."""
    with pytest.raises(InputError, match=r"line 2.*no comment 'mising-axis'.*mean 'missing-axis'"):
        given(tmp_path, LIBRARY, "c: mising-axis")
    assert not (tmp_path / "manual.csv").exists()


def test_without_a_library_comments_are_words(tmp_path):
    """A class without comments.yaml is graded without complaint."""
    merged = merge_manual([grade(1, {})], RUBRIC, tmp_path)
    assert merged[0].notes == []
