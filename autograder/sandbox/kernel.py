"""Linux system calls that Python does not wrap; they raise OSError on failure."""

import contextlib
import ctypes
import os
import platform

LIBC = ctypes.CDLL(None, use_errno=True)
MACHINE = platform.machine()
CAPGET, CAPABILITY_VERSION = {"x86_64": 125, "aarch64": 90}, 0x20080522
CAPSET = {"x86_64": 126, "aarch64": 91}
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_CAPBSET_DROP = 1, 8, 24
PR_SET_SECUREBITS, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 28, 36, 38
CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER = 0x20000, 0x8000000, 0x10000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_SETGID, CAP_SETUID = 0, 1, 2, 6, 7
# NOROOT and NO_CAP_AMBIENT_RAISE, each with its lock: from here on root has no special rights.
NO_ROOT = 1 << 0 | 1 << 1 | 1 << 6 | 1 << 7


def _checked(function: str, *arguments: object) -> int:
    # ctypes would pass ints as 32 bits, but these functions take longs.
    longs = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = getattr(LIBC, function)(*longs)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")
    return result


def syscall(number: int, *arguments: object) -> int:
    """Make a system call by its number; arguments are ints, bytes or ctypes values."""
    return _checked("syscall", number, *arguments)


def prctl(option: int, value: object = 0, third: object = 0) -> int:
    """Change an attribute of the calling process; see prctl(2)."""
    return _checked("prctl", option, value, third, 0, 0)


def unshare(flags: int) -> None:
    """Move to new namespaces of the kinds in `flags`; see unshare(2)."""
    _checked("unshare", flags)


def mount(source: str | None, target: str, kind: str | None, flags: int, data: str = "") -> None:
    """Mount a file system, or change a mount; see mount(2)."""
    names = [None if text is None else os.fsencode(text) for text in (source, target, kind)]
    _checked("mount", *names, flags, data.encode())


def unmount(target: str) -> None:
    """Remove a mount now, even if it is still in use."""
    _checked("umount2", os.fsencode(target), 2)


def pivot_root(folder: str) -> None:
    """Make a mounted folder the root directory, and detach the old root."""
    os.chdir(folder)
    syscall(PIVOT_ROOT[MACHINE], b".", b".")  # the old root is now mounted over the new one
    unmount(".")
    os.chdir("/")


def capabilities() -> int:
    """The mask of this process's effective capabilities."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    data = (ctypes.c_uint32 * 6)()
    syscall(CAPGET[MACHINE], header, data)
    return data[0] | data[3] << 32


def drop_bounding_set() -> None:
    """Keep programs started from here from gaining any capability, as far as possible."""
    with contextlib.suppress(OSError):
        prctl(PR_SET_SECUREBITS, NO_ROOT)
    for capability in range(64):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:  # not allowed to, or beyond the last one
            break


def set_capabilities(mask: int) -> None:
    """Give up all capabilities of this process except those in `mask`, for good."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    data = (ctypes.c_uint32 * 6)(low, low, 0, high, high, 0)
    syscall(CAPSET[MACHINE], header, data)
