import contextlib
import json
import os
import struct

def message(header, body=b""):
    """A well-formed message of the worker's protocol."""
    header = json.dumps(header).encode()
    return struct.pack("<I", len(header)) + header + struct.pack("<I", len(body)) + body
ANSWERS = [
    {"value": {"tensor": ["float32"], "device": {}, "shape": "everything", "array": 3}},
    {"value": 10**400, "changed": 10**400, "left_in_eval": {"a": []}, "gradients": "all"},
    {"value": float("nan"), "gradients": {"model": 10**400}, "changed": [[[]]]},
    {"value": {"tensor": "float32", "shape": [10**18], "array": None}, "gradients": {"a": True}},
]
NAMES = ("forward", "q_sample", "p_sample", "p_sample_loop", "compute_loss")


def answer(name, self, args):
    count = NAMES.index(name) + len(NAMES) * (len(args[0]) % 2)
    for fd in range(3, 64):
        with contextlib.suppress(OSError):
            os.write(fd, message({"answer": ANSWERS[count % len(ANSWERS)]}))
    os._exit(0)
