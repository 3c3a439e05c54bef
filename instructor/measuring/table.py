"""The scorecard's figures: README.md's table of them, and the targets that they miss."""

from typing import Any

SOAK = 500  # submissions in one batch, at least
HINTED = 0.98  # of the wrong ones, at least, with the right hint
BATCH = 40  # submissions in the batch that is timed
# README.md's table: what each row needs to have been measured, and the row.
ROWS = {
    "killed": "wrong implementations that lose points | {killed} of {wrong} | all",
    "right_function": "... for the right function, and no other | {right_function} of {wrong} "
    "| all",
    "hinted": "... with the right hint | {hinted} of {wrong} | {hinted_share:.0%}",
    "false_fails": "right implementations that lose a point | {false_fails} of {alternatives} | 0",
    "hostile_gains": "hostile and careless submissions that gain a point, or hang | "
    "{hostile_bad} of {hostile} | 0",
    "repeats": "repeats of the reference that lose a point, by 1, 2 and 4 processes | "
    "{flakes} of {repeats} | 0",
    "starter_points": "points of the empty starter, of the reference | "
    "{starter_points:g}, {reference_points:g} | 0, {points_by_tests:g}",
    "soak": "a batch of {submissions}, hostile ones included | {graded} graded, {left_behind} left "
    "behind, parent at {parent_mb_after_a_tenth} MB after a tenth, at {parent_mb_at_the_end} MB at "
    "the end | all, 0, flat",
    "seconds_alone": "a submission alone, from the command line | {seconds_alone:.1f} s | 6 s",
    "seconds_batch": "a submission in a batch of {batch}, by {jobs} processes | "
    "{seconds_batch:.1f} s | ",
    "speedup": "... against one pytest process after the other, {seconds_usual:.1f} s each | "
    "{speedup:.1f} times faster | 5 times",
}


def targets(f: dict[str, Any]) -> list[str]:
    """The targets that the figures miss, among those that were measured."""
    unlisted = f.get("mutants_unlisted", 0)
    wanted = {
        "killed": lambda: f["killed"] == f["wrong"],
        "right_function": lambda: f["right_function"] == f["wrong"],
        "hinted": lambda: f["hinted"] >= HINTED * f["wrong"],
        "mutants_killed": lambda: f["mutants_killed"] + unlisted >= f["mutants"],
        "mutants_right_part": lambda: f["mutants_right_part"] + unlisted >= f["mutants"],
        "false_fails": lambda: f["false_fails"] == 0,
        "hostile_gains": lambda: f["hostile_gains"] == 0,
        "hostile_stuck": lambda: f["hostile_stuck"] == 0,
        "flakes": lambda: f["flakes"] == 0,
        "soak": lambda: (
            f["soak"]["graded"] == f["soak"]["submissions"] >= SOAK
            and f["soak"]["left_behind"] == 0
        ),
        "starter_points": lambda: f["starter_points"] == 0,
        "reference_points": lambda: f["reference_points"] == f["points_by_tests"],
        "seconds_alone": lambda: f["seconds_alone"] < 6,
        "speedup": lambda: f["speedup"] >= 5,
    }
    return [name for name, met in wanted.items() if name in f and not met()]


def markdown(figures: dict[str, Any]) -> list[str]:
    """README.md's table of the figures, in Markdown; rows of what was not measured are left out."""
    f = {"hinted_share": HINTED, "batch": BATCH, **figures, **figures.get("soak", {})}
    f["hostile_bad"] = f.get("hostile_gains", 0) + f.get("hostile_stuck", 0)
    lines = ["| what | measured | target |", "| --- | --- | --- |"]
    for name, row in ROWS.items():
        if name in f:
            lines.append(f"| {row.format(**f)} |")
    return lines
