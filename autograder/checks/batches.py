"""Batches of other sizes made from a case's numbers, and networks that are called in pieces."""

from collections.abc import Callable
from typing import Any

import numpy as np

from autograder.checks.findings import Finding
from autograder.checks.messages import Asked, Tensor

SIZES = (2, 1, 17, 65)  # some code takes 64 at a time
LARGER = 16  # factor of the numbers in one corner of an answer; the others are about 2 or less
OUTLIER = 8  # factor of one image's errors, so that leaving out or clipping the worst shows
OFFSET = np.float32(0.5)  # of numbers whose mean would otherwise be near 0
MISMATCH = "Expected all tensors to be on the same device"  # as in worker/devices.py


class Spread:
    """Rearranges a case's numbers into a batch of another size.

    For elementwise functions: all arrays, including right and wrong answers, are rearranged in the
    same way, so that they still belong together.

    Args:
        random: draws the positions.
        shape: the shape of the case's batches, [B, C, H, W].
        size: the number of samples in the new batch.
    """

    def __init__(self, random: np.random.Generator, shape: tuple[int, ...], size: int) -> None:
        self.index = random.integers(np.prod(shape), size=(size, *shape[1:]))

    def __call__(self, array: np.ndarray) -> np.ndarray:
        """Rearrange an array [..., B, C, H, W] to [..., size, C, H, W]."""
        flat = array.reshape(*array.shape[: array.ndim - self.index.ndim], -1)
        return flat[..., self.index]


def odd(random: np.random.Generator, values: np.ndarray) -> np.ndarray:
    """The values scaled down a little, so that they have more digits than half precision.

    Stored cases are float16 numbers, which a round trip through float16 does not change.
    """
    return values * np.float32(random.uniform(0.8, 1))


def indices(random: np.random.Generator, count: int, size: int) -> np.ndarray:
    """Random integers below `count` for a batch of `size` samples.

    The last differs from the first and from the one before it: code that takes one of these for the
    last, as in batches of 64 the 65th, is seen with any seed.
    """
    found = random.integers(count, size=size)
    if size > 1:
        found[[0, -2]] = (found[-1] + 1) % count
    return found


class Pieces:
    """A network's answers to one batch after another; a batch may arrive in pieces.

    Args:
        name: the network's name in sentences.
        answers: the answers to n batches, [n, B, ...].
        again: start over when they are used up; otherwise refuse further calls.
        expected: whether calls are expected, so that answers are sent ahead.
    """

    def __init__(
        self, name: str, answers: np.ndarray, again: bool = False, expected: bool = True
    ) -> None:
        self.name, self.answers, self.again = name, answers, again
        self.ahead = answers if expected else None
        self.rows = 0  # rows answered so far

    @property
    def too_many(self) -> bool:
        """Whether it was asked for more batches than there are."""
        return self.rows > len(self.answers) * self.answers.shape[1]

    def answer(self, asked: Asked) -> np.ndarray | str:
        """The answer to the next rows, as many as the first tensor of the call has."""
        batch = self.answers.shape[1]
        step, row = divmod(self.rows, batch)
        rows = rows_of([*asked.args, *asked.kwargs.values()])
        if not row and rows in (2 * batch, 3 * batch):  # with other conditions; judged later
            return np.concatenate([self.answers[step % len(self.answers)]] * (rows // batch))
        if not 0 < rows <= batch - row:  # a wrong call, which is judged later
            rows = batch - row
        self.rows += rows
        if self.too_many and not self.again:
            return f"{self.name} was called more often than there are steps"
        return self.answers[step % len(self.answers), row : row + rows]


def rows_of(values: list[Any]) -> int:
    """The number of samples in the first tensor among the values; 0 if there is none."""
    shapes = [value.shape for value in values if isinstance(value, Tensor) and value.shape]
    return shapes[0][0] if shapes else 0


def in_whole(calls: list[dict[str, Any]], batch: int) -> list[dict[str, Any]]:
    """Merge calls for pieces of a batch into calls for whole batches; calls are argument dicts."""
    found: list[dict[str, Any]] = []
    waiting: list[dict[str, Any]] = []
    rows = 0  # of those that wait
    for call in calls:
        waiting.append(call)
        more = rows_of(list(call.values()))
        rows += more
        if rows >= batch or not more:
            found += [together(waiting)] if rows == batch else waiting
            waiting, rows = [], 0
    return found + waiting


def together(calls: list[dict[str, Any]]) -> dict[str, Any]:
    """Merge calls for pieces of one batch into a single call."""
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
    """Whether two values are tensors that can be parts of one batch."""
    if not (isinstance(value, Tensor) and isinstance(other, Tensor) and value.shape):
        return False
    same = value.shape[1:] == other.shape[1:] and value.dtype == other.dtype
    return same and value.array is not None and other.array is not None


def check_device(call: Callable[[], Any]) -> None:
    """Make a call with all tensors on a second device, and judge only whether devices get mixed.

    Other errors are ignored: the simulated device cannot do all that a real one does, and other
    tests judge the same call without it.

    Raises:
        Finding: the call mixes these tensors with tensors that it made on the CPU.
    """
    try:
        call()
    except Finding as finding:
        if finding.not_attempted:
            raise
        if MISMATCH in finding.reason:
            text = f"With all inputs on a GPU this fails: {finding.reason}"
            raise Finding(text, "made_elsewhere") from None
