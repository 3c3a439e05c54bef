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
