import contextlib
import select
import socket
import time

STOP = time.monotonic() + 60
SERVERS = []


def answer(name, self, args):
    if name != "q_sample":
        return args[0]
    for port in (0, 8000, 8080, 8786):
        with contextlib.suppress(OSError):
            SERVERS.append(socket.create_server(("127.0.0.1", port)))
    select.select(SERVERS, [], [], max(0, STOP - time.monotonic()))
    return args[0]
