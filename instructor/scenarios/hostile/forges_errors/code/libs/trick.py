import contextlib
import json
import os
import struct

def message(header, body=b""):
    """A well-formed message of the worker's protocol."""
    header = json.dumps(header).encode()
    return struct.pack("<I", len(header)) + header + struct.pack("<I", len(body)) + body
ERRORS = [
    {"type": [["x"]], "text": {"a": 1}, "file": 3, "line": "<b>1</b>"},
    {"type": "NotImplementedError", "text": 7, "file": "<script>alert(1)</script>", "line": 10**400},
    {"type": [], "text": None, "file": "\x1b[2J" * 1000, "line": None},
    "passed",
    None,
]


def answer(name, self, args):
    error = ERRORS[(len(name) + len(args[0])) % len(ERRORS)]
    for fd in range(3, 64):
        with contextlib.suppress(OSError):
            os.write(fd, message({"answer": {"error": error}}))
    os._exit(0)
