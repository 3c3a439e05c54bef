"""Values that are clamped on the way show, whatever the seed, and right ones pass.

Chains are walked here as a student's code would, in float32, with the judge's doubles of the
network: a model whose states never get large would hide that they may not.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from autograder.checks.cases import Case
from autograder.checks.findings import Finding
from autograder.checks.flow import FlowChain
from autograder.checks.messages import Asked, Tensor
from autograder.checks.sampling_loop import Chain, check_decoded, check_pictures
from autograder.hidden.oracles import make_cases, schedule_of
from autograder.sandbox.wire import OUTLIER, member_answer

SEEDS = range(20)
Clamp = Callable[[torch.Tensor], torch.Tensor]


@dataclass
class Loop:
    """A student's sampling loop, written out with the network's answers.

    Args:
        case: of p_sample_loop, latent or fm_generate.
        random: draws the judge's answers.
        clamp: what is done to each state.
    """

    case: Case
    random: np.random.Generator
    clamp: Clamp

    def judge(self) -> None:
        """Walk the chain, and have it judged; raises Finding."""
        torch.manual_seed(int(self.random.integers(1 << 31)))
        flow, expected = self.case.part == "fm_generate", self.case.expected
        chain = (FlowChain if flow else Chain)(self.case, self.random, whole=not flow)
        chain.name = "p_sample_loop"
        x, steps = torch.randn(chain.shape), len(expected["step_x"])
        for i in range(steps):
            answer = self.asked(chain, x, expected["times"][i] if flow else steps - 1 - i)
            x = self.clamp(self.next(x, answer, i if flow else steps - 1 - i))
        result = (x + 1) / 2
        check = check_pictures
        if self.case.kwargs.get("use_vae"):
            decoder = Asked("vae.decoder", [sent(x)], {})
            decoder.answered = chain.decode(decoder)
            chain.asked.append(decoder)
            check, result = check_decoded, torch.tensor(decoder.answered)
        check(sent(result.clamp(0, 1)), chain.check(), chain)

    def asked(self, chain: Chain, x: torch.Tensor, t: float) -> torch.Tensor:
        """The network's answer."""
        label = torch.tensor(self.case.inputs["label"])
        time = torch.full_like(label, int(t)) if isinstance(t, int) else torch.full((len(x),), t)
        call = Asked("model", [sent(x), sent(label), sent(time)], {})
        ahead = chain.step(call)
        call.answered = ahead.value
        chain.asked.append(call)
        return torch.tensor(ahead.value)

    def next(self, x: torch.Tensor, answer: torch.Tensor, i: int) -> torch.Tensor:
        """The next state; betas and what follows from them are in float32, as a student's."""
        expected = {n: torch.tensor(np.float32(v)) for n, v in self.case.expected.items()}
        if "step_v" in expected:
            return expected["step_x"][i] * x + expected["step_v"][i] * answer
        beta = torch.tensor(np.float32(schedule_of(self.case.config).beta))
        bar = (1 - beta).cumprod(0)
        mean = (x - beta[i] / (1 - bar[i]).sqrt() * answer) / (1 - beta[i]).sqrt()
        return mean + expected["step_sigma"][i, 0] * torch.randn_like(x)


def sent(value: torch.Tensor) -> Tensor:
    """A tensor as the judge gets it."""
    value = value.float() if value.dtype == torch.float64 else value
    return Tensor(str(value.dtype)[6:], "cpu", list(value.shape), value.numpy().copy())


def loops(seed: int, clamp: Clamp) -> list[Loop]:
    """One of each kind, with fresh numbers."""
    wanted = (
        *(("p_sample_loop", config) for config in ("long", "odd")),
        ("latent", "odd_latent"),
        *(("fm_generate", config) for config in ("odd", "odd_latent")),
    )
    random = np.random.default_rng(seed)
    cases = {(case.part, case.config): case for case in make_cases(seed)}
    return [Loop(cases[key], random, clamp) for key in wanted]


@pytest.mark.parametrize("bound", [3, 5, 8, 20])
def test_states_that_are_clamped_are_found(bound):
    """Protects: a loop within [-5, 5] kept its points in one of ten gradings."""
    for seed in SEEDS[:5]:
        for loop in loops(seed, lambda x: x.clamp(-bound, bound)):
            with pytest.raises(Finding):
                loop.judge()


def test_states_that_are_not_pass():
    """Large numbers round more, and where they cancel out, rounding is what is left."""
    for seed in SEEDS:
        for loop in loops(seed, lambda x: x):
            loop.judge()


def test_members_of_a_network_answer_with_some_large_numbers():
    """One in each row, whatever the output's shape; the seed decides all of them."""
    for shape in ([4, 16, 6, 6], [3, 8], [5], [1]):
        one, two = (member_answer(np.random.default_rng(3), shape) for _ in range(2))
        np.testing.assert_array_equal(one, two)
        plain = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
        np.testing.assert_allclose(one[..., -1], OUTLIER * plain[..., -1], rtol=1e-6)
        np.testing.assert_array_equal(one[..., :-1], plain[..., :-1])
