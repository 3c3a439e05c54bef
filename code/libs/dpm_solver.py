"""DPM-Solver++(2M): second-order sampling in 10 to 25 steps, without noise.

Paper: Lu et al. 2022, "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic
Models", Algorithm 2. Time is measured by lambda = log(alpha / sigma), half the logarithm of the
signal-to-noise ratio, where alpha = sqrt(alpha_bar) and sigma = sqrt(1 - alpha_bar).
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def sample_dpm_solver(
    eps_model: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    alphas_cumprod: Tensor,
    times: Sequence[int],
    *,
    clip_x0: bool = False,
    final_alpha_bar: float = 1.0,
    draw_noise: Callable[[Tensor], Tensor] = torch.randn_like,
    on_step: Callable[[int, Tensor], None] | None = None,
) -> Tensor:
    """Walk from noise to data over a few of the time steps.

    The first step is of first order, having no earlier prediction, and so is the last one: where
    it leads to x_0, lambda is infinite and no line can be drawn to it. That single steps are of
    lower order leaves the whole of second order.

    Arguments and result are those of `ddim.sample_ddim`; `draw_noise` is never called.
    """
    alpha_bars = [*alphas_cumprod[list(times)].tolist(), final_alpha_bar]
    lambdas = [0.5 * math.log(a / (1 - a)) for a in alpha_bars[:-1]]
    x_0_before = None
    for i, time in enumerate(times):
        alpha, sigma = math.sqrt(alpha_bars[i]), math.sqrt(1 - alpha_bars[i])
        eps = eps_model(x, torch.full((len(x),), time, device=x.device))
        x_0 = (x - sigma * eps) / alpha
        if clip_x0:
            x_0 = x_0.clamp(-1, 1)
        prediction = x_0
        if 0 < i < len(times) - 1:
            r = (lambdas[i] - lambdas[i - 1]) / (lambdas[i + 1] - lambdas[i])
            prediction = (1 + 1 / (2 * r)) * x_0 - 1 / (2 * r) * x_0_before
        x = _first_order_step(x, prediction, alpha, sigma, alpha_bars[i + 1])
        x_0_before = x_0
        if on_step is not None:
            on_step(i, x)
    return x


def _first_order_step(
    x: Tensor, x_0: Tensor, alpha: float, sigma: float, alpha_bar_next: float
) -> Tensor:
    """The exact step where the prediction of x_0 does not change on the way (eq. 9).

    exp(-h) of the paper, h the step in lambda, is written out: h is infinite in the step to x_0.
    """
    alpha_next, sigma_next = math.sqrt(alpha_bar_next), math.sqrt(1 - alpha_bar_next)
    ratio = sigma_next / sigma
    return ratio * x + (alpha_next - alpha * ratio) * x_0
