"""A worker of the sandbox starts and signals no process, and ends with all that it started."""

import errno
import os
import subprocess
import time

import pytest

from helpers.labs import ask, children, gone, linux_only, skip_without, slow, supervisor_of


@linux_only
@pytest.mark.parametrize("only", [("seccomp",), None])
def test_no_new_process_and_no_new_program(labs, only, offered):
    """Neither fork, vfork nor exec gets through in any form, while threads, which torch needs,
    start."""
    skip_without(offered, "seccomp")
    lab = labs(*only) if only else labs(everything=True)
    with lab.worker() as worker:
        for code in (
            "import os; os.fork() or os._exit(0)",
            "import os; os.execv('/bin/true', ['true'])",
            "import subprocess; subprocess.run(['/bin/true'])",
            "import os; os.posix_spawn('/bin/true', ['true'], {})",
            "import ctypes, os; libc = ctypes.CDLL(None, use_errno=True)\n"
            "if libc.vfork() < 0: raise OSError(ctypes.get_errno(), '')",
        ):
            assert ask(worker, code).get("number") == errno.EPERM, code
        code = """
import threading
threads = [threading.Thread(target=int) for _ in range(20)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
result = len(threads)
"""
        assert ask(worker, code) == {"result": 20}  # threads can


@linux_only
@pytest.mark.parametrize("only", [("seccomp",), ("landlock",), ("namespaces",), None])
def test_no_other_process_can_be_signalled(labs, only, offered):
    """The judge, the zygote and other users' processes survive a submission that kills all it
    can."""
    skip_without(offered, only[0] if only else "seccomp")
    lab = labs(*only) if only else labs(everything=True)
    with subprocess.Popen(["sleep", "60"]) as other, lab.worker() as worker:
        try:
            zygote = lab.sandbox._zygote.process.pid
            for pid in (other.pid, os.getpid(), zygote):
                answer = ask(worker, f"import os; os.kill({pid}, 18)")  # SIGCONT: harmless
                assert answer.get("number") in {errno.EPERM, errno.ESRCH}, pid
            ask(worker, "import os, signal; signal.signal(15, signal.SIG_IGN); os.kill(-1, 15)")
            ask(worker, "import os; os.getppid() and os.kill(os.getppid(), 9)")
            assert ask(worker, "result = 1") == {"result": 1}
            assert other.poll() is None
        finally:
            other.kill()


@linux_only
def test_grandchildren_end_with_the_worker_even_without_the_filter(labs):
    """Two forks and a new session leave every group and parent, but not the supervisor."""
    code = """
import os, signal, time
read, write = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.write(write, b"x")
        time.sleep(60)
    os._exit(0)
os.wait()
os.read(read, 1)
"""
    for only in (("limits",), ("namespaces",)):
        with labs(*only).worker() as worker:
            assert ask(worker, code) == {"result": None}
            below = children(supervisor_of(worker))
            assert len(below) >= 2, only
            assert worker.kill() == "stopped by the judge"
            assert all(map(gone, below)), only


@linux_only
@pytest.mark.parametrize(
    "only", [("limits",), slow(("namespaces",)), slow(("limits", "view", "landlock", "user"))]
)
def test_a_fork_bomb_is_stopped_without_the_filter(labs, only):
    """Killing a worker ends all that it forked, however fast it forks."""
    code = """
import os, time
end = time.monotonic() + 20
for _ in range(7):  # at most 128 processes
    try:
        os.fork()
    except OSError:
        pass
while time.monotonic() < end:
    pass
"""
    with labs(*only).worker(processes=40) as worker:
        below = supervisor_of(worker)
        worker.channel.send({"code": code})
        time.sleep(0.5)
        worker.kill()
        assert children(below) == []
