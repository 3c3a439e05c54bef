import contextlib
import json
import os
import struct
import time

def message(header, body=b""):
    """A well-formed message of the worker's protocol."""
    header = json.dumps(header).encode()
    return struct.pack("<I", len(header)) + header + struct.pack("<I", len(body)) + body
STOP = time.monotonic() + 100


def answer(name, self, args):
    data = message({"structure": {"decoder": 10_000 * [[True]]}})
    while name == "q_sample" and time.monotonic() < STOP:
        for fd in range(3, 64):
            with contextlib.suppress(OSError):
                os.write(fd, data)
    return args[0]
