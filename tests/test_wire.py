"""The pipe between judge and worker: what is sent comes back, and nothing else is accepted."""

import json
import socket
import struct
import threading
import time

import numpy as np
import pytest
from autograder.sandbox.wire import MAX_ARRAYS, MAX_HEADER, BadMessage, Channel, Closed, Slow


@pytest.fixture
def pair():
    """Two ends: a channel, and a raw socket."""
    ours, theirs = socket.socketpair()
    yield Channel(ours), theirs
    ours.close()
    theirs.close()


def frame(header: object, body: bytes = b"") -> bytes:
    """A message as it travels."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<I", len(text)) + text + struct.pack("<I", len(body)) + body


def test_values_and_arrays_come_back(pair):
    """Shapes, types and empty arrays survive the pipe."""
    channel, raw = pair
    other = Channel(raw)
    arrays = [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.array(3, dtype=np.int64),
        np.zeros((0, 4), np.uint8),
        np.array([[True], [False]]),
    ]
    channel.send({"a": arrays, "b": {"c": [1, 2.5, None, "text", True]}})
    message = other.receive(time.monotonic() + 5)
    assert message["b"] == {"c": [1, 2.5, None, "text", True]}
    for sent, got in zip(arrays, message["a"], strict=True):
        assert got.dtype == sent.dtype
        np.testing.assert_array_equal(got, sent)


def test_large_messages_come_in_pieces(pair):
    """More arrays than one call of the system takes, more bytes than the pipe holds, strides, and a
    second message right behind: all arrive as they were sent, each in memory of its own."""
    channel, raw = pair
    other = Channel(raw)
    random = np.random.default_rng(0)
    sizes = [0, 1, 7, 300, 5_000, 3, 2_000, 30_000]
    arrays = [random.standard_normal(n) for n in sizes for _ in range(90)]
    arrays = [a.astype(np.float16) if i % 3 else a[::2] for i, a in enumerate(arrays)][:700]
    messages = [{"a": arrays}, {"b": arrays[-1]}]
    sender = threading.Thread(target=lambda: [channel.send(m) for m in messages], daemon=True)
    sender.start()
    first, second = (other.receive(time.monotonic() + 30) for _ in messages)
    sender.join()
    for sent, got in zip([*arrays, arrays[-1]], [*first["a"], second["b"]], strict=True):
        np.testing.assert_array_equal(got, sent)
        assert not got.flags.writeable
        assert got.base is None


@pytest.mark.parametrize(
    "data",
    [
        frame(b"not json"),
        frame(b"\xff\xfe"),
        frame([1, 2]),
        frame({}, b"too much"),
        frame({"a": {"__array__": ["float32", [4]]}}, b"1234"),
        frame({"a": {"__array__": ["float32", [-1]]}}),
        frame({"a": {"__array__": ["object", [1]]}}, b"12345678"),
        frame({"a": {"__array__": ["float32", [2**40, 2**40]]}}, b"1234"),
        frame({"a": {"__array__": ["float32", [True]]}}, b"1234"),
        frame({"a": {"__array__": ["float32", "no"]}}),
        frame({"a": {"__array__": 3}}),
        frame({"a": {"__array__": [["float32"], [1]]}}, b"1234"),
        frame(b"[" * 100_000 + b"]" * 100_000),
        struct.pack("<I", MAX_HEADER + 1),
        frame(b"{}")[:6] + struct.pack("<I", MAX_ARRAYS + 1),
    ],
    ids=range(15),
)
def test_what_is_no_message_is_refused(pair, data):
    """A worker that a submission has taken over can send any bytes: none of them costs memory or
    breaks the judge."""
    channel, raw = pair
    raw.sendall(data)
    with pytest.raises(BadMessage):
        channel.receive(time.monotonic() + 5)


def test_half_a_message_runs_into_the_deadline(pair):
    """A worker that stops in the middle does not hold up the class."""
    channel, raw = pair
    raw.sendall(frame({"a": 1})[:-3])
    with pytest.raises(Slow):
        channel.receive(time.monotonic() + 0.2)


def test_a_reader_who_never_reads_runs_into_the_deadline(pair):
    """Nor does one that lets the pipe fill up."""
    channel, _ = pair
    with pytest.raises(Slow):
        channel.send({"a": np.zeros(10_000_000, np.float32)}, time.monotonic() + 0.5)


def test_hanging_up_is_noticed(pair):
    """A dead worker is an error of its own kind in both directions."""
    channel, raw = pair
    raw.close()
    with pytest.raises(Closed):
        channel.receive(time.monotonic() + 5)
    with pytest.raises(Closed):
        channel.send({"a": np.zeros(1_000_000)}, time.monotonic() + 5)
