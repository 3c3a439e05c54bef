"""Grading with Classroom 50: the folder to upload, and result.json by the rules of its collector.

https://github.com/foundation50/classroom50/wiki/Advanced-Autograding
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from autograder.extras.classroom50 import autograder
from instructor.cutting.cutter import build
from instructor.cutting.files import tracked_files
from instructor.release import write_folder

from helpers.files import ROOT
from helpers.scripts import ENVIRONMENT, assert_refused, run_script

BUNDLE = "autograder/extras/classroom50/bundle.py"
RUNNER = {
    "CLASSROOM": "diffusion",
    "ASSIGNMENT": "homework",
    "SUBMISSION_TAG": "submit/2026-10-01T10-00-00Z-a1b2c3d",
    "COMMIT_URL": "https://example.org/commit/a1b2c3d",
    "RELEASE_URL": "https://example.org/releases/tag/x",
}


def check_result(result: dict[str, Any]) -> None:
    """The rules by which the collector takes a result."""
    assert result["schema"] == "classroom50/result/v1"
    assert (result["classroom"], result["assignment"]) == ("diffusion", "homework")
    assert result["submission"].startswith("submit/")
    for name in ("submission", "commit", "release", "review", "datetime"):
        assert isinstance(result[name], str)
        assert result[name]
    for entry in (result, *result["tests"]):
        assert type(entry["score"]) is type(entry["max-score"]) is int
        assert 0 <= entry["score"] <= entry["max-score"]
    for test in result["tests"]:
        assert isinstance(test["test-name"], str)
        assert test["test-name"]
        assert type(test["passed"]) is bool
    for name in ("score", "max-score"):
        assert result[name] == sum(test[name] for test in result["tests"])


def test_points_become_whole_numbers():
    """Classroom 50 refuses a score with a fraction, which partial credit has."""
    tests = [
        {"name": "q_sample: x", "score": 1, "max_score": 1.0, "status": "passed"},
        {"name": "latent: x", "score": 0.25, "max_score": 1.0, "status": "failed"},
    ]
    result = autograder.result_of({"tests": tests}, RUNNER)
    check_result(result)
    assert (result["score"], result["max-score"]) == (125, 200)
    assert [test["passed"] for test in result["tests"]] == [True, False]


def test_what_students_can_read_holds_no_hidden_test(tmp_path):
    """The folder is published: a starter goes in, the instructors' repository does not."""
    done = run_script(BUNDLE, ROOT, "--out", tmp_path / "out")
    assert_refused(done, "has the hidden tests")
    done = run_script(BUNDLE, tmp_path, "--out", tmp_path / "out")
    assert_refused(done, "is not a starter")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_checkout_is_graded_by_the_bundle(tmp_path):
    """A student's own grader, which gives all points, is not asked."""
    starter, out = tmp_path / "starter", tmp_path / "out"
    write_folder(build(ROOT, tracked_files()), starter)
    done = run_script(BUNDLE, starter, "--out", out)
    assert done.returncode == 0, done.stderr
    assert not list(out.rglob("hidden"))
    checkout = tmp_path / "checkout"
    write_folder(build(ROOT, tracked_files()), checkout)
    (checkout / "autograder" / "grade.py").write_text("print('12 of 12')\n")
    text = (ROOT / "code/libs/ddpm.py").read_bytes()
    (checkout / "code/libs/ddpm.py").write_bytes(text)
    result = run_in(checkout, out / "autograder.py", tmp_path)
    check_result(result)
    passed = {test["test-name"].split(":")[0]: test["passed"] for test in result["tests"]}
    assert passed["q_sample"]
    assert not passed["unet"]
    assert "q_sample" in (checkout / "release-body.md").read_text(encoding="utf-8")


def run_in(checkout: Path, script: Path, work: Path) -> dict[str, Any]:
    """result.json of a checkout, where the requirements are installed already."""
    settings = {"RUNNER_TEMP": str(work), "AUTOGRADER_INSTALLED": "1"}
    done = subprocess.run(
        [sys.executable, script],
        cwd=checkout,
        env={**ENVIRONMENT, **RUNNER, **settings},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((checkout / "result.json").read_text(encoding="utf-8"))
