"""The pipe between the judge and a worker: messages of plain values and raw arrays, no pickle.

A message is a JSON header, followed by the arrays' bytes:

    4 bytes: length of the header | header | 4 bytes: length of the arrays | arrays, one by one

In the header, an array is {"__array__": [dtype, shape]}. The judge reads with limits and a
deadline, and trusts nothing: what does not match this format raises `BadMessage`.
"""

import json
import math
import select
import socket
import struct
import time
from typing import Any

import numpy as np

MAX_HEADER = 1 << 18  # bytes
MAX_ARRAYS = 1 << 24  # bytes
PIECE = 1 << 18  # bytes to receive at once: more than a socket buffers
LATE = 3000.0  # milliseconds after the deadline in which data that arrived in time is still read
DTYPES = {
    name: np.dtype(name)
    for name in "float16 float32 float64 int8 int16 int32 int64 uint8 bool complex64".split()
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}  # np.dtype.name is slow
PLAIN = (str, int, float, bool, type(None))  # types of most values, none of which can hold an array


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
        arrays: list[bytes] = []
        header = json.dumps(pack(message, arrays)).encode()
        body = b"".join(arrays)
        data = struct.pack("<I", len(header)) + header + struct.pack("<I", len(body)) + body
        view = memoryview(data)
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
        try:
            header = json.loads(self._read(length, deadline))
        except (ValueError, RecursionError) as error:
            raise BadMessage("a header that is not JSON") from error
        (length,) = struct.unpack("<I", self._read(4, deadline))
        if length > MAX_ARRAYS:
            raise BadMessage(f"arrays of {length} bytes")
        body = Body(self._read(length, deadline))
        try:
            message = unpack(header, body)
        except RecursionError as error:
            raise BadMessage("a header nested too deep") from error
        if not isinstance(message, dict) or body.rest():
            raise BadMessage("a header that does not describe what follows it")
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

    def take(self, dtype: Any, shape: Any) -> np.ndarray:
        if (
            not isinstance(dtype, str)
            or dtype not in DTYPES
            or not isinstance(shape, list)
            or len(shape) > 8
        ):
            raise BadMessage("an array of unknown type")
        if not all(type(n) is int and 0 <= n <= MAX_ARRAYS for n in shape):
            raise BadMessage("an array without a shape")
        end = self.at + math.prod(shape) * DTYPES[dtype].itemsize
        if end > len(self.data):
            raise BadMessage("an array larger than its bytes")
        # a copy: an array that is kept must not keep the whole message in memory
        array = np.frombuffer(self.data[self.at : end], DTYPES[dtype]).reshape(shape)
        self.at = end
        return array

    def rest(self) -> int:
        return len(self.data) - self.at


def pack(value: Any, arrays: list[bytes]) -> Any:
    """The value with its arrays replaced by descriptions, and their bytes added to the list."""
    if isinstance(value, np.ndarray):
        arrays.append(np.ascontiguousarray(value).tobytes())
        return {"__array__": [NAMES[value.dtype], list(value.shape)]}
    if isinstance(value, dict):
        return {k: v if type(v) in PLAIN else pack(v, arrays) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [v if type(v) in PLAIN else pack(v, arrays) for v in value]
    return value


def unpack(value: Any, body: Body) -> Any:
    """The value with its arrays put back."""
    if isinstance(value, dict):
        if "__array__" in value:
            described = value["__array__"]
            if not isinstance(described, list) or len(described) != 2:
                raise BadMessage("an array without a description")
            return body.take(*described)
        return {k: v if type(v) in PLAIN else unpack(v, body) for k, v in value.items()}
    if isinstance(value, list):
        return [v if type(v) in PLAIN else unpack(v, body) for v in value]
    return value
