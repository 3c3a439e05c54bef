"""Noise schedules: the variances beta_t of the forward process, and grids of time steps to visit.

Time steps are counted t = 0 .. T-1.
"""

import math

import torch
from torch import Tensor

from .utils import UserError, did_you_mean

SCHEDULES = ("linear", "quadratic", "sigmoid_beta", "cosine", "sigmoid")
SPACINGS = ("trailing", "leading", "linspace", "log_snr", "cosine")
LOWEST_LOG_SNR = -10.2  # below this an image is pure noise; alpha_bar may be 0 at T-1
MAX_BETA = 0.999  # Nichol & Dhariwal 2021: a beta of 1 would erase the signal
USUAL_TIMESTEPS = 1000  # the T that the usual beta_start and beta_end are meant for


def make_betas(
    name: str, timesteps: int, beta_start: float, beta_end: float, *, rescale: bool = False
) -> Tensor:
    """Return the betas of a named schedule, float64 [timesteps], each in (0, 1).

    Args:
        name: one of `SCHEDULES`.
        timesteps: length T of the chain.
        beta_start, beta_end: the first and the last beta of "linear", "quadratic" and
            "sigmoid_beta"; "cosine" and "sigmoid" ignore them.
        rescale: multiply both ends by 1000 / T and cap betas at 0.999, so that a chain of any
            length ends in noise. With "cosine" and "sigmoid" it always does.

    Raises:
        ValueError: the name is unknown.
    """
    if rescale:
        factor = USUAL_TIMESTEPS / timesteps
        return make_betas(name, timesteps, factor * beta_start, factor * beta_end).clamp(
            max=MAX_BETA
        )
    if name == "linear":
        return linear_betas(timesteps, beta_start, beta_end)
    if name == "quadratic":
        return quadratic_betas(timesteps, beta_start, beta_end)
    if name == "sigmoid_beta":
        return sigmoid_betas(timesteps, beta_start, beta_end)
    if name == "cosine":
        return cosine_betas(timesteps)
    if name == "sigmoid":
        return sigmoid_alpha_bar_betas(timesteps)
    raise ValueError(
        f"unknown beta schedule '{name}'"
        + (did_you_mean(name, SCHEDULES) or f": choose one of {', '.join(SCHEDULES)}")
    )


def linear_betas(timesteps: int, beta_start: float = 1e-4, beta_end: float = 0.02) -> Tensor:
    """Evenly spaced betas (Ho et al. 2020, section 4)."""
    return torch.linspace(beta_start, beta_end, timesteps, dtype=torch.float64)


def quadratic_betas(timesteps: int, beta_start: float = 0.00085, beta_end: float = 0.012) -> Tensor:
    """Betas whose square roots are evenly spaced (Rombach et al. 2022, the latent models)."""
    ends = math.sqrt(beta_start), math.sqrt(beta_end)
    return torch.linspace(*ends, timesteps, dtype=torch.float64) ** 2


def sigmoid_betas(timesteps: int, beta_start: float = 1e-4, beta_end: float = 0.02) -> Tensor:
    """Betas along a sigmoid over [-6, 6] (Xu et al. 2022, GeoDiff; diffusers' "sigmoid")."""
    u = torch.linspace(-6, 6, timesteps, dtype=torch.float64)
    return beta_start + (beta_end - beta_start) * u.sigmoid()


def cosine_betas(timesteps: int, s: float = 0.008) -> Tensor:
    """Betas of a squared-cosine alpha_bar, at most 0.999 (Nichol & Dhariwal 2021, eq. 17)."""
    u = torch.linspace(0, 1, timesteps + 1, dtype=torch.float64)
    return _betas_of(torch.cos((u + s) / (1 + s) * math.pi / 2) ** 2)


def sigmoid_alpha_bar_betas(
    timesteps: int, start: float = -3.0, end: float = 3.0, tau: float = 1.0
) -> Tensor:
    """Betas of an alpha_bar that falls from 1 to 0 along a sigmoid, at most 0.999.

    Jabri, Fleet and Chen 2022; Chen 2023, "On the Importance of Noise Scheduling", section 2.
    """
    u = torch.linspace(start, end, timesteps + 1, dtype=torch.float64)
    curve = (u / tau).sigmoid()
    return _betas_of((curve[-1] - curve) / (curve[-1] - curve[0]))


def _betas_of(alpha_bar: Tensor) -> Tensor:
    """The betas of alpha_bar [T + 1], whose first value is that of clean data."""
    return (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=MAX_BETA)


def time_grid(
    timesteps: int,
    steps: int,
    spacing: str = "trailing",
    *,
    offset: int = 0,
    alphas_cumprod: Tensor | None = None,
) -> list[int]:
    """The time steps that a chain of few steps visits, descending.

    Args:
        timesteps: length T of the full chain.
        steps: how many to visit, 1 .. T; T visits them all.
        spacing: "trailing" starts at T-1, the noisiest step; "leading" ends at 0 and leaves out
            the noisiest steps; "linspace" includes both ends (Lin et al. 2024, table 2). So does
            "log_snr", whose steps are even in the logarithm of the signal-to-noise ratio (Lu et al.
            2022, DPM-Solver, section 3.3), so that most of them are where little noise is left.
            "cosine" starts at T-1 and is that of `cosine_times`, dense at both ends.
        offset: the time step at which "leading" ends; 1 in Stable Diffusion.
        alphas_cumprod: alpha_bar of all time steps, [T]; "log_snr" and "cosine" need it.

    Raises:
        UserError: the chain does not have that many steps, or the spacing is unknown.
    """
    if not 1 <= steps <= timesteps:
        raise UserError(
            f"the model has {timesteps} time steps, so a chain has 1 to {timesteps} steps, "
            f"not {steps}"
        )
    if spacing == "trailing":
        return [round(timesteps * left / steps) - 1 for left in range(steps, 0, -1)]
    if spacing == "leading":
        times = [timesteps // steps * left + offset for left in reversed(range(steps))]
        if times[0] >= timesteps:
            raise UserError(
                f"{steps} steps with leading spacing and offset {offset} begin at time {times[0]}, "
                f"but the model's times end at {timesteps - 1}: take fewer steps"
            )
        return times
    if spacing == "linspace":  # a single step starts from noise
        gap = (timesteps - 1) / max(1, steps - 1)
        return [round(timesteps - 1 - gap * i) for i in range(steps)]
    if spacing == "log_snr":
        return _even_in_log_snr(alphas_cumprod.double(), steps)
    if spacing == "cosine":
        alpha, sigma = alphas_cumprod.double().sqrt(), (1 - alphas_cumprod.double()).sqrt()
        flow_times = alpha / (alpha + sigma)
        return _nearest(flow_times, cosine_times(steps, flow_times[-1].item()))
    hint = did_you_mean(spacing, SPACINGS) or f": choose one of {', '.join(SPACINGS)}"
    raise UserError(f"unknown spacing '{spacing}'{hint}")


def cosine_times(steps: int, first: float) -> Tensor:
    """Times of a rectified flow from `first` towards 1, float64 [steps], dense near both ends.

    Half a circle above them is divided evenly, as for Chebyshev's points. In other models alpha /
    (alpha + sigma) is the time.
    """
    angles = torch.linspace(0, math.pi, steps + 1, dtype=torch.float64)[:-1]
    return first + (1 - first) * (1 - angles.cos()) / 2


def _even_in_log_snr(alphas_cumprod: Tensor, steps: int) -> list[int]:
    """The time steps nearest to evenly spaced log-SNRs, descending, without repeats."""
    log_snr = (alphas_cumprod / (1 - alphas_cumprod)).log()
    first = max(log_snr[-1].item(), LOWEST_LOG_SNR)
    wanted = torch.linspace(first, log_snr[0].item(), steps, dtype=torch.float64)
    return _nearest(log_snr, wanted)


def _nearest(levels: Tensor, wanted: Tensor) -> list[int]:
    """The time steps whose levels, [T], are nearest to those wanted, descending, without repeats.

    The first one is T-1.
    """
    steps, times = len(wanted), (levels - wanted[:, None]).abs().argmin(dim=1).tolist()
    times[0] = len(levels) - 1
    for i in range(1, steps):  # each below the one before, with room for those that follow
        times[i] = max(min(times[i], times[i - 1] - 1), steps - 1 - i)
    return times
