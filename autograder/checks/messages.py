"""Reads a worker's messages into records of known types, and checks them against the request.

Student code runs in the worker and can send anything. Tests get only what this module has read:
tensors as their arrays are, numbers that a float can hold, short texts, shallow lists. Anything
that does not fit the request raises `BadMessage`, and the worker is ended.
"""

import math
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autograder.sandbox.wire import DTYPES, BadMessage

MAX_TEXT = 300  # characters
MAX_DEPTH = 4  # lists within lists
MAX_ARGUMENTS = 64  # of one call of a double, including those in lists
MAX_LEVELS, MAX_MEMBERS = 64, 8  # of a network
MAX_OUTPUT = 1 << 19  # numbers in a double's answer
WHOLE = 1 << 53  # the largest whole number that a float holds exactly
DTYPE = re.compile(r"(numpy )?[a-z][a-z0-9_]{0,20}")
DEVICE = re.compile(r"[a-z][a-z0-9]{0,20}")
OBJECT = 500  # bytes of a small Python object, roughly


@dataclass(repr=False)  # pytest would spell out all its numbers
class Tensor:
    """A student's tensor from the wire; it has no array if it is not on the CPU."""

    dtype: str
    device: str
    shape: list[int]
    array: np.ndarray | None


@dataclass(repr=False)
class Asked:
    """One call of a test double by the student's code."""

    name: str
    args: list[Any]
    kwargs: dict[str, Any]
    shape: list[int] | None = None  # of the real module's output
    answered: np.ndarray | None = None

    def size(self) -> int:
        """About how many bytes this call keeps."""
        given = 2 * OBJECT + size_of(self.args) + size_of(list(self.kwargs.values()))
        return given + (0 if self.answered is None else self.answered.nbytes)

    def bind(self, *names: str) -> dict[str, Any]:
        """The arguments by their names in the contract; other keywords keep their names."""
        return {**dict(zip(names, self.args, strict=False)), **self.kwargs}


@dataclass(repr=False)
class Answer:
    """The result of a call, and what it changed and asked."""

    value: Any
    changed: list[int | str] = field(default_factory=list)  # indices of arguments, names of buffers
    mode_changed: list[str] = field(default_factory=list)  # names of doubles, or "self"
    gradients: dict[str, float] | None = None  # by double, only those reached; None: not asked for
    draws: bool = False  # the method draws its time steps itself
    asked: list[Asked] = field(default_factory=list)

    def lacks_gradient(self, name: str) -> bool:
        """Whether gradients were asked for, and none reached this double or parameter."""
        return self.gradients is not None and not self.gradients.get(name)


def read_value(value: Any, depth: int = 0) -> Any:
    """A student's value: a Tensor, a number, a short text, None, or a list of these.

    Anything else becomes {"type": its name}.
    """
    if isinstance(value, dict) and "tensor" in value:
        return read_tensor(value)
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if abs(value) <= WHOLE else {"type": "int"}
    if isinstance(value, str):
        return value[:MAX_TEXT]
    if isinstance(value, list) and depth < MAX_DEPTH:
        return [read_value(item, depth + 1) for item in value]
    name = value.get("type") if isinstance(value, dict) else type(value).__name__
    return {"type": name[:40] if isinstance(name, str) else "dict"}


def read_tensor(described: dict[str, Any]) -> Tensor:
    """A tensor; its dtype and shape are those of its array, if it has one."""
    dtype, array = described["tensor"], described.get("array")
    if not isinstance(dtype, str) or not (dtype in DTYPES or DTYPE.fullmatch(dtype)):
        raise BadMessage("a tensor without a dtype")
    device = described.get("device", "cpu")
    if not isinstance(device, str) or not (device == "cpu" or DEVICE.fullmatch(device)):
        raise BadMessage("a tensor without a device")
    if array is None:
        return Tensor(dtype, device, read_shape(described.get("shape")), None)
    # Dtypes that numpy lacks, such as bfloat16, are sent as float32.
    sent = dtype.removeprefix("numpy ")
    if not isinstance(array, np.ndarray) or array.dtype != DTYPES.get(sent, np.float32):
        raise BadMessage("a tensor with another dtype than it names")
    return Tensor(dtype, device, list(array.shape), array)


def read_shape(shape: Any) -> list[int]:
    """A shape with at most 8 axes, none of them absurdly long."""
    if not isinstance(shape, list) or len(shape) > 8:
        raise BadMessage("a tensor without a shape")
    if not all(type(n) is int and 0 <= n < 1 << 31 for n in shape):
        raise BadMessage("a tensor without a shape")
    return shape


def read_asked(message: Any) -> Asked:
    """Read one call of a double."""
    if not isinstance(message, dict) or not isinstance(message.get("double"), str):
        raise BadMessage("a call without content")
    args, kwargs, shape = message.get("args"), message.get("kwargs"), message.get("shape")
    if not (isinstance(args, list) and isinstance(kwargs, dict)):
        raise BadMessage("a call without arguments")
    check_few([*args, *kwargs.values()])
    if shape is not None:
        read_shape(shape)
        if not all(shape) or math.prod(shape) > MAX_OUTPUT:
            raise BadMessage("an output without a size, or far too large")
    kwargs = {name[:MAX_TEXT]: read_value(value) for name, value in kwargs.items()}
    return Asked(message["double"][:MAX_TEXT], [read_value(arg) for arg in args], kwargs, shape)


def check_few(values: list[Any]) -> None:
    """Raise BadMessage for more than MAX_ARGUMENTS, so that reading them stays fast."""
    waiting, number = [values], len(values)
    while waiting and number <= MAX_ARGUMENTS:
        lists = [value for value in waiting.pop() if isinstance(value, list)]
        number += sum(map(len, lists))
        waiting += lists
    if number > MAX_ARGUMENTS:
        raise BadMessage("a call with far too many arguments")


def read_changed(answer: dict[str, Any]) -> list[int | str]:
    """What a call says it changed: positions and names of arguments, names of buffers."""
    changed = answer.get("changed")
    if not isinstance(changed, list) or not all(isinstance(c, int | str) for c in changed):
        raise BadMessage("an answer that does not say what was changed")
    return changed[:MAX_ARGUMENTS]


def read_gradients(answer: dict[str, Any], doubles: Collection[str]) -> dict[str, float]:
    """The gradients that reached the doubles; only finite numbers."""
    gradients = answer.get("gradients")
    if not isinstance(gradients, dict):
        return {}
    return {
        name: value
        for name, value in gradients.items()
        if name in doubles and isinstance(value, float) and math.isfinite(value)
    }


def read_structure(structure: Any) -> dict[str, list[list[bool]]]:
    """Which members exist in each level of encoder and decoder, according to the worker.

    A test judges whether these are the required levels.


    """
    if not isinstance(structure, dict):
        raise BadMessage("a structure without content")
    found = {name: structure[name] for name in ("encoder", "decoder") if name in structure}
    for levels in found.values():
        if not isinstance(levels, list) or len(levels) > MAX_LEVELS:
            raise BadMessage("a structure without levels")
        for level in levels:
            if not isinstance(level, list) or len(level) > MAX_MEMBERS:
                raise BadMessage("a level of no known kind")
            if not all(isinstance(member, bool) for member in level):
                raise BadMessage("a level of no known kind")
    return found


def members_of(structure: dict[str, list[list[bool]]]) -> set[str]:
    """The names of the members that a structure has, such as "decoder.0.2"."""
    return {
        f"{part}.{i}.{j}"
        for part, levels in structure.items()
        for i, level in enumerate(levels)
        for j, there in enumerate(level)
        if there
    }


def read_names(value: Any, known: Collection[str], what: str) -> list[str]:
    """A list of known names; `what` is for the error."""
    if not isinstance(value, list) or not all(isinstance(n, str) and n in known for n in value):
        raise BadMessage(f"an answer that does not say {what}")
    return list(dict.fromkeys(value))


def read_list(value: Any, length: int) -> list[Any]:
    """A list of `length` values."""
    if not isinstance(value, list) or len(value) != length:
        raise BadMessage("a different number of values than was asked for")
    return [read_value(item) for item in value]


def size_of(value: Any) -> int:
    """Roughly how many bytes a value that was read takes."""
    if isinstance(value, Tensor):
        return 4 * OBJECT + (0 if value.array is None else value.array.nbytes)
    if isinstance(value, list):
        return OBJECT + sum([size_of(item) for item in value])
    return OBJECT + (2 * len(value) if isinstance(value, str) else 0)
