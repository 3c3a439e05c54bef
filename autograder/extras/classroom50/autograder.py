"""Runs in a student's checkout with Classroom 50: grades it, and writes result.json.

The folder `kit` next to this file is a starter. Its grader and public tests are used instead of
those in the checkout, which students may have changed. Scores are in hundredths of a point, since
Classroom 50 takes only whole numbers.
https://github.com/foundation50/classroom50/wiki/Advanced-Autograding
"""

import datetime
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

KIT = Path(__file__).resolve().parent / "kit"
HUNDREDTHS = 100
SHOWN = 60_000  # characters of the table in the release


def install() -> None:
    """Install the requirements, with PyTorch's CPU builds."""
    if os.environ.get("AUTOGRADER_INSTALLED"):  # set by the image, or for a trial elsewhere
        return
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "uv"]
    subprocess.run(pip, check=True)
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--torch-backend=cpu"]
    uv += ["--python", sys.executable, "--break-system-packages"]
    subprocess.run([*uv, "-r", str(KIT / "requirements.txt")], check=True)


def grade(checkout: Path, out: Path) -> tuple[dict[str, Any], str]:
    """Run the public tests; returns results in Gradescope's format, and the printed table.

    Raises:
        RuntimeError: the grader gave no result.
    """
    command: list[str | Path] = [
        sys.executable,
        KIT / "autograder" / "grade.py",
        "--public",
        checkout,
        "--out",
        out,
    ]
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "COLUMNS": "110", "OMP_WAIT_POLICY": "PASSIVE"},
        check=False,
    )
    found = list(out.glob("*/results.json"))
    if done.returncode not in (0, 1) or len(found) != 1:
        raise RuntimeError(f"the grader ended with exit code {done.returncode}:\n{done.stdout}")
    return json.loads(found[0].read_text(encoding="utf-8")), done.stdout


def result_of(graded: dict[str, Any], environment: dict[str, str]) -> dict[str, Any]:
    """The content of result.json, with one test for each automatically graded part."""
    tests = [
        {
            "test-name": test["name"],
            "passed": test["status"] == "passed",
            "score": round(HUNDREDTHS * test["score"]),
            "max-score": round(HUNDREDTHS * test["max_score"]),
        }
        for test in graded["tests"]
    ]
    now = datetime.datetime.now(datetime.UTC)
    return {
        "schema": "classroom50/result/v1",
        "classroom": environment["CLASSROOM"],
        "assignment": environment["ASSIGNMENT"],
        "submission": environment["SUBMISSION_TAG"],
        "commit": environment["COMMIT_URL"],
        "release": environment["RELEASE_URL"],
        "review": environment.get("REVIEW_URL") or environment["COMMIT_URL"],
        "datetime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "score": sum(test["score"] for test in tests),
        "max-score": sum(test["max-score"] for test in tests),
        "tests": tests,
    }


def main() -> int:
    """Grade the checkout in the current folder; returns the exit code, 1 if that failed."""
    checkout = Path.cwd()
    try:
        install()
        out = Path(os.environ.get("RUNNER_TEMP", "/tmp")) / "homework-grades"
        graded, table = grade(checkout, out)
        result = result_of(graded, dict(os.environ))
    except (RuntimeError, OSError, KeyError, ValueError, subprocess.CalledProcessError) as error:
        print(f"::error::not graded: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    text = json.dumps(result, indent=1, allow_nan=False) + "\n"
    (checkout / "result.json").write_text(text, encoding="utf-8")
    shown = table[:SHOWN].replace("```", "'''")
    body = f"Scores are in hundredths of a point.\n\n```text\n{shown}\n```\n"
    (checkout / "release-body.md").write_text(body, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
