"""The workflow in the students' repository, run step by step as GitHub does, on a cut starter."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from instructor.cutting.files import OVERLAY
from instructor.release import write_folder

from helpers.files import ROOT
from helpers.scripts import ENVIRONMENT

FILE = ".github/workflows/grade.yml"
PARTS = ["unet", "q_sample", "p_sample", "p_sample_loop", "compute_loss", "latent"]
GRADED = ("code/libs/ddpm.py", "code/libs/unet.py")


@pytest.fixture(scope="module")
def workflow(starter):
    # BaseLoader: others read the key `on` as True
    return yaml.load(starter[FILE], yaml.BaseLoader)


@pytest.fixture(scope="module")
def steps(workflow):
    (job,) = workflow["jobs"].values()
    return job["steps"]


def test_the_workflow_starts_on_push_and_pull_request_with_few_rights(workflow):
    """Code of students runs there: it gets no right to write, and no hours."""
    assert workflow["on"] == ["push", "pull_request"]
    assert workflow["permissions"] == {"contents": "read"}
    (job,) = workflow["jobs"].values()
    assert 5 <= int(job["timeout-minutes"]) <= 60
    assert job["defaults"]["run"]["shell"] == "bash"  # with pipefail: a failed test is seen


def test_the_steps_name_actions_with_versions_and_python_3_11(steps):
    """The workflow does not change on its own, and runs the Python of the course."""
    uses = [step["uses"] for step in steps if "uses" in step]
    names = ["actions/checkout", "actions/setup-python", "actions/upload-artifact"]
    assert [use.split("@")[0] for use in uses] == names
    assert all(re.fullmatch(r".+@v\d+", use) for use in uses)
    python = next(step["with"] for step in steps if "setup-python" in step.get("uses", ""))
    assert python == {"python-version": "3.11"}


def test_the_actions_run_on_a_node_that_github_still_has(steps):
    """Those of Node 20 stopped in September 2026; upload-artifact has another since version 6."""
    oldest = {"checkout": 5, "setup-python": 6, "upload-artifact": 6}
    ours = yaml.load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"), yaml.BaseLoader)
    every = [*steps, *(step for job in ours["jobs"].values() for step in job["steps"])]
    for use in [step["uses"] for step in every if "uses" in step]:
        name, version = re.fullmatch(r"actions/([\w-]+)@v(\d+)", use).groups()
        assert int(version) >= oldest[name]


@pytest.mark.parametrize("file", [f"{OVERLAY}/{FILE}", ".github/workflows/ci.yml"])
def test_the_workflows_fit_githubs_schema(file):
    """Protects: a key that GitHub does not know stops every run, and shows on GitHub alone."""
    package = importlib.util.find_spec("check_jsonschema")
    if package is None:
        pytest.skip("needs the schemas of requirements/dev.txt")
    folder = Path(package.origin).parent / "builtin_schemas" / "vendor"
    schema = json.loads((folder / "github-workflows.json").read_text(encoding="utf-8"))
    found = yaml.load((ROOT / file).read_text(encoding="utf-8"), StringKeys)
    jsonschema.validate(found, schema)
    del found["jobs"][min(found["jobs"])]["runs-on"]  # and it does find a mistake
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(found, schema)


class StringKeys(yaml.SafeLoader):
    """Reads `on` as GitHub does, as a word."""


StringKeys.yaml_implicit_resolvers = {
    letter: [(tag, how) for tag, how in found if "bool" not in tag or letter in "tTfF"]
    for letter, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def test_the_steps_use_only_what_students_have(steps, starter):
    """No step names a file that the starter lacks, and no hidden test goes out."""
    text = "\n".join(step.get("run", "") for step in steps)
    for file in re.findall(r"[\w./]+\.(?:py|txt)\b", text):
        assert file in starter
    assert not {"autograder/hidden/oracles.py", "autograder/hidden/mistakes.py"} & set(starter)


def run_steps(steps: list[dict], repository: Path, work: Path) -> tuple[bool, str]:
    """Run the `run:` steps; returns whether all ended well, and the job's summary."""
    stubs, runner = work / "stubs", work / "runner"
    stubs.mkdir()
    runner.mkdir()
    # pip has a network to talk to there; here it only has to be asked for the right thing
    (stubs / "python").write_text(
        f'#!/bin/bash\n[[ "$1 $2" =~ ^-m.(pip|uv)$ ]] && {{ echo "$@" >> {work}/pip; exit; }}\n'
        f'exec {sys.executable} "$@"\n',
        encoding="utf-8",
    )
    (stubs / "python").chmod(0o755)
    summary = work / "summary"
    settings = {"GITHUB_STEP_SUMMARY": str(summary), "RUNNER_TEMP": str(runner)}
    settings["PATH"] = f"{stubs}:{os.environ['PATH']}"
    well = True
    for step in steps:
        if "run" not in step or not (well or step.get("if") == "always()"):
            continue
        (work / "step.sh").write_text(step["run"], encoding="utf-8")
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", work / "step.sh"],
            cwd=repository,
            env={**ENVIRONMENT, **settings, **step.get("env", {})},
            capture_output=True,
            encoding="utf-8",
            timeout=300,
            check=False,
        )
        well = well and done.returncode == 0
    return well, summary.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("solved", [False, True])
def test_the_steps_put_points_and_hints_into_the_summary(steps, starter, solved, tmp_path):
    """A stub gets 0 of 1 and a red mark, a solution 1 of 1, and nothing is left in the
    repository."""
    repository = tmp_path / "team-07"
    write_folder(starter, repository)
    if solved:
        for name in GRADED:
            (repository / name).write_bytes((ROOT / name).read_bytes())
    before = sorted(repository.rglob("*"))
    well, summary = run_steps(steps, repository, tmp_path)
    assert well == solved
    lines = summary.splitlines()
    assert (lines[0], lines[-1]) == ("```text", "```")
    points = dict(re.findall(r"^(\w+) +([\d.]+ of 1) ", summary, re.MULTILINE))
    assert points == dict.fromkeys(PARTS, "1 of 1" if solved else "0 of 1")
    installed = (tmp_path / "pip").read_text(encoding="utf-8")
    assert "-m pip install uv\n-m uv pip install --system --torch-backend=cpu -r req" in installed
    # what the upload step takes
    uploaded = [step["with"]["path"] for step in steps if "upload" in step.get("uses", "")]
    assert uploaded == ["${{ runner.temp }}/grades"]
    assert list((tmp_path / "runner" / "grades").glob("*/report.html"))
    left = [p for p in repository.rglob("*") if p not in before and "__pycache__" not in p.parts]
    assert left == []
