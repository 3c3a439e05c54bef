"""CI on GitHub runs what .ci/run runs, and the everyday tests on each Python of the kit."""

import re
import tomllib

import pytest
import yaml

from helpers.files import ROOT


@pytest.fixture(scope="module")
def jobs() -> dict[str, dict]:
    """The jobs of the workflow by their names."""
    text = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    return yaml.load(text, yaml.BaseLoader)["jobs"]  # others read the key `on` as True


def test_the_workflow_runs_what_ci_runs(jobs):
    """Nothing is proven on GitHub that `.ci/run` does not prove in a clone, and nothing is left
    out."""
    steps = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert sorted(steps) == [".ci/run", "make lint test"]
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    for target in ("lint", "demo", "test-slow", "test-machines", "test"):
        assert re.search(rf"^make {target}\b", script, re.M), target


def test_the_matrix_starts_with_the_oldest_python(jobs):
    """The oldest is the one that pyproject.toml promises; .ci/run takes it, too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    oldest = project["requires-python"].removeprefix(">=")
    versions = jobs["everyday"]["strategy"]["matrix"]["python"]
    assert versions[0] == oldest
    assert len(versions) >= 3
    (python,) = [step for step in jobs["all"]["steps"] if "setup-python" in step.get("uses", "")]
    assert python["with"]["python-version"] == oldest
