"""The pipe between the judge and a worker: messages of plain values and raw arrays, no pickle.

A message is a JSON header, followed by the arrays' bytes:

    4 bytes: length of the header | header | 4 bytes: length of the arrays | arrays, one by one

In the header, an array is {"__array__": [dtype, shape]}. The judge reads with limits and a
deadline, and trusts nothing: what does not match this format raises `BadMessage`. Hooks of the
json module take the arrays out and put them back, so that its compiled code does the rest.
"""

import json
import select
import socket
import struct
import time
from typing import Any

import numpy as np

MAX_HEADER = 1 << 18  # bytes
MAX_ARRAYS = 1 << 24  # bytes
MAX_AXES = 8  # of an array
PIECE = 1 << 18  # bytes to receive at once: more than a socket buffers
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
        self.buffer = bytearray()  # received, not yet read
        self.received = 0  # bytes, so far

    def send(self, message: dict[str, Any], deadline: float | None = None) -> None:
        """Send a message: values that JSON can hold, and numpy arrays anywhere in them.

        Raises:
            Closed, Slow
        """
        header, arrays = pack(message)
        size = struct.pack("<I", sum(map(len, arrays)))
        view = memoryview(b"".join([struct.pack("<I", len(header)), header, size, *arrays]))
        while view:
            try:
                view = view[self.connection.send(view) :]
            except BlockingIOError:
                self._wait(deadline, write=True)
            except OSError as error:
                raise Closed from error

    def receive(self, deadline: float | None = None) -> dict[str, Any]:
        """Wait for a message.

        Args:
            deadline: a time on the clock of `time.monotonic`; None waits forever.

        Raises:
            BadMessage, Closed, Slow
        """
        (length,) = struct.unpack("<I", self._read(4, deadline))
        if length > MAX_HEADER:
            raise BadMessage(f"a header of {length} bytes")
        header = self._read(length, deadline)
        (length,) = struct.unpack("<I", self._read(4, deadline))
        if length > MAX_ARRAYS:
            raise BadMessage(f"arrays of {length} bytes")
        return unpack(header, self._read(length, deadline))

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

    def _wait(self, deadline: float | None, write: bool) -> None:
        left = None if deadline is None else (deadline - time.monotonic()) * 1000
        if left is not None and left < -LATE:  # data may keep coming forever
            raise Slow
        poll = select.poll()
        poll.register(self.connection, select.POLLOUT if write else select.POLLIN)
        if not poll.poll(None if left is None else max(0.0, left)):
            raise Slow


class Body:
    """The arrays' bytes, read from the front."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def restored(self, value: dict[str, Any]) -> Any:
        """An array in place of what describes one; any other value as it is."""
        if "__array__" not in value:
            return value
        kind = value["__array__"]
        if not isinstance(kind, list) or len(kind) != 2:
            raise BadMessage("an array without a description")
        return self.take(*kind)

    def take(self, dtype: Any, shape: Any) -> np.ndarray:
        if type(dtype) is not str or dtype not in DTYPES:
            raise BadMessage("an array of unknown type")
        if type(shape) is not list or len(shape) > MAX_AXES:
            raise BadMessage("an array without a shape")
        size = DTYPES[dtype].itemsize
        for n in shape:
            if type(n) is not int or not 0 <= n <= MAX_ARRAYS:
                raise BadMessage("an array without a shape")
            size *= n
        end = self.at + size
        if end > len(self.data):
            raise BadMessage("an array larger than its bytes")
        # a copy: an array that is kept must not keep the whole message in memory
        array = np.ndarray(shape, DTYPES[dtype], self.data[self.at : end])
        self.at = end
        return array

    def rest(self) -> int:
        return len(self.data) - self.at


def pack(message: Any) -> tuple[bytes, list[bytes]]:
    """The header of a message, and its arrays."""
    arrays: list[bytes] = []

    def described(value: Any) -> dict[str, Any]:
        if not isinstance(value, np.ndarray):
            raise TypeError(f"a {type(value).__name__} cannot be sent")
        arrays.append(value.tobytes())
        return {"__array__": [NAMES[value.dtype], value.shape]}

    return json.dumps(message, default=described).encode(), arrays


def unpack(header: bytes, arrays: bytes) -> dict[str, Any]:
    """The message with its arrays put back.

    Raises:
        BadMessage
    """
    body = Body(arrays)
    try:
        message = json.loads(header, object_hook=body.restored)
    except (ValueError, RecursionError) as error:
        raise BadMessage("a header that is not JSON") from error
    if not isinstance(message, dict) or body.rest():
        raise BadMessage("a header that does not describe what follows it")
    return message
