"""Grade on a Dask cluster: python autograder/grade.py SUBMISSIONS --out DIR --dask ADDRESS

Start the scheduler anywhere, and workers in identical copies of this repository, with
the packages of requirements.txt and requirements/grade.txt:

    dask scheduler
    PYTHONPATH=. dask worker ADDRESS --nworkers 8 --nthreads 1 --no-dashboard

Submissions are sent as bytes, so the machines need no shared files. Anyone who reaches the
scheduler can run code on every worker: keep it in a private network.
"""

import contextlib
import functools
import hashlib
import itertools
import operator
import os
import pickle
import stat
import tempfile
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.batch import Order, died, grade_one
from autograder.reading.archives import MAX_ENTRIES, is_litter
from autograder.results import Grade
from autograder.sandbox.limits import SandboxError
from autograder.text import InputError

if TYPE_CHECKING:
    from distributed import Client, Future

ROOT = Path(__file__).resolve().parents[2]
ANSWER_SECONDS = 10  # for the scheduler to answer, and for it to have a worker
LOOK_SECONDS = 20  # between checks that a silent cluster still has workers
MAX_SENT = 200_000_000  # bytes of a submission; larger ones are graded on this machine

_one_at_a_time = threading.Lock()  # all threads of a worker share one sandbox and pytest


class TooLarge(Exception):
    """A submission is too large to send; grade it on this machine."""


@dataclass(frozen=True)
class Parcel:
    """A submission in the form in which it is sent to a worker."""

    name: str
    above: str  # name of the folder around it, which may name the team
    modified: int  # nanoseconds since 1970: a team's later hand-in is the one that counts
    content: bytes | None  # the bytes of a zip; None for a folder
    files: tuple[
        tuple[str, bytes | str], ...
    ] = ()  # name in the folder; content, or a link's target


def grade_on_cluster(paths: list[Path], order: Order, address: str) -> Iterator[Grade]:
    """Grade submissions on a cluster, and yield each grade when it is done.

    If a worker dies, Dask runs its submission again elsewhere. One whose workers keep dying gets no
    points and a note for a person.

    Args:
        address: the scheduler's, such as "tcp://192.0.2.1:8786".

    Raises:
        InputError: Dask is not installed; the scheduler or its workers do not answer.
        SandboxError: a worker cannot grade.
    """
    waiting = iter(paths)
    running: dict[Future, Path] = {}
    with connected(address) as cluster:
        while True:
            # few at a time: the scheduler holds the bytes of all submitted tasks
            room = max(0, 2 * max(1, cluster.count_threads()) - len(running))
            for path in itertools.islice(waiting, room):
                try:
                    running[cluster.submit(pack(path), order)] = path
                except (TooLarge, OSError):  # the grader says what cannot be read
                    yield grade_one(path, order)
            if not running:
                return
            for task in cluster.wait_for_one(list(running)):
                path = running.pop(task)
                grade = cluster.result(task)
                if grade is None:
                    yield died(path, order)
                else:
                    yield replace(grade, submission=order.names.get(path, grade.submission))


@contextlib.contextmanager
def connected(address: str) -> "Iterator[Cluster]":
    """Connect to a cluster with at least one worker; raises InputError."""
    try:
        from distributed import Client
    except ImportError as error:
        raise InputError(
            "--dask needs Dask, which is not installed; install it with: "
            "python -m pip install -r requirements/grade.txt"
        ) from error
    # submissions are sent inside their tasks, so that they survive a worker's death
    warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
    try:
        client = Client(address, timeout=ANSWER_SECONDS)
    except (OSError, ValueError) as error:
        raise InputError(
            f"--dask: no scheduler answers at {address}; start one with `dask scheduler`, which "
            "prints its address"
        ) from error
    with client:
        cluster = Cluster(client, address)
        cluster.wait_for_worker()
        yield cluster


class Cluster:
    """Dask's client, with errors turned into sentences."""

    def __init__(self, client: "Client", address: str) -> None:
        self.client, self.address = client, address
        self.start = (
            f"`PYTHONPATH=. dask worker {address} --nthreads 1 --no-dashboard` in the folder of "
            "this repository starts one"
        )

    def count_threads(self) -> int:
        """How many submissions can be graded at once."""
        with self._gone():
            return sum(self.client.nthreads().values())

    def wait_for_worker(self) -> None:
        """Raise InputError if no worker appears soon."""
        with self._gone():
            try:
                self.client.wait_for_workers(1, timeout=ANSWER_SECONDS)
            except TimeoutError as error:
                raise InputError(
                    f"--dask: the scheduler {self.address} has no workers; {self.start}"
                ) from error

    def submit(self, parcel: Parcel, order: Order) -> "Future":
        """Submit a submission to be graded.

        The task refers only to functions of the standard library, since the scheduler, which
        unpacks it, may be someone else's and know nothing of the grader.
        """
        packed = pickle.dumps(functools.partial(grade_parcel, parcel, order, kit_hash()))
        with self._gone():
            work = self.client.submit(pickle.loads, packed, pure=False)
            return self.client.submit(operator.call, work, pure=False)

    def wait_for_one(self, tasks: "list[Future]") -> "set[Future]":
        """The tasks that are done, at least one."""
        from distributed import wait

        while True:
            with self._gone(), contextlib.suppress(TimeoutError):
                return wait(tasks, LOOK_SECONDS, "FIRST_COMPLETED").done
            self.wait_for_worker()

    def result(self, task: "Future") -> Grade | None:
        """The grade of a finished task; None if every worker that tried it died."""
        from distributed.scheduler import KilledWorker

        try:
            with self._gone():
                return task.result()
        except KilledWorker:
            return None
        except (InputError, SandboxError):
            raise
        except Exception as error:  # errors of the grader itself arrive as SandboxError
            raise InputError(
                f"--dask: a worker cannot run the grader ({error}); {self.start} that can"
            ) from error

    @contextlib.contextmanager
    def _gone(self) -> Iterator[None]:
        """Within this context, raise InputError if the scheduler no longer answers."""
        try:
            yield
        except (OSError, CancelledError) as error:
            raise InputError(
                f"--dask: the scheduler {self.address} is gone; finished grades are kept, and "
                "--resume continues"
            ) from error


def pack(path: Path) -> Parcel:
    """Read a submission to send it.

    Raises:
        TooLarge: it has more than MAX_SENT bytes, or too many files.
        OSError: a file cannot be read.
    """
    path = Path(os.path.abspath(path))
    status = path.stat()
    parcel = Parcel(path.name, path.parent.name, status.st_mtime_ns, None)
    if not path.is_dir():
        if status.st_size > MAX_SENT:
            raise TooLarge
        return replace(parcel, content=path.read_bytes())
    files: list[tuple[str, bytes | str]] = []
    left = MAX_SENT
    for file in files_in(path):
        name, status = str(file.relative_to(path)), file.lstat()
        left -= status.st_size
        if left < 0 or len(files) >= MAX_ENTRIES:
            raise TooLarge
        if stat.S_ISLNK(status.st_mode):
            files.append((name, os.readlink(file)))
        elif stat.S_ISREG(status.st_mode):
            files.append((name, file.read_bytes()))
        else:
            raise OSError(0, f"{name} is neither a file nor a link")
    return replace(parcel, files=tuple(files))


def files_in(folder: Path) -> Iterator[Path]:
    """Yield all files and links except those that the grader ignores; raises OSError."""

    def stop(error: OSError) -> None:
        raise error

    for at, folders, files in os.walk(folder, onerror=stop):
        here = Path(at)
        links = [name for name in folders if (here / name).is_symlink()]
        yield from (here / name for name in [*files, *links] if not is_litter(name))
        folders[:] = [
            name
            for name in folders
            if not is_litter(name) and not (here / name / "pyvenv.cfg").is_file()
        ]


def unpack(parcel: Parcel, folder: Path) -> Path:
    """Write a submission to an empty folder, as it was on its own machine; returns its path."""
    path = folder / parcel.above / parcel.name
    path.parent.mkdir(exist_ok=True)
    if parcel.content is not None:
        path.write_bytes(parcel.content)
    else:
        path.mkdir()
    for name, content in parcel.files:
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            file.symlink_to(content)
    os.utime(path, ns=(parcel.modified, parcel.modified))
    return path


def grade_parcel(parcel: Parcel, order: Order, kit: str) -> Grade:
    """Grade a submission on a worker, in the sandbox of the worker's process.

    Args:
        kit: `kit_hash` on the machine that sent the submission.

    Raises:
        SandboxError: this machine cannot grade, or has another version of the grader.
    """
    where = f"--dask: the worker on {os.uname().nodename} in {ROOT}"
    if kit != kit_hash():
        raise SandboxError(
            f"{where} has another autograder/ or code/libs/; bring it up to date and restart it"
        )
    with _one_at_a_time, tempfile.TemporaryDirectory(prefix="parcel-") as folder:
        try:
            return grade_one(unpack(parcel, Path(folder)), order)
        except Exception as error:
            raise SandboxError(f"{where} cannot grade: {error}") from None


@functools.cache
def kit_hash() -> str:
    """A hash of all files that a grade may depend on: the grader's and the kit's helpers."""
    total = hashlib.sha256()
    paths = [path for folder in ("autograder", "code/libs") for path in (ROOT / folder).rglob("*")]
    for path in sorted([*paths, ROOT / "zip_submission.py"]):
        if path.suffix in (".py", ".yaml", ".npz"):
            name = path.relative_to(ROOT).as_posix()
            total.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()
