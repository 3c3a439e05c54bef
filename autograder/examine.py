"""Prepare one submission for its tests, and start the workers that run it."""

import contextlib
import ctypes
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autograder.checks.student import RunState, Student, WarmWorker
from autograder.reading.submission import Submission, open_submission
from autograder.sandbox.sandbox import Sandbox
from autograder.sandbox.wire import Channel

KIT_CODE = Path(__file__).resolve().parents[1] / "code"
M_MMAP_THRESHOLD, M_TRIM_THRESHOLD = -3, -1  # of glibc's mallopt
LARGE = 1 << 23  # bytes: larger arrays go back to the system as soon as they are freed
KEPT = 1 << 26  # bytes of smaller freed ones that are kept for reuse
# The starter's grader has no hidden tests: students grade their own work with it.
IS_STARTER = not Path(__file__).with_name("hidden").joinpath("oracles.py").exists()


@dataclass
class Examination:
    """A prepared submission, and how to start workers that run it."""

    submission: Submission
    start_worker: Callable[[], Any]
    state: RunState = field(default_factory=RunState)
    shares: bool = False  # a part whose tests all passed hands its worker on
    warm: WarmWorker | None = None  # the worker handed to the next part
    reused: set[str] = field(default_factory=set)  # parts that took over a worker
    failed: set[str] = field(default_factory=set)  # parts with a failed test
    without_gpu: str = ""  # see judge.named_a_gpu

    def student(self, part: str) -> Student:
        """The submission as one part's tests see it, with a new worker or an earlier part's."""
        warm, self.warm = self.warm, None
        if warm is not None:
            self.reused.add(part)
        self.state.begin_part()
        return Student(self.start_worker, self.state, warm, self.submission.code_folder / "libs")

    def take_back(self, student: Student, part: str) -> None:
        """After the tests of a part, keep its worker for the next one, or end it."""
        if self.shares and part not in self.failed:
            self.warm = student.hand_over()
        else:
            student.stop()

    def close(self) -> None:
        """End the worker that is kept for the next part, if there is one."""
        Student(self.start_worker, self.state, self.warm).stop()
        self.warm = None


@contextlib.contextmanager
def examine(
    path: Path, work: Path, in_process: bool = False, sandbox: Sandbox | None = None
) -> Iterator[Examination]:
    """Open a submission for its tests.

    Args:
        path: a zip or a folder.
        work: an empty folder for the prepared copy and the log.
        in_process: run student code in this process, without protection.
        sandbox: a started one to use; without it, one is started for this submission.

    Raises:
        Refused: the submission cannot be read.
    """
    submission = open_submission(path, work / "submission", KIT_CODE)
    log = work / "log.txt"
    if in_process:
        yield Examination(submission, lambda: LocalWorker(submission.code_folder))
    elif sandbox is not None:
        yield Examination(submission, lambda: sandbox.worker(submission.code_folder, log))
    else:
        with Sandbox(trusted=IS_STARTER) as own:
            yield Examination(submission, lambda: own.worker(submission.code_folder, log))


class LocalWorker:
    """A worker without a sandbox: a thread of this process, for a debugger to reach."""

    def __init__(self, code_folder: Path) -> None:
        from autograder.worker.serve import serve

        ours, theirs = socket.socketpair()
        self.channel = Channel(ours)
        arguments = (Channel(theirs), str(code_folder))
        self.thread = threading.Thread(target=self.run, args=(serve, *arguments), daemon=True)
        self.thread.start()

    def run(self, serve: Callable, *arguments: Any) -> None:
        """Serve until the judge closes the channel."""
        with contextlib.suppress(Exception):
            serve(*arguments, shared=True)

    def kill(self) -> None:
        """Close the channel and wait: a thread still inside torch would crash Python's shutdown."""
        self.channel.close()
        self.thread.join(5)

    def end(self, timeout: float) -> str:
        """How the worker ended, in words."""
        return "the thread ended"


def give_memory_back() -> None:
    """Return freed memory to the system, and set how much glibc may keep from now on.

    Asking the system for each megabyte array takes longer than computing with it. But what glibc
    keeps by default grows without bound, in fragments, while a worker sends large messages.
    """
    with contextlib.suppress(AttributeError, OSError):  # systems without glibc
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, LARGE)
        libc.mallopt(M_TRIM_THRESHOLD, KEPT)
        libc.malloc_trim(0)
