"""A folder for the copy of one submission, and the removal of those that killed graders left."""

import contextlib
import fcntl
import functools
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from autograder.reading.program import MAX_CODE_BYTES

IN_MEMORY = Path("/dev/shm")  # some disks take 0.3 s for the files of one submission
PREFIX = "grade-"
YOUNG = 60.0  # seconds in which a new folder may not be locked yet


@contextlib.contextmanager
def work_folder() -> Iterator[Path]:
    """An empty folder for one submission, in memory if there is room, which is removed afterwards.

    The worker may run as another user. It must reach its own submission and no other, so the folder
    has a random name, and the one around it cannot be listed.
    """
    remove_abandoned()
    place = IN_MEMORY if has_room(IN_MEMORY) else None
    with (
        tempfile.TemporaryDirectory(prefix=PREFIX, dir=place, ignore_cleanup_errors=True) as outer,
        locked(outer),
    ):
        Path(outer).chmod(0o711)
        folder = Path(outer) / secrets.token_hex(16)
        folder.mkdir(0o755)
        yield folder


@contextlib.contextmanager
def locked(folder: str | Path) -> Iterator[None]:
    """Hold the lock of a folder, which the system releases if this process is killed.

    Raises:
        OSError: another process holds it, or the folder cannot be opened.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


@functools.cache
def remove_abandoned() -> None:
    """Remove the work folders of graders that were killed, once in this process."""
    for place in {IN_MEMORY, Path(tempfile.gettempdir())}:
        for folder in place.glob(f"{PREFIX}*"):
            with contextlib.suppress(OSError):
                status = folder.lstat()
                if status.st_uid == os.getuid() and time.time() - status.st_mtime > YOUNG:
                    with locked(folder):
                        shutil.rmtree(folder, ignore_errors=True)


def has_room(place: Path) -> bool:
    """Whether submissions may be copied to a place in memory: there is room for two large ones.

    Whoever chose another temporary folder than the usual one wants them there.
    """
    if tempfile.gettempdir() != "/tmp" or not os.access(place, os.W_OK | os.X_OK):
        return False
    return shutil.disk_usage(place).free >= 2 * MAX_CODE_BYTES
