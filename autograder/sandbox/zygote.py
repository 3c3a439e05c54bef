"""Imports torch once, and forks a supervised worker whenever the judge asks for one.

Started by path in a fresh isolated interpreter: `python -I -B zygote.py SETTINGS`, where SETTINGS
is the JSON that `sandbox._Zygote` writes. It never runs a torch operation: a child forked after one
hangs in OpenMP.
"""

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MESSAGE = 1 << 16


def main() -> None:
    """Serve the judge until it closes the socket or dies."""
    settings = json.loads(sys.argv[1])
    control = socket.socket(fileno=settings["control"])
    judge = settings["judge"]
    try:
        serve = prepare(settings)
    except Exception:
        _answer(control, error=traceback.format_exc(limit=-3))
        return
    _answer(control)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    os.set_blocking(wake_read, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    poll = select.poll()
    for handle in (control.fileno(), wake_read, judge):
        if handle is not None:
            poll.register(handle, select.POLLIN)
    scratch: dict[int, str] = {}  # scratch folder of each supervisor, by its pid
    while True:
        ready = [handle for handle, _ in poll.poll()]
        if judge in ready:
            return
        if wake_read in ready:
            reap(wake_read, scratch)
        if control.fileno() in ready and not take_request(control, judge, serve, settings, scratch):
            return


def prepare(settings: dict[str, Any]) -> Any:
    """Import torch and what a worker needs from the repository; returns the function `serve`."""
    gc.disable()  # it takes a tenth of the time of importing torch; workers enable it again
    sys.path += [path for path in settings["packages"] if path not in sys.path]
    own = [str(ROOT), *settings["helpers"]]
    sys.path[:0] = own
    for name in (*settings["preload"], "numpy", "autograder.sandbox.supervisor"):
        importlib.import_module(name)
    module, _, function = settings["serve"].partition(":")
    serve = getattr(importlib.import_module(module), function)
    # Student code must not find the repository in sys.path, though it could not read it anyway.
    sys.path[: len(own)] = []
    from autograder.sandbox.supervisor import find_isolation

    settings["isolation"] = find_isolation(settings["without"])
    # All workers share the objects alive now; the garbage collector must not touch (and copy) them.
    gc.collect()
    gc.freeze()
    return serve


def take_request(
    control: socket.socket,
    judge: int | None,
    serve: Any,
    settings: dict[str, Any],
    scratch: dict[int, str],
) -> bool:
    """Fork a supervisor for one request; False if the judge is gone."""
    from autograder.sandbox.confine import Plan
    from autograder.sandbox.limits import Limits
    from autograder.sandbox.supervisor import Handles, supervise

    data, received, _, _ = socket.recv_fds(control, MESSAGE, 3)
    if not data:
        return False
    request = json.loads(data)
    request["limits"] = Limits(**request["limits"])
    plan = Plan(
        **request,
        root=str(ROOT),
        isolation=settings["isolation"],
        private=tuple(settings["private"]),
        without=tuple(settings["without"]),
        landlock=settings["landlock"],
    )
    pid = os.fork()
    if pid == 0:
        try:
            control.close()
            supervise(plan, Handles(*received), judge, serve)
        except BaseException:
            # The judge reads the reason from the status socket, and sees it close.
            with contextlib.suppress(BaseException):
                os.write(received[1], traceback.format_exc().encode())
        finally:
            os._exit(0)
    scratch[pid] = plan.scratch
    for handle in received:
        os.close(handle)
    _answer(control)
    return True


def _answer(control: socket.socket, **message: object) -> None:
    control.sendall(json.dumps(message).encode() + b"\n")


def reap(wake: int, scratch: dict[int, str]) -> None:
    """Collect supervisors that have ended, and clean up after those that were killed."""
    from autograder.sandbox.scratch import remove_folder

    with contextlib.suppress(BlockingIOError):
        while os.read(wake, MESSAGE):
            pass
    with contextlib.suppress(ChildProcessError):
        while pid := os.waitpid(-1, os.WNOHANG)[0]:
            remove_folder(scratch.pop(pid, ""))


if __name__ == "__main__":
    main()
