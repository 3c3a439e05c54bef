"""Landlock: a process limits itself to some folders; needs Linux 5.13, but no privileges."""

import ctypes
import os
import stat

from autograder.sandbox import kernel

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
MAKE_CHAR, MAKE_SOCK, MAKE_BLOCK = 1 << 6, 1 << 9, 1 << 11
TRUNCATE, IOCTL_DEV = 1 << 14, 1 << 15
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
READ = EXECUTE | READ_FILE | READ_DIR
# How many rights on files each version of the interface knows.
RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
BIND_AND_CONNECT = 3
ABSTRACT_SOCKETS_AND_SIGNALS = 3


class _Ruleset(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("files", "network", "scoped")]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32)]


def version() -> int:
    """The kernel's version of the interface; 0 if it has none."""
    try:
        return kernel.syscall(CREATE_RULESET, None, 0, 1)
    except OSError:
        return 0


def restrict(abi: int, readable: list[str], devices: list[str], writable: str) -> None:
    """Limit this process, for good, to reading some paths and writing in one folder.

    Args:
        abi: the version of the interface to use
        readable: folders and files; those that do not exist are ignored
        devices: may be read and written
        writable: a folder

    Raises:
        OSError: the system has no Landlock.
    """
    if not abi:
        raise OSError("the kernel has no Landlock")
    every = (1 << RIGHTS[min(abi, 5)]) - 1
    ruleset = _Ruleset(
        every, BIND_AND_CONNECT if abi >= 4 else 0, ABSTRACT_SOCKETS_AND_SIGNALS if abi >= 6 else 0
    )
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    rules = kernel.syscall(CREATE_RULESET, ctypes.byref(ruleset), size, 0)
    try:
        for path in readable:
            _allow(rules, path, READ & every)
        for path in devices:
            _allow(rules, path, READ_FILE | WRITE_FILE)
        _allow(rules, writable, every & ~(EXECUTE | MAKE_CHAR | MAKE_SOCK | MAKE_BLOCK | IOCTL_DEV))
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        kernel.syscall(RESTRICT_SELF, rules, 0)
    finally:
        os.close(rules)


def _allow(rules: int, path: str, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(handle).st_mode):
            rights &= OF_FILES
        rule = _PathBeneath(rights, handle)
        kernel.syscall(ADD_RULE, rules, 1, ctypes.byref(rule), 0)
    finally:
        os.close(handle)
