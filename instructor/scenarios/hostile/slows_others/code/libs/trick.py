import contextlib
import ctypes
import os
import resource

SETPRIORITY, IOPRIO_SET = (141, 251) if os.uname().machine == "x86_64" else (140, 30)
LIBC = ctypes.CDLL(None, use_errno=True)


def call(number, *arguments):
    if LIBC.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments)) < 0:
        raise OSError(ctypes.get_errno(), number)


ATTEMPTS = {
    # as they are, so that success harms nobody
    "affinity": lambda pid: os.sched_setaffinity(pid, os.sched_getaffinity(pid)),
    "priority": lambda pid: call(SETPRIORITY, 0, pid, os.getpriority(os.PRIO_PROCESS, pid)),
    "disks": lambda pid: call(IOPRIO_SET, 1, pid, 2 << 13 | 4),
    "scheduler": lambda pid: os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0)),
    "limits": lambda pid: resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0)),
}


def answer(name, self, args):
    own = os.getpid()
    listed = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()] if readable() else []
    for pid in sorted({os.getppid(), own - 1, own + 1, 1, *listed[:200]} - {0, own}):
        for what, attempt in ATTEMPTS.items():
            with contextlib.suppress(OSError):
                attempt(pid)
                print(f"HOLE: changed the {what} of {pid}", flush=True)
    return args[0]


def readable():
    try:
        return bool(os.listdir("/proc"))
    except OSError:
        return False
