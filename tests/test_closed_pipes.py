"""Commands whose output nobody reads any more (`| head`) end without a traceback."""

import contextlib
import importlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from helpers.files import ROOT
from helpers.scripts import ENVIRONMENT, call_program

FOLDERS = ("code", "autograder", "autograder/extras/*", "instructor", "benchmarks", "writeup", ".")
NO_COMMANDS = {  # run by Gradescope and Classroom 50, which keep all that is printed
    "autograder/extras/gradescope/grade_submission.py",
    "autograder/extras/classroom50/autograder.py",
}
FOUND = [path for folder in FOLDERS for path in ROOT.glob(f"{folder}/*.py")]
FOUND += [ROOT / "tests/machines.py"]
COMMANDS = {
    path.relative_to(ROOT).as_posix()
    for path in FOUND
    if "__main__" in path.read_text(encoding="utf-8")
} - NO_COMMANDS
FAMILIES = ("autograder.output.ending", "libs.runtime.cli", "zip_submission", "writeup.make_report")


@pytest.fixture
def unread() -> Iterator[io.TextIOWrapper]:
    """A pipe that nobody reads. Closing it writes what it holds, as Python does at its end."""
    reader, writer = os.pipe()
    os.close(reader)
    with contextlib.suppress(BrokenPipeError), open(writer, "w", encoding="utf-8") as stream:
        yield stream


@pytest.fixture(params=FAMILIES)
def ending(request) -> Callable[[], contextlib.AbstractContextManager]:
    """What a family of commands runs in."""
    if request.param == "writeup.make_report":
        for name in ("fpdf", "markdown_it"):
            pytest.importorskip(name, reason="make_report.py needs requirements/report.txt")
    return importlib.import_module(request.param).ending_with_its_reader


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_ends_quietly(command, unread):
    """Its help goes nowhere, with nothing left that Python's end would complain about."""
    if command.startswith("writeup/"):
        for name in ("fpdf", "markdown_it"):
            pytest.importorskip(name, reason="make_report.py needs requirements/report.txt")
    done = call_program(command, "--help", out=unread)
    assert (done.returncode, done.stderr) == (0, "")
    unread.close()


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_process_ends_quietly(unbuffered):
    """Whether Python holds back what is printed, or not: nothing on stderr."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "tests/machines.py", "--list"],
        stdout=writer,
        stderr=subprocess.PIPE,
        env={**ENVIRONMENT, "PYTHONUNBUFFERED": unbuffered},
        cwd=ROOT,
        check=False,
    )
    os.close(writer)
    assert done.stderr == b""
    assert done.returncode == (141 if unbuffered else 0)


def test_work_stops_where_nobody_reads(ending, unread):
    """What prints while it works ends there, with the code that a shell gives for SIGPIPE."""
    with contextlib.redirect_stdout(unread), pytest.raises(SystemExit) as end, ending():
        print("x" * io.DEFAULT_BUFFER_SIZE, flush=True)
    assert end.value.code == 141
    unread.close()


def test_another_broken_pipe_is_an_error(ending):
    """Protects: a fault between the judge and a worker, or of a loader's process, stays visible."""
    with pytest.raises(BrokenPipeError, match="another"), ending():
        raise BrokenPipeError("another")


def test_another_error_stays_where_nobody_reads(ending, unread):
    """Output that is still held back when something fails hides nothing."""

    def failing() -> None:
        with ending():
            print("x")
            raise KeyError("fault")

    with contextlib.redirect_stdout(unread), pytest.raises(KeyError, match="fault"):
        failing()
    unread.close()
