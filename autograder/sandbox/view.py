"""A worker's own file system: it holds only what the worker may see, and only scratch is writable.

Needs a mount namespace, so root or user namespaces. The scratch folder is in memory, has a hard
limit, and vanishes with the worker.
"""

import os

from autograder.sandbox import kernel
from autograder.sandbox.limits import MAX_ENTRIES

SCRATCH = "/scratch"
NOSUID, NODEV, NOEXEC = 2, 4, 8
READ_ONLY, REMOUNT, BIND, RECURSIVE, PRIVATE = 1, 32, 4096, 16384, 1 << 18
# Flags that a mount may already have and that a user namespace must not take away. The first four
# are the same numbers in statvfs and in mount.
KEPT = {1: 1, 2: 2, 4: 4, 8: 8, 1024: 1024, 2048: 2048, 4096: 1 << 21}
BASE = "/tmp"  # where the new root is put together, invisible to all others


def enter(readable: list[str], devices: list[str], disk_mb: int, owner: int) -> None:
    """Move this process into a file system that holds these paths and an empty SCRATCH.

    Args:
        readable: folders and files, seen read-only under the same names; missing ones are ignored
        devices: may be written too
        disk_mb: size of the scratch folder
        owner: uid that the scratch folder belongs to

    Raises:
        OSError where the system does not allow it; then nothing has changed for other processes,
        and nothing for this one.
    """
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount(None, "/", None, RECURSIVE | PRIVATE)
    handles = {path: os.open(path, os.O_PATH) for path in _outermost(readable)}
    handles |= {path: os.open(path, os.O_PATH) for path in devices if os.path.exists(path)}
    kernel.mount("tmpfs", BASE, "tmpfs", NOSUID, "mode=755,size=1m,nr_inodes=1000")
    try:
        for path, handle in handles.items():
            _show(path, handle, writable=path in devices)
        os.mkdir(BASE + SCRATCH)
        settings = f"mode=700,uid={owner},size={disk_mb}m,nr_inodes={MAX_ENTRIES}"
        kernel.mount("tmpfs", BASE + SCRATCH, "tmpfs", NOSUID | NODEV | NOEXEC, settings)
        kernel.mount(None, BASE, None, REMOUNT | BIND | READ_ONLY | NOSUID)
    except OSError:
        kernel.unmount(BASE)
        raise
    finally:
        for handle in handles.values():
            os.close(handle)
    kernel.pivot_root(BASE)


def _outermost(paths: list[str]) -> list[str]:
    """The paths that exist, without those inside another."""
    found: list[str] = []
    for path in sorted({os.path.abspath(path) for path in paths}):
        inside = any(path == outer or path.startswith(outer + "/") for outer in found)
        if os.path.exists(path) and not inside:
            found.append(path)
    return found


def _show(path: str, handle: int, writable: bool) -> None:
    # The path itself may be below BASE, and so hidden by now: go through the open handle.
    source, target = f"/proc/self/fd/{handle}", BASE + path
    if os.path.isdir(source):
        os.makedirs(target)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "x"):
            pass
    try:
        kernel.mount(source, target, None, BIND)
    except OSError:  # in a user namespace, what is mounted below must come along
        kernel.mount(source, target, None, BIND | RECURSIVE)
    if not writable:
        has = os.statvfs(target).f_flag
        flags = sum(flag for bit, flag in KEPT.items() if has & bit & ~3)
        kernel.mount(None, target, None, REMOUNT | BIND | flags | READ_ONLY | NOSUID)
