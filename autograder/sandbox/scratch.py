"""A worker's scratch folder, if it is on disk: measuring and removing it."""

import contextlib
import os

from autograder.sandbox.limits import MAX_ENTRIES


def excess(folder: str, disk_mb: int, pid: int) -> str:
    """Which limit on its scratch folder a process exceeds, in words; "" if none.

    Args:
        pid: the process, which may hold deleted files open
    """
    size, entries = deleted_size(pid, folder), 0
    waiting = [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as found:
                for entry in found:
                    entries += 1
                    if entries > MAX_ENTRIES:  # a bound on the time, too
                        return f"more than {MAX_ENTRIES} files"
                    size += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except FileNotFoundError:
            continue  # removed meanwhile
        except OSError:
            return "a folder too deep or closed to look into"
    return f"more than {disk_mb} MB of files" if size > disk_mb << 20 else ""


def deleted_size(pid: int, folder: str) -> int:
    """Bytes on disk of deleted files below a folder that a process still holds open or mapped."""
    size = 0
    with contextlib.suppress(OSError):
        for handle in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                status = os.stat(f"/proc/{pid}/fd/{handle}")
                size += status.st_blocks * 512 if status.st_nlink == 0 else 0
    with contextlib.suppress(OSError), open(f"/proc/{pid}/maps", errors="replace") as file:
        for line in file:
            if line.endswith("(deleted)\n") and folder in line:
                start, end = (int(part, 16) for part in line.split(None, 1)[0].split("-"))
                size += end - start
    return size


def remove_folder(folder: str) -> None:
    """Remove a folder of any depth; ignores what cannot be removed.

    The contents of inner folders are moved to the top one first, which needs neither recursion nor
    long paths.
    """
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            _empty(handle)
        finally:
            os.close(handle)
        os.rmdir(folder)


def _empty(top: int) -> None:
    moved = 0
    while names := os.listdir(top):
        before = moved, len(names)
        for name in names:
            try:
                os.unlink(name, dir_fd=top)
                continue
            except OSError:
                pass
            with contextlib.suppress(OSError):
                os.chmod(name, 0o700, dir_fd=top)
                inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
                try:
                    for child in os.listdir(inner):
                        moved += 1
                        os.rename(child, f".{moved}", src_dir_fd=inner, dst_dir_fd=top)
                finally:
                    os.close(inner)
                os.rmdir(name, dir_fd=top)
        if (moved, len(os.listdir(top))) == before:
            return
