"""Nothing of the sandbox is left behind, whatever ended it."""

import os
import signal
import subprocess
import sys

import pytest
from autograder.sandbox.sandbox import Sandbox

from helpers.files import ROOT, SANDBOXED
from helpers.labs import (
    SECONDS,
    Lab,
    ask,
    children,
    gone,
    linux_only,
    scratch_folders,
    slow,
    soon,
    supervisor_of,
)

pytestmark = pytest.mark.usefixtures("own_temporary_folder")

JUDGE = """
import os, signal, sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from autograder.sandbox.sandbox import Sandbox
sandbox = Sandbox("hostile_worker:serve", trusted=True, _without={without!r}, _preload=(),
                  _helpers=({tests!r},))
workers = [sandbox.worker(Path({folder!r}), Path({folder!r}) / "log") for _ in range(2)]
for worker in workers:
    worker.channel.send({{"code": "import signal, time\\nsignal.signal(15, signal.SIG_IGN)\\n"
                                  "open('x', 'w').close()\\nwhile True: pass"}})
holder = os.fork()  # holds copies of all sockets
if holder == 0:
    time.sleep(90)
    os._exit(0)
print(holder, *[worker.pid for worker in workers], sandbox._zygote.process.pid, flush=True)
time.sleep(60)
"""


@linux_only
@pytest.mark.parametrize("without", [(), slow(("view", "namespaces", "seccomp"))])
def test_nothing_is_left_when_the_judge_is_killed(without, tmp_path):
    """Ctrl-C, a crash or a lost terminal leave no student's process and no folder behind."""
    code = JUDGE.format(
        root=str(ROOT), tests=str(SANDBOXED), folder=str(tmp_path / "code"), without=without
    )
    (tmp_path / "code").mkdir()
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "TMPDIR": str(temporary)},
    ) as judge:
        holder, *pids = [int(word) for word in judge.stdout.readline().split()]
        assert len(pids) == 3
        supervisors = children(pids[-1])
        assert len(supervisors) >= 4  # and the workers themselves
        assert list(temporary.iterdir())
        judge.kill()
        try:
            assert soon(lambda: all(map(gone, pids + supervisors)))
            assert soon(lambda: not list(temporary.iterdir()))
        finally:
            os.kill(holder, signal.SIGKILL)


@linux_only
def test_a_killed_zygote_leaves_its_workers_to_the_judge_and_is_replaced(tmp_path):
    """One killed process does not end the grading of a whole class."""
    helpers = (str(SANDBOXED),)
    with Sandbox("hostile_worker:serve", _preload=(), _helpers=helpers) as sandbox:
        lab = Lab(sandbox, tmp_path)
        with lab.worker() as before:
            first = sandbox._zygote.process.pid
            os.kill(first, signal.SIGKILL)
            assert ask(before, "result = 1") == {"result": 1}
            assert lab.run("result = 2") == {"result": 2}
            assert sandbox._zygote.process.pid != first
            assert before.end(5) == "exited with code 0"
    assert not scratch_folders()


@linux_only
def test_a_killed_supervisor_takes_its_worker_along(labs):
    """No worker runs without somebody who counts its time and memory."""
    for only in (("limits",), ("namespaces", "limits")):
        with labs(*only).worker() as worker:
            worker.channel.send({"code": "while True: pass"})
            pid = worker.pid
            os.kill(supervisor_of(worker), signal.SIGKILL)
            assert worker.end(5) == "ended without a report"
            assert soon(lambda pid=pid: gone(pid)), only
    assert soon(lambda: not scratch_folders())


@pytest.mark.slow
@linux_only
def test_many_workers_leave_no_process_handle_or_folder(full):
    """Grading hundreds of submissions in one process does not run out of anything."""
    with full.worker():
        pass
    handles = len(os.listdir("/proc/self/fd"))
    zygote = full.sandbox._zygote.process.pid
    zygote_handles = len(os.listdir(f"/proc/{zygote}/fd"))
    for number in range(100):
        with full.worker() as worker:
            if number % 10 == 0:
                ask(worker, "open('file', 'w').write('x')")
            worker.end(SECONDS if number % 2 else 0)
    assert soon(lambda: children(zygote) == [])
    assert len(os.listdir("/proc/self/fd")) == handles
    assert len(os.listdir(f"/proc/{zygote}/fd")) == zygote_handles
    assert not scratch_folders()
