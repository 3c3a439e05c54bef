"""Answers that come with a call: worker and judge agree on which call got which numbers."""

from typing import Any

import numpy as np
import pytest
import torch
from autograder.checks import doubles
from autograder.checks.batches import Pieces
from autograder.checks.doubles import Told
from autograder.checks.unet_wiring import Wiring, needed_levels
from autograder.worker import doubles as workers
from torch import nn

STRUCTURE = {"encoder": [[True, False, False]], "decoder": [[True, False, False]]}


class Line:
    """The worker's way to the judge, who is in the same process."""

    def __init__(self, judge: doubles.Calls) -> None:
        self.judge, self.questions = judge, 0
        self.answer: dict[str, Any] = {}

    def send(self, message: dict[str, Any]) -> None:
        self.questions += 1
        self.judge.take_earlier(message["earlier"])
        self.answer = self.judge.reply(message)

    def receive(self) -> dict[str, Any]:
        return self.answer


def ends(handlers: Any) -> tuple[doubles.Calls, Line, workers.Calls]:
    """What judge and worker know of one request's calls, and the line between them."""
    judge = doubles.Calls(handlers)
    line = Line(judge)
    return judge, line, workers.Calls(line)


class Broken(nn.Module):
    """A member that fails."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Fail."""
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("sizes", "questions"),
    [([4, 4], 0), ([4, 2, 2], 2), ([3, 1, 4], 3), ([1] * 8, 8), ([4, 4, 4], 1)],
)
def test_pieces_of_any_sizes_get_their_own_rows(sizes, questions):
    """Whole batches need no question; pieces are asked for, and nothing is answered twice."""
    numbers = np.random.default_rng(0).standard_normal((2, 4, 3)).astype(np.float32)
    judge, line, calls = ends({"model": Pieces("the network", numbers, again=True).answer})
    model = workers.Double("model", calls, judge.ahead["model"])
    given = [model(torch.full((size, 3), float(n))) for n, size in enumerate(sizes)]
    judge.take_earlier(calls.take())
    assert line.questions == questions
    rows = np.concatenate([numbers.reshape(8, 3)] * 2)[: sum(sizes)]
    assert np.array_equal(torch.cat(given).detach().numpy(), rows)
    assert np.array_equal(np.concatenate([asked.answered for asked in judge.asked]), rows)
    assert [asked.args[0].array[0, 0] for asked in judge.asked] == list(range(len(sizes)))


def test_a_call_is_reported_as_it_was():
    """What the student changes after a call is not what the double got."""
    judge, line, calls = ends({"on_step": Told(2).answer})
    on_step = workers.Double("on_step", calls, judge.ahead["on_step"])
    x, numbers = torch.zeros(2), np.zeros(2, np.float32)
    for step in range(2):
        on_step(step, x, numbers)
        x += 1
        numbers += 1
    judge.take_earlier(calls.take())
    assert line.questions == 0
    for step, asked in enumerate(judge.asked):
        assert asked.args[0] == step
        assert all((value.array == step).all() for value in asked.args[1:])


def test_calls_of_unknown_length_are_asked_for():
    """A message has room for many short calls, and for a long one."""
    judge, line, calls = ends({"on_step": Told(2).answer})
    on_step = workers.Double("on_step", calls, judge.ahead["on_step"])
    on_step([torch.zeros(2)])
    on_step("a text")
    assert line.questions == len(judge.asked) == 2


def test_members_draw_what_the_judge_draws():
    """Both ends have the same numbers for each call, those after an odd one too."""
    wiring = Wiring(needed_levels([1], []), np.random.default_rng(0), 2)
    judge, line, calls = ends(wiring.answer)
    judge.take_structure(STRUCTURE)
    shared = workers.Members(wiring.seed, 100, {})
    block = workers.Member("decoder.0.0", calls, nn.Identity(), shared)
    found = [block(torch.zeros(size, 2, 4, 4)) for size in (2, 1)]
    with pytest.raises(ZeroDivisionError):
        workers.Member("encoder.0.0", calls, Broken(), shared)(torch.zeros(2))
    found.append(block(torch.zeros(1, 2, 4, 4)))
    judge.take_earlier(calls.take())
    assert line.questions == 0
    answered = [asked.answered for asked in judge.asked if asked.name == "decoder.0.0"]
    for value, other in zip(found, answered, strict=True):
        assert np.array_equal(value.detach().numpy(), other)


def test_too_many_calls_of_members_are_refused():
    """That is an error in the student's code, and not a forged message."""
    wiring = Wiring(needed_levels([1], []), np.random.default_rng(0), 1)
    judge, line, calls = ends(wiring.answer)
    judge.take_structure(STRUCTURE)
    shared = workers.Members(wiring.seed, doubles.MAX_MEMBER_CALLS, {})
    block = workers.Member("decoder.0.0", calls, nn.Identity(), shared)
    for _ in range(doubles.MAX_MEMBER_CALLS):
        block(torch.zeros(1, 1))
    with pytest.raises(RuntimeError, match="far too often"):
        block(torch.zeros(1, 1))
    assert len(judge.asked) == doubles.MAX_MEMBER_CALLS
    assert line.questions < 10  # those for which there was no room
