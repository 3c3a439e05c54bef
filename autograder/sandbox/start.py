"""The first steps of a worker: from the fork to its first message."""

import gc
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from autograder.sandbox.confine import Plan, confine
from autograder.sandbox.wire import Channel, Closed

YOUNG = 30_000  # objects before Python looks for cycles; the default of 700 costs 5% of the time
CHANNEL = 3  # the only handle that a worker keeps besides the standard three


def run_worker(
    plan: Plan, serve: Callable[[Channel, str], None], channel: int, log: int, ready: int
) -> NoReturn:
    """Confine this process, report to the supervisor through `ready`, and serve to the end.

    Args:
        channel: the worker's end of the pipe to the judge
        log: gets stdout and stderr
    """
    code = 1
    try:
        channel, ready = _keep_only(channel, log, ready)
        with os.fdopen(ready, "w") as file:
            try:
                record = confine(plan)
            except Exception as error:
                json.dump({"error": f"the worker could not be confined: {error}"}, file)
                raise
            said = {"layers": sorted(record.layers), "open_paths": record.open_paths}
            json.dump({"protections": record.words(), **said}, file)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        gc.enable()
        gc.set_threshold(YOUNG)
        serve(Channel(socket.socket(fileno=channel)), plan.code_folder)
        code = 0
    except Closed:
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        _flush()
        os._exit(code & 0xFF)  # skips anything that student code has registered


def _keep_only(channel: int, log: int, ready: int) -> tuple[int, int]:
    """Close all handles except these, which move to the lowest numbers."""
    empty = os.open(os.devnull, os.O_RDONLY)
    # First move them away from the numbers that they will get.
    moved = [os.dup(handle) for handle in (channel, ready)]
    while min(moved) <= CHANNEL + 1:
        moved = [os.dup(handle) for handle in moved]
    os.dup2(empty, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.dup2(moved[0], CHANNEL, inheritable=False)
    os.dup2(moved[1], CHANNEL + 1, inheritable=False)
    os.closerange(CHANNEL + 2, os.sysconf("SC_OPEN_MAX"))
    sys.argv[:] = ["worker"]
    sys.stdin, sys.stdout = open(0), open(1, "w", buffering=1)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace")  # noqa: SIM115
    return CHANNEL, CHANNEL + 1


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:  # student code may have put anything there
            continue
