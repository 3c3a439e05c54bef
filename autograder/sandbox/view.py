"""A worker's own file system: it shows only what the worker may see; only scratch is writable.

It needs a mount namespace, so either root or user namespaces. The scratch folder is in memory, has
a hard limit, and vanishes with the worker.
"""

import os

from autograder.sandbox import kernel
from autograder.sandbox.limits import MAX_ENTRIES

SCRATCH = "/scratch"
NOSUID, NODEV, NOEXEC = 2, 4, 8
READ_ONLY, REMOUNT, BIND, RECURSIVE, PRIVATE = 1, 32, 4096, 16384, 1 << 18
# Flags that a mount may have and that a user namespace must not remove. The first four have the
# same numbers in statvfs and in mount.
KEPT = {1: 1, 2: 2, 4: 4, 8: 8, 1024: 1024, 2048: 2048, 4096: 1 << 21}
BASE = "/tmp"  # where the new root is assembled, invisible to all other processes


def enter(readable: list[str], devices: list[str], disk_mb: int, owner: int) -> None:
    """Move this process into a file system with only these paths and an empty SCRATCH.

    Args:
        readable: folders and files, read-only under the same names; missing ones are ignored
        devices: device files, which may also be written
        disk_mb: size of the scratch folder
        owner: uid of the scratch folder's owner

    Raises:
        OSError: the system does not allow it; then nothing has changed, for this process or
            others.
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
    """The paths that exist, without those inside another one."""
    found: list[str] = []
    for path in sorted({os.path.abspath(path) for path in paths}):
        inside = any(path == outer or path.startswith(outer + "/") for outer in found)
        if os.path.exists(path) and not inside:
            found.append(path)
    return found


def _show(path: str, handle: int, writable: bool) -> None:
    # The path itself may be below BASE, hidden by now, so use the open handle.
    source, target = f"/proc/self/fd/{handle}", BASE + path
    if os.path.isdir(source):
        os.makedirs(target)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "x"):
            pass
    try:
        kernel.mount(source, target, None, BIND)
    except OSError:  # in a user namespace, mounts below it must be included
        kernel.mount(source, target, None, BIND | RECURSIVE)
    if not writable:
        has = os.statvfs(target).f_flag
        flags = sum(flag for bit, flag in KEPT.items() if has & bit & ~3)
        kernel.mount(None, target, None, REMOUNT | BIND | flags | READ_ONLY | NOSUID)
