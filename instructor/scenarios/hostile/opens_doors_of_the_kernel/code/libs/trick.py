import contextlib
import ctypes
import os

LIBC = ctypes.CDLL(None, use_errno=True)
ZEROS = (ctypes.c_uint8 * 256)()
# Number on x86_64, on aarch64, arguments. All end at once where they succeed.
CALLS = {
    "a ring of requests": (425, 425, 1, ZEROS),
    "another queue of requests": (206, 0, 1, ctypes.byref(ctypes.c_uint64())),
    "page faults": (323, 282, 1),
    "a filter of packets": (321, 280, 5, ZEROS, 120),
    "counters": (298, 241, ZEROS, 0, -1, -1, 0),
    "a keyring": (250, 219, 0, -3, 0),
    "a user namespace": (272, 97, 0x10000000),
    "a network namespace": (272, 97, 0x40000000),
    "a mount": (428, 428, -100, b"/", 1),
    "a file of memory": (319, 279, b"hostile", 0),
    "secret memory": (447, 447, 0),
    "a queue": (240, 180, b"hostile", 0o102, 0o600, None),
    "shared memory": (29, 194, 0, 4096, 0o600),
    "a message queue": (68, 186, 0, 0o600),
}


def answer(name, self, args):
    at = 0 if os.uname().machine == "x86_64" else 1
    for what, (*numbers, first, second, third, fourth, fifth) in filled():
        rest = [first, second, third, fourth, fifth]
        longs = [ctypes.c_long(a) if isinstance(a, int) else a for a in rest]
        handle = LIBC.syscall(ctypes.c_long(numbers[at]), *longs)
        if handle >= 0:
            print(f"HOLE: opens {what}", flush=True)
            with contextlib.suppress(OSError):
                if handle > 3:
                    os.close(handle)
    return args[0]


def filled():
    """Each call with five arguments."""
    for what, values in CALLS.items():
        yield what, (*values, *[0] * 7)[:7]
