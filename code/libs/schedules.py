"""Noise schedules: the variances beta_t of the forward process, t = 0 .. T-1."""

import math

import torch
from torch import Tensor

SCHEDULES = ("linear", "quadratic", "cosine")


def make_betas(name: str, timesteps: int, beta_start: float, beta_end: float) -> Tensor:
    """Return the betas of a named schedule, float64 [timesteps], each in (0, 1).

    `beta_start` and `beta_end` are the first and the last beta of "linear" and "quadratic";
    "cosine" has none to choose. Raises ValueError for an unknown name.
    """
    if name == "linear":
        return linear_betas(timesteps, beta_start, beta_end)
    if name == "quadratic":
        return quadratic_betas(timesteps, beta_start, beta_end)
    if name == "cosine":
        return cosine_betas(timesteps)
    raise ValueError(f"unknown beta schedule '{name}': choose one of {', '.join(SCHEDULES)}")


def linear_betas(timesteps: int, beta_start: float = 1e-4, beta_end: float = 0.02) -> Tensor:
    """Betas in equal steps (Ho et al. 2020, section 4)."""
    return torch.linspace(beta_start, beta_end, timesteps, dtype=torch.float64)


def quadratic_betas(timesteps: int, beta_start: float = 0.00085, beta_end: float = 0.012) -> Tensor:
    """Betas whose square roots go in equal steps (Rombach et al. 2022, the latent models)."""
    ends = math.sqrt(beta_start), math.sqrt(beta_end)
    return torch.linspace(*ends, timesteps, dtype=torch.float64) ** 2


def cosine_betas(timesteps: int, s: float = 0.008) -> Tensor:
    """Betas of a squared-cosine alpha_bar, at most 0.999 (Nichol & Dhariwal 2021, eq. 17)."""
    u = torch.linspace(0, 1, timesteps + 1, dtype=torch.float64)
    alpha_bar = torch.cos((u + s) / (1 + s) * math.pi / 2) ** 2
    return (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=0.999)
