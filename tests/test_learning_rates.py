"""Learning rates against the schedulers of torch."""

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from libs.config import TrainConfig
from libs.training.optim import learning_rate

STEPS = 7  # in an epoch


def torchs_rates(make_scheduler, steps: int, lr: float = 0.5) -> list[float]:
    """The learning rates of a scheduler of torch, step by step."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = make_scheduler(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def our_rates(steps: int, **settings) -> list[float]:
    config = TrainConfig(lr=0.5, **settings)
    return [learning_rate(config, step, STEPS) for step in range(steps)]


def test_constant():
    """Without a schedule the rate is the one set, to the last step and beyond."""
    assert our_rates(3 * STEPS, epochs=2) == [0.5] * 3 * STEPS


@pytest.mark.parametrize("epochs", [1, 3, 11])
def test_cosine(epochs):
    """The cosine is torch's CosineAnnealingLR down to 0 at the end of the last epoch."""
    total = epochs * STEPS
    expected = torchs_rates(lambda o: lr_scheduler.CosineAnnealingLR(o, total), total)
    assert our_rates(total, epochs=epochs, lr_schedule="cosine") == pytest.approx(expected)
    assert our_rates(total + 5, epochs=epochs, lr_schedule="cosine")[total:] == [0] * 5


@pytest.mark.parametrize("epochs", [1, 3, 11])
@pytest.mark.parametrize("warmup_steps", [0, 5])
def test_one_cycle(epochs, warmup_steps):
    """One cycle is torch's OneCycleLR with its defaults, whatever the warm-up steps."""
    total = epochs * STEPS
    expected = torchs_rates(
        lambda o: lr_scheduler.OneCycleLR(o, 0.5, total_steps=total, cycle_momentum=False), total
    )
    rates = our_rates(total, epochs=epochs, lr_schedule="onecycle", warmup_steps=warmup_steps)
    assert rates == pytest.approx(expected)


@pytest.mark.parametrize(
    ("milestones", "gamma"), [([1], 0.1), ([1, 3], 0.5), ([3, 2], 0.2), ([], 1)]
)
def test_multistep(milestones, gamma):
    """Multistep is torch's MultiStepLR with milestones counted in epochs."""
    steps = [epoch * STEPS for epoch in milestones]
    expected = torchs_rates(lambda o: lr_scheduler.MultiStepLR(o, steps, gamma), 5 * STEPS)
    rates = our_rates(
        5 * STEPS, epochs=5, lr_schedule="multistep", lr_milestones=milestones, lr_gamma=gamma
    )
    assert rates == pytest.approx(expected)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "multistep"])
def test_warm_up(schedule):
    """Warm-up is linear, as torch's LinearLR, from above 0, and the schedule follows it."""
    warm = 9
    expected = torchs_rates(lambda o: lr_scheduler.LinearLR(o, 1 / (warm + 1), 1, warm), warm)
    rest = 4 * STEPS - warm
    after = {
        "constant": lambda o: lr_scheduler.ConstantLR(o, 1),
        "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, rest),
        "multistep": lambda o: lr_scheduler.MultiStepLR(o, [2 * STEPS - warm], 0.1),
    }
    expected += torchs_rates(after[schedule], rest)
    rates = our_rates(
        4 * STEPS, epochs=4, lr_schedule=schedule, warmup_steps=warm, lr_milestones=[2]
    )
    assert rates == pytest.approx(expected)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "onecycle"])
def test_warm_up_in_epochs(schedule):
    """Epochs of warm-up are as many steps, whatever the size of the data; fractions are rounded."""
    for epochs, steps in ((2, 2 * STEPS), (0.5, 4), (0, 0)):
        options = {"epochs": 4, "lr_schedule": schedule}
        rates = our_rates(4 * STEPS, warmup_epochs=epochs, **options)
        assert rates == our_rates(4 * STEPS, warmup_steps=steps, **options)
