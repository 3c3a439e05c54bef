"""DEIS of second order on predictions of x_0: good images in 3 to 10 evaluations.

Paper: Zhang and Chen 2023, "Fast Sampling of Diffusion Models with Exponential Integrator",
Algorithm 1 with tAB1, whose lines run through predictions of the noise. Time is that of a rectified
flow, t = alpha / (alpha + sigma): 0 for noise, 1 for data. So the line can be drawn to the data,
which DPM-Solver++ cannot do, since its lambda is infinite there.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .multistep import walk_along_lines


def sample_deis(
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

    Each step takes the predicted x_0 to move on along the line through the last two predictions,
    and solves the ODE for that line exactly. The first step, which has no earlier prediction, is of
    first order.

    Arguments and result are those of `ddim.sample_ddim`; the noise of `eta` is DPM-Solver++'s.
    """
    alpha_bars = [*alphas_cumprod[list(times)].tolist(), final_alpha_bar]
    flow_times = [math.sqrt(a) / (math.sqrt(a) + math.sqrt(1 - a)) for a in alpha_bars]
    advances = [0.0]
    for before, t, t_next in zip(flow_times, flow_times[1:], flow_times[2:], strict=False):
        advances.append(mean_advance(t, t_next) / (t - before))
    return walk_along_lines(
        eps_model, x, alpha_bars, times, advances, eta, clip_x0, draw_noise, on_step
    )


def mean_advance(t: float, t_next: float) -> float:
    """How far from t, on average, a step from t to t_next meets the predictions of x_0.

    The ODE is dx/dt = (x_0 - x) / (1 - t), so predictions count as 1 / (1 - t)^2: a short step
    goes half its length on average, one to the data, at t = 1, all of it.
    """
    left = (1 - t_next) / (1 - t)
    return (1 - t) * (1 + left * math.log(left) / (1 - left)) if left > 0 else 1 - t
