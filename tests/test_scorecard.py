"""The scorecard's figures: as a table for README.md, whose counts are those of the scenarios."""

import re

import overlay
import pytest
import scorecard

from helpers.files import ROOT

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
    lines = scorecard.markdown(FIGURES)
    assert all(line.count("|") == 4 for line in lines)
    assert "| ... for the right function, and no other | 4 of 5 | all |" in lines
    assert "| hostile and careless submissions that gain a point, or hang | 1 of 2 | 0 |" in lines
    table = README[README.index("| what | measured | target |") :]
    theirs = [line for line in table.split("\n\n")[0].splitlines() if line.startswith("| ")]

    def names(rows: list[str]) -> list[str]:
        return [re.sub(r"[\d.]+", "N", row.split("|")[1].strip()) for row in rows]

    assert names(theirs) == names(lines)


def test_what_was_not_measured_has_no_row():
    """The table has rows only for what a run measured."""
    lines = scorecard.markdown({"alternatives": 3, "false_fails": 0})
    assert lines[2:] == ["| right implementations that lose a point | 0 of 3 | 0 |"]


def test_submissions_that_wait_go_first():
    """What only waits would keep a single process busy at the end of the batch."""
    names = {s.name for s in overlay.scenarios("hostile")}
    for start in scorecard.WAITS:
        assert any(name.startswith(start) for name in names), start
    assert "slow_in_many_small_steps".startswith(scorecard.WAITS)
