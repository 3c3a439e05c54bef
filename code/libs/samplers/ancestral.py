"""DDPM's own random walk back, on all time steps or on a few of them.

Papers: Ho et al. 2020, eq. 7; Nichol & Dhariwal 2021, "Improved Denoising Diffusion Probabilistic
Models", section 4: a chain over part of the time steps is a DDPM with its own betas.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def sample_ancestral(
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
    """Walk from noise to data, drawing each state from the posterior given the predicted x_0.

    Over all time steps, and without clipping, this is the chain of DDPM's Algorithm 2. Arguments
    and result are those of `ddim.sample_ddim`.
    """
    alpha_bars = [*alphas_cumprod[list(times)].tolist(), final_alpha_bar]
    for i, time in enumerate(times):
        alpha_bar, alpha_bar_next = alpha_bars[i], alpha_bars[i + 1]
        eps = eps_model(x, torch.full((len(x),), time, device=x.device))
        x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
        if clip_x0:
            x_0 = x_0.clamp(-1, 1)
        alpha = alpha_bar / alpha_bar_next  # of the whole step, which may skip time steps
        beta = 1 - alpha
        mean = math.sqrt(alpha_bar_next) * beta / (1 - alpha_bar) * x_0
        mean += math.sqrt(alpha) * (1 - alpha_bar_next) / (1 - alpha_bar) * x
        variance = beta * (1 - alpha_bar_next) / (1 - alpha_bar)
        x = mean + math.sqrt(variance) * draw_noise(x) if variance > 0 else mean
        if on_step is not None:
            on_step(i, x)
    return x
