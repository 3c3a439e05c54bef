"""How far samplers are from the truth: the same noise, followed in few steps and in very many."""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from ..runtime.device import Precision
from .draw import draw_samples
from .sampler import Sampler

TRUTH = Sampler("heun", steps=1000)  # its error falls with the square of its steps


def final_states(model: nn.Module, sampler: Sampler, number: int, seed: int = 0) -> Tensor:
    """Images in [0, 1], [N, C, H, W], that a sampler draws from the first noises of a seed.

    Labels are all 0. The same seed starts every sampler from the same noise.
    """
    labels = torch.zeros(number, dtype=torch.long)
    precision = Precision.pick("fp32", next(model.parameters()).device)
    batches = draw_samples(
        model, labels, precision, seed, batch_size=number, show_progress=False, sampler=sampler
    )
    return torch.cat(list(batches))


def errors(
    model: nn.Module, sampler: Sampler, steps: Sequence[int], number: int = 500, seed: int = 0
) -> list[float]:
    """The distance of a sampler without noise from the probability flow, for numbers of steps.

    Returns:
        The root mean square distance of images from those of `TRUTH`, for each number of steps.
    """
    truth = final_states(model, TRUTH, number, seed)
    drawn = (final_states(model, replace(sampler, steps=n), number, seed) for n in steps)
    return [(x - truth).flatten(1).norm(dim=1).square().mean().sqrt().item() for x in drawn]


def order(errors: Sequence[float], steps: Sequence[int]) -> float:
    """The order p of a sampler whose error falls as steps^-p, from the last two numbers of steps.

    Raises ValueError where an error is 0, for want of precision.
    """
    (e, f), (n, m) = errors[-2:], steps[-2:]
    return math.log(e / f) / math.log(m / n)
