"""What the samplers of second order share: a walk in which predictions of x_0 move along lines."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def walk_along_lines(
    eps_model: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    alpha_bars: Sequence[float],
    times: Sequence[int],
    advances: Sequence[float],
    eta: float,
    clip_x0: bool,
    draw_noise: Callable[[Tensor], Tensor],
    on_step: Callable[[int, Tensor], None] | None,
) -> Tensor:
    """Walk from noise to data in steps that each take x_0 from one place of a line.

    Args:
        alpha_bars: alpha_bar at `times`, and at the end of the last step.
        advances: where on the line through the last two predictions each step takes x_0 from: 0
            for the last prediction, 1 for as much beyond it as it is beyond the one before. The
            first is 0.
        eps_model, x, times, eta, clip_x0, draw_noise, on_step: as of `ddim.sample_ddim`.

    Returns:
        The state after the last step, [B, C, H, W].
    """
    x_0_before = None
    for i, time in enumerate(times):
        alpha, sigma = math.sqrt(alpha_bars[i]), math.sqrt(1 - alpha_bars[i])
        eps = eps_model(x, torch.full((len(x),), time, device=x.device))
        x_0 = (x - sigma * eps) / alpha
        if clip_x0:
            x_0 = x_0.clamp(-1, 1)
        moved = x_0 if x_0_before is None else x_0 + advances[i] * (x_0 - x_0_before)
        x = _first_order_step(x, moved, alpha, sigma, alpha_bars[i + 1], eta, draw_noise)
        x_0_before = x_0
        if on_step is not None:
            on_step(i, x)
    return x


def _first_order_step(
    x: Tensor,
    x_0: Tensor,
    alpha: float,
    sigma: float,
    alpha_bar_next: float,
    eta: float,
    draw_noise: Callable[[Tensor], Tensor],
) -> Tensor:
    """The exact step where x_0 does not change on the way (Lu et al. 2022, DPM-Solver++, eq. 9).

    exp(-h) of the paper, h the step in lambda, is written out: h is infinite in the step to x_0.
    """
    alpha_next, sigma_next = math.sqrt(alpha_bar_next), math.sqrt(1 - alpha_bar_next)
    decay = alpha * sigma_next / (alpha_next * sigma)  # exp(-h)
    kept = sigma_next / sigma * decay**eta
    x_next = kept * x + alpha_next * (1 - decay ** (1 + eta)) * x_0
    if eta > 0 and sigma_next > 0:
        x_next = x_next + sigma_next * math.sqrt(1 - decay ** (2 * eta)) * draw_noise(x)
    return x_next
