import contextlib
import ctypes
import fcntl
import os
from pathlib import Path

INIT, ADD, FANOTIFY = (294, 254, 300) if os.uname().machine == "x86_64" else (26, 27, 262)
F_NOTIFY, CREATED, ANY = 1026, 0x100, 0xFFF
LIBC = ctypes.CDLL(None, use_errno=True)


def call(number, *arguments):
    longs = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = LIBC.syscall(ctypes.c_long(number), *longs)
    if result < 0:
        raise OSError(ctypes.get_errno(), number)
    return result


WAYS = {
    "inotify": lambda folder: call(ADD, call(INIT, 0), os.fsencode(folder), ANY),
    "dnotify": lambda folder: fcntl.fcntl(os.open(folder, os.O_RDONLY), F_NOTIFY, 4),
    "fanotify": lambda folder: call(FANOTIFY, 0x200, 0),
}


def answer(name, self, args):
    for folder in (*Path(__file__).resolve().parents, Path("/tmp"), Path("/proc"), Path.home()):
        for way, attempt in WAYS.items():
            with contextlib.suppress(OSError):
                attempt(folder)
                print(f"HOLE: watches {folder} by {way}", flush=True)
    return args[0]
