"""The scorecard's figures: as a table for README.md, whose counts are those of the scenarios."""

import re

import pytest
from instructor.measuring.card import WAITS
from instructor.measuring.table import markdown
from instructor.submissions import overlay
from instructor.submissions.choice import draw

from helpers.files import ROOT
from helpers.scripts import assert_refused, call_program, run_script

README = (ROOT / "README.md").read_text(encoding="utf-8")
COUNTS = {kind: len(overlay.scenarios(kind)) for kind in overlay.KINDS}
ROWS = {  # beginning of a row of README's table: the kind of scenario that it counts
    "wrong implementations that lose points": "wrong",
    "... for the right function": "wrong",
    "... with the right hint": "wrong",
    "right implementations that lose a point": "right",
    "hostile and careless submissions": "hostile",
}
FIGURES = {
    "wrong": 5,
    "killed": 5,
    "right_function": 4,
    "hinted": 5,
    "alternatives": 3,
    "false_fails": 0,
    "hostile": 2,
    "hostile_gains": 0,
    "hostile_stuck": 1,
    "starter_points": 0.0,
    "reference_points": 14.0,
    "points_by_tests": 14.0,
    "flakes": 0,
    "repeats": 100,
    "soak": {
        "submissions": 500,
        "graded": 500,
        "left_behind": 0,
        "parent_mb_after_a_tenth": 51,
        "parent_mb_at_the_end": 52,
    },
    "seconds_alone": 4.71,
    "seconds_batch": 0.98,
    "seconds_usual": 7.24,
    "speedup": 7.39,
    "jobs": 2,
}


@pytest.mark.parametrize("start", ROWS)
def test_the_readmes_table_counts_the_scenarios_that_there_are(start):
    """A scenario more or less needs the scorecard, whose table goes into README.md."""
    (row,) = re.findall(rf"^\| {re.escape(start)}[^|]*\|([^|]*)\|", README, re.M)
    assert int(re.fullmatch(r" \d+ of (\d+) ", row)[1]) == COUNTS[ROWS[start]]


def test_all_figures_make_a_table_to_paste():
    """Every row of README's table is printed, in its order and with all its cells."""
    lines = markdown(FIGURES)
    assert all(line.count("|") == 4 for line in lines)
    assert "| ... for the right function, and no other | 4 of 5 | all |" in lines
    assert "| hostile and careless submissions that gain a point, or hang | 1 of 2 | 0 |" in lines
    table = README[README.index("| what | measured | target |") :]
    theirs = [line for line in table.split("\n\n")[0].splitlines() if line.startswith("| ")]

    def names(rows: list[str]) -> list[str]:
        return [re.sub(r"[\d.]+", "N", row.split("|")[1].strip()) for row in rows]

    assert names(theirs) == names(lines)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--names", "nothing at all"], "no scenario is called 'nothing at all'; the nearest are "),
        (["--names", "swapped"], "no scenario is called 'swapped'; '*swapped*' fits "),
        (["--kind", "right", "--names", "q_sampel"], "no right scenario is called 'q_sampel'"),
        (["--mutants", "--names", "q_sample"], "no mutant is called 'q_sample'; '*q_sample*' fits"),
        (["--share", "0.0001"], "--share: 0.0001 of "),
        (["--json", "README.md/x"], "--json: "),
        (["--json", "docs"], "--json: docs is a folder"),
        (["--mutants", "--share", "0.0001"], "--share: 0.0001 of "),
        (["--only", "flakes", "--share", "0.001"], "--share: 0.001 of 100 is none of them"),
        (["--share", "0"], "--share must be above 0, and 1 at most"),
        (["--only", "times", "--names", "q_*"], "which --only leaves out"),
        (["--mutants", "--only", "bases"], "--mutants grades mutants alone"),
        (["--list", "q_sampel"], "nothing to list under 'q_sampel' (did you mean 'q_sample'?)"),
        (["--list", "--names", "swapped"], "no scenario is called 'swapped'"),
    ],
)
def test_a_choice_of_nothing_is_refused(flags, words):
    """Protects: a typing error that measures nothing, and looks like success."""
    assert_refused(call_program("instructor/scorecard.py", *flags), words)


def test_what_is_chosen_is_listed():
    """Names and parts choose what is listed, and nothing else."""
    done = run_script("instructor/scorecard.py", "--list", "q_sample", "--names", "*_swapped")
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert line.startswith("q_sample_coefficients_swapped  wrong  The two coefficients")
    assert line.endswith("fails q_sample, hint q_sample_swapped")


def test_a_share_is_drawn_in_order():
    """A share of some is as many of them, in their order, and of all is all."""
    drawn = draw(range(200), 0.1)
    assert len(drawn) == 20
    assert drawn == sorted(set(drawn))
    assert draw(range(3), 1) == [0, 1, 2]


def test_what_was_not_measured_has_no_row():
    """The table has rows only for what a run measured."""
    lines = markdown({"alternatives": 3, "false_fails": 0})
    assert lines[2:] == ["| right implementations that lose a point | 0 of 3 | 0 |"]


def test_submissions_that_wait_go_first():
    """What only waits would keep a single process busy at the end of the batch."""
    names = {s.name for s in overlay.scenarios("hostile")}
    for start in WAITS:
        assert any(name.startswith(start) for name in names), start
    assert "slow_in_many_small_steps".startswith(WAITS)
