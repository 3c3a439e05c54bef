"""Proves what grading.md says of machines that lack a layer of the sandbox.

On each machine a submission tries every attack of attacks.py: what works must be said, and where a
submission could grade itself, nothing may be run without --trust.
"""

import ctypes
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from autograder.results import Grade
from autograder.sandbox import holes
from autograder.sandbox.limits import SandboxError
from autograder.sandbox.sandbox import Sandbox

from helpers.files import ROOT, SANDBOXED

MACHINE = SANDBOXED / "lesser_machine.py"
OF_FILES = ["read", "write", "memory", "leave"]
WITHOUT_FILTER = ["network", "shared", "kernel"]
AS_YOU = ["services", "alter", "watch", *WITHOUT_FILTER]
EVERYTHING = [name for name in holes.HOLES if name != "limits"]
DOCKER = {"user": "root", "capabilities": "docker", "without": ["namespaces"]}
NO_FILES = ["namespaces", "landlock"]

# What there is, what a submission could do, and whether nothing is run without --trust.
MACHINES = {
    "root": ({"user": "root"}, [], False),
    "root without seccomp": ({"user": "root", "without": ["seccomp"]}, ["kernel"], False),
    "root without Landlock and seccomp": (
        {"user": "root", "without": ["landlock", "seccomp"]},
        ["kernel"],
        False,
    ),
    "Docker": (DOCKER, [], False),
    "Docker, Python closed": ({**DOCKER, "python_open": False}, [], False),
    "Docker, Python closed, without seccomp": (
        {**DOCKER, "python_open": False, "without": ["namespaces", "seccomp"]},
        [*AS_YOU, "slow"],
        True,
    ),
    "Docker, Python closed, without Landlock": (
        {**DOCKER, "python_open": False, "without": NO_FILES},
        OF_FILES,
        True,
    ),
    "Docker without Landlock": ({**DOCKER, "without": NO_FILES}, ["read", "leave"], True),
    "Docker without Landlock, tests closed": (
        {**DOCKER, "without": NO_FILES, "private_open": False},
        ["leave"],
        False,
    ),
    "Docker without Landlock and seccomp, tests closed": (
        {**DOCKER, "without": [*NO_FILES, "seccomp"], "private_open": False},
        ["leave", "watch", *WITHOUT_FILTER],
        False,
    ),
    "root without capabilities": ({"user": "root", "capabilities": "none"}, [], False),
    "root without capabilities and Landlock": (
        {"user": "root", "capabilities": "none", "without": NO_FILES},
        OF_FILES,
        True,
    ),
    "a user": ({}, [], False),
    "a user without seccomp": ({"without": ["seccomp"]}, ["kernel"], False),
    "a user without Landlock": ({"without": ["landlock"]}, [], False),
    **{
        f"a user without namespaces, Landlock {abi}": (
            {"without": ["namespaces"], "landlock": abi},
            [],
            False,
        )
        for abi in range(1, 7)
    },
    "a user without namespaces and seccomp": (
        {"without": ["namespaces", "seccomp"]},
        [*AS_YOU, "slow"],
        True,
    ),
    "a user without namespaces and seccomp, Landlock 5": (
        {"without": ["namespaces", "seccomp"], "landlock": 5},
        [*AS_YOU, "slow", "signal"],
        True,
    ),
    "a user without namespaces and Landlock": ({"without": NO_FILES}, OF_FILES, True),
    "a user with nothing": ({"without": [*NO_FILES, "seccomp"]}, EVERYTHING, True),
}
EVERY_DAY = ("Docker, Python closed", "a user without namespaces, Landlock 2")


@pytest.fixture
def public() -> Iterator[Path]:
    """An empty folder that every user can reach; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def run(described: dict, *command: str) -> subprocess.CompletedProcess:
    """A command, or the attacks, on a machine that lacks something."""
    skip_where_it_cannot_be_had(described)
    return subprocess.run(
        [sys.executable, "-B", str(MACHINE), json.dumps(described), *command],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def skip_where_it_cannot_be_had(described: dict) -> None:
    """Layers can be taken from a machine, not given to it."""
    if sys.platform != "linux" or os.uname().machine != "x86_64" or os.geteuid() != 0:
        pytest.skip("needs root on Linux, and numbers of x86_64")
    libc = ctypes.CDLL(None)
    newest = libc.syscall(444, None, ctypes.c_long(0), 1)
    if newest < min(described.get("landlock", 6), 6) or libc.prctl(21, 0, 0, 0, 0):
        pytest.skip("this system has no Landlock, no seccomp, or an older one")
    namespaces = ["unshare", "--user", "--map-root-user", "--pid", "--mount", "--fork", "true"]
    if subprocess.run(namespaces, capture_output=True, check=False).returncode:
        pytest.skip("this system has no user namespaces")
    above = Path(sys.base_prefix).resolve().parents
    if described.get("python_open") is False and all(p.stat().st_mode & 1 for p in above):
        pytest.skip("all users can read the Python of this system")


@pytest.mark.parametrize(
    "name",
    [
        name if name in EVERY_DAY else pytest.param(name, marks=pytest.mark.slow)
        for name in MACHINES
    ],
)
def test_what_works_on_a_machine_is_said_and_nothing_is_run_where_it_decides(name, public):
    """No attack works that the overview does not name, and where it could change a grade nothing is
    graded."""
    described, expected, refused = MACHINES[name]
    ended = run({**described, "folder": str(public)})
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    unsaid = {hole: how for hole, how in found["worked"].items() if hole not in found["said"]}
    assert unsaid == {}
    assert sorted(found["said"]) == sorted(expected)
    assert bool(found["refusal"]) == refused, found["refusal"]
    for hole in expected:
        assert holes.HOLES[hole].words in found["hole"]
    if name == "a user with nothing":  # or that nothing works elsewhere would prove nothing
        assert sorted(found["worked"]) == sorted(EVERYTHING)


def test_the_remedy_fits_what_is_missing():
    """Permissions are advised where they help, and only the folders that are open; else what is
    missing is named."""
    other_user = {holes.USER, holes.FILTER, holes.MEMORY_LIMIT}
    assert holes.refusal({*other_user, holes.PERMISSIONS}, []) == ""
    said = holes.refusal(other_user, ["/srv/kit/autograder", "/srv/all of them"])
    assert "read the hidden tests" in said
    assert "change your files" not in said
    assert "`chmod 700 /srv/kit/autograder '/srv/all of them'`" in said
    assert "--trust" in said
    said = holes.refusal({holes.FILTER, holes.MEMORY_LIMIT}, ["/srv/kit/autograder"])
    assert "change your files" in said
    assert "Landlock" in said
    assert "chmod" not in said


def test_no_code_of_a_submission_meets_a_sandbox_that_refuses(tmp_path):
    """A machine without layers grades nothing by itself; --trust grades and says what is open."""
    without = ("view", "namespaces", "user", "landlock", "seccomp")
    settings = {"_without": without, "_preload": (), "_helpers": (str(SANDBOXED),)}
    with Sandbox("hostile_worker:serve", **settings) as sandbox:
        for _ in range(2):  # also when it is asked again
            with pytest.raises(SandboxError, match="Its code was not run"):
                sandbox.worker(tmp_path, tmp_path / "log")
        with pytest.raises(SandboxError, match="--trust"):
            _ = sandbox.protections
    with Sandbox("hostile_worker:serve", trusted=True, **settings) as sandbox:
        assert "change your files" in sandbox.hole


def test_a_worker_cannot_find_what_is_graded_beside_it(monkeypatch, tmp_path):
    """Where permissions alone protect: the folder above cannot be listed, its name not guessed."""
    from autograder import judge as judging
    from autograder.reading.submission import Refused
    from autograder.rubric import load_rubric

    seen = []

    def look(path: Path, work: Path, **_: object) -> None:
        seen.append((work.parent.stat().st_mode & 0o777, work.name))
        raise Refused("enough seen")

    monkeypatch.setattr(judging, "examine", look)
    sandbox = SimpleNamespace(protections={}, hole="A hole.")
    for _ in range(2):
        grade = judging.judge(tmp_path, load_rubric(), sandbox=sandbox, seed=1)
        assert grade.hole == "A hole."
    (mode, first), (_, second) = seen
    assert mode == 0o711
    assert len(first) == len(second) == 32
    assert first != second


def test_folders_with_other_submissions_and_grades_are_private(tmp_path):
    """Workers may not read the class they are graded with, nor the results so far."""

    from autograder.grade import private_paths

    one, two, out = tmp_path / "a" / "1.zip", tmp_path / "b" / "2.zip", tmp_path / "out"
    assert private_paths([one], None) == ()  # it is its own
    assert private_paths([one], out) == (str(out),)
    assert private_paths([one, two], out) == (str(one.parent), str(two.parent), str(out))


def test_a_worker_that_lacks_what_an_earlier_one_had_is_refused_as_well():
    """Such as where no namespace is left; and a system without any layer is not taken for known."""
    every = sorted(
        {layer for hole in holes.HOLES.values() for ways in hole.closed_by for layer in ways}
    )
    killed = []

    def worker(layers: list[str]) -> SimpleNamespace:
        said = {"layers": layers, "open_paths": [], "protections": {"files": "some"}}
        return SimpleNamespace(**said, kill=lambda: killed.append(layers))

    sandbox = Sandbox()
    sandbox.check(worker(every))
    assert sandbox.hole == ""
    sandbox.check(worker([layer for layer in every if layer != holes.FILTER]))
    assert holes.HOLES["kernel"].words in sandbox.hole
    sandbox.check(worker(every))
    assert holes.HOLES["kernel"].words in sandbox.hole  # what has been graded so stays said
    for first in ([], [every]):
        sandbox = Sandbox()
        for layers in first:
            sandbox.check(worker(layers))
        with pytest.raises(SandboxError, match="Its code was not run"):
            sandbox.check(worker([]))
        with pytest.raises(SandboxError, match="Its code was not run"):
            _ = sandbox.protections
    assert killed == [[], []]


def test_the_overview_says_what_was_not_protected(tmp_path):
    """Whoever reads the grades sees which of them a submission could have changed."""

    from autograder.output.pages import write_class
    from autograder.rubric import load_rubric

    grades = [Grade(f"{n}.zip", hole="" if n else "A submission could <do> it.") for n in range(3)]
    write_class(grades, load_rubric(), tmp_path)
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    row = page[page.index("<h2>Need a human look") : page.index("<h2>Points")]
    assert "Graded without full protection" in row
    assert "A submission could &lt;do&gt; it." in row
    write_class(grades[1:], load_rubric(), tmp_path)
    assert "protection" not in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_the_table_of_layers_in_the_documentation_is_that_of_the_sandbox():
    """instructor/grading.md promises what holes.py decides, no more."""
    text = (ROOT / "instructor" / "grading.md").read_text(encoding="utf-8")
    for hole in holes.HOLES.values():
        (row,) = [line for line in text.splitlines() if line.startswith(f"| {hole.words} |")]
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        ways = [" with ".join(sorted(needed)) for needed in hole.closed_by]
        assert sorted(cells[1].split(", or ")) == sorted(ways), hole.words
        assert (cells[2] == "yes") == hole.decides, hole.words


@pytest.mark.slow
def test_grade_py_refuses_says_how_to_go_on_and_then_says_what_was_not_protected(public):
    """The whole path of an instructor on such a machine: exit code 2, then --trust, then the
    warning."""
    described = {"without": [*NO_FILES, "seccomp"], "folder": str(public)}
    team = public / "tmp"  # made there, of all users
    script = (
        f"import shutil; shutil.copytree({str(ROOT / 'code')!r}, {str(team / 'team' / 'code')!r}, "
        "ignore=shutil.ignore_patterns('__pycache__'))"
    )
    out = ["--out", str(team / "out"), "--only", "q_sample"]
    grade = [sys.executable, "-B", str(ROOT / "autograder" / "grade.py"), str(team / "team"), *out]

    def both(*more: str) -> subprocess.CompletedProcess:
        line = " && ".join(
            subprocess.list2cmdline(words)
            for words in ([sys.executable, "-c", script], [*grade, *more])
        )
        for entry in public.iterdir():
            subprocess.run(["rm", "-r", str(entry)], check=True)
        return run(described, "/bin/sh", "-c", line)

    refused = both()
    assert refused.returncode == 2, refused.stderr
    assert "Its code was not run" in refused.stderr
    assert not list((team / "out").glob("*/results.json"))
    trusted = both("--trust")
    assert trusted.returncode == 0, trusted.stderr
    assert trusted.stdout.splitlines()[-1].startswith("Warning, graded without full protection")
    assert "change your files" in (team / "out" / "index.html").read_text(encoding="utf-8")
