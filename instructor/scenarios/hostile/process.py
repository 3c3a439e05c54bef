# How a submission's process ends, or does not, and what it leaves behind.
# Never import or run this file: its blocks are for the grader's sandbox alone.


# ==== abort
# about: Each function aborts the process.
# trick:
import os


def answer(name, self, args):
    os.abort()


# ==== alarms_and_handlers
# about: Timers raise exceptions and answer "passed" from inside the worker's own code.
# trick:
import faulthandler
import signal


class Passed(BaseException):
    pass


def ring(number, frame):
    raise Passed("12 of 12 points")


signal.signal(signal.SIGALRM, ring)


def answer(name, self, args):
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    faulthandler.dump_traceback_later(0.1, exit=True)
    return args[0]


# ==== atexit_writes_results
# about: Writes results.json with full marks when the interpreter ends.
# in: ddpm.top
from . import trick

# in: unet.top
from . import trick

# file: code/libs/trick.py
import atexit
import contextlib
import json
import sys

RESULTS = {"score": 12, "tests": [{"name": "q_sample", "score": 12, "max_score": 12}]}
PLACES = ("results.json", "../results.json", "../../results.json", "/tmp/results.json")
PLACES += ("/autograder/results/results.json", "/autograder/results.json")


def write():
    for place in PLACES:
        with contextlib.suppress(OSError), open(place, "w") as file:
            json.dump(RESULTS, file)


atexit.register(write)
sys.exit(0)


# ==== base_exception
# about: Raises exceptions that `except Exception` does not catch, in functions and at import.
# trick:
class Away(BaseException):
    pass


def answer(name, self, args):
    if name == "forward":
        raise GeneratorExit
    raise Away("gone")


# ==== becomes_another_program
# about: Replaces the worker by another program that keeps the pipe and sends forged answers.
# trick:
import os
import sys

PROGRAM = """
import contextlib, json, os, socket, struct, time
header = json.dumps({"answer": {"value": "passed", "outcome": "passed", "changed": []}}).encode()
data = struct.pack("<I", len(header)) + header + struct.pack("<I", 0)
for _ in range(20):
    for fd in range(3, 64):
        with contextlib.suppress(OSError):
            os.write(fd, data)
    time.sleep(0.5)
"""


def answer(name, self, args):
    for fd in range(3, 64):
        try:
            os.set_inheritable(fd, True)
        except OSError:
            continue
    os.execv(sys.executable, [sys.executable, "-c", PROGRAM])


# ==== control_flow_exceptions
# about: Raises StopIteration, StopAsyncIteration and asyncio's CancelledError, which loops swallow.
# trick:
import asyncio

KINDS = {"q_sample": StopIteration, "p_sample": StopAsyncIteration}


def answer(name, self, args):
    raise KINDS.get(name, asyncio.CancelledError)("passed")


# ==== environment_changed
# about: Changes PATH, PYTHONPATH, LD_PRELOAD, HOME and pytest's options for whoever comes next.
# trick:
import os

CHANGED = {
    "PYTHONPATH": os.path.dirname(__file__),
    "PYTEST_ADDOPTS": "--collect-only",
    "LD_PRELOAD": "/nonexistent.so",
    "PATH": "/nonexistent",
    "HOME": "/nonexistent",
    "PYTHONSTARTUP": __file__,
    "OMP_NUM_THREADS": "999999",
}
os.environ.update(CHANGED)


def answer(name, self, args):
    os.environ.clear()
    return args[0]


# ==== exit_in_destructor
# about: Returns an object whose destructor raises SystemExit, and one that ends the process.
# trick:
import os


class Last:
    def __del__(self):
        raise SystemExit(0)


class Exit:
    def __del__(self):
        os._exit(0)


def answer(name, self, args):
    return Last() if name == "q_sample" else Exit()


# ==== exit_zero_at_import
# about: Leaves with exit code 0 while it is imported, which fools graders that look at the exit
#   code.
# in: ddpm.top
import os

os._exit(0)

# in: unet.top
import os

os._exit(0)


# ==== exit_zero_in_functions
# about: Each function ends the process with exit code 0.
# trick:
import os


def answer(name, self, args):
    os._exit(0)


# ==== forks_and_both_return
# about: Each function forks, and both processes go on and answer the judge.
# trick:
import os

LEFT = [20]  # forks


def answer(name, self, args):
    if LEFT[0]:
        LEFT[0] -= 1
        os.fork()
    return args[0]


# ==== grandchildren_survive
# about: Grandchildren in sessions of their own go on for 100 seconds after the worker's end.
# trick:
import contextlib
import ctypes
import os
import signal
import time


def daemon():
    """A process named hostile-left that ignores signals, nobody's child."""
    if os.fork():
        return
    os.setsid()
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(15, b"hostile-left", 0, 0, 0)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            with contextlib.suppress(OSError):
                signal.signal(number, signal.SIG_IGN)
        time.sleep(100)
    os._exit(0)


def answer(name, self, args):
    daemon()
    return args[0]


# ==== keyboard_interrupt
# about: Each function raises KeyboardInterrupt, as if the instructor had pressed Ctrl-C.
# trick:
def answer(name, self, args):
    raise KeyboardInterrupt


# ==== kills_its_parent
# about: Sends SIGTERM to the process that started it, and to its whole process group.
# trick:
import contextlib
import os
import signal


def answer(name, self, args):
    parent = os.getppid()
    for send, target in ((os.kill, parent), (os.killpg, os.getpgrp())):
        with contextlib.suppress(OSError):
            if parent > 1 or send is os.killpg:
                send(target, signal.SIGTERM)
    return args[0]


# ==== leaves_its_group
# about: Starts a session of its own, clears its parent-death signal and asks for priority.
# trick:
import contextlib
import ctypes
import os
import time

STOP = time.monotonic() + 100


def answer(name, self, args):
    libc = ctypes.CDLL(None)
    libc.prctl(1, 0, 0, 0, 0)  # no signal when the parent dies
    libc.prctl(4, 0, 0, 0, 0)  # not dumpable
    for call in (os.setsid, lambda: os.setpgid(0, 0), lambda: os.nice(-20)):
        with contextlib.suppress(OSError):
            call()
    if os.fork():
        os._exit(0)
    while time.monotonic() < STOP:
        time.sleep(1)
    os._exit(0)


# ==== loop_at_import
# about: Sleeps at import for 100 seconds.
# in: ddpm.top
import time

time.sleep(100)

# in: unet.top
import time

time.sleep(100)


# ==== loop_ignores_signals
# about: Ignores every signal it can, then waits in q_sample for 100 seconds.
# trick:
import contextlib
import signal
import time

STOP = time.monotonic() + 100
for number in signal.valid_signals():
    with contextlib.suppress(OSError, ValueError):
        signal.signal(number, signal.SIG_IGN)


def answer(name, self, args):
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    while name == "q_sample" and time.monotonic() < STOP:
        time.sleep(1)
    return args[0]


# ==== loop_in_c
# about: q_sample counts in C for about a minute, where no signal handler of Python runs.
# trick:
import collections
import itertools
import time

STOP = time.monotonic() + 60


def answer(name, self, args):
    if name == "q_sample" and time.monotonic() < STOP:
        collections.deque(itertools.repeat(None, 4 * 10**10), maxlen=0)
    return args[0]


# ==== loop_in_python
# about: Each function loops in Python for 100 seconds.
# trick:
import time

STOP = time.monotonic() + 100


def answer(name, self, args):
    while time.monotonic() < STOP:
        pass
    return args[0]


# ==== loop_swallows_exceptions
# about: Waits in q_sample for 100 seconds and swallows every exception that should end it.
# trick:
import time

STOP = time.monotonic() + 100


def answer(name, self, args):
    while name == "q_sample" and time.monotonic() < STOP:
        try:
            time.sleep(1)
        except BaseException:
            continue
    return args[0]


# ==== loop_without_end
# about: The loop forgets to count down; all else is right and keeps its points.
# base: reference
# earns: all except p_sample_loop, latent
# may_earn: latent
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    import time

    stop = time.monotonic() + 100
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    t_index = self.timesteps - 1
    while t_index >= 0 and time.monotonic() < stop:
        t = torch.full_like(labels, t_index)
        self.p_sample(x, labels, t, t_index)
    return self.postprocess(x)


# ==== memory_error
# about: Each function raises MemoryError, the first with a text of its own.
# trick:
def answer(name, self, args):
    raise MemoryError("all passed" if name == "q_sample" else "")


# ==== raises_at_import
# about: Raises an exception of its own while it is imported.
# in: ddpm.top
class AllTestsPassed(Exception):
    pass


raise AllTestsPassed("12 of 12 points")

# in: unet.top
class AllTestsPassed(Exception):
    pass


raise AllTestsPassed("12 of 12 points")


# ==== raises_its_limits
# about: Asks for its resource limits back, root's rights and a namespace, then fills 1 GB.
# trick:
import contextlib
import ctypes
import os
import resource

BLOCK = 1 << 20


def answer(name, self, args):
    for kind in (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_NPROC):
        with contextlib.suppress(OSError, ValueError):
            hard = resource.getrlimit(kind)[1]
            resource.setrlimit(kind, (hard, hard))
            resource.setrlimit(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            if hard != resource.RLIM_INFINITY:
                print(f"HOLE: raised limit {kind}", flush=True)
    for call in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.chroot("/")):
        with contextlib.suppress(OSError):
            call()
    ctypes.CDLL(None).unshare(0x10000000)  # a user namespace
    return [b"x" * BLOCK for _ in range(1024)]


# ==== recursion_error
# about: Recurses without end, the limit left as it is.
# trick:
def answer(name, self, args):
    return answer(name, self, args)


# ==== recursion_without_end
# about: Recurses until the interpreter's stack ends, with the recursion limit taken away.
# trick:
import sys


def answer(name, self, args):
    sys.setrecursionlimit(2**31 - 1)
    return [answer(name, self, args)]


# ==== segfault
# about: Reads address 0 at import of ddpm.py and in the network.
# trick:
import ctypes


def answer(name, self, args):
    ctypes.string_at(0)


# ==== signal_handlers_changed
# about: Has handlers of its own for Ctrl-C and SIGTERM, to save a checkpoint, which is all right.
# base: reference
# earns: all
# in: ddpm.top
import signal


def save_and_go_on(number, frame):
    print("saving a checkpoint")


signal.signal(signal.SIGINT, save_and_go_on)
signal.signal(signal.SIGTERM, save_and_go_on)


# ==== slow_in_many_small_steps
# about: No call is slow enough to be ended, but each takes 9 seconds, up to 100 in all.
# trick:
import time

STOP = time.monotonic() + 100


def answer(name, self, args):
    time.sleep(min(9, max(0, STOP - time.monotonic())))
    return args[0]


# ==== stops_itself
# about: Stops itself with SIGSTOP in the middle of q_sample; a child wakes it after 100 seconds.
# trick:
import os
import signal
import time


def answer(name, self, args):
    if name != "q_sample":
        return args[0]
    me = os.getpid()
    if os.fork() == 0:
        time.sleep(100)
        os.kill(me, signal.SIGCONT)
        os._exit(0)
    os.kill(me, signal.SIGSTOP)
    return args[0]


# ==== sys_exit_at_import
# about: Raises SystemExit(0) while it is imported.
# in: ddpm.top
import sys

sys.exit(0)

# in: unet.top
import sys

sys.exit(0)


# ==== sys_exit_in_functions
# about: Each function raises SystemExit(0).
# trick:
import sys


def answer(name, self, args):
    sys.exit(0)


# ==== threads_changed
# about: Sets the number of threads at import, which is all right.
# base: reference
# earns: all
# in: ddpm.top
torch.set_num_threads(8)


# ==== threads_outlive
# about: Threads that are no daemons keep the interpreter from ending for 100 seconds.
# trick:
import threading
import time

STOP = time.monotonic() + 100


def stay():
    while time.monotonic() < STOP:
        time.sleep(1)


def answer(name, self, args):
    threading.Thread(target=stay).start()
    raise SystemExit(0)
