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
        x = first_order_step(x, prediction, alpha, sigma, alpha_bars[i + 1], eta, draw_noise)
        x_0_before = x_0
        if on_step is not None:
            on_step(i, x)
    return x


def first_order_step(
    x: Tensor,
    x_0: Tensor,
    alpha: float,
    sigma: float,
    alpha_bar_next: float,
    eta: float,
    draw_noise: Callable[[Tensor], Tensor],
) -> Tensor:
    """The exact step where the prediction of x_0 does not change on the way (eq. 9).

    exp(-h) of the paper, h the step in lambda, is written out: h is infinite in the step to x_0.
    """
    alpha_next, sigma_next = math.sqrt(alpha_bar_next), math.sqrt(1 - alpha_bar_next)
    decay = alpha * sigma_next / (alpha_next * sigma)  # exp(-h)
    kept = sigma_next / sigma * decay**eta
    x_next = kept * x + alpha_next * (1 - decay ** (1 + eta)) * x_0
    if eta > 0 and sigma_next > 0:
        x_next = x_next + sigma_next * math.sqrt(1 - decay ** (2 * eta)) * draw_noise(x)
    return x_next
