"""The user that a worker becomes, so that it cannot touch what belongs to root."""

import contextlib
import os
import shutil
import stat

from autograder.sandbox import kernel

# No system assigns these, so limits per user count no other processes.
FREE_UIDS = range(2_000_000_000, 2_140_000_000)
FEW_UIDS = 5000


def can_change() -> bool:
    """Whether this process may become another user, and give files to that user."""
    needed = (kernel.CAP_CHOWN, kernel.CAP_SETGID, kernel.CAP_SETUID)
    held = kernel.capabilities()
    return os.geteuid() == 0 and all(held >> number & 1 for number in needed)


def right_to_read() -> int:
    """The mask of the weakest held capability that reads any file; 0 if there is none."""
    masks = [1 << kernel.CAP_DAC_READ_SEARCH, 1 << kernel.CAP_DAC_OVERRIDE]
    return next((mask for mask in masks if kernel.capabilities() & mask), 0)


def become(uid: int, capabilities: int) -> None:
    """Turn from root into another user, for good, keeping only the capabilities in a mask."""
    kernel.prctl(kernel.PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    kernel.set_capabilities(capabilities)


def own_copy(folder: str, scratch: str, uid: int) -> str:
    """Copy a folder for a user, so that the users of other workers cannot enter the copy."""
    copy = f"{scratch}/code"
    inside = os.path.basename(scratch)  # do not copy it into itself
    with contextlib.suppress(shutil.Error):  # a file above the limits is left out
        shutil.copytree(folder, copy, symlinks=True, ignore=shutil.ignore_patterns(inside))
    for at, folders, files in os.walk(copy):
        for name in (".", *folders, *files):
            os.chown(f"{at}/{name}", uid, uid, follow_symlinks=False)
    return copy


def open_to_others(path: str) -> bool:
    """Whether every user of the system may read this path, by its permission bits."""
    path = os.path.realpath(path)
    mode = os.stat(path).st_mode
    wanted = 0o5 if stat.S_ISDIR(mode) else 0o4
    while mode & wanted == wanted:
        if path == "/":
            return True
        path, wanted = os.path.dirname(path), 0o1
        mode = os.stat(path).st_mode
    return False


def choose_uid() -> int | None:
    """A user id that no other worker has; None if this system maps too few of them."""
    with open("/proc/self/uid_map") as file:
        ranges = [tuple(map(int, line.split())) for line in file]
    for first, _, count in ranges:
        if first <= FREE_UIDS.start and FREE_UIDS.stop <= first + count:
            offset = int.from_bytes(os.urandom(8), "little") % len(FREE_UIDS)
            return FREE_UIDS.start + offset
    first, _, count = max(ranges, key=lambda entry: entry[2])
    if count <= 2 * FEW_UIDS:
        return None
    return first + count - FEW_UIDS + os.getpid() % FEW_UIDS
