"""The bundle for Gradescope: what it holds, and how it grades in the layout Gradescope documents.

https://gradescope-autograders.readthedocs.io/en/latest/specs/#files
"""

import io
import json
import os
import shutil
import stat
import subprocess
import sys
import sysconfig
import tempfile
import time
import zipfile
from pathlib import Path

import pytest
from autograder.extras.gradescope import grade_submission
from autograder.extras.gradescope.bundle import BY_NAME, FOLDER, bundle
from autograder.output.zips import zipped
from autograder.reading.program import supply_helpers
from autograder.reading.remarks import Remarks
from autograder.results import FAILED, MANUAL, PASSED, Grade, PartResult, TestResult
from autograder.rubric import load_rubric
from autograder.sandbox.user import open_to_others
from instructor.cutting.cutter import build
from instructor.cutting.files import tracked_files
from instructor.cutting.regions import cut, find_leaks

from helpers.files import ROOT
from helpers.gradescope_format import TEST, TOP, check_fields
from helpers.scripts import ENVIRONMENT, assert_refused, run_script

SCRIPTS = ROOT / FOLDER
GRADED = ["code/libs/ddpm.py", "code/libs/unet.py", "code/libs/ddim.py"]
GRADED += [f"code/libs/{name}.py" for name in ("edm", "metrics/fid", "metrics/memorization")]
GRADED.append("code/libs/stable_diffusion.py")


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    """A copy of what the bundle is made of, with caches, other times, and Windows' line ends."""
    root = tmp_path_factory.mktemp("kit")
    shutil.copytree(ROOT / "autograder", root / "autograder", copy_function=shutil.copyfile)
    shutil.copytree(ROOT / "code" / "libs", root / "code" / "libs")
    for name in ("requirements.txt", "zip_submission.py"):
        shutil.copyfile(ROOT / name, root / name)
    for place in (root / "autograder", root / "autograder" / "sandbox"):
        (place / "__pycache__").mkdir(exist_ok=True)
        (place / "__pycache__" / "stale.cpython-311.pyc").write_bytes(b"stale")
        (place / ".notes").write_text("mine", encoding="utf-8")
    for name in BY_NAME:
        script = root / FOLDER / name
        script.write_bytes(script.read_bytes().replace(b"\n", b"\r\n"))
    return root


def test_the_same_kit_gives_the_same_bytes_wherever_it_lies(kit, tmp_path):
    """A bundle can be compared with the one that was uploaded."""
    one, two = zipped(bundle()), zipped(dict(reversed(bundle(kit).items())))
    assert one == two
    with zipfile.ZipFile(io.BytesIO(one)) as archive:
        assert {info.date_time[0] for info in archive.infolist()} == {1980}


def test_the_scripts_lie_on_top_and_can_be_run(tmp_path):
    """Gradescope looks for them by name, with Unix line ends and rights, also from Windows."""
    done = run_script(SCRIPTS / "bundle.py", "--out", tmp_path / "autograder.zip")
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / "autograder.zip") as archive:
        for name in ("setup.sh", "run_autograder"):
            info = archive.getinfo(name)
            assert stat.S_IMODE(info.external_attr >> 16) & 0o111 == 0o111
            text = archive.read(name)
            assert text.startswith(b"#!/usr/bin/env bash\n")
            assert b"\r" not in text
            assert subprocess.run(["bash", "-n"], input=text, check=False).returncode == 0


def test_the_hidden_tests_go_in_and_the_solution_does_not():
    """Students' code runs beside the bundle: it holds all tests and no answer."""
    files = bundle()
    hidden = {f"autograder/hidden/{name}.py" for name in ("oracles", "mistakes")}
    assert {*hidden, "requirements.txt"} <= set(files)
    assert not {name for name in files if Path(name).name in ("ddpm.py", "unet.py")}
    regions = [
        region
        for name in GRADED
        for region in cut((ROOT / name).read_text(encoding="utf-8"), name)[1]
    ]
    assert len(regions) >= 7
    assert find_leaks(regions, {n: c for n, c in files.items() if n.startswith("code/")}) == []
    # the check does find a solution where one is
    assert find_leaks(regions, {"code/x.py": (ROOT / GRADED[0]).read_bytes()})


def test_a_submission_without_helpers_gets_them_from_the_bundle(tmp_path):
    """Uploads of the graded files alone are graded."""
    for name, content in bundle().items():
        if name.startswith("code/libs/"):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    (tmp_path / "libs").mkdir()
    supply_helpers(tmp_path / "libs", tmp_path / "code" / "libs", Remarks())
    given = {path.name for path in (tmp_path / "libs").iterdir()}
    assert given == {path.name for path in (tmp_path / "code" / "libs").iterdir()}
    assert {"blocks.py", "utils.py", "tiny_autoencoder.py"} <= given


def test_a_folder_that_is_not_there_is_refused():
    """One sentence, and no half bundle."""
    done = run_script(SCRIPTS / "bundle.py", "--out", "/no/such/folder/autograder.zip")
    assert_refused(done, "/no/such/folder/autograder.zip was not written")


def write_stub(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/bash\n{text}\n", encoding="utf-8")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("present", "on_offer", "chosen", "complaint"),
    [
        ("3.14", [], "python3", ""),
        ("3.11", ["3.13"], "python3", ""),
        ("3.10", ["3.11", "3.12"], "python3.12", ""),
        ("3.10", ["3.11"], "python3.11", ""),
        ("", ["3.11"], "python3.11", ""),
        ("3.10", [], None, "no Python 3.11 or newer"),
        ("3.12", [], "python3", "must be able to read its folder"),
    ],
)
def test_setup_finds_or_installs_a_python(tmp_path, present, on_offer, chosen, complaint):
    """apt-get and Python are stand-ins: real ones need root, a network and minutes."""
    stubs, log = tmp_path / "stubs", tmp_path / "log"
    (tmp_path / "source").mkdir(mode=0o755)
    stubs.mkdir()
    log.touch()

    def python(version: str, name: str) -> str:
        """Text that answers as this version does, and as `-m venv DIR` makes another of it."""
        minor = version.split(".")[1]
        return (
            f'echo "{name} PYTHONPATH=$PYTHONPATH $*" >> {log}\n'
            "if [[ $2 =~ version_info.*3,.([0-9]+) ]]; then\n"
            f"  exit $(( {minor} < BASH_REMATCH[1] ))\n"
            "fi\n"
            f'if [[ $2 == venv ]]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; fi'
        )

    if present:
        write_stub(stubs / "python3", python(present, "python3"))
    for version in on_offer:
        write_stub(tmp_path / f"offer-{version}", python(version, f"python{version}"))
    offers = f'n=$(basename "$3" | tr -d a-z); [ "$3" = python3-venv ] || cp {tmp_path}/offer-$n'
    write_stub(stubs / "apt-get", f'[ "$1" = update ] || {{ {offers} "{stubs}/$3" 2>/dev/null; }}')
    write_stub(
        stubs / "setpriv",
        f'echo "setpriv $*" >> {log}; {"false" if "folder" in complaint else "true"}',
    )
    for tool in ("bash", "env", "mkdir", "cp", "chmod", "basename", "tr"):
        (stubs / tool).symlink_to(shutil.which(tool))
    venv = tmp_path / "venv"
    done = subprocess.run(
        ["bash", SCRIPTS / "setup.sh"],
        env={
            "PATH": str(stubs),
            "AUTOGRADER_ROOT": str(tmp_path),
            "AUTOGRADER_PYTHON": f"{venv}/bin/python",
        },
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if complaint:
        assert done.returncode == 1
        assert complaint in done.stdout
        return
    assert done.returncode == 0, done.stdout + done.stderr
    lines = log.read_text(encoding="utf-8").splitlines()
    assert f"{chosen} PYTHONPATH= -m venv {venv}" in lines
    assert lines[-4].endswith("-m pip install --no-cache-dir uv")
    cpu = f"--python {venv}/bin/python --torch-backend=cpu"
    assert lines[-3].endswith(f"{cpu} -r {tmp_path}/source/requirements.txt")
    assert f"PYTHONPATH={tmp_path}/source -c import torch" in lines[-2]
    other = "setpriv --reuid=65534 --regid=65534 --clear-groups"
    assert lines[-1] == f"{other} {venv}/bin/python -c import torch"
    assert stat.S_IMODE((tmp_path / "source").stat().st_mode) == 0o700


def graded(*tests: TestResult) -> Grade:
    parts = load_rubric().mark(list(tests), ["q_sample", "report_mnist"])
    return Grade("submission", parts=parts, seed=4711, log="LOG", needs_look=["LOOK"])


def test_students_see_points_reason_and_hint_and_nothing_else_of_the_hidden_tests():
    """Seeds, cases, titles and logs would let a team fit its code to the tests."""
    failed = TestResult("q_sample", "test_hidden[T=37]", FAILED, title="TITLE", reason="REASON")
    failed.hint, failed.hint_id = "HINT", "q_sample_variance"
    results = grade_submission.results_of(graded(failed), load_rubric())
    check_fields(results, TOP)
    assert results["score"] == 0
    assert results["stdout_visibility"] == "hidden"
    (test,) = results["tests"]
    check_fields(test, TEST)
    assert (test["score"], test["max_score"], test["status"]) == (0, 1, "failed")
    assert test["name"].startswith("q_sample: ")
    assert test["output"] == "REASON\nHint: HINT"
    text = json.dumps(results)
    for secret in ("4711", "LOG", "LOOK", "TITLE", "T=37", "q_sample_variance"):
        assert secret not in text


@pytest.mark.parametrize("hint_id", ["grader_failed", "no tests at all"])
def test_students_are_told_where_the_grader_and_not_they_failed(hint_id):
    """No team looks for a mistake of its own in a grader that broke down."""
    test = TestResult("q_sample", "test", FAILED, reason="REASON", hint_id=hint_id)
    tests = [test] if hint_id == "grader_failed" else []
    results = grade_submission.results_of(graded(*tests), load_rubric())
    check_fields(results, TOP)
    assert grade_submission.BROKE_DOWN in results["output"]
    assert "not your fault" in results["output"]


def test_a_result_that_is_theirs_is_not_called_the_graders():
    """Failed and open parts are not a breakdown."""
    for outcome in (PASSED, FAILED):
        grade = graded(TestResult("q_sample", "test", outcome, reason="R"))
        assert grade.parts[1] == PartResult(
            "report_mnist", 2, None, MANUAL
        )  # waits for a person, which is not a breakdown
        results = grade_submission.results_of(grade, load_rubric())
        assert grade_submission.BROKE_DOWN not in results["output"]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["code/libs/ddpm.py"], ""),
        (["ddpm.py", "unet.py"], ""),
        (["homework/code/libs/ddpm.py", "__MACOSX/x"], "homework"),
        (["submission.zip"], "submission.zip"),
        (["code/libs/ddpm.py", "old.zip"], ""),
        (["a.zip", "b.zip"], ""),  # refused with its reason
        (["notes.txt"], ""),
        ([], ""),
    ],
)
def test_what_is_graded_in_the_folder_of_the_upload(tmp_path, files, expected):
    """The one zip that was uploaded, or the folder; code beside an old zip counts as a folder."""
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x", encoding="utf-8")
    found = grade_submission.find_submission(tmp_path)
    assert found == tmp_path / expected


@pytest.fixture
def container():
    """The bundle unpacked in the documented layout, in a folder that every user may enter."""
    with tempfile.TemporaryDirectory(prefix="container-") as folder:
        Path(folder).chmod(0o755)
        archive, root = Path(folder) / "autograder.zip", Path(folder) / "autograder"
        archive.write_bytes(zipped(bundle(), executable=BY_NAME))
        for name in ("source", "submission", "results"):
            (root / name).mkdir(parents=True)
        unpack = [sys.executable, "-m", "zipfile", "-e", archive, root / "source"]
        subprocess.run(unpack, check=True)
        shutil.copy(root / "source" / "run_autograder", root / "run_autograder")
        (root / "run_autograder").chmod(0o755)
        users = [{"email": "example1@example.com", "name": "Example Name"}]
        (root / "submission_metadata.json").write_text(
            json.dumps({"id": 123456, "users": users}), encoding="utf-8"
        )
        # left there by somebody: it must never count
        (root / "results" / "results.json").write_text(json.dumps({"score": 12}), encoding="utf-8")
        yield root


def run(root: Path, **environment: str) -> tuple[dict, str]:
    """Run run_autograder as Gradescope does; returns results.json and what was printed."""
    settings = {"AUTOGRADER_ROOT": str(root), "AUTOGRADER_PYTHON": sys.executable}
    done = subprocess.run(
        [root / "run_autograder"],
        cwd=root,
        env={**ENVIRONMENT, **settings, **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((root / "results" / "results.json").read_text(encoding="utf-8"))
    check_fields(results, TOP)
    for test in results.get("tests", []):
        check_fields(test, TEST)
    for folder in ("source", "results"):
        assert stat.S_IMODE((root / folder).stat().st_mode) == 0o700
    return results, done.stdout + done.stderr


@pytest.mark.parametrize("why", ["no Python", "a damaged grader", "killed"])
def test_where_the_grader_breaks_down_the_results_say_whose_fault_it_is(container, why):
    """Gradescope gets a valid result from every failure of the container."""
    environment, said = {}, "was not graded"
    if why == "no Python":
        environment["AUTOGRADER_PYTHON"] = "/no/such/python"
    elif why == "a damaged grader":
        (container / "source" / "autograder" / "rubric.yaml").write_text(
            "parts: 5", encoding="utf-8"
        )
        said = "Traceback"
    else:
        script = container / "source" / FOLDER / "grade_submission.py"
        script.write_text("import os; os.kill(os.getpid(), 9)", encoding="utf-8")
        said = "exit code 137"
    results, printed = run(container, **environment)
    assert results["score"] == 0
    assert "not your fault" in results["output"]
    assert said in printed
    assert "Traceback" not in results["output"]
    assert results["stdout_visibility"] == "hidden"  # students do not see what was printed


def lay(files: dict[str, bytes], folder: Path) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def starter() -> dict[str, bytes]:
    files = build(ROOT, tracked_files())
    return {name: content for name, content in files.items() if name.startswith("code/")}


def reference() -> dict[str, bytes]:
    return {**starter(), **{name: (ROOT / name).read_bytes() for name in GRADED}}


AUTOMATIC = [part.id for part in load_rubric().parts if part.automatic]


@pytest.mark.slow
@pytest.mark.parametrize("packed", [False, True])
def test_the_reference_gets_all_automatic_points(container, packed, tmp_path):
    """The whole way in Gradescope's layout, from zip and folder, and the seed stays hidden."""
    if packed:
        lay(reference(), tmp_path / "work")
        shutil.make_archive(container / "submission" / "submission", "zip", tmp_path / "work")
    else:
        lay(reference(), container / "submission")
    results, printed = run(container)
    assert [test["name"].split(":")[0] for test in results["tests"]] == AUTOMATIC
    assert [test["score"] for test in results["tests"]] == [
        load_rubric().part(part).by_tests for part in AUTOMATIC
    ], printed
    assert {test["status"] for test in results["tests"]} == {"passed"}
    assert "--seed " in printed
    assert "seed" not in json.dumps(results)


@pytest.mark.slow
def test_the_starter_gets_none(container):
    """Stubs are not a breakdown: each part says that it is not done."""
    lay(starter(), container / "submission")
    results, _ = run(container)
    assert results["score"] == 0
    assert [test["score"] for test in results["tests"]] == [0] * len(AUTOMATIC)
    assert all(test["output"] for test in results["tests"])
    assert "not your fault" not in results["output"]


@pytest.mark.slow
def test_nothing_handed_in_is_a_result_with_its_reason(container):
    """An empty upload is told as one."""
    results, _ = run(container)
    assert results["score"] == 0
    assert all("no files" in test["output"] for test in results["tests"])
    assert "not your fault" not in results["output"]


HOSTILE = """
import atexit, contextlib, json, os, time

ROOT = {root!r}

def write():
    full = {{"score": 12, "tests": [{{"name": "q_sample", "score": 12, "max_score": 12}}]}}
    for place in (ROOT + "/results/results.json", "/autograder/results/results.json",
                  "results.json", "../results/results.json"):
        with contextlib.suppress(OSError), open(place, "w") as file:
            json.dump(full, file)

def steal():
    for name in ("hidden/oracles.py", "rubric.yaml", "../run_autograder"):
        with contextlib.suppress(OSError), open(ROOT + "/source/autograder/" + name) as file:
            print("STOLEN", file.read(), flush=True)

atexit.register(write)
steal()
write()
with contextlib.suppress(OSError):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for _ in range(40):
                time.sleep(0.05)
                write()
        os._exit(0)
os._exit(0)
"""


def lay_hostile(container: Path) -> None:
    files = starter()
    files["code/libs/ddpm.py"] = HOSTILE.format(root=str(container)).encode()
    files["code/libs/unet.py"] = files["code/libs/ddpm.py"]
    # the unpacked upload may also hold files that Gradescope has a use for, or Python
    files["results.json"] = files["results/results.json"] = b'{"score": 12}'
    files["sitecustomize.py"] = files["code/sitecustomize.py"] = files["code/libs/unet.py"]
    files["conftest.py"] = files["code/conftest.py"] = files["code/libs/unet.py"]
    lay(files, container / "submission")


def python_for_others(folder: Path) -> str:
    """A Python that every user may run, with this one's packages; skips where there is none."""
    if open_to_others(sys.base_prefix) and open_to_others(sys.prefix):
        return sys.executable
    packages = sysconfig.get_path("purelib")
    system = Path(f"/usr/bin/python3.{sys.version_info.minor}")
    if not system.exists() or not open_to_others(packages):
        pytest.skip(f"other users may not run the Python in {sys.base_prefix}")
    site = folder / "venv" / "lib" / system.name / "site-packages"
    site.mkdir(parents=True)
    (site / "these.pth").write_text(packages, encoding="utf-8")
    (folder / "venv" / "pyvenv.cfg").write_text("home = /usr/bin\n", encoding="utf-8")
    (folder / "venv" / "bin").mkdir()
    (folder / "venv" / "bin" / "python").symlink_to(system)
    return str(folder / "venv" / "bin" / "python")


@pytest.mark.slow
@pytest.mark.parametrize("weak", [False, True])
def test_a_submission_that_writes_its_own_results_gets_nothing(container, weak):
    """Also in a container whose kernel offers no protection but users and permissions."""
    python = sys.executable
    if weak:
        if os.geteuid() != 0:
            pytest.skip("only root can become another user")
        python = python_for_others(container.parent)
        batch = container / "source" / "autograder" / "batch.py"
        text, without = (
            batch.read_text(encoding="utf-8"),
            "('landlock','view','namespaces','seccomp')",
        )
        assert "Sandbox(trusted=trusted" in text
        batch.write_text(
            text.replace("Sandbox(trusted=trusted", f"Sandbox(_without={without}"),
            encoding="utf-8",
        )
    lay_hostile(container)
    before = {p: p.read_bytes() for p in (container / "source").rglob("*.py")}
    results, printed = run(container, AUTOGRADER_PYTHON=python)
    if weak:
        assert "only the permission bits" in printed
        assert "a uid of its own" in printed
    assert results["score"] == 0
    assert [test["score"] for test in results["tests"]] == [0] * len(AUTOMATIC)
    assert "STOLEN" not in printed
    assert {p: p.read_bytes() for p in (container / "source").rglob("*.py")} == before
    time.sleep(2.5)  # longer than what the submission left behind would go on
    assert (
        json.loads((container / "results" / "results.json").read_text(encoding="utf-8")) == results
    )
    assert os.listdir(container / "results") == ["results.json"]
