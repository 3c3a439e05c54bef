"""The judge allows float32's rounding, whatever the numbers, and no more.

Right formulas in float32 are judged on numbers of all sizes, many times: where terms cancel,
rounding is all that is left of a sum. A weight that is off by a hundredth is found in each of them.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from autograder.checks.cases import Case, wide
from autograder.checks.findings import Finding
from autograder.checks.flow import FlowObjective
from autograder.checks.loss import Objective
from autograder.checks.messages import Tensor
from autograder.hidden.oracles import make_cases, schedule_of

TIMES, BATCH = 60, 2
CASES = {(case.part, case.config): case for case in make_cases(0)}


def float32(array: np.ndarray) -> torch.Tensor:
    return torch.tensor(np.float32(array))


def mixed(one: np.ndarray, two: np.ndarray, *rates: np.ndarray) -> np.ndarray:
    """The sum of two arrays with a rate for each sample, as a student computes it."""
    a, b = (float32(rate).reshape(-1, 1, 1, 1) for rate in rates)
    return (a * float32(one) + b * float32(two)).numpy()


def written_out(part: str, config: str) -> Callable[[np.random.Generator, float], None]:
    """For a loss that writes q_sample out: its x_t is what the network was asked with."""
    case = CASES[part, config]
    alpha_bar = (1 - float32(schedule_of(config).beta)).cumprod(dim=0)
    rates = alpha_bar.sqrt().numpy(), (1 - alpha_bar).sqrt().numpy()

    def judge(random: np.random.Generator, factor: float) -> None:
        shape = (BATCH, *case.inputs["noise"].shape[1:])
        clean, noise = wide(random, shape), wide(random, shape)
        t = random.integers(case.rates.shape[1], size=BATCH)
        expected = dict(zip(("signal", "noise"), case.rates[:, t], strict=True))
        x_t = mixed(clean, noise, rates[0][t], factor * rates[1][t])
        inputs = {**case.inputs, "noise": noise, "t": t}
        objective = Objective(replace(case, inputs=inputs, expected=expected), clean, clean)
        objective.recover_noise(Tensor("float32", "cpu", list(shape), x_t), noise)

    return judge


def line(random: np.random.Generator, factor: float) -> None:
    """A flow's x_t, between noise and image."""
    case: Case = CASES["fm_loss", "odd"]
    shape = (BATCH, *case.inputs["noise"].shape[1:])
    clean, noise = wide(random, shape), wide(random, shape)
    t = np.float32(random.uniform(0.1, 0.9, BATCH))
    objective = FlowObjective(replace(case, inputs={**case.inputs, "t": t}), clean, clean, t=t)
    signal, rate = objective.mix()
    x_t = mixed(clean, noise, t, factor * (1 - t))
    objective.check_mix(np.float64(x_t), np.float64(noise), signal, rate)


MIXES = {
    "compute_loss": written_out("compute_loss", "cifar10"),
    "latent": written_out("latent", "odd_latent"),
    "fm_loss": line,
}


@pytest.mark.parametrize("judge", MIXES.values(), ids=MIXES.keys())
def test_right_sums_pass_with_numbers_of_all_sizes(judge):
    """Protects: right code that writes a formula out; one seed in twenty cost it its point."""
    for seed in range(TIMES):
        judge(np.random.default_rng(seed), 1.0)


@pytest.mark.parametrize("judge", MIXES.values(), ids=MIXES.keys())
def test_wrong_weights_are_found_with_numbers_of_all_sizes(judge):
    """The tolerance is of each number's own size, so no large one hides the others."""
    for seed in range(10):
        with pytest.raises(Finding, match="of the noise"):
            judge(np.random.default_rng(seed), 1.01)
