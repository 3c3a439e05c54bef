"""The judge's side of test doubles: student code's calls of them, and the answers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograder.checks.messages import Asked, members_of, read_asked, read_structure
from autograder.sandbox.wire import BadMessage

MAX_DOUBLE_CALLS = 5000  # during one request: a chain with T = 1000 makes 2,000
MAX_REFUSED = 100  # more calls, which are refused, before the worker is ended
MAX_MEMBER_CALLS = 2000  # during one run of a network: 30 members, each for 65 samples
MAX_KEPT = 3 << 24  # bytes of the calls and answers of one request

Handler = Callable[[Asked], "np.ndarray | str | Ahead"]


@dataclass(repr=False)
class Ahead:
    """A double's answer, and answers ahead for its next calls, which then need not ask the judge.

    The next answers are for calls with a tensor of the same shape, in this order.
    """

    value: np.ndarray
    following: np.ndarray  # [n, *value.shape]


class Told:
    """The double of a function that is only called to report something; it answers 0 each time.

    Args:
        most: calls that are answered ahead.
    """

    def __init__(self, most: int) -> None:
        self.ahead = np.zeros(most, np.float32)

    def answer(self, asked: Asked) -> np.ndarray:
        """The same number for each call."""
        return np.zeros((), np.float32)


def known_answers(doubles: dict[str, Handler]) -> dict[str, np.ndarray]:
    """The answers that are known before a request, so that the worker need not ask for them.

    A handler may be a method of an object with an attribute `ahead`: its answers to the next calls.
    This is [n, B, ...] for calls whose first tensor has B rows, or [n] for any calls.
    """
    owners = {name: getattr(handler, "__self__", None) for name, handler in doubles.items()}
    known = {name: getattr(owner, "ahead", None) for name, owner in owners.items()}
    return {name: answers for name, answers in known.items() if answers is not None}


class Calls:
    """The calls of doubles during one request, and their answers.

    Args:
        doubles: a handler for each double, or one for all members of a network.
    """

    def __init__(self, doubles: dict[str, Handler] | Handler) -> None:
        self.doubles = doubles
        self.most = MAX_DOUBLE_CALLS if isinstance(doubles, dict) else MAX_MEMBER_CALLS
        self.asked: list[Asked] = []
        self.refused = 0
        self.kept = 0  # bytes
        self.size = 0  # of the last call that was read
        self.given = 0  # bytes of answers, including those given ahead
        self.following: dict[str, list[np.ndarray]] = {}  # answers given ahead, last one first
        self.ahead = known_answers(doubles) if isinstance(doubles, dict) else {}
        self.left = {name: len(answers) for name, answers in self.ahead.items()}
        self.structure: dict[str, Any] | None = None  # of a network
        self.members: set[str] = set()  # names of the members of its levels

    def take_structure(self, structure: Any) -> None:
        """Read a network's structure, which is sent once, before anything is called."""
        if isinstance(self.doubles, dict) or self.structure is not None or self.asked:
            raise BadMessage("a structure that was not asked for")
        self.structure = read_structure(structure)
        self.members = members_of(self.structure)

    def take_earlier(self, messages: Any) -> None:
        """Record calls that the worker answered itself, or with answers it got ahead."""
        if not isinstance(messages, list):
            raise BadMessage("earlier calls without content")
        for message in messages:
            asked = self._read(message)
            self._note(asked, self._answered(asked))

    def _answered(self, asked: Asked) -> np.ndarray:
        """The answer that the worker must have given to a call."""
        value: Any = None
        if not isinstance(self.doubles, dict):  # a network's members answer from a seed
            self._check_member(asked)
            if len(self.asked) < self.most:
                value = self.doubles(asked)
        elif self.left.get(asked.name):
            self.left[asked.name] -= 1
            value = self.doubles[asked.name](asked)
        elif self.following.get(asked.name):
            value = self.following[asked.name].pop()
        if not isinstance(value, np.ndarray):
            raise BadMessage("a call that got no answer ahead")
        return value

    def _check_member(self, asked: Asked) -> None:
        """Raise BadMessage unless a call is of a member that the network said it has."""
        if self.structure is None:
            raise BadMessage("a call of an unknown double")
        if "." in asked.name and asked.name not in self.members:
            raise BadMessage("a call of an unknown member")

    def reply(self, message: dict[str, Any]) -> dict[str, Any]:
        """The message that answers a call, from the double's handler."""
        asked = self._read(message)
        handler: Handler | None = None
        if isinstance(self.doubles, dict):
            handler = self.doubles.get(asked.name)
        else:
            self._check_member(asked)
            handler = self.doubles
        if handler is None:
            raise BadMessage("a call of an unknown double")
        self.left[asked.name] = 0  # the worker discards them as well
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
        self.size = asked.size()
        if self.kept + self.size > MAX_KEPT:
            raise BadMessage("calls of doubles with far too many numbers")
        return asked

    def _note(self, asked: Asked, answered: np.ndarray | None) -> None:
        """Record a call and its answer, without keeping the whole array of answers in memory."""
        is_part = answered is not None and answered.base is not None
        asked.answered = answered.copy() if is_part else answered
        self.asked.append(asked)
        self.kept += self.size + (0 if answered is None else answered.nbytes)
