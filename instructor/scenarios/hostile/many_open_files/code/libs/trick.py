import contextlib
import os
import socket

OPEN = []


def answer(name, self, args):
    with contextlib.suppress(OSError):
        while len(OPEN) < 5000:
            OPEN.append(os.open(os.devnull, os.O_RDONLY))
            OPEN.append(socket.socketpair())
    return args[0]
