"""The filter of system calls, in force and run by an interpreter of its language."""

import errno
import os
import sys

import pytest

from helpers.labs import ask, linux_only, skip_without


@linux_only
def test_the_filter_refuses_what_could_break_out(labs, offered):
    """Calls that read other processes, mount, load code into the kernel or change the process are
    refused, by number and by other numbering."""
    skip_without(offered, "seccomp")
    if os.uname().machine != "x86_64":
        pytest.skip("the numbers below are those of x86_64")
    calls = {
        "ptrace": 101, "process_vm_readv": 310, "unshare": 272, "setns": 308, "mount": 165,
        "chroot": 161, "keyctl": 250, "bpf": 321, "perf_event_open": 298, "userfaultfd": 323,
        "io_uring_setup": 425, "open_by_handle_at": 304, "memfd_create": 319, "shmget": 29,
        "pidfd_open": 434, "personality": 135, "sendmsg": 46, "mq_open": 240,
    }  # fmt: skip
    code = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
result = [libc.syscall(%d, 0, 0, 0, 0, 0) and ctypes.get_errno()]
result.append(libc.prctl(1, 0) and ctypes.get_errno())
"""
    with labs("seccomp").worker() as worker:
        for name, number in calls.items():
            assert ask(worker, code % number) == {"result": [errno.EPERM] * 2}, name
        # x32 has the same calls under other numbers; none of them may exist.
        assert ask(worker, code % (0x40000000 + 41))["result"][0] == errno.ENOSYS


@pytest.mark.parametrize(
    ("machine", "architecture"), [("x86_64", 0xC000003E), ("aarch64", 0xC00000B7)]
)
def test_the_filter_decides_the_same_on_both_processors(machine, architecture):
    """Run by an interpreter of the kernel's filter language, so that it needs neither processor."""
    pytest.importorskip("resource")
    from autograder.sandbox import seccomp

    code = seccomp.program(machine, own_pid=77)
    column = ["x86_64", "aarch64"].index(machine)

    def decide(name: str, *arguments: int, architecture: int = architecture) -> int:
        number = {**seccomp.DENIED, **seccomp.OTHERS, "read": (0, 63)}[name][column]
        words = {16 + 8 * at: (arguments + (0,) * 6)[at] for at in range(6)}
        return run_filter(code, {0: number, 4: architecture, **words})

    allow, eperm, enosys = 0x7FFF0000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS
    assert decide("read") == allow
    assert decide("read", architecture=0x40000003) == 0x80000000  # 32 bits: killed
    assert decide("socket") == decide("execve") == decide("vhangup") == eperm
    assert decide("clone3") == enosys
    for newer in (468, 0x40000000, 0x40000000 + 41):  # of later kernels, and x32's
        assert run_filter(code, {0: newer, 4: architecture, 16: 0}) == enosys
    assert decide("clone", 0x3D0F00) == allow  # as glibc starts a thread
    assert decide("clone", 0x1200011) == eperm  # as glibc forks
    assert [decide("kill", pid) for pid in (77, 1, 0, 2**32 - 1)] == [allow, eperm, eperm, eperm]
    assert [decide("tgkill", pid) for pid in (77, 78)] == [allow, eperm]
    for name in ("prlimit64", "sched_setaffinity"):
        assert [decide(name, pid) for pid in (0, 77, 1)] == [allow, allow, eperm]
    assert decide("clone", 0x3D0F00 | 0x40000000) == eperm  # a thread in another network
    assert decide("openat2") == enosys  # flags that cannot be seen
    commands = {1: allow, 4: allow, 6: allow, 1030: allow}  # GETFD, SETFL, SETLK, DUPFD_CLOEXEC
    commands |= dict.fromkeys((8, 10, 15, 1024, 1026), eperm)  # SETOWN SETSIG SETOWN_EX SETLEASE
    assert {command: decide("fcntl", 5, command) for command in commands} == commands
    commands = {0x5401: allow, 0x541B: allow, 0x5421: allow}  # TCGETS, FIONREAD, FIONBIO
    commands |= dict.fromkeys((0x8901, 0x8902, 0x5412, 0x5452, 0x40086602), eperm)
    assert {command: decide("ioctl", 5, command) for command in commands} == commands
    options = {3: allow, 39: allow, 17: eperm, 77: eperm}  # TYPE, DOMAIN, PEERCRED, PEERPIDFD
    assert {option: decide("getsockopt", 3, 1, option) for option in options} == options
    flags = {0o2000000: allow, 0o1101: allow, 0o1002: allow, 0o1000: eperm, 3: eperm, 0o1003: eperm}
    assert {flag: decide("openat", 0, 0, flag) for flag in flags} == flags
    assert [decide("prctl", option) for option in (15, 0x53564D41, 1, 4)] == [allow] * 2 + [
        eperm
    ] * 2


def run_filter(code: bytes, data: dict[int, int]) -> int:
    """What a filter answers; `data` holds the words of struct seccomp_data by their offset."""
    at = accumulator = 0
    while True:
        kind = int.from_bytes(code[at : at + 2], sys.byteorder)
        yes, no = code[at + 2], code[at + 3]
        value = int.from_bytes(code[at + 4 : at + 8], sys.byteorder)
        at += 8
        if kind == 0x20:
            accumulator = data[value]
        elif kind == 0x54:
            accumulator &= value
        elif kind in (0x15, 0x25):
            at += 8 * (
                yes if (accumulator == value if kind == 0x15 else accumulator > value) else no
            )
        else:
            assert kind == 0x06
            return value
