"""What is stored of each submission: its folder, and results.json, which later runs read back."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autograder.output.summary import SIGNS, about, overridden, tally
from autograder.results import Grade, PartResult
from autograder.rubric import Rubric
from autograder.text import InputError, one_line, visible, write_text

LONGEST_NAME = 100  # bytes of a folder's name
PLACES_FILE = "places.json"


def submission_folder(folder: Path, submission: str) -> Path:
    """The folder of a submission's results: another one for each name, never outside `folder`."""
    name = re.sub(r"[/\\:]|^\.+", "_", one_line(submission))
    name = name.encode()[:LONGEST_NAME].decode(errors="ignore")
    # must not clash with grades.csv, index.html and the like, which are next to it
    if name != submission or not name or name.endswith((".csv", ".html")):
        digest = hashlib.sha256(submission.encode(errors="surrogatepass")).hexdigest()
        name = f"{name}-{digest[:8]}"
    return folder / name


def write_results(place: Path, grade: Grade, final: Grade, rubric: Rubric) -> None:
    """Write results.json to a submission's folder.

    Args:
        grade: the grader's own result, which `load_grades` reads back.
        final: the same with the points that people gave, which the part for Gradescope shows.
    """
    results = {**gradescope_results(final, rubric), "extra_data": grade.to_dict()}
    write_text(place / "results.json", json.dumps(results, indent=1, allow_nan=False) + "\n")


def load_grades(folder: Path) -> list[Grade]:
    """Read back what `write_submission` stored, sorted by submission.

    Raises:
        InputError: a results.json is damaged or not from this grader.
    """
    grades = []
    for file in folder.glob("*/results.json"):
        try:
            grades.append(Grade.from_dict(json.loads(file.read_bytes())["extra_data"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(
                f"{file} cannot be read as a result of this grader; remove its folder to have that "
                "submission graded again"
            ) from error
    return sorted(grades, key=lambda grade: grade.submission)


def keep_places(folder: Path, names: Mapping[Path, str]) -> None:
    """Store the paths of submissions for commands that read them again; earlier ones stay."""
    places = places_of(folder) | {name: path for path, name in names.items()}
    texts = {name: str(path) for name, path in sorted(places.items())}
    write_text(folder / PLACES_FILE, json.dumps(texts, indent=1) + "\n")


def places_of(folder: Path) -> dict[str, Path]:
    """The paths of the graded submissions, by name; empty if none are stored."""
    try:
        found = json.loads((folder / PLACES_FILE).read_bytes())
        return {name: Path(path) for name, path in found.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def gradescope_results(grade: Grade, rubric: Rubric) -> dict[str, Any]:
    """A grade in the format of Gradescope's results.json, without extra_data.

    One test per part; parts that a person has yet to grade are left out.
    https://gradescope-autograders.readthedocs.io/en/latest/specs/#output-format
    """
    tests = []
    for part in grade.parts:
        if part.points is None:
            continue
        tests.append(
            {
                "name": f"{part.id}: {about(rubric)(part.id).title}",
                "score": part.points,
                "max_score": part.max_points,
                "status": "passed" if part.points == part.max_points else "failed",
                "output": visible("\n".join(_output(part))),
                "output_format": "text",
                "visibility": "visible",
            }
        )
    changed = [f"{part.id}: {overridden(part)}" for part in grade.parts if part.override]
    notes = [*tally(grade, rubric).sentences(), *changed, *grade.deduction_reasons, *grade.notes]
    return {
        "score": round(grade.total, 6),
        "execution_time": round(grade.seconds, 3),
        "output": visible("\n".join(notes)),
        "output_format": "text",
        "stdout_visibility": "hidden",
        "tests": tests,
    }


def _output(part: PartResult) -> list[str]:
    """Lines with a part's reason, its hint and its tests."""
    lines = [part.reason, part.hint and f"Hint: {part.hint}", ""]
    lines += [f"{SIGNS.get(t.outcome, '?')} {one_line(t.title or t.name)}" for t in part.tests]
    return [line for n, line in enumerate(lines) if line or (n == 2 and part.tests and lines[0])]
