"""One interface for all models, by which every sampler draws from every model.

A model has noise levels, each with a time, an alpha and a sigma:

    x = alpha x_0 + sigma noise,    noise ~ N(0, I)

    DDPM    time t = 0 .. T-1       alpha = sqrt(alpha_bar_t), sigma = sqrt(1 - alpha_bar_t)
    EDM     time sigma              alpha = 1
    FM      time t from 0 to 1      alpha = t, sigma = 1 - t

Samplers do not meet these scales. They walk in one of two standard forms, to which any model is
brought by scaling x alone (Karras et al. 2022, section 3; k-diffusion wraps models the same way):

    `Denoiser.denoised_at`    x = x_0 + sigma noise, for Heun's method
    `Denoiser.chain`          x = sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) noise, for DDIM,
                              DDPM's own walk and DPM-Solver++

A new kind of model needs a subclass of `Denoiser` here, and an entry in `DENOISERS`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from ..ddpm import DDPM
from ..edm import EDM, Heun
from ..schedules import cosine_times, time_grid
from ..utils import UserError, check_result, default

T = TypeVar("T")


@dataclass(frozen=True)
class Chain:
    """What a sampler of DDPM's form walks along: noise levels, the faintest first, and an order.

    Args:
        eps_model: (x, label, t) -> the noise in x, [B, C, H, W], for t a LongTensor [B] of indices
            into the levels, and x = sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) noise.
        alphas_cumprod: alpha_bar of the levels, float64 [N] on the CPU.
        times: indices of the levels to visit, descending.
    """

    eps_model: Callable[[Tensor, Tensor, Tensor], Tensor]
    alphas_cumprod: Tensor
    times: list[int]


class Denoiser(ABC):
    """A model as samplers see it. A subclass also has either `noise` or `denoised`.

    Args:
        model: with `img_shape`, the shape [C, H, W] of what is diffused, `model`, the network, and
            `postprocess`. What was put into its place, as for guidance, counts.

    Attributes:
        own: the sampler that draws as the model does by itself: "own" for its method `loop`.
        loop, loop_step, loop_gives: that method, the one that it calls once a step, with the state
            first, and what the latter gives, in words.
        loop_calls: evaluations of the network in each of these steps.
        steps: of a chain unless asked otherwise; None for all time steps.
        heun: noise levels and churn of Heun's method unless asked otherwise.
        heun_steps: its number of steps unless asked otherwise.
        data_std: about the standard deviation of x_0.
    """

    own: str = "own"
    loop: str = "p_sample_loop"
    loop_step: str = "p_sample"
    loop_gives: str = "x_{t-1}"
    loop_calls: int = 1
    steps: int | None
    heun: Heun
    heun_steps: int = 18  # Karras et al. 2022, Table 1
    data_std: float = 1.0

    def __init__(self, model: nn.Module):
        self.model = model
        self.device = next(model.parameters()).device

    @abstractmethod
    def rates(self, time: Tensor) -> tuple[Tensor, Tensor]:
        """alpha, above 0, and sigma at times [N] of the model, [N] each on their device."""

    def image_rates(self, time: Tensor) -> tuple[Tensor, Tensor]:
        """As `rates`, [N, 1, 1, 1] each, to multiply images by."""
        alpha, sigma = self.rates(time)
        return alpha[:, None, None, None], sigma[:, None, None, None]

    @abstractmethod
    def times(self, steps: int | None, spacing: str) -> Tensor:
        """The times of a chain, [N], those of the most noise first.

        Args:
            steps: how many; None for `self.steps`.
            spacing: one of `schedules.SPACINGS`.

        Raises:
            UserError: the model does not have that many, or no such spacing.
        """

    @abstractmethod
    def time_at(self, sigma: float) -> float:
        """The time, a number, at which sigma / alpha is nearest to this one."""

    def noise(self, x: Tensor, label: Tensor, time: Tensor) -> Tensor:
        """The noise that the model expects in x = alpha x_0 + sigma noise.

        Args:
            x: [B, C, H, W].
            label: class indices, or other conditions that the network takes, [B, ...].
            time: of the model, [B].

        Returns:
            [B, C, H, W], of the precision of x also under autocast.
        """
        alpha, sigma = self.image_rates(time)
        return (x - alpha * self.denoised(x, label, time)) / sigma

    def denoised(self, x: Tensor, label: Tensor, time: Tensor) -> Tensor:
        """The x_0 that the model expects behind x = alpha x_0 + sigma noise; as `noise`."""
        alpha, sigma = self.image_rates(time)
        return (x - sigma * self.noise(x, label, time)) / alpha

    def denoised_at(self, x: Tensor, label: Tensor, sigma: float) -> Tensor:
        """The x_0 behind x = x_0 + sigma noise, for a sigma that `round_sigma` gave; as `noise`."""
        time = torch.full((len(x),), self.time_at(sigma), device=x.device)
        alpha = self.rates(time)[0][:, None, None, None]
        return self.denoised(alpha * x, label, time)

    def round_sigma(self, sigma: float) -> float:
        """The nearest sigma / alpha that the model knows; by default it knows all of them."""
        return sigma

    def chain(self, steps: int | None, spacing: str) -> Chain:
        """The model for a sampler of DDPM's form; arguments and errors as of `times`."""
        times = self.times(steps, spacing).flip(0)  # the faintest first
        alpha, sigma = self.rates(times)
        alphas_cumprod = alpha**2 / (alpha**2 + sigma**2)
        scales = (alpha**2 + sigma**2).sqrt()
        time_of, scale_of = (table.float().to(self.device) for table in (times, scales))

        def eps_model(x: Tensor, label: Tensor, t: Tensor) -> Tensor:
            return self.noise(scale_of[t][:, None, None, None] * x, label, time_of[t])

        return Chain(eps_model, alphas_cumprod, list(reversed(range(len(times)))))


class DDPMDenoiser(Denoiser):
    """A DDPM, whose network predicts the noise at T time steps and at no level between them."""

    steps = None

    def __init__(self, model: DDPM):
        super().__init__(model)
        # In double precision, and not on the model's device, where Apple's has none
        self.alphas_cumprod = (1 - model.betas.cpu().double()).cumprod(dim=0)
        rates = self.alphas_cumprod.sqrt(), (1 - self.alphas_cumprod).sqrt()
        self.sigmas: list[float] = (rates[1] / rates[0]).tolist()
        self.tables = tuple(rate.float().to(self.device) for rate in rates)
        self.heun = Heun(self.sigmas[0], self.sigmas[-1])
        self.heun_steps = min(Denoiser.heun_steps, len(self.sigmas))

    def rates(self, time: Tensor) -> tuple[Tensor, Tensor]:
        alpha, sigma = self.tables
        return alpha[time], sigma[time]

    def times(self, steps: int | None, spacing: str) -> Tensor:
        timesteps = len(self.sigmas)
        steps = default(steps, timesteps)
        grid = time_grid(timesteps, steps, spacing, alphas_cumprod=self.alphas_cumprod)
        return torch.tensor(grid)

    def time_at(self, sigma: float) -> int:
        """The time step whose sigma / alpha is nearest, in its logarithm."""
        return min(range(len(self.sigmas)), key=lambda t: abs(math.log(self.sigmas[t] / sigma)))

    def round_sigma(self, sigma: float) -> float:
        return self.sigmas[self.time_at(sigma)]

    def noise(self, x: Tensor, label: Tensor, time: Tensor) -> Tensor:
        network = self.model.model
        return check_result(network(x, label, time), network, "the noise", x.shape).to(x.dtype)

    def chain(self, steps: int | None, spacing: str) -> Chain:
        """The schedule as it is: the sampler's time steps are the model's own."""
        return Chain(self.noise, self.alphas_cumprod, self.times(steps, spacing).tolist())


class EDMDenoiser(Denoiser):
    """An EDM, which calls its noise levels sigma and is a denoiser itself."""

    own = "heun"

    def __init__(self, model: EDM):
        super().__init__(model)
        self.steps = self.heun_steps = model.steps
        self.heun = model.heun
        self.data_std = model.sigma_data.item()

    def rates(self, time: Tensor) -> tuple[Tensor, Tensor]:
        return torch.ones_like(time), time

    def times(self, steps: int | None, spacing: str) -> Tensor:
        """Levels spaced by the exponent rho (eq. 5), or as the spacing says.

        With "log_snr" they are even in ln(sigma). "cosine" begins at the greatest one, and
        need not go down to the least.
        """
        steps, heun = default(steps, self.steps), self.heun
        if steps < 1:
            raise UserError(f"a chain has at least 1 step, not {steps}")
        if spacing == "log_snr":
            ends = math.log(heun.sigma_max), math.log(heun.sigma_min)
            return torch.linspace(*ends, steps, dtype=torch.float64).exp()
        if spacing == "cosine":
            flow_times = cosine_times(steps, 1 / (1 + heun.sigma_max))
            return 1 / flow_times - 1
        if spacing != "trailing":
            raise UserError(
                f"an EDM has no time steps, which spacing {spacing} counts: take log_snr or "
                "cosine, or leave it out"
            )
        return torch.tensor(heun.sigmas(steps)[:-1], dtype=torch.float64)

    def time_at(self, sigma: float) -> float:
        return sigma

    def denoised(self, x: Tensor, label: Tensor, time: Tensor) -> Tensor:
        found = self.model.denoise(x, label, time)
        return check_result(found, self.model.denoise, "images without noise", x.shape).to(x.dtype)


class FMDenoiser(Denoiser):
    """A flow, whose network predicts the velocity x_0 - noise of x = t x_0 + (1 - t) noise."""

    loop, loop_step, loop_gives = "generate", "step", "x at the next time"
    first_time = 1e-3  # at t = 0 there is no trace of x_0, by whose rate samplers divide
    log_snr_times = (0.02, 0.99)  # from ... to, where the steps are even in ln(t / (1 - t))

    def __init__(self, model: nn.Module):
        super().__init__(model)
        self.steps = self.heun_steps = model.timesteps
        self.heun = Heun()
        self.loop_calls = 2 if model.heun else 1

    def rates(self, time: Tensor) -> tuple[Tensor, Tensor]:
        return time, 1 - time

    def times(self, steps: int | None, spacing: str) -> Tensor:
        """Times evenly in [0, 1), as the flow's own steps, or as the spacing says.

        With "log_snr" they are even in ln(sigma / alpha). The first one is a little above 0.
        """
        steps = default(steps, self.steps)
        if steps < 1:
            raise UserError(f"a chain has at least 1 step, not {steps}")
        if spacing == "log_snr":
            ends = torch.tensor(self.log_snr_times, dtype=torch.float64).logit().tolist()
            return torch.linspace(*ends, steps, dtype=torch.float64).sigmoid()
        if spacing == "cosine":
            return cosine_times(steps, self.first_time)
        if spacing != "trailing":
            raise UserError(
                f"a flow has no time steps, which spacing {spacing} counts: take log_snr or "
                "cosine, or leave it out"
            )
        return (torch.arange(steps, dtype=torch.float64) / steps).clamp(min=self.first_time)

    def time_at(self, sigma: float) -> float:
        return 1 / (1 + sigma)

    def noise(self, x: Tensor, label: Tensor, time: Tensor) -> Tensor:
        return x - time[:, None, None, None] * self._velocity(x, label, time)

    def denoised(self, x: Tensor, label: Tensor, time: Tensor) -> Tensor:
        return x + (1 - time)[:, None, None, None] * self._velocity(x, label, time)

    def _velocity(self, x: Tensor, label: Tensor, time: Tensor) -> Tensor:
        network = self.model.model
        return check_result(network(x, label, time), network, "the velocity", x.shape).to(x.dtype)


# By the names of the models' classes
DENOISERS = {"DDPM": DDPMDenoiser, "EDM": EDMDenoiser, "FM": FMDenoiser}


def denoiser_of(model: nn.Module) -> Denoiser:
    """A diffusion model as samplers see it; TypeError for one that is not in `DENOISERS`."""
    kind = for_model(model, DENOISERS)
    return kind(model)  # type: ignore[abstract]  # mypy takes it for Denoiser itself


def for_model(model: nn.Module, table: Mapping[str, T]) -> T:
    """The entry of a table for a model, by the name of its class or of one that it inherits from.

    The name counts and not the class itself, for a student may run a copy of ours.
    """
    for kind in type(model).__mro__:
        if kind.__name__ in table:
            return table[kind.__name__]
    raise TypeError(f"a {type(model).__name__} is none of {', '.join(table)}")
