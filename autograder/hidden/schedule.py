"""The noise schedules of the contract in float64, and random numbers for the cases."""

from dataclasses import replace

import numpy as np

from autograder.checks.cases import CONFIGS, Case, cosine_betas

WITH_LOSS = ("compute_loss", "latent")  # parts that judge the loss


class Schedule:
    """The quantities of Ho et al. 2020, float64 [T] each; index t is step t + 1 in the paper."""

    def __init__(self, betas: np.ndarray) -> None:
        self.T = len(betas)
        self.beta = betas
        self.alpha = 1 - betas
        self.alpha_bar = np.cumprod(self.alpha)
        self.alpha_bar_prev = np.concatenate([[1.0], self.alpha_bar[:-1]])
        # eq. 7
        self.posterior_variance = betas * (1 - self.alpha_bar_prev) / (1 - self.alpha_bar)
        # eq. 4: weights of x_0 and of the noise in x_t
        self.signal_rate = np.sqrt(self.alpha_bar)
        self.noise_rate = np.sqrt(1 - self.alpha_bar)
        # eq. 11: weights of x_t and of eps_theta in the mean of x_{t-1}
        self.x_weight = 1 / np.sqrt(self.alpha)
        self.eps_weight = -betas / np.sqrt((1 - self.alpha_bar) * self.alpha)


def schedule_of(config: str) -> Schedule:
    """The schedule that the contract gives a configuration."""
    T = CONFIGS[config]["timesteps"]
    if config == "cosine":
        return Schedule(cosine_betas(T))
    if CONFIGS[config].get("use_vae"):
        return Schedule(np.linspace(np.sqrt(0.00085), np.sqrt(0.012), T) ** 2)
    return Schedule(np.linspace(1e-4, 0.02, T))


def with_rates(cases: list[Case]) -> list[Case]:
    """The cases; those for the loss get the weights of all time steps."""
    return [
        replace(case, rates=rates_of(case.config)) if case.part in WITH_LOSS else case
        for case in cases
    ]


def rates_of(config: str) -> np.ndarray:
    """Eq. 4: the weights of x_0 and of the noise at each time step, float64 [2, T]."""
    schedule = schedule_of(config)
    return np.stack([schedule.signal_rate, schedule.noise_rate])


def normal(random: np.random.Generator, shape: tuple[int, ...], scale: float = 1.0) -> np.ndarray:
    """Gaussian numbers."""
    return rounded(scale * random.standard_normal(shape))


def rounded(values: np.ndarray) -> np.ndarray:
    """Round to float16's precision, as float32: goldens can be stored in half the size, exactly."""
    return values.astype(np.float16).astype(np.float32)
