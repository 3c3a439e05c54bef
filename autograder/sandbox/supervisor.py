"""Watches one worker from outside: starts it, enforces its limits, ends it, cleans up after it.

A separate process, forked from the zygote, that runs no student code. It ends when the worker
does, and ends the worker when the judge closes the channel or dies.
"""

import contextlib
import json
import os
import resource
import select
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from autograder.sandbox import holes, processes
from autograder.sandbox.confine import LINUX, Plan
from autograder.sandbox.scratch import excess, remove_folder
from autograder.sandbox.start import run_worker
from autograder.sandbox.wire import Channel

if LINUX:
    from autograder.sandbox import kernel

LOOK_EVERY = 0.05  # seconds between checks of a worker's memory and files
CHUNK = 1 << 16
Serve = Callable[[Channel, str], None]


@dataclass
class Handles:
    """File descriptors that the judge sent with its request."""

    channel: int  # the worker's end of the pipe to the judge
    log: int
    status: int  # the socket on which this process reports to the judge


def supervise(plan: Plan, handles: Handles, judge: int | None, serve: Serve) -> None:
    """Run one worker to its end; report to the judge when it is ready, and how it ended.

    Args:
        judge: a pidfd of the judge's process, if the system has pidfds
    """
    _leave_the_zygote()
    status = socket.socket(fileno=handles.status)
    try:
        os.mkdir(plan.scratch, 0o700)
        ended = _run(plan, handles, status, judge, serve)
    except Exception as error:
        tell(status, error=f"{type(error).__name__}: {error}", ended="lost: its supervisor failed")
        raise
    finally:
        remove_folder(plan.scratch)
    tell(status, ended=ended)


def _run(
    plan: Plan, handles: Handles, status: socket.socket, judge: int | None, serve: Serve
) -> str:
    isolate_processes(plan.isolation)
    log_read, log_write = os.pipe()
    ready_read, ready_write = os.pipe()
    started = time.monotonic()
    pid = os.fork()
    if pid == 0:
        run_worker(plan, serve, handles.channel, log_write, ready_write)
    for handle in (handles.channel, log_write, ready_write):
        os.close(handle)
    log = Log(log_read, handles.log, plan.limits.log_kb << 10)
    try:
        return Watch(plan, pid, started, log, status, judge).run(ready_read)
    finally:
        processes.send(pid, signal.SIGKILL)
        processes.end_all(os.getpid(), pid)


def _leave_the_zygote() -> None:
    os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if LINUX:
        # Orphaned descendants become children of this process, so it can find all of them.
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)


def isolate_processes(isolation: str) -> None:
    """Have the next fork start a pid namespace, which ends as a whole with its first process.

    Args:
        isolation: "root"; "user" for a user namespace around it; "" for none

    Raises:
        OSError: the system does not allow it.
    """
    if isolation == "root":
        kernel.unshare(kernel.CLONE_NEWPID)
    elif isolation == "user":
        user, group = os.geteuid(), os.getegid()
        kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWPID)
        maps = {"setgroups": "deny", "uid_map": f"{user} {user} 1", "gid_map": f"{group} {group} 1"}
        for name, text in maps.items():
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)


def find_isolation(without: tuple[str, ...]) -> str:
    """The argument for `isolate_processes` that works here, found by trying it in a child.

    If root may not make pid namespaces, there are none: inside a user namespace the worker could
    not become a separate user, which protects the rest of the system from it.

    Args:
        without: layers to leave out
    """
    if not LINUX or "namespaces" in without:
        return ""
    isolation = "root" if os.geteuid() == 0 else "user"
    pid = os.fork()
    if pid == 0:
        try:
            isolate_processes(isolation)
        except BaseException:
            os._exit(1)
        os._exit(0)
    return "" if os.waitpid(pid, 0)[1] else isolation


def tell(status: socket.socket, **message: object) -> None:
    """Send the judge a line of JSON; does nothing if the judge is gone."""
    with contextlib.suppress(OSError):
        status.sendall(json.dumps(message).encode() + b"\n")


class Log:
    """Keeps the beginning of what a worker prints; reads on, so that the worker never blocks."""

    def __init__(self, source: int, target: int, limit: int) -> None:
        self.source, self.target, self.left = source, target, limit
        self.said_so = False
        os.set_blocking(source, False)

    def drain(self) -> bool:
        """Read what is available, at most CHUNK bytes; False if there is nothing."""
        try:
            data = os.read(self.source, CHUNK)
        except OSError:
            return False
        kept = data[: self.left]
        self.left -= len(kept)
        with contextlib.suppress(OSError):
            self._write(kept)
            if len(kept) < len(data) and not self.said_so:
                self.said_so = True
                self._write(b"\n[more was printed than is kept]\n")
        return bool(data)

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self.target, data) :]


class Watch:
    """The life of one worker, from its fork until nothing of it is left."""

    def __init__(
        self,
        plan: Plan,
        pid: int,
        started: float,
        log: Log,
        status: socket.socket,
        judge: int | None,
    ) -> None:
        self.plan, self.pid, self.started = plan, pid, started
        self.log, self.status = log, status
        self.stopped = ""  # why this process ended the worker; "" if it did not
        self.ended = ""
        self.on_disk = True  # whether scratch is on disk; the system limits one in memory
        self.worker = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
        self.poll = select.poll()
        for handle in (log.source, status.fileno(), judge, self.worker):
            if handle is not None:
                self.poll.register(handle, select.POLLIN)
        self.judge_handles = {status.fileno(), judge}

    def run(self, ready: int) -> str:
        """Watch until nothing is left of the worker; returns how it ended."""
        self.poll.register(ready, select.POLLIN)
        self.report, self.heard = b"", False
        next_look = self.started
        while not self._gone():
            for handle, _ in self.poll.poll(LOOK_EVERY * 1000):
                if handle == ready:
                    self._hear(ready)
                elif handle == self.log.source and not self.log.drain():
                    self.poll.unregister(handle)  # the worker has closed it
                elif handle in self.judge_handles and not self.stopped:
                    self._stop("stopped by the judge")
                    self.poll.unregister(handle)
            if time.monotonic() >= next_look:
                next_look = time.monotonic() + LOOK_EVERY
                reason = "" if self.stopped else self._excess()
                if reason:
                    self._stop(f"stopped: {reason}")
        processes.end_all(os.getpid(), self.pid)
        while not self.heard:
            self._hear(ready)
        while self.log.drain():
            pass
        return self.ended

    def _hear(self, ready: int) -> None:
        """Pass on the worker's report on its protections, which ends when it closes the pipe."""
        part = os.read(ready, CHUNK)
        self.report += part
        if not part:
            self.heard = True
            self.poll.unregister(ready)
            os.close(ready)
            text = self.report or b'{"error": "the worker died before it was confined"}'
            report = json.loads(text)
            self.on_disk = holes.VIEW not in report.get("layers", [])
            tell(self.status, pid=self.pid, **report)

    def _gone(self) -> bool:
        pid, status, used = os.wait4(self.pid, os.WNOHANG)
        if pid:
            self.ended = self.stopped or in_words(status, used, self.plan)
        return bool(pid)

    def _stop(self, reason: str) -> None:
        self.stopped = reason
        processes.send(self.pid, signal.SIGKILL)

    def _excess(self) -> str:
        """Which limit the worker exceeds, in words; "" if none."""
        limits = self.plan.limits
        if time.monotonic() - self.started > limits.seconds:
            return f"more than {limits.seconds:g} s"
        used = [processes.usage(pid) for pid in (self.pid, *processes.descendants(self.pid))]
        if sum(memory for memory, _ in used) > limits.memory_mb << 10:
            return f"more than {limits.memory_mb} MB of memory"
        if sum(threads for _, threads in used) > limits.processes:
            return f"more than {limits.processes} processes and threads"
        if not self.on_disk:  # looking there costs as much time as the rest of this process
            return ""
        return excess(self.plan.scratch, limits.disk_mb, self.pid)


def in_words(status: int, used: resource.struct_rusage, plan: Plan) -> str:
    """How a process ended by itself, in words, from wait4's status."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exited with code {code}"
    if used.ru_utime + used.ru_stime >= plan.limits.cpu_seconds:
        return f"stopped: more than {plan.limits.cpu_seconds} s of processor time"
    return f"crashed: {(signal.strsignal(-code) or f'signal {-code}').lower()}"
