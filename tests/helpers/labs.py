"""Sandboxes whose workers run any text, to try what a submission could do in one layer or in all.

Every layer is also tried without the others that cover for it: a hole in one must not hide behind
the rest. All attempts bound themselves, so that a hole fails a test and harms nobody.
"""

import contextlib
import errno
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from autograder.sandbox.limits import Limits
from autograder.sandbox.sandbox import Sandbox, Worker
from autograder.sandbox.wire import Closed

LAYERS = ("view", "namespaces", "limits", "user", "landlock", "seccomp")
REFUSED = {errno.EPERM, errno.EACCES, errno.ENOENT, errno.EROFS, errno.ENETUNREACH}
SECONDS = 30.0  # for any answer; a worker that is stuck fails its test


linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the layers are Linux's own")


def slow(value: object) -> object:
    """A parameter whose kind has an everyday test: for the long run alone."""
    return pytest.param(value, marks=pytest.mark.slow)


class Lab:
    """A sandbox whose workers run any text."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox, self.folder = sandbox, folder
        self.log = folder / "log.txt"

    @contextlib.contextmanager
    def worker(self, code_folder: Path | None = None, **limits: float) -> Iterator[Worker]:
        folder = code_folder or self.folder / "code"
        folder.mkdir(exist_ok=True)
        worker = self.sandbox.worker(folder, self.log, Limits(**limits))
        try:
            yield worker
        finally:
            worker.kill()

    def run(self, code: str, **limits: float) -> dict:
        """The answer of a fresh worker to one text."""
        with self.worker(**limits) as worker:
            return ask(worker, code)


def ask(worker: Worker, code: str) -> dict:
    """The answer of a worker to one text."""
    worker.channel.send({"code": code})
    return worker.channel.receive(time.monotonic() + SECONDS)


def ended(worker: Worker, code: str) -> str:
    """How a worker ends that must not live to answer."""
    worker.channel.send({"code": code})
    with pytest.raises(Closed):
        worker.channel.receive(time.monotonic() + SECONDS)
    return worker.end(5)


def skip_without(offered: dict[str, bool], *layers: str) -> None:
    """Skip a test on a system without all of these layers, see the fixture `offered`."""
    for layer in layers:
        if not offered[layer]:
            pytest.skip(f"this system offers no {layer}")


def gone(pid: int) -> bool:
    """Whether a process has ended; one that only waits to be collected has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def soon(condition: Callable[[], bool]) -> bool:
    """Whether something becomes true within SECONDS."""
    deadline = time.monotonic() + SECONDS
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def scratch_folders() -> set[Path]:
    """What workers have, or left behind, in the temporary folder."""
    return set(Path(tempfile.gettempdir()).glob("autograder-*"))


def supervisor_of(worker: Worker) -> int:
    """The parent of a worker's process."""
    return int(Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()[1])


def children(pid: int) -> list[int]:
    """All that descend from a process, by what every process says of its parent."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(entry.name)] = int(
                (entry / "stat").read_text().rpartition(")")[2].split()[1]
            )
    found = [pid]
    for parent in found:
        found += [child for child, of in parents.items() if of == parent]
    return found[1:]
