"""Limits of a worker in the sandbox: processes, memory, files, output, handles and time."""

import errno
import subprocess
import sys

import pytest
from autograder.sandbox.sandbox import Worker
from autograder.sandbox.wire import Closed

from helpers.files import ROOT
from helpers.labs import ask, ended, linux_only, scratch_folders, skip_without, slow


@linux_only
def test_processes_and_their_memory_are_counted_together(labs):
    """Limits hold for a worker with its children, so that forking buys neither time nor memory."""
    code = """
import os, time
for _ in range({processes}):
    if os.fork() == 0:
        kept = np.ones((60 << 20,), "uint8") if {memory} else None
        time.sleep(20)
        os._exit(0)
time.sleep(20)
"""
    with labs("namespaces").worker(processes=40) as worker:
        words = ended(worker, code.format(processes=45, memory=False))
        assert words == "stopped: more than 40 processes and threads"
    with labs("namespaces").worker(memory_mb=300) as worker:
        words = ended(worker, code.format(processes=6, memory=True))
        assert words == "stopped: more than 300 MB of memory"


@linux_only
def test_too_many_threads_are_refused_or_end_the_worker(labs, offered):
    """Threads count as processes do: the system refuses them, or the supervisor ends the worker."""
    code = """
import threading
done = threading.Event()
try:
    for _ in range(150):
        threading.Thread(target=done.wait, daemon=True).start()
finally:
    done.wait(5)
"""
    with labs("limits").worker(processes=60) as worker:
        assert ended(worker, code) == "stopped: more than 60 processes and threads"
    skip_without(offered, "root", "landlock", "seccomp")
    with labs(everything=True).worker(processes=60) as worker:
        answer = ask(worker, code.replace("done.wait(5)", "done.set()"))
        assert answer.get("error") == "RuntimeError"  # can't start new thread


@pytest.mark.slow
@linux_only
def test_memory_is_limited_by_the_system_and_by_the_supervisor(labs):
    """At once, piece by piece or shared: no way of taking memory takes the machine's."""
    at_once = "result = len(np.ones((4 << 30,), 'uint8'))"
    piecewise = "kept = [np.ones((16 << 20,), 'uint8') for _ in range(256)]; result = len(kept)"
    with labs("limits").worker(memory_mb=500) as worker:
        assert ask(worker, at_once)["error"] in ("MemoryError", "_ArrayMemoryError")
        assert ask(worker, "result = 1") == {"result": 1}
    with labs("namespaces").worker(memory_mb=500) as worker:  # only the supervisor
        assert ended(worker, piecewise) == "stopped: more than 500 MB of memory"
    shared = """
import mmap
memory = mmap.mmap(-1, 1 << 30)
for at in range(0, 1 << 30, 16 << 20):
    memory[at : at + (16 << 20)] = bytes(16 << 20)
"""
    with labs("limits").worker(memory_mb=500) as worker:  # the system counts private memory only
        assert ended(worker, shared) == "stopped: more than 500 MB of memory"


def ask_or_end(worker: Worker, code: str) -> str:
    try:
        return ask(worker, code).get("error", "went well")
    except Closed:
        return worker.end(5)


@linux_only
@pytest.mark.parametrize("only", [slow(("limits",)), None])
def test_the_disk_cannot_be_filled(labs, only):
    """One big file, many files and many empty ones all end at their limit, and scratch is
    removed."""
    one = "open('big', 'wb').write(bytes(50 << 20))"
    many = """
for number in range(20):
    with open(str(number), 'wb') as file:
        file.write(bytes(10 << 20))
import time
time.sleep(5)
"""
    lab = labs(*only) if only else labs(everything=True)
    with lab.worker() as worker:
        assert ask(worker, one).get("number") == errno.EFBIG
    with lab.worker() as worker:
        assert ask_or_end(worker, many) in ("OSError", "stopped: more than 64 MB of files")
    with lab.worker() as worker:
        code = "for n in range(4300): open(str(n), 'w').close()\nimport time; time.sleep(5)"
        assert ask_or_end(worker, code) in ("OSError", "stopped: more than 4096 files")
    assert not scratch_folders()


@linux_only
@pytest.mark.parametrize(
    "hide",
    [
        "os.unlink(name)",
        # Not through Python's mmap, which keeps the file open.
        "libc.mmap(None, 10 << 20, 1, 1, file.fileno(), 0); file.close(); os.unlink(name)",
        "os.mkdir(deep) or os.chdir(deep)",
    ],
)
def test_files_cannot_hide_from_the_count(labs, hide):
    """Removed but held open, removed but mapped, or too deep for a name."""
    code = f"""
import ctypes, os, time
files, deep, libc = [], "d" * 250, ctypes.CDLL(None)
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
for number in range(20):
    name = str(number)
    file = open(name, "wb+")
    file.write(bytes(10 << 20))
    file.flush()
    files.append(file)
    {hide}
time.sleep(5)
"""
    with labs("limits").worker() as worker:
        words = ended(worker, code)
    assert words in (
        "stopped: more than 64 MB of files",
        "stopped: a folder too deep or closed to look into",
    )


@pytest.mark.slow
@linux_only
def test_a_folder_too_deep_for_names_is_removed(tmp_path):
    """Made and removed in a child, whose current folder ends up without a name."""
    code = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from autograder.sandbox.scratch import excess, remove_folder
os.chdir({str(tmp_path)!r})
os.mkdir("top")
os.chdir("top")
for _ in range(600):
    os.mkdir("a_folder")
    os.chdir("a_folder")
open("file", "w").close()
assert excess({str(tmp_path / "top")!r}, 1, os.getpid()) == (
    "a folder too deep or closed to look into"
)
sys.setrecursionlimit(200)
remove_folder({str(tmp_path / "top")!r})
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert list(tmp_path.iterdir()) == []


def test_much_output_is_cut_and_the_worker_goes_on(full):
    """Printing without end fills no disk, and whoever prints much is still graded."""
    full.log.unlink(missing_ok=True)
    code = """
import os
block = b'x' * (1 << 20)
for _ in range(200):
    os.write(1, block)
print('the end')
"""
    with full.worker(log_kb=64) as worker:
        assert ask(worker, code) == {"result": None}
        worker.end(5)
    text = full.log.read_text()
    assert text.endswith("[more was printed than is kept]\n")
    assert 64 << 10 < len(text) < 65 << 10


def test_more_handles_than_allowed_are_refused(full):
    """A submission that never closes its files gets an error of its own."""
    code = "kept = [open('/dev/null') for _ in range(400)]"
    assert full.run(code).get("number") == errno.EMFILE


@pytest.mark.parametrize("only", [slow(("limits",)), None])
def test_a_busy_loop_that_ignores_signals_is_stopped_by_the_clock(labs, only):
    """Time is limited for code that handles every signal, by its own limit and by the judge."""
    code = """
import signal
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
while True:
    pass
"""
    lab = labs(*only) if only else labs(everything=True)
    with lab.worker(seconds=0.5) as worker:
        assert ended(worker, code) == "stopped: more than 0.5 s"
    with lab.worker() as worker:
        worker.channel.send({"code": code})
        assert worker.end(0.1) == "stopped by the judge"


@pytest.mark.slow
def test_processor_time_is_limited(labs):
    """The system's own limit holds where its warning signal is ignored."""
    with labs("limits").worker(cpu_seconds=1) as worker:
        words = ended(worker, "import signal; signal.signal(24, signal.SIG_IGN)\nwhile True: pass")
        assert words == "stopped: more than 1 s of processor time"
