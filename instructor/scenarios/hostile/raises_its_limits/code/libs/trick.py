import contextlib
import ctypes
import os
import resource

BLOCK = 1 << 20


def answer(name, self, args):
    for kind in (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_NPROC):
        with contextlib.suppress(OSError, ValueError):
            hard = resource.getrlimit(kind)[1]
            resource.setrlimit(kind, (hard, hard))
            resource.setrlimit(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            if hard != resource.RLIM_INFINITY:
                print(f"HOLE: raised limit {kind}", flush=True)
    for call in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.chroot("/")):
        with contextlib.suppress(OSError):
            call()
    ctypes.CDLL(None).unshare(0x10000000)  # a user namespace
    return [b"x" * BLOCK for _ in range(1024)]
