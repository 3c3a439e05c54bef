"""Batches of other sizes made of a case's numbers, and networks that are called piece by piece."""

from collections.abc import Callable
from typing import Any

import numpy as np

from autograder.checks.findings import Finding
from autograder.checks.messages import Asked, Tensor

SIZES = (2, 1, 17, 33)
MISMATCH = "Expected all tensors to be on the same device"  # as sandbox/devices.py says it


class Spread:
    """Puts a case's numbers into a batch of another size.

    For functions that treat each number by itself: all arrays, including right and wrong answers,
    are rearranged alike, so that they still belong together.

    Args:
        random: draws which number goes where.
        shape: of the case's batches, [B, C, H, W].
        size: how many samples the other batch has.
    """

    def __init__(self, random: np.random.Generator, shape: tuple[int, ...], size: int) -> None:
        self.index = random.integers(np.prod(shape), size=(size, *shape[1:]))

    def __call__(self, array: np.ndarray) -> np.ndarray:
        """An array [..., B, C, H, W] as [..., size, C, H, W]."""
        flat = array.reshape(*array.shape[: array.ndim - self.index.ndim], -1)
        return flat[..., self.index]


def odd(random: np.random.Generator, values: np.ndarray) -> np.ndarray:
    """A little smaller, with more digits than half precision holds.

    Stored cases are float16 numbers, which a round trip through float16 leaves as they are.
    """
    return values * np.float32(random.uniform(0.8, 1))


class Pieces:
    """Answers of a network to one batch after another, which may be asked for in pieces.

    Args:
        name: of the network, in words.
        answers: to each batch, [n, B, ...].
        again: start over when they are used up; otherwise such a call is refused.
        expected: calls are; their answers are sent ahead.
    """

    def __init__(
        self, name: str, answers: np.ndarray, again: bool = False, expected: bool = True
    ) -> None:
        self.name, self.answers, self.again = name, answers, again
        self.ahead = answers if expected else None
        self.rows = 0  # that were answered

    @property
    def too_many(self) -> bool:
        """Whether it was asked for more batches than there are."""
        return self.rows > len(self.answers) * self.answers.shape[1]

    def answer(self, asked: Asked) -> np.ndarray | str:
        """The answer to the next rows, as many as the first tensor of the call has."""
        batch = self.answers.shape[1]
        step, row = divmod(self.rows, batch)
        rows = rows_of([*asked.args, *asked.kwargs.values()])
        if not 0 < rows <= batch - row:  # an odd call, which is judged later
            rows = batch - row
        self.rows += rows
        if self.too_many and not self.again:
            return f"{self.name} was called more often than there are steps"
        return self.answers[step % len(self.answers), row : row + rows]


def rows_of(values: list[Any]) -> int:
    """How many samples the first tensor among the values has; 0 for none."""
    shapes = [value.shape for value in values if isinstance(value, Tensor) and value.shape]
    return shapes[0][0] if shapes else 0


def in_whole(calls: list[dict[str, Any]], batch: int) -> list[dict[str, Any]]:
    """Calls of a network by their arguments, with those for pieces of a batch put together."""
    found: list[dict[str, Any]] = []
    waiting: list[dict[str, Any]] = []
    for call in calls:
        waiting.append(call)
        rows = sum(rows_of(list(piece.values())) for piece in waiting)
        if rows >= batch or not rows_of(list(call.values())):
            found += [together(waiting)] if rows == batch else waiting
            waiting = []
    return found + waiting


def together(calls: list[dict[str, Any]]) -> dict[str, Any]:
    """One call in place of several for pieces of its batch."""
    if len(calls) == 1:
        return calls[0]
    found = dict(calls[0])
    for name, first in found.items():
        values = [call.get(name) for call in calls]
        if all(fits(value, first) for value in values):
            array = np.concatenate([value.array for value in values])
            found[name] = Tensor(first.dtype, first.device, list(array.shape), array)
    return found


def fits(value: Any, other: Any) -> bool:
    """Whether two values are tensors that make one batch together."""
    if not (isinstance(value, Tensor) and isinstance(other, Tensor) and value.shape):
        return False
    same = value.shape[1:] == other.shape[1:] and value.dtype == other.dtype
    return same and value.array is not None and other.array is not None


def check_device(call: Callable[[], Any]) -> None:
    """Make a call in which all tensors are on a second device.

    Other errors say nothing: the pretended device cannot do all that a real one does, and other
    tests judge the same call without it.

    Raises:
        Finding: it mixes that device's tensors with tensors it made elsewhere.
    """
    try:
        call()
    except Finding as finding:
        if finding.not_attempted:
            raise
        if MISMATCH in finding.reason:
            text = f"With all inputs on a GPU this fails: {finding.reason}"
            raise Finding(text, "made_elsewhere") from None
