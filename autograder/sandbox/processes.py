"""Measures and ends a process with all its descendants, through /proc."""

import contextlib
import os
import signal


def descendants(pid: int) -> list[int]:
    """The pids of a process's children, their children and so on; [] without /proc."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        at = waiting.pop()
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{at}/task"):
                with open(f"/proc/{at}/task/{thread}/children") as file:
                    children = [int(word) for word in file.read().split()]
                found += children
                waiting += children
    return found


def usage(pid: int) -> tuple[int, int]:
    """A process's memory in kB, without files that are merely mapped, and its number of threads.

    (0, 0) if the process is gone or there is no /proc.
    """
    memory = threads = 0
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name in ("RssAnon", "RssShmem", "VmSwap"):
                memory += int(value.split()[0])
            elif name == "Threads":
                threads = int(value)
    return memory, threads


def end_all(own_pid: int, group: int) -> None:
    """Kill all descendants of the calling process until none is left.

    All are stopped before any is killed, so that processes that keep forking cannot escape.

    Args:
        group: a process group to kill as well; without /proc nothing else is known
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
    stopped: set[int] = set()
    while True:
        reap()
        found = set(descendants(own_pid))
        if found <= stopped:
            break
        for pid in found - stopped:
            send(pid, signal.SIGSTOP)
        stopped |= found
    for pid in stopped:
        send(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def reap() -> None:
    """Collect the children that have ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def send(pid: int, number: int) -> None:
    """Send a signal; a process that is gone is not an error."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
