import contextlib
import fcntl
import os
import struct
from pathlib import Path

FILE = Path(__file__).with_name("victim.txt")  # its own: success harms nobody
F_SETLEASE, FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR = 1024, 0x40086602, 0x401C5820


def handle():
    return os.open(FILE, os.O_RDONLY)


WAYS = {
    "mode": lambda: os.chmod(FILE, 0o644),
    "mode by handle": lambda: os.fchmod(handle(), 0o644),
    "owner": lambda: os.chown(FILE, os.getuid(), os.getgid()),
    "times": lambda: os.utime(FILE, (1, 1)),
    "attribute": lambda: os.setxattr(FILE, "user.hostile", b"x"),
    "flags": lambda: fcntl.ioctl(handle(), FS_IOC_SETFLAGS, struct.pack("i", 0x40)),
    "more flags": lambda: fcntl.ioctl(handle(), FS_IOC_FSSETXATTR, bytes(28)),
    "lease": lambda: fcntl.fcntl(handle(), F_SETLEASE, fcntl.F_RDLCK),
}


def answer(name, self, args):
    for way, attempt in WAYS.items():
        with contextlib.suppress(OSError):
            attempt()
            print(f"HOLE: changed the {way} of a file", flush=True)
    return args[0]
