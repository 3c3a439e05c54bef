"""The pipe between the judge and a worker: messages of plain values and raw arrays, no pickle.

A message is a JSON header, followed by the arrays' bytes:

    4 bytes: length of the header | header | 4 bytes: length of the arrays | arrays, one by one

In the header, an array is {"__array__": [dtype, shape]}. The judge reads with limits and a
deadline, and trusts nothing: what does not match this format raises `BadMessage`. Hooks of the
json module take the arrays out and put them back, so that its compiled code does the rest.
"""

import json
import os
import select
import socket
import struct
import time
from typing import Any

import numpy as np

MAX_HEADER = 1 << 18  # bytes
MAX_ARRAYS = 1 << 24  # bytes
MAX_AXES = 8  # of an array
PIECE = 1 << 16  # bytes to receive at once, before it is known what they are
AT_ONCE = 500  # arrays to send or receive in one call; systems allow 1024
LATE = 3000.0  # milliseconds after the deadline in which data that arrived in time is still read
DTYPES = {
    name: np.dtype(name)
    for name in "float16 float32 float64 int8 int16 int32 int64 uint8 bool complex64".split()
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}  # np.dtype.name is slow
OUTLIER = 64.0  # factor of a few of a member's numbers
CHAIN = ("p_sample_loop", "generate")  # names of the sampling method in the editions


def member_answer(random: np.random.Generator, shape: list[int] | None) -> np.ndarray:
    """The output of a network's double for a member: both sides draw it, from one seed.

    Gaussian numbers, float32; those at the end of each last axis are larger, so that clamping
    shows.
    """
    value = random.standard_normal(shape or [1])
    value[..., -1:] *= OUTLIER
    return value.astype(np.float32)


class BadMessage(Exception):
    """What came over the pipe is not a message."""


class Closed(Exception):
    """The other side is gone."""


class Slow(Exception):
    """The deadline passed before a complete message came."""


class Channel:
    """One end of the pipe.

    Args:
        connection: a connected stream socket, owned by this channel from now on.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        connection.setblocking(False)  # a blocking send would wait for the reader forever
        self.packer, self.unpacker = Packer(), Unpacker()
        self.buffer = bytearray()  # received, not yet read
        self.received = 0  # bytes, so far

    def send(self, message: dict[str, Any], deadline: float | None = None) -> None:
        """Send a message: values that JSON can hold, and numpy arrays anywhere in them.

        Raises:
            Closed, Slow
        """
        header, arrays = self.packer.pack(message)
        size = struct.pack("<I", sum(map(len, arrays)))
        views = [memoryview(struct.pack("<I", len(header)) + header + size), *arrays]
        while views:
            try:
                drop(views, os.writev(self.connection.fileno(), views[:AT_ONCE]))
            except BlockingIOError:
                self._wait(deadline, write=True)
            except OSError as error:
                raise Closed from error

    def receive(self, deadline: float | None = None) -> dict[str, Any]:
        """Wait for a message. Its arrays cannot be written to.

        Args:
            deadline: a time on the clock of `time.monotonic`; None waits forever.

        Raises:
            BadMessage, Closed, Slow
        """
        (length,) = struct.unpack("<I", self._read(4, deadline))
        if length > MAX_HEADER:
            raise BadMessage(f"a header of {length} bytes")
        message, arrays = self.unpacker.unpack(self._read(length, deadline))
        (length,) = struct.unpack("<I", self._read(4, deadline))
        if length != sum(array.nbytes for array in arrays):
            raise BadMessage("a header that does not describe what follows it")
        self._fill([bytes_of(array) for array in arrays if array.size], deadline)
        for array in arrays:
            array.setflags(write=False)
        return message

    def close(self) -> None:
        """Close the channel."""
        self.connection.close()

    def _read(self, length: int, deadline: float | None) -> bytes:
        while len(self.buffer) < length:
            self._wait(deadline, write=False)
            try:
                part = self.connection.recv(PIECE)
            except BlockingIOError:
                continue
            except OSError as error:
                raise Closed from error
            if not part:
                raise Closed
            self.buffer += part
            self.received += len(part)
        with memoryview(self.buffer) as view:
            data = bytes(view[:length])
        del self.buffer[:length]
        return data

    def _fill(self, views: list[memoryview], deadline: float | None) -> None:
        """Receive straight into arrays: each copy of a large message shows in the grading time."""
        while views and self.buffer:
            size = min(len(self.buffer), len(views[0]))
            views[0][:size] = self.buffer[:size]
            del self.buffer[:size]
            drop(views, size)
        while views:
            self._wait(deadline, write=False)
            try:
                size = os.readv(self.connection.fileno(), views[:AT_ONCE])
            except BlockingIOError:
                continue
            except OSError as error:
                raise Closed from error
            if not size:
                raise Closed
            self.received += size
            drop(views, size)

    def _wait(self, deadline: float | None, write: bool) -> None:
        left = None if deadline is None else (deadline - time.monotonic()) * 1000
        if left is not None and left < -LATE:  # data may keep coming forever
            raise Slow
        poll = select.poll()
        poll.register(self.connection, select.POLLOUT if write else select.POLLIN)
        if not poll.poll(None if left is None else max(0.0, left)):
            raise Slow


class Packer:
    """Takes the arrays out of messages. Making a new encoder for each would take a while."""

    def __init__(self) -> None:
        self.encoder = json.JSONEncoder(default=self.described)
        self.arrays: list[memoryview] = []

    def pack(self, message: dict[str, Any]) -> tuple[bytes, list[memoryview]]:
        """The header of a message, and the bytes of its arrays."""
        self.arrays = []
        header = self.encoder.encode(message).encode()
        arrays, self.arrays = self.arrays, []
        return header, arrays

    def described(self, value: Any) -> dict[str, Any]:
        """What the header says of an array."""
        if not isinstance(value, np.ndarray):
            raise TypeError(f"a {type(value).__name__} cannot be sent")
        if value.size:
            self.arrays.append(bytes_of(np.ascontiguousarray(value)))
        return {"__array__": [NAMES[value.dtype], value.shape]}


class Unpacker:
    """Makes messages from their headers."""

    def __init__(self) -> None:
        self.decoder = json.JSONDecoder(object_hook=self.restored)
        self.arrays: list[np.ndarray] = []
        self.size = 0  # bytes

    def unpack(self, header: bytes) -> tuple[dict[str, Any], list[np.ndarray]]:
        """The message, and its arrays in their order, still to be filled.

        Raises:
            BadMessage
        """
        self.arrays, self.size = [], 0
        try:
            message = self.decoder.decode(header.decode())
        except (ValueError, RecursionError) as error:
            raise BadMessage("a header that is not JSON") from error
        if not isinstance(message, dict):
            raise BadMessage("a header that is no message")
        arrays, self.arrays = self.arrays, []
        return message, arrays

    def restored(self, value: dict[str, Any]) -> Any:
        """An array in place of what describes one; any other value as it is."""
        if "__array__" not in value:
            return value
        kind = value["__array__"]
        if not isinstance(kind, list) or len(kind) != 2:
            raise BadMessage("an array without a description")
        return self.make(*kind)

    def make(self, dtype: Any, shape: Any) -> np.ndarray:
        """An array of this kind, if a message has room for it."""
        if type(dtype) is not str or dtype not in DTYPES:
            raise BadMessage("an array of unknown type")
        if type(shape) is not list or len(shape) > MAX_AXES:
            raise BadMessage("an array without a shape")
        size = DTYPES[dtype].itemsize
        for n in shape:
            if type(n) is not int or not 0 <= n <= MAX_ARRAYS:
                raise BadMessage("an array without a shape")
            size *= n
        self.size += size
        if self.size > MAX_ARRAYS:
            raise BadMessage("arrays of too many bytes")
        array = np.empty(shape, DTYPES[dtype])
        self.arrays.append(array)
        return array


def bytes_of(array: np.ndarray) -> memoryview:
    """The bytes of an array that lie one after another in memory; it may not be empty."""
    return memoryview(array).cast("B")


def drop(views: list[memoryview], size: int) -> None:
    """Remove the first `size` bytes."""
    while views and size >= len(views[0]):
        size -= len(views.pop(0))
    if size:
        views[0] = views[0][size:]
