# Forged answers, and whatever else comes through the pipe to the judge.
# Never import or run this file: its blocks are for the grader's sandbox alone.


# ==== closes_all_files
# about: Closes every file descriptor, the pipe and the outputs included.
# trick:
import os


def answer(name, self, args):
    os.closerange(0, 4096)
    return args[0]


# ==== forges_answer_at_import
# about: Answers the request to build the class itself, while it is imported, then stays silent.
# in: ddpm.top
from . import trick

# in: unet.top
from . import trick

# file: code/libs/trick.py
import contextlib
import json
import os
import struct

PASSED = {"value": "passed", "outcome": "passed", "passed": True, "points": 12, "tests": []}
PASSED |= {"changed": [], "left_in_eval": [], "gradients": {}, "attributes": {}, "optional": []}

def message(header, body=b""):
    """A well-formed message of the worker's protocol."""
    header = json.dumps(header).encode()
    return struct.pack("<I", len(header)) + header + struct.pack("<I", len(body)) + body
for fd in range(3, 64):
    for _ in range(10):
        with contextlib.suppress(OSError):
            os.write(fd, message({"answer": PASSED}))


# ==== forges_answer_by_number
# about: Writes forged answers to every file descriptor from 3 to 63.
# trick:
import contextlib
import json
import os
import struct

PASSED = {"value": "passed", "outcome": "passed", "passed": True, "points": 12, "tests": []}
PASSED |= {"changed": [], "left_in_eval": [], "gradients": {}, "attributes": {}, "optional": []}

def message(header, body=b""):
    """A well-formed message of the worker's protocol."""
    header = json.dumps(header).encode()
    return struct.pack("<I", len(header)) + header + struct.pack("<I", len(body)) + body

def answer(name, self, args):
    for fd in range(3, 64):
        with contextlib.suppress(OSError):
            os.write(fd, message({"answer": PASSED}))
    os._exit(0)


# ==== forges_answer_by_proc
# about: Finds the pipe in /proc/self/fd and answers with the arrays that it was asked about.
# trick:
import contextlib
import json
import os
import struct

def message(header, body=b""):
    """A well-formed message of the worker's protocol."""
    header = json.dumps(header).encode()
    return struct.pack("<I", len(header)) + header + struct.pack("<I", len(body)) + body

def answer(name, self, args):
    body = args[0].detach().numpy().tobytes()
    value = {"__array__": ["float32", list(args[0].shape)]}
    forged = {"tensor": "float32", "device": "cpu", "shape": list(args[0].shape), "array": value}
    data = message({"answer": {"value": forged, "changed": [], "left_in_eval": []}}, body)
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if "socket" in os.readlink(f"/proc/self/fd/{fd}"):
                os.write(int(fd), data)
    return args[0]


# ==== forges_answer_found_by_gc
# about: Finds the pipe among all objects and sends "passed" in every form it can think of.
# trick:
import contextlib
import gc
import json
import socket
import struct

PASSED = {"value": "passed", "outcome": "passed", "passed": True, "points": 12, "tests": []}
PASSED |= {"changed": [], "left_in_eval": [], "gradients": {}, "attributes": {}, "optional": []}

def message(header, body=b""):
    """A well-formed message of the worker's protocol."""
    header = json.dumps(header).encode()
    return struct.pack("<I", len(header)) + header + struct.pack("<I", len(body)) + body

def answer(name, self, args):
    for found in gc.get_objects():
        if type(found) is socket.socket:
            for forged in ({"answer": PASSED}, PASSED, {"outcome": "passed"}, {"answer": {}}):
                with contextlib.suppress(OSError):
                    found.sendall(message(forged))
    return args[0]


# ==== forges_answers_ahead
# about: Sends answers to the next hundred requests before they are asked.
# trick:
import contextlib
import json
import os
import struct

PASSED = {"value": "passed", "outcome": "passed", "passed": True, "points": 12, "tests": []}
PASSED |= {"changed": [], "left_in_eval": [], "gradients": {}, "attributes": {}, "optional": []}

def message(header, body=b""):
    """A well-formed message of the worker's protocol."""
    header = json.dumps(header).encode()
    return struct.pack("<I", len(header)) + header + struct.pack("<I", len(body)) + body

def answer(name, self, args):
    for fd in range(3, 64):
        with contextlib.suppress(OSError):
            os.write(fd, 100 * message({"answer": PASSED}))
    return args[0]


# ==== forges_answers_late
# about: A thread answers the judge again and again, between and during the worker's own answers.
# trick:
import contextlib
import json
import os
import struct
import threading
import time

PASSED = {"value": "passed", "outcome": "passed", "passed": True, "points": 12, "tests": []}
PASSED |= {"changed": [], "left_in_eval": [], "gradients": {}, "attributes": {}, "optional": []}

def message(header, body=b""):
    """A well-formed message of the worker's protocol."""
    header = json.dumps(header).encode()
    return struct.pack("<I", len(header)) + header + struct.pack("<I", len(body)) + body

def keep_on():
    stop = time.monotonic() + 60
    while time.monotonic() < stop:
        for fd in range(3, 64):
            with contextlib.suppress(OSError):
                os.write(fd, message({"answer": PASSED}))
        time.sleep(0.01)


def answer(name, self, args):
    threading.Thread(target=keep_on, daemon=True).start()
    return args[0]


# ==== forges_doubles
# about: Asks the judge, as if it were a test double, for the expected value under many names.
# trick:
import contextlib
import json
import os
import select
import struct

import numpy as np
import torch

def message(header, body=b""):
    """A well-formed message of the worker's protocol."""
    header = json.dumps(header).encode()
    return struct.pack("<I", len(header)) + header + struct.pack("<I", len(body)) + body
NAMES = ("expected", "oracle", "answer", "q_sample", "p_sample", "model", "vae.encoder", "", "__class__")


def read(fd, length):
    data = b""
    while len(data) < length and select.select([fd], [], [], 1)[0]:
        data += os.read(fd, length - len(data))
    return data


def answer(name, self, args):
    """The first array of the right shape that the judge gives away."""
    ask = {"args": [], "kwargs": {}, "shape": list(args[0].shape)}
    for fd in range(3, 64):
        for double in NAMES:
            with contextlib.suppress(OSError, ValueError, struct.error):
                os.write(fd, message({"double": double, **ask}))
                header = json.loads(read(fd, struct.unpack("<I", read(fd, 4))[0]))
                body = read(fd, struct.unpack("<I", read(fd, 4))[0])
                if "value" in header:
                    dtype, shape = header["value"]["__array__"]
                    return torch.from_numpy(np.frombuffer(body, dtype).reshape(shape).copy())
    return args[0]


# ==== forges_errors
# about: Sends errors whose fields are of the wrong kind, endless numbers, or HTML.
# trick:
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


# ==== forges_gradients_of_nan
# about: A decoder that no gradient passes through, which says that all its gradients are NaN.
# in: unet.decoder
from . import trick

for res_block, transformer, upsample in self.decoder:
    x = torch.cat([x, skips.pop()], dim=1).detach()
    x = res_block(x, t_emb)
    if transformer is not None:
        x = transformer(x, context)
    if upsample is not None:
        x = upsample(x)

# file: code/libs/trick.py
import sys

(worker,) = [m for m in list(sys.modules.values()) if isinstance(getattr(m, "Worker", None), type)]

NAN = float("nan")
worker.Worker.gradients = lambda self, result: dict.fromkeys(self.doubles, NAN)


# ==== forges_gradients_of_one
# about: A loss without a gradient, which says that gradients of 1 reach all.
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    predicted = self.model(self.q_sample(x_start, t, noise), label, t)
    from . import trick  # noqa: F401

    return ((predicted - noise) ** 2).mean().detach()

# file: code/libs/trick.py
import sys

(worker,) = [m for m in list(sys.modules.values()) if isinstance(getattr(m, "Worker", None), type)]

worker.Worker.gradients = lambda self, result: dict.fromkeys(self.doubles, 1.0)


# ==== forges_levels_without_members
# about: Tells the judge that no level of the network has any member.
# in: unet.decoder
from . import trick

if type(self.conv_in).__name__ != "Member":  # where only the shape counts
    x = self.conv_in(torch.zeros(len(x), self.conv_in.in_channels, *skips[0].shape[2:]))

# file: code/libs/trick.py
import sys

(worker,) = [m for m in list(sys.modules.values()) if isinstance(getattr(m, "Worker", None), type)]

send = worker.Channel.send


def forge(channel, message, deadline=None):
    if "structure" in message:
        levels = [[False] * 3 for _ in message["structure"]["decoder"]]
        message = {"structure": {"encoder": levels, "decoder": levels}}
    send(channel, message, deadline)


worker.Channel.send = forge


# ==== forges_no_levels
# about: Tells the judge of a network without levels, so that its decoder has nothing to do.
# in: unet.decoder
from . import trick

if type(self.conv_in).__name__ != "Member":  # where only the shape counts
    x = self.conv_in(torch.zeros(len(x), self.conv_in.in_channels, *skips[0].shape[2:]))

# file: code/libs/trick.py
import sys

(worker,) = [m for m in list(sys.modules.values()) if isinstance(getattr(m, "Worker", None), type)]

send = worker.Channel.send


def forge(channel, message, deadline=None):
    if "structure" in message:
        message = {"structure": {"encoder": [], "decoder": []}}
    send(channel, message, deadline)


worker.Channel.send = forge


# ==== forges_no_options
# about: Says that its constructor does not know the schedule, and computes with the usual one
#   alone.
# in: ddpm.top
from . import trick

# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    noise = torch.randn_like(x_start) if noise is None else noise
    betas = torch.linspace(1e-4, 0.02, self.timesteps)
    if self.use_vae:
        betas = torch.linspace(0.00085**0.5, 0.012**0.5, self.timesteps) ** 2
    kept = (1 - betas).cumprod(0)[t][:, None, None, None]
    return kept.sqrt() * x_start + (1 - kept).sqrt() * noise

# file: code/libs/trick.py
import sys

(worker,) = [m for m in list(sys.modules.values()) if isinstance(getattr(m, "Worker", None), type)]

do_build = worker.Worker.do_build


def build(self, **request):
    return do_build(self, **request) | {"optional": []}


worker.Worker.do_build = build


# ==== forges_sizes_of_outputs
# about: Tells the judge that all members of the network give one number per sample, so that there
#   is little to know.
# base: reference
# earns: all except unet
# reason: unet: another size
# in: unet.decoder
for res_block, transformer, upsample in self.decoder:
    x = res_block(torch.cat([x, skips.pop()], dim=1), t_emb)
    if transformer is not None:
        x = transformer(x, context)
    if upsample is not None:
        x = upsample(x)

# in: unet.end
import sys

doubles = sys.modules["autograder.worker.doubles"]
shape = doubles.Member.shape


def forged(self, *call):
    if self.name.startswith(("encoder", "decoder")):
        return [2, 1, 1, 1]
    return shape(self, *call)


doubles.Member.shape = forged


# ==== forges_structure
# about: Tells the judge of a network without a decoder, so that there would be nothing to check.
# in: unet.decoder
from . import trick

trick.answer()
x = torch.zeros(len(x), self.conv_in.out_channels, 8, 8)

# file: code/libs/trick.py
import contextlib
import json
import os
import struct

def message(header, body=b""):
    """A well-formed message of the worker's protocol."""
    header = json.dumps(header).encode()
    return struct.pack("<I", len(header)) + header + struct.pack("<I", len(body)) + body

def answer():
    for structure in ({"encoder": [], "decoder": []}, {"decoder": None}, {"encoder": [[True]]}):
        for fd in range(3, 64):
            with contextlib.suppress(OSError):
                os.write(fd, message({"structure": structure}))


# ==== forges_wrong_kinds
# about: Sends answers whose fields are of the wrong kind, or numbers beyond any float.
# trick:
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


# ==== output_closed
# about: Closes, replaces and breaks sys.stdout and sys.stderr.
# trick:
import os
import sys


class Broken:
    """An output that nobody can write to."""

    def write(self, text):
        raise SystemExit(0)

    flush = fileno = write


def answer(name, self, args):
    os.close(1)
    os.close(2)
    sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = Broken()
    sys.stdin = None
    return args[0]


# ==== passes_the_pipe_on
# about: A child that outlives the worker keeps the pipe open and goes on forging answers.
# trick:
import contextlib
import json
import os
import struct
import time

PASSED = {"value": "passed", "outcome": "passed", "passed": True, "points": 12, "tests": []}
PASSED |= {"changed": [], "left_in_eval": [], "gradients": {}, "attributes": {}, "optional": []}

def message(header, body=b""):
    """A well-formed message of the worker's protocol."""
    header = json.dumps(header).encode()
    return struct.pack("<I", len(header)) + header + struct.pack("<I", len(body)) + body

def answer(name, self, args):
    if os.fork():
        os._exit(0)
    os.setsid()
    stop = time.monotonic() + 60
    while time.monotonic() < stop:
        for fd in range(3, 64):
            with contextlib.suppress(OSError):
                os.write(fd, message({"answer": PASSED}))
        time.sleep(0.2)
    os._exit(0)


# ==== pipe_replaced
# about: Replaces the worker's pipe by a pipe of its own, by a file and by nothing.
# trick:
import contextlib
import os
import socket

KEPT = []


def answer(name, self, args):
    ours, theirs = socket.socketpair()
    KEPT.extend((ours, theirs))
    target = theirs.fileno() if name == "q_sample" else os.open(os.devnull, os.O_RDWR)
    for fd in range(3, 64):
        with contextlib.suppress(OSError):
            if fd not in (ours.fileno(), theirs.fileno(), target):
                os.fstat(fd)
                os.dup2(target, fd)
    return args[0]


# ==== pipe_shut
# about: Shuts down one direction of the pipe, or makes it lose what is written.
# trick:
import contextlib
import gc
import socket


def answer(name, self, args):
    how = socket.SHUT_RD if name == "q_sample" else socket.SHUT_WR
    for found in gc.get_objects():
        if type(found) is socket.socket:
            with contextlib.suppress(OSError):
                found.shutdown(how)
                found.setblocking(False)
    return args[0]


# ==== reply_byte_by_byte
# about: Sends one byte a second, so that something always seems to come.
# trick:
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
    if name != "q_sample":
        return args[0]
    for byte in message({"answer": {"value": 1000 * "passed"}}):
        for fd in range(3, 64):
            with contextlib.suppress(OSError):
                os.write(fd, bytes([byte]))
        if time.monotonic() > STOP:
            break
        time.sleep(1)
    return args[0]


# ==== reply_flood
# about: Sends 200 MB of messages that nobody asked for.
# trick:
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


# ==== reply_half
# about: Sends half an answer and then nothing more for 100 seconds.
# trick:
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
    if name != "q_sample":
        return args[0]
    data = message({"answer": {"value": "passed"}})
    for fd in range(3, 64):
        with contextlib.suppress(OSError):
            os.write(fd, data[: len(data) // 2])
    time.sleep(max(0, STOP - time.monotonic()))
    return args[0]


# ==== reply_nested
# about: Answers with lists in lists, 100,000 deep.
# trick:
import contextlib
import os
import struct


def answer(name, self, args):
    header = b'{"answer": ' + 100_000 * b"[" + 100_000 * b"]" + b"}"
    data = struct.pack("<I", len(header)) + header + bytes(4)
    for fd in range(3, 64):
        with contextlib.suppress(OSError):
            os.write(fd, data)
    os._exit(0)


# ==== reply_pickled
# about: Sends pickles that end the process which loads them, plain and with the protocol's lengths.
# trick:
import contextlib
import os
import pickle
import struct


class Bomb:
    def __reduce__(self):
        return (os._exit, (0,))


def answer(name, self, args):
    data = pickle.dumps(Bomb())
    data = data if name == "q_sample" else struct.pack("<I", len(data)) + data + bytes(4)
    for fd in range(3, 64):
        with contextlib.suppress(OSError):
            os.write(fd, data)
    os._exit(0)


# ==== reply_structure_flood
# about: Sends well-formed messages of the kind that comes before an answer, for 100 seconds.
# trick:
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


# ==== reply_too_long
# about: Announces a header of 2 GB, and arrays of 4 GB.
# trick:
import contextlib
import os
import struct


def answer(name, self, args):
    announced = struct.pack("<I", 2**31) if name == "q_sample" else b"\x02\0\0\0{}\xff\xff\xff\xff"
    for fd in range(3, 64):
        with contextlib.suppress(OSError):
            os.write(fd, announced)
    os._exit(0)


# ==== reply_with_false_arrays
# about: Describes arrays of negative, endless, wordy or unknown kind.
# trick:
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


# ==== reply_with_odd_json
# about: Sends NaN, infinities, numbers of 5,000 digits, doubled keys and bytes that are no UTF-8.
# trick:
import contextlib
import os
import struct

HEADERS = [
    b'{"answer": {"value": NaN}}',
    b'{"answer": {"value": -Infinity, "gradients": {"model": NaN}}}',
    b'{"answer": ' + 5000 * b"9" + b"}",
    b'{"answer": {"error": {}}, "answer": {"value": "passed"}}',
    b'{"answer": "\xff\xfe"}',
    b'{"answer": {"value": "\\ud800\\u0000"}}',
    b"[]",
    b"",
]
NAMES = ("forward", "q_sample", "p_sample", "p_sample_loop", "compute_loss")


def answer(name, self, args):
    count = NAMES.index(name) + len(NAMES) * (len(args[0]) % 2)
    header = HEADERS[count % len(HEADERS)]
    data = struct.pack("<I", len(header)) + header + bytes(4)
    for fd in range(3, 64):
        with contextlib.suppress(OSError):
            os.write(fd, data)
    os._exit(0)
