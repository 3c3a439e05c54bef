"""Runs in Gradescope's container: grades /autograder/submission, writes results/results.json.

run_autograder starts it with the folder's name. Only instructors see what it prints.
https://gradescope-autograders.readthedocs.io/en/latest/specs/
"""

import json
import secrets
import sys
from pathlib import Path
from typing import Any

from autograder.batch import Order, grade_one
from autograder.late import charge, latest, time_of
from autograder.output.stored import gradescope_results
from autograder.output.terminal import table
from autograder.reading.submission import Refused, find_submissions
from autograder.results import MANUAL, Grade
from autograder.rubric import Rubric, load_rubric
from autograder.text import visible, write_text

BROKE_DOWN = (
    "The grader broke down on a part of this submission. That is not your fault; please tell "
    "your instructors, who can run it again."
)


def find_submission(folder: Path) -> Path:
    """What to grade in the folder of the upload: a zip in it, a folder in it, or itself."""
    try:
        found = find_submissions([folder])
    except Refused:
        found = []
    return found[0] if len(found) == 1 else folder


def results_of(grade: Grade, rubric: Rubric) -> dict[str, Any]:
    """A grade in Gradescope's format; it shows only reason and hint of the hidden tests."""
    results = gradescope_results(grade, rubric)
    parts = [part for part in grade.parts if part.points is not None]
    for test, part in zip(results["tests"], parts, strict=True):
        hint = part.hint and f"Hint: {part.hint}"
        test["output"] = visible("\n".join(filter(None, [part.reason, hint])))
    if is_broken(grade):
        results["output"] = f"{BROKE_DOWN}\n{results['output']}".strip()
    return results


def is_broken(grade: Grade) -> bool:
    """Whether a part has no result, or failed because of an error in the grader."""
    parts = [part for part in grade.parts if part.status != MANUAL]
    return any(not p.tests or any(t.hint_id == "grader_failed" for t in p.tests) for p in parts)


def add_metadata(grade: Grade, file: Path) -> None:
    """Add to a grade when it was handed in and due, from submission_metadata.json.

    The deadline is the assignment's `due_date`, or the latest extension of one of its users. A file
    that is missing or malformed is ignored: the submission is graded in any case.
    https://gradescope-autograders.readthedocs.io/en/latest/submission_metadata/
    """
    try:
        said = json.loads(file.read_bytes())
        users = [user for user in said["users"] if isinstance(user, dict)]
        own = [(user.get("assignment") or {}).get("due_date") for user in users]
        due = latest(time_of(str(at)) for at in own) or time_of(str(said["assignment"]["due_date"]))
        handed_in = time_of(str(said["created_at"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return
    grade.origin.time = handed_in.isoformat() if handed_in and handed_in.tzinfo else ""
    grade.origin.due = due.isoformat() if due and due.tzinfo else ""
    if handed_in and due and handed_in.tzinfo and due.tzinfo:
        grade.origin.late = handed_in > due


def main() -> None:
    """Grade, print a report for the instructors, and write the results for Gradescope."""
    root = Path(sys.argv[1])
    rubric = load_rubric()
    order = Order(rubric, secrets.randbelow(2**31))
    grade = grade_one(find_submission(root / "submission"), order)
    add_metadata(grade, root / "submission_metadata.json")
    if rubric.late:
        grade = charge(grade, rubric.late, rubric.core)
    print(table(grade, rubric, width=100))
    print(f"--seed {grade.seed} repeats these tests")
    print("".join(f"For a person to look at: {visible(why)}\n" for why in grade.needs_look))
    print(f"The sandbox: {visible(grade.hole)}")
    print("".join(f"  {subject}: {words}\n" for subject, words in grade.protections.items()))
    print(f"What the submission printed:\n{visible(grade.log)}", flush=True)
    text = json.dumps(results_of(grade, rubric), indent=1, allow_nan=False)
    write_text(root / "results" / "results.json", text + "\n")


if __name__ == "__main__":
    main()
