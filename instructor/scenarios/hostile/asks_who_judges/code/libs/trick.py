import contextlib
import ctypes
import os
import socket

LIBC = ctypes.CDLL(None, use_errno=True)
SEND_SIGNAL, GETFD, MADVISE, RELEASE, SETNS = 424, 438, 440, 448, 308
SO_PEERCRED, SO_PEERGROUPS, SO_PEERPIDFD = 17, 59, 77
CHANNEL = 3


def call(number, *arguments):
    if LIBC.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments)) < 0:
        raise OSError(ctypes.get_errno(), number)


def answer(name, self, args):
    with socket.socket(fileno=os.dup(CHANNEL)) as channel:
        for option in (SO_PEERCRED, SO_PEERGROUPS, SO_PEERPIDFD):
            with contextlib.suppress(OSError):
                channel.getsockopt(socket.SOL_SOCKET, option, 64)
                print(f"HOLE: the channel says who judges, by option {option}", flush=True)
        with contextlib.suppress(OSError):
            judge = channel.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD)
            for number, *rest in ((SEND_SIGNAL, 0, 0, 0), (GETFD, 0, 0), (SETNS, 0x20000)):
                with contextlib.suppress(OSError):
                    call(number, judge, *rest)
                    print(f"HOLE: call {number} reaches the judge", flush=True)
        with contextlib.suppress(OSError):
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            print("HOLE: changes the channel", flush=True)
    return args[0]
