"""Starts confined worker processes for the judge, quickly, and reports how they ended.

    judge --> zygote, which has imported torch --fork--> supervisor --fork--> worker

The zygote is a fresh interpreter that holds nothing of the judge. A worker gets one end of a
pipe (`wire.Channel`), a log, and one folder of student code.
"""

import dataclasses
import json
import os
import secrets
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from autograder.sandbox import holes
from autograder.sandbox.limits import Limits, SandboxError
from autograder.sandbox.wire import Channel

__all__ = ["Limits", "Sandbox", "SandboxError", "Worker"]

ZYGOTE = Path(__file__).with_name("zygote.py")
START_SECONDS = 120.0  # to import torch, on a busy machine with cold disks
READY_SECONDS = 30.0  # to fork and confine a worker
GONE_SECONDS = 10.0  # to clean up after a worker that was killed
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # huge pages: a fork copies a third less
    "CUDA_VISIBLE_DEVICES": "",
    # A worker's uid has no entry in the system's user list, and libraries ask for a name.
    "USER": "student",
    "LOGNAME": "student",
}


class Sandbox:
    """Starts workers by forking a prepared process; a context manager for any number of threads.

    Args:
        serve: "module:function" of trusted code that a worker calls with its channel and the name
            of its code folder. It must import all it needs from the repository right away, since a
            confined worker cannot read the repository.
        trusted: run workers even if a submission could grade itself.
        private: more paths that no worker may read, such as the folders of submissions.
    """

    def __init__(
        self,
        serve: str = "autograder.worker.serve:serve",
        *,
        trusted: bool = False,
        private: tuple[str, ...] = (),
        _without: tuple[str, ...] = (),  # these are for tests: layers to leave out
        _landlock: int = 99,  # the newest version of Landlock to use
        _preload: tuple[str, ...] = ("torch",),  # what to import instead of torch
        _helpers: tuple[str, ...] = (),  # folders in which to find `serve`
    ) -> None:
        self._settings = {
            "serve": serve,
            "private": private,
            "without": _without,
            "landlock": _landlock,
            "preload": _preload,
            "helpers": _helpers,
        }
        self._lock = threading.Lock()
        self._zygote: _Zygote | None = None
        self._trusted = trusted
        self._protections: dict[str, str] = {}
        self._layers: list[str] | None = None  # None: not yet known
        self._hole = self._refusal = ""

    def __enter__(self) -> "Sandbox":
        with self._lock:
            self._zygote = _Zygote(self._settings)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def protections(self) -> dict[str, str]:
        """The protections in force, in words by subject; starts a worker to find out.

        Raises:
            SandboxError: no worker can be started, or a submission could grade itself.
        """
        if self._refusal:
            raise SandboxError(self._refusal)
        if not self._protections:
            with open(os.devnull, "w") as log, tempfile.TemporaryDirectory() as folder:
                self.worker(Path(folder), log.fileno()).kill()
        return self._protections

    @property
    def hole(self) -> str:
        """What a submission could still do on this machine, in one sentence; "" for nothing.

        Raises:
            SandboxError: see `protections`.
        """
        return self._hole if self.protections else ""

    def worker(self, code_folder: Path, log: Path | int, limits: Limits | None = None) -> "Worker":
        """Fork a fresh confined worker.

        Args:
            code_folder: the folder of student code, which the worker can read. Without Landlock and
                namespaces, other users must be able to enter it.
            log: gets what the worker prints, appended; an open file descriptor stays open

        Raises:
            SandboxError: no worker can be started, or a submission could grade itself.
        """
        if self._refusal:
            raise SandboxError(self._refusal)
        limits = limits or Limits()
        request = {
            "code_folder": str(Path(code_folder).resolve()),
            "scratch": f"{tempfile.gettempdir()}/autograder-{secrets.token_hex(8)}",
            "limits": dataclasses.asdict(limits),
        }
        ours, theirs = socket.socketpair()
        status, theirs_status = socket.socketpair()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        with theirs, theirs_status:
            log_handle = os.dup(log) if isinstance(log, int) else os.open(log, flags, 0o644)
            try:
                self._fork(request, [theirs.fileno(), log_handle, theirs_status.fileno()])
            except BaseException:
                ours.close()
                status.close()
                raise
            finally:
                os.close(log_handle)
        worker = Worker(Channel(ours), status)
        self.check(worker)
        return worker

    def check(self, worker: "Worker") -> None:
        """Record the protections of a new worker, and refuse it if a decisive one is missing.

        Each worker is checked, since it may lack a layer that an earlier one had.
        """
        if worker.layers == self._layers:
            return
        if not self._trusted:
            self._refusal = holes.refusal(worker.layers, worker.open_paths)
        if self._refusal:
            worker.kill()
            raise SandboxError(self._refusal)
        self._hole = holes.sentence(holes.found(worker.layers)) or self._hole
        self._protections, self._layers = worker.protections, worker.layers

    def close(self) -> None:
        """End the zygote. Workers that are still alive continue until they or the judge end."""
        with self._lock:
            if self._zygote is not None:
                self._zygote.close()
                self._zygote = None

    def _fork(self, request: dict[str, Any], handles: list[int]) -> None:
        """Have the zygote fork; if it has died, start it again, once."""
        with self._lock:
            for _ in range(2):
                if self._zygote is None:
                    self._zygote = _Zygote(self._settings)
                try:
                    self._zygote.fork(request, handles)
                    return
                except (OSError, EOFError):
                    self._zygote.close()
                    self._zygote = None
        raise SandboxError(
            "The process that starts workers died twice. Check whether the machine has memory left."
        )


class _Lines:
    """Reads lines of JSON from a socket."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection, self.data = connection, b""

    def next(self, seconds: float) -> dict[str, Any]:
        """The next line; EOFError if the other side is gone, TimeoutError if it is late."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self.data:
            left = max(0.0, deadline - time.monotonic())
            poll = select.poll()  # select.select cannot take handles above 1023
            poll.register(self.connection, select.POLLIN)
            if not poll.poll(left * 1000):
                raise TimeoutError
            part = self.connection.recv(1 << 16)
            if not part:
                raise EOFError
            self.data += part
        line, _, self.data = self.data.partition(b"\n")
        return json.loads(line)


class _Zygote:
    """The judge's side of the zygote; its start does not wait until torch is imported."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.control, theirs = socket.socketpair()
        self.lines = _Lines(self.control)
        self.ready = False
        # Lets the zygote see when this process ends, even if its forks still hold the sockets.
        judge = os.pidfd_open(os.getpid()) if hasattr(os, "pidfd_open") else None
        settings = settings | {
            "control": theirs.fileno(),
            "judge": judge,
            "packages": [p for p in sys.path if p.endswith(("site-packages", "dist-packages"))],
        }
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-B", ZYGOTE, json.dumps(settings)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=ENVIRONMENT,
                cwd="/",
                pass_fds=[handle for handle in (theirs.fileno(), judge) if handle is not None],
                start_new_session=True,  # Ctrl-C is the judge's to handle
            )
        finally:
            theirs.close()
            if judge is not None:
                os.close(judge)

    def fork(self, request: dict[str, Any], handles: list[int]) -> None:
        """Have a worker started; OSError or EOFError if the zygote is gone."""
        if not self.ready:
            answer = self.lines.next(START_SECONDS)
            if "error" in answer:
                raise SandboxError(f"Workers cannot be started here:\n{answer['error']}")
            self.ready = True
        socket.send_fds(self.control, [json.dumps(request).encode()], handles)
        self.lines.next(READY_SECONDS)

    def close(self) -> None:
        """End the zygote, and wait for it."""
        self.control.close()
        try:
            self.process.wait(GONE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Worker:
    """A confined process, ready for messages.

    Raises:
        SandboxError: it did not start.
    """

    def __init__(self, channel: Channel, status: socket.socket) -> None:
        self.channel = channel
        self._status, self._lines = status, _Lines(status)
        self._ended = ""
        try:
            report = self._lines.next(READY_SECONDS)
            error = report.get("error", "")
        except (EOFError, OSError) as problem:
            report, error = {}, f"no worker came up ({problem or type(problem).__name__})"
        if error:
            self.kill()
            raise SandboxError(f"A worker could not be started: {error}.")
        self.pid: int = report["pid"]
        self.protections: dict[str, str] = report["protections"]
        self.layers: list[str] = report["layers"]
        self.open_paths: list[str] = report["open_paths"]

    def kill(self) -> str:
        """End the worker now, with all its descendants; returns how it ended, see `end`."""
        return self.end(0)

    def end(self, timeout: float) -> str:
        """Close the channel, let the worker end by itself or kill it, and wait until all is gone.

        Args:
            timeout: seconds

        Returns:
            How it ended: "exited with code 0", "crashed: segmentation fault", "stopped: more than
            3000 MB of memory", "stopped by the judge" (it did not end in time).
        """
        if not self._ended:
            if timeout > 0:
                self.channel.close()
                self._ended = self._wait(timeout)
            self._ended = self._ended or self._stop()
            self.channel.close()
            self._status.close()
        return self._ended

    def _wait(self, seconds: float) -> str:
        try:
            return self._lines.next(seconds)["ended"]
        except TimeoutError:
            return ""
        except (EOFError, OSError, KeyError):
            return "ended without a report"

    def _stop(self) -> str:
        self._status.shutdown(socket.SHUT_WR)  # the supervisor takes this as the judge's end
        return self._wait(GONE_SECONDS) or "did not end"
