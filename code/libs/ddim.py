"""Denoising diffusion implicit models: sampling in few steps, deterministic for eta = 0.

Paper: Song, Meng and Ermon 2021, "Denoising Diffusion Implicit Models". Their alpha is written
alpha_bar here, as in DDPM.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def ddim_step(
    x: Tensor,
    eps: Tensor,
    alpha_bar: float,
    alpha_bar_next: float,
    *,
    eta: float = 0.0,
    noise: Tensor | None = None,
    clip_x0: bool = False,
) -> Tensor:
    """One step of any length towards the data (eq. 12 and 16).

    Args:
        x: the noisy state x_t, [B, C, H, W].
        eps: the noise that the network predicts in it, [B, C, H, W].
        alpha_bar: alpha_bar at t, in (0, 1).
        alpha_bar_next: alpha_bar at the end of the step, in [alpha_bar, 1]; 1 is x_0 itself.
        eta: 0 adds no noise, 1 adds as much as DDPM's posterior.
        noise: Gaussian noise, [B, C, H, W]; only used where sigma > 0.
        clip_x0: clip the predicted x_0 to [-1, 1], for pixels; never for latents.

    Returns:
        The next state, [B, C, H, W]
    """
    # TODO: Predict x_0 from x and eps; with clip_x0, clip it and compute eps again, so that
    # x_0 and eps still add up to x. Then combine x_0, eps and the noise with eq. 12, sigma from
    # eq. 16 (eta scales it).
    # BEGIN SOLUTION bonus_sampling
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar))
    sigma *= math.sqrt(1 - alpha_bar / alpha_bar_next)
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    return x_next + sigma * noise if sigma > 0 else x_next
    # END SOLUTION


def sample_ddim(
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

    Args:
        eps_model: (x, t) -> predicted noise, [B, C, H, W], for t a LongTensor [B].
        x: the noise to start from, [B, C, H, W].
        alphas_cumprod: alpha_bar of all time steps, [T].
        times: the time steps to visit, descending, such as [999, 749, 499, 249].
        eta, clip_x0: see `ddim_step`.
        final_alpha_bar: alpha_bar at the end of the last step.
        draw_noise: returns Gaussian noise of the shape of its argument.
        on_step: called as on_step(i, x) with the state after each step i = 0 .. len(times)-1.

    Returns:
        x_0, [B, C, H, W]
    """
    # TODO: Walk through times. Each step predicts the noise at its time and leads with ddim_step
    # to the next time's alpha_bar, the last step to final_alpha_bar. Call on_step after each one.
    # BEGIN SOLUTION bonus_sampling
    alpha_bars = [*alphas_cumprod[list(times)].tolist(), final_alpha_bar]
    for i, time in enumerate(times):
        eps = eps_model(x, torch.full((len(x),), time, device=x.device))
        noise = draw_noise(x) if eta > 0 else None
        x = ddim_step(
            x, eps, alpha_bars[i], alpha_bars[i + 1], eta=eta, noise=noise, clip_x0=clip_x0
        )
        if on_step is not None:
            on_step(i, x)
    return x
    # END SOLUTION
