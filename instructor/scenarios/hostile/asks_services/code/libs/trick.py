import contextlib
import os
import socket
import time
from pathlib import Path

FOLDERS = ("/run", "/var/run", "/tmp", "/run/user", "/dev")


DONE = []


def names():
    stop = time.monotonic() + 2
    for folder in FOLDERS:
        for path in Path(folder).rglob("*") if os.path.isdir(folder) else []:
            if time.monotonic() > stop:
                return
            with contextlib.suppress(OSError):
                if path.is_socket():
                    yield str(path)
    with contextlib.suppress(OSError), open("/proc/net/unix") as file:
        for line in file:
            name = line.split()[-1]
            yield "\0" + name[1:] if name.startswith("@") else name
    yield from ("/run/docker.sock", "/run/dbus/system_bus_socket", "\0hostile")


def answer(name, self, args):
    if not DONE:
        DONE.append(name)
        ask_all()
    return args[0]


def ask_all():
    for address in names():
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as service:
            service.connect(address)
            print(f"HOLE: reaches {address!r}", flush=True)
    for family, kind in ((socket.AF_INET, socket.SOCK_DGRAM), (16, socket.SOCK_RAW), (38, 5)):
        with contextlib.suppress(OSError):
            socket.socket(family, kind).close()
            print(f"HOLE: has a socket of family {family}", flush=True)
