"""What else a network can be trained on: targets, distances and time steps other than DDPM's.

Targets (Salimans & Ho 2022, section 4 and appendix D): the noise eps, the clean image x_0, or
v = sqrt(alpha_bar) eps - sqrt(1 - alpha_bar) x_0. How often each time step comes up: min-SNR (Hang
et al. 2023, section 3.4).
"""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .variants import VariantUNet

if TYPE_CHECKING:
    from ..ddpm import DDPM

DISTANCES = {"mse": F.mse_loss, "l1": F.l1_loss, "huber": F.huber_loss}
DISTANCE_NAMES = {"mse": "mean squared error", "l1": "mean absolute error", "huber": "Huber loss"}
TARGET_NAMES = {"eps": "the noise", "v": "v", "x0": "x_0"}


class Indirect(nn.Module):
    """Makes a network predict v or x_0, and return the noise that follows from it.

    So the reverse process and every sampler work with it as with any other. It comes before the
    network among the bases of a class, as in `IndirectUNet`.

    Args:
        prediction: "v" or "x0".
        betas: the schedule, float64 [T].
        arguments: those of the network.
    """

    def __init__(self, prediction: str, betas: Tensor, **arguments: Any):
        super().__init__(**arguments)
        self.prediction = prediction
        alphas_cumprod = (1 - betas).cumprod(dim=0)
        signal_rate, noise_rate = alphas_cumprod.sqrt(), (1 - alphas_cumprod).sqrt()
        self.register_buffer("signal_rate", signal_rate.float(), persistent=False)
        self.register_buffer("noise_rate", noise_rate.float(), persistent=False)

    def forward(self, x: Tensor, label: Tensor, time: Tensor, raw: bool = False) -> Tensor:
        """Predict the noise in x, or with `raw` what the network was trained on; as `UNet`."""
        predicted = super().forward(x, label, time)
        if raw:
            return predicted
        signal_rate, noise_rate = (
            rate[time][:, None, None, None] for rate in (self.signal_rate, self.noise_rate)
        )
        if self.prediction == "v":
            return signal_rate * predicted + noise_rate * x
        return (x - signal_rate * predicted) / noise_rate


class IndirectUNet(Indirect, VariantUNet):
    """A UNet that predicts v or x_0."""


def prediction_of(model: "DDPM") -> str:
    """What a model's network was trained to predict: "eps", "v" or "x0"."""
    return getattr(model.model, "prediction", "eps")


def training_loss(
    ddpm: "DDPM",
    x_start: Tensor,
    label: Tensor,
    t: Tensor,
    noise: Tensor,
    distance: str = "mse",
) -> Tensor:
    """What `DDPM.compute_loss` gives, for any target and distance.

    Args:
        ddpm: the model; what it predicts decides the target.
        x_start, label, t, noise: as in `DDPM.compute_loss`.
        distance: "mse", "l1" or "huber" (delta 1).

    Returns:
        The mean over the batch, a scalar.
    """
    if ddpm.use_vae:
        with torch.no_grad():
            x_start = ddpm.vae.encoder(x_start)
    x_t, prediction = ddpm.q_sample(x_start, t, noise), prediction_of(ddpm)
    if prediction == "eps":
        predicted, target = ddpm.model(x_t, label, t), noise
    else:
        predicted, target = ddpm.model(x_t, label, t, raw=True), x_start
    if prediction == "v":
        rates = ddpm.sqrt_alphas_cumprod, ddpm.sqrt_one_minus_alphas_cumprod
        signal_rate, noise_rate = (rate[t][:, None, None, None] for rate in rates)
        target = signal_rate * noise - noise_rate * x_start
    return DISTANCES[distance](predicted, target)


def draws_time(compute_loss: Callable[..., Tensor]) -> bool:
    """Whether a loss draws its own times: in some editions noise comes right after the labels."""
    return list(inspect.signature(compute_loss).parameters)[2:] == ["noise"]


def loss_name(prediction: str, distance: str) -> str:
    """What `training_loss` returns, in words."""
    return f"{DISTANCE_NAMES[distance]} of {TARGET_NAMES[prediction]}"


def min_snr_weights(ddpm: "DDPM", gamma: float) -> Tensor:
    """How much each time step's loss counts with min-SNR, [T], for what the network predicts.

    To draw t in proportion to these weights gives the same gradient on average as to draw all t
    alike and weigh their losses, except for a constant factor. The trainer does the former, so that
    a model learns by its own compute_loss.

    Args:
        ddpm: the model, for its schedule and target.
        gamma: the signal-to-noise ratio above which the weight of x_0's error grows no more.
    """
    snr = (ddpm.sqrt_alphas_cumprod / ddpm.sqrt_one_minus_alphas_cumprod) ** 2
    clipped = snr.clamp(max=gamma)
    return {"x0": clipped, "eps": clipped / snr, "v": clipped / (snr + 1)}[prediction_of(ddpm)]


def partly_uniform(weights: Tensor, uniform_share: float) -> Tensor:
    """The probability of each time step, [T], if a share of them is drawn uniformly.

    By min-SNR's weights alone, the faintest noise hardly ever comes up, and the network never
    learns to take the last of it away.

    Args:
        weights: [T], not negative.
        uniform_share: 0 .. 1; the others come up in proportion to the weights.
    """
    return (1 - uniform_share) * weights / weights.sum() + uniform_share / len(weights)
