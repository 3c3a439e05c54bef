"""Test doubles as the judge sees them: the calls of student code, and the answers to them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograder.checks.messages import Asked, members_of, read_asked, read_structure
from autograder.sandbox.wire import BadMessage

MAX_DOUBLE_CALLS = 5000  # of one call: a chain of T=1000 asks 2,000 times
MAX_REFUSED = 100  # calls after those
MAX_MEMBER_CALLS = 500  # of one run of a network, which calls each member once
MAX_KEPT = 3 << 24  # bytes of all that one call's doubles were asked and answered

Handler = Callable[[Asked], "np.ndarray | str | Ahead"]


@dataclass(repr=False)
class Ahead:
    """A double's answer, with those to its next calls, which saves asking the judge each time.

    The next answers are for calls with a tensor of their shape, in this order.
    """

    value: np.ndarray
    following: np.ndarray  # [n, *value.shape]


class Calls:
    """The doubles' calls during one request, and the answers they got.

    Args:
        doubles: a handler for each double, or one for all members of a network.
    """

    def __init__(self, doubles: dict[str, Handler] | Handler) -> None:
        self.doubles = doubles
        self.most = MAX_DOUBLE_CALLS if isinstance(doubles, dict) else MAX_MEMBER_CALLS
        self.asked: list[Asked] = []
        self.refused = 0
        self.kept = 0  # bytes
        self.given = 0  # bytes of answers, including those given ahead
        self.following: dict[str, list[np.ndarray]] = {}  # answers given ahead, last one first
        self.structure: dict[str, Any] | None = None  # of a network, and
        self.members: set[str] = set()  # the names of its levels' members

    def take_structure(self, structure: Any) -> None:
        """A network's structure, which is sent once and before anything is called."""
        if isinstance(self.doubles, dict) or self.structure is not None or self.asked:
            raise BadMessage("a structure that was not asked for")
        self.structure = read_structure(structure)
        self.members = members_of(self.structure)

    def take_earlier(self, messages: Any) -> None:
        """Note calls that the worker answered with what it was given ahead."""
        if not isinstance(messages, list):
            raise BadMessage("earlier calls without content")
        for message in messages:
            asked = self._read(message)
            if not self.following.get(asked.name):
                raise BadMessage("a call that got no answer ahead")
            self._note(asked, self.following[asked.name].pop())

    def reply(self, message: dict[str, Any]) -> dict[str, Any]:
        """What the double's handler says to a call."""
        asked = self._read(message)
        handler = self.doubles.get(asked.name) if isinstance(self.doubles, dict) else self.doubles
        if handler is None or (self.structure is None and not isinstance(self.doubles, dict)):
            raise BadMessage("a call of an unknown double")
        if "." in asked.name and self.structure is not None and asked.name not in self.members:
            raise BadMessage("a call of an unknown member")
        if len(self.asked) >= self.most:
            self.refused += 1
            if self.refused > MAX_REFUSED:
                raise BadMessage("too many calls of doubles")
            return {"refused": "the network was called far too often"}
        value = handler(asked)
        if isinstance(value, str):
            self._note(asked, None)
            return {"refused": value}
        following = value.following if isinstance(value, Ahead) else np.empty(0)
        self._note(asked, value.value if isinstance(value, Ahead) else value)
        self.given += following.nbytes
        if self.given > MAX_KEPT:
            raise BadMessage("answers of doubles with far too many numbers")
        self.following[asked.name] = list(following)[::-1]
        return {"value": asked.answered, "following": following}

    def _read(self, message: Any) -> Asked:
        asked = read_asked(message)
        if self.kept + asked.size() > MAX_KEPT:
            raise BadMessage("calls of doubles with far too many numbers")
        return asked

    def _note(self, asked: Asked, answered: np.ndarray | None) -> None:
        """Keep a call and its answer, without the memory of the answers sent with it."""
        is_part = answered is not None and answered.base is not None
        asked.answered = answered.copy() if is_part else answered
        self.asked.append(asked)
        self.kept += asked.size()
