"""The matrix of simulated machines: who is in it, what is set, and how a run is read."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

import machines
from helpers.files import ROOT
from helpers.scripts import run_script
from machines import IN_TURN, MACHINES, Machine, Result

REPORT = """<testsuites><testsuite>
<testcase classname="tests.test_a" name="test_good"/>
<testcase classname="tests.test_a" name="test_bad[1]">
<failure message="assert 1 == 2&#10;x"/></testcase>
<testcase classname="tests.test_a" name="test_cut"><error message="fixture died"/></testcase>
<testcase classname="tests.test_b" name="test_not_here"><skipped message="no browser"/></testcase>
</testsuite></testsuites>"""


def values(name: str) -> set[str]:
    """What the matrix sets a variable to."""
    return {machine.env[name] for machine in MACHINES if name in machine.env}


def test_matrix_holds_every_kind_of_machine():
    """Processors, threads, Pythons, torch, users, browsers and locales: none is dropped unseen."""
    assert values("ATEN_CPU_CAPABILITY") == {"default", "avx2", "avx512"}
    assert values("ONEDNN_MAX_CPU_ISA") == {"SSE41", "AVX2", "AVX512_CORE"}
    assert {m.threads for m in MACHINES} == {1, 2, 4}
    assert {m.wait for m in MACHINES} == {"ACTIVE", "PASSIVE"}
    assert {m.python for m in MACHINES} >= {"3.12", "3.13"}
    assert any(m.pins.get("torch") == "2.6.0" for m in MACHINES)
    assert any(m.user for m in MACHINES)
    assert any(not m.browser for m in MACHINES)
    assert any(m.env.get("LC_ALL") == "C" for m in MACHINES)
    assert all(m.demo for m in MACHINES if "ATEN_CPU_CAPABILITY" in m.env)


def test_turns_reach_every_machine_that_installs_nothing():
    """CI, which runs one machine each time, comes to all of them."""
    seen = [machines.choose(None, turn)[0] for turn in range(100, 100 + len(IN_TURN))]
    assert {m.name for m in seen} == {m.name for m in IN_TURN}
    assert not any(m.installs for m in seen)


def test_list_names_all_and_what_is_set(capsys: pytest.CaptureFixture):
    """--list is enough to build the same machine by hand."""
    with mock.patch.object(sys, "argv", ["machines.py", "--list"]):
        assert machines.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [m.name for m in MACHINES]
    assert "ATEN_CPU_CAPABILITY=avx2" in next(line for line in lines if line.startswith("avx2"))


def test_environment_holds_what_make_test_installs_at_the_pinned_versions(tmp_path, monkeypatch):
    """It is installed once. Other files, such as play.txt, cannot be installed beside these."""
    commands = []
    monkeypatch.setattr(machines, "ENVIRONMENTS", tmp_path)
    monkeypatch.setattr(machines.subprocess, "run", lambda words, **_: commands.append(words))
    folder = tmp_path / "old"
    folder.mkdir()
    machine = Machine("old", pins={"torch": "2.6.0"})
    for _ in range(2):  # the second time all is there
        assert machines.interpreter(machine) == str(folder / "bin" / "python")
    _, pip = commands
    installed = [word.removeprefix("-r") for word in pip if str(word).startswith("-r")]
    wanted = re.findall(r"install .*-r (\S+)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    names = [os.path.relpath(path, folder) for path in installed]
    assert names == [f for f in wanted if f in ("requirements.txt", "requirements/dev.txt")]
    assert "torch==2.6.0" in Path(installed[0]).read_text(encoding="utf-8")
    nested = re.findall(r"^-r (\S+)", Path(installed[1]).read_text(encoding="utf-8"), re.M)
    assert nested
    assert all((folder / "requirements" / name).is_file() for name in nested)


def test_machine_that_cannot_be_had_is_named_with_the_reason():
    """Such a machine is not a failure, and never taken for a pass."""
    assert machines.why_not(Machine("old", flag="no_such_flag")) == (
        "the processor has no no_such_flag"
    )
    result = machines.run(Machine("new", python="3.99"), [])
    assert result.good
    assert result.skipped_because == "no Python 3.99 on the PATH or in pyenv"
    assert "new not run: no Python 3.99" in machines.table([result])


def test_python_is_found_by_what_it_says_of_itself(tmp_path: Path, monkeypatch):
    """A shim of pyenv answers with an error where its Python is not chosen."""
    version = "{}.{}".format(*sys.version_info)
    shim = tmp_path / f"python{version}"
    shim.write_text("#!/bin/sh\nexit 127\n", encoding="ascii")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    assert machines.find_python(version) is None
    real = tmp_path / "pyenv" / "versions" / f"{version}.9" / "bin"
    real.mkdir(parents=True)
    (real / "python").symlink_to(sys.executable)
    assert machines.find_python(version) == str(real / "python")


def test_pins_replace_versions_and_nothing_else():
    """An old torch comes with today's other packages."""
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    found = machines.pinned(text, {"torch": "2.6.0"})
    changed = set(found.splitlines()) - set(text.splitlines())
    assert changed == {"torch==2.6.0"}
    assert len(found.splitlines()) == len(text.splitlines())


def test_path_without_browsers_has_everything_else(tmp_path: Path, monkeypatch):
    """Only the browsers are missing on a machine without them."""
    there = tmp_path / "there"
    there.mkdir()
    for name in ("chromium", "google-chrome", "cat"):
        (there / name).write_text("#!/bin/sh\n", encoding="ascii")
        (there / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{there}{os.pathsep}{tmp_path / 'gone'}")
    with machines.surroundings(Machine("plain", browser=False)) as (_, env):
        assert shutil.which("cat", path=env["PATH"])
        assert not any(shutil.which(name, path=env["PATH"]) for name in machines.BROWSERS)


def test_user_is_not_root_and_cannot_write_at_home():
    """Else the machine would prove nothing about such users."""
    machine = next(m for m in MACHINES if m.user)
    if reason := machines.why_not(machine):
        pytest.skip(reason)
    prefix = machines.USER_NAMESPACE if os.geteuid() == 0 else ()
    code = "import os, pathlib; print(os.geteuid()); pathlib.Path.home().joinpath('x').touch()"
    with machines.surroundings(machine) as (_, env):
        ran = subprocess.run(
            [*prefix, sys.executable, "-c", code], env=env, capture_output=True, encoding="utf-8"
        )
    assert ran.stdout.strip() not in ("", "0")
    assert "PermissionError" in ran.stderr


def test_locale_is_really_without_utf8():
    """Else the machine would prove nothing about names and texts."""
    machine = next(m for m in MACHINES if m.env.get("LC_ALL") == "C")
    code = "import locale; print(locale.getpreferredencoding(False))"
    with machines.surroundings(machine) as (_, env):
        ran = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, encoding="utf-8"
        )
    assert "UTF-8" not in ran.stdout.upper(), ran.stdout


def test_report_is_counted_and_failures_named(tmp_path: Path):
    """pytest's own report decides, errors in fixtures included."""
    file, result = tmp_path / "report.xml", Result("here", "")
    file.write_text(REPORT, encoding="utf-8")
    machines.read_report(file, result)
    assert (result.passed, result.failed, result.skipped) == (1, 2, 1)
    assert result.failures == [
        "tests.test_a::test_bad[1]: assert 1 == 2",
        "tests.test_a::test_cut: fixture died",
    ]
    assert not result.good


def test_a_run_is_pytest_with_the_machines_variables(tmp_path: Path, monkeypatch):
    """On a tests folder of two, one of which fails; the table and the file name it."""
    (tmp_path / "test_two.py").write_text(
        "import os\ndef test_one(): assert os.environ['OMP_NUM_THREADS'] == '4'\n"
        "def test_two(): assert os.environ['ATEN_CPU_CAPABILITY'] == 'avx512'\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(machines, "ROOT", tmp_path)
    machine = Machine("tried", {"ATEN_CPU_CAPABILITY": "avx2"}, threads=4, workers=1)
    monkeypatch.setattr(machines, "MACHINES", (machine,))
    argv = ["machines.py", "--json", str(tmp_path / "found.json")]
    with mock.patch.object(sys, "argv", argv):
        assert machines.main() == 1
    (found,) = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert (found["passed"], found["failed"]) == (1, 1)
    assert "test_two" in found["failures"][0]


def test_a_run_that_ends_early_is_no_success(tmp_path: Path, monkeypatch):
    """No test found, as with a mistyped argument: pytest ends with 5, and so not well."""
    monkeypatch.setattr(machines, "ROOT", tmp_path)
    result = machines.run(Machine("empty", workers=1), [])
    assert result.failures == ["pytest ended with exit code 5"]


@pytest.mark.parametrize(("accuracy", "good"), [(0.97, True), (0.96, False), (None, False)])
def test_the_demo_must_reach_its_accuracy(accuracy, good, monkeypatch):
    """A machine whose arithmetic goes wrong fails, though all tests pass."""
    monkeypatch.setattr(machines, "demo_accuracy", lambda *_: accuracy)
    monkeypatch.setattr(machines, "read_report", lambda *_: None)
    done = subprocess.CompletedProcess([], 0)
    with mock.patch.object(subprocess, "run", return_value=done):
        assert machines.run(Machine("trained", demo=True), []).good == good


def test_a_console_without_a_letter_shows_its_number():
    """Scripts print what a plain ASCII console lacks, such as a class's name, and go on."""
    code = "from libs.runtime import cli; cli.run(lambda: print('caf\\u00e9 \\u00b1 1'))"
    env = {"PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT / "code")}
    process = run_script("-c", code, **env)
    assert process.returncode == 0, process.stderr
    assert process.stdout == "caf\\xe9 \\xb1 1\n"


def test_a_home_that_cannot_be_written_is_no_news():
    """Matplotlib warns of it in three lines; a script says only what concerns its user."""
    code = "from libs.runtime import cli; cli.run(lambda: __import__('matplotlib'))"
    env = {"HOME": os.devnull, "XDG_CONFIG_HOME": "", "XDG_CACHE_HOME": "", "MPLCONFIGDIR": ""}
    process = run_script("-c", code, PYTHONPATH=str(ROOT / "code"), **env)
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
