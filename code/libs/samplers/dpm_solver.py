"""DPM-Solver++(2M) and its stochastic sibling: second-order sampling in 10 to 25 steps.

Paper: Lu et al. 2022, "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic
Models", Algorithm 2 and, for the noise, SDE-DPM-Solver++(2M) in section 5. Time is measured by
lambda = log(alpha / sigma), half the logarithm of the signal-to-noise ratio, where
alpha = sqrt(alpha_bar) and sigma = sqrt(1 - alpha_bar).
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .multistep import walk_along_lines


def sample_dpm_solver(
    eps_model: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    alphas_cumprod: Tensor,
    times: Sequence[int],
    *,
    eta: float = 0.0,
    clip_x0: bool = False,
    final_alpha_bar: float = 1.0,
    draw_noise: Callable[[Tensor], Tensor] = torch.randn_like,
    on_step: Callable[[int, Tensor], None] | None = None,
) -> Tensor:
    """Walk from noise to data over a few of the time steps.

    The first step is of first order, having no earlier prediction, and so is the last one: where
    it leads to x_0, lambda is infinite and no line can be drawn to it. That single steps are of
    lower order leaves the whole of second order.

    Arguments and result are those of `ddim.sample_ddim`. `eta` = 0 solves the ODE and draws no
    noise, `eta` = 1 solves the reverse SDE, whose noise washes earlier errors out.
    """
    alpha_bars = [*alphas_cumprod[list(times)].tolist(), final_alpha_bar]
    lambdas = [0.5 * math.log(a / (1 - a)) for a in alpha_bars[:-1]]
    advances = [0.0] * len(times)
    for i in range(1, len(times) - 1):
        advances[i] = (lambdas[i + 1] - lambdas[i]) / (lambdas[i] - lambdas[i - 1]) / 2
    return walk_along_lines(
        eps_model, x, alpha_bars, times, advances, eta, clip_x0, draw_noise, on_step
    )
