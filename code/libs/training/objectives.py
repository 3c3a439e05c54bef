"""What each kind of model is trained on: the noise levels of a batch, its loss, and their names.

A new kind of model needs a subclass of `Objective` here, and an entry in `OBJECTIVES`.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..config import Config
from ..ddpm import DDPM
from ..edm import EDM
from ..models.denoisers import for_model
from ..models.targets import (
    draws_time,
    loss_name,
    min_snr_weights,
    partly_uniform,
    training_loss,
)


class Objective(ABC):
    """How a model of one kind learns.

    Args:
        model: the model, on its device.
        config: of the run.

    Attributes:
        compute_loss: (x_start, label, time, noise) -> the loss, a scalar; the model's own unless
            the config asks for more than that can do. In some editions it draws its own times,
            and takes (x_start, label, noise).
        loss_name: what it measures, in words.
        drawn: how the times of training are drawn, as the end of a sentence; empty where all come
            up alike or as the model says.
        part: of the model, a function (x, ...) -> a tensor like x, that every loss calls; what it
            gives is checked.
        part_gives: that, in words.
        measures_data: whether a new run must call `set_deviation`.
    """

    compute_loss: Callable[..., Tensor]
    loss_name: str
    drawn: str = ""
    part: str
    part_gives: str
    measures_data: bool = False

    def __init__(self, model: nn.Module, config: Config):
        self.model, self.compute_loss = model, model.compute_loss

    def loss_at(self, x: Tensor, label: Tensor, time: Tensor, noise: Tensor) -> Tensor:
        """The loss at given times, a scalar, of a model whose compute_loss draws its own."""
        return self.compute_loss(x, label, noise)

    @abstractmethod
    def draw_times(self, number: int, generator: torch.Generator, training: bool) -> Tensor:
        """Draw times for a number of images, [number], as compute_loss takes them.

        Args:
            number: of images.
            generator: on the device where the times are needed.
            training: draw by the weights in the config; otherwise, for evaluation, uniformly.
        """

    def describe(self) -> str:
        """What was measured of the data, as the end of a sentence."""
        return ""

    def set_deviation(self, deviation: float) -> None:
        """Take over the standard deviation of what the model diffuses."""
        raise TypeError(f"{type(self).__name__} measures nothing")


class DDPMObjective(Objective):
    """The noise at a time step, v or x_0; time steps come up alike or by min-SNR's weights."""

    part, part_gives = "q_sample", "x_t"

    def __init__(self, model: DDPM, config: Config):
        super().__init__(model, config)
        train, prediction = config.train_cfg, config.model.prediction
        if (prediction, train.loss) != ("eps", "mse"):
            self.compute_loss = partial(training_loss, model, distance=train.loss)
        self.loss_name = loss_name(prediction, train.loss)
        self.weights = None  # of the time steps, [T]; None for uniform
        if train.min_snr_gamma is not None:
            weights = min_snr_weights(model, train.min_snr_gamma)
            self.weights = partly_uniform(weights, train.uniform_share)
            self.drawn = ", t drawn by min-SNR weights"
            if train.uniform_share:
                self.drawn += f", {train.uniform_share:.0%} of them all alike"
        if draws_time(self.compute_loss):
            self.drawn = ", t drawn by compute_loss"

    def loss_at(self, x: Tensor, label: Tensor, time: Tensor, noise: Tensor) -> Tensor:
        return training_loss(self.model, x, label, time, noise)

    def draw_times(self, number: int, generator: torch.Generator, training: bool) -> Tensor:
        if training and self.weights is not None:
            return torch.multinomial(self.weights, number, replacement=True, generator=generator)
        options = {"generator": generator, "device": generator.device}
        return torch.randint(self.model.timesteps, (number,), **options)


class EDMObjective(Objective):
    """The clean image at a noise level, all levels weighed alike by EDM's own weights."""

    part, part_gives = "denoise", "images without noise"
    loss_name = "squared error of the denoised image, with EDM's weights"

    def __init__(self, model: EDM, config: Config):
        super().__init__(model, config)
        self.measures_data = config.edm.sigma_data is None

    def draw_times(self, number: int, generator: torch.Generator, training: bool) -> Tensor:
        return self.model.draw_sigma(number, generator)

    def describe(self) -> str:
        return f"; sigma_data {self.model.sigma_data:.4f}"

    def set_deviation(self, deviation: float) -> None:
        self.model.sigma_data.fill_(deviation)


class FMObjective(Objective):
    """The velocity of a flow; times are drawn as the flow says, in evaluation uniformly."""

    part, part_gives = "interpolate", "x_t"
    loss_name = "mean squared error of the velocity"

    def __init__(self, model: nn.Module, config: Config):
        super().__init__(model, config)
        if config.fm.time == "logit_normal":
            mean, std = config.fm.logit_mean, config.fm.logit_std
            self.drawn = f", logit of t drawn from N({mean:g}, {std:g}^2)"

    def loss_at(self, x: Tensor, label: Tensor, time: Tensor, noise: Tensor) -> Tensor:
        view: Any = copy.copy(self.model)  # which shares its networks
        view.draw_t = lambda *args: time
        return view.compute_loss(x, label, noise)

    def draw_times(self, number: int, generator: torch.Generator, training: bool) -> Tensor:
        options = {"generator": generator, "device": generator.device}
        return self.model.draw_t(number, **options) if training else torch.rand(number, **options)


class MeanFlowObjective(FMObjective):
    """Mean velocities between two times; in evaluation the velocity, at times all alike."""

    def __init__(self, model: nn.Module, config: Config):
        super().__init__(model, config)
        self.drawn += f", mean velocities for {config.fm.mean_share:.0%} of them"

    def draw_times(self, number: int, generator: torch.Generator, training: bool) -> Tensor:
        if training:
            return self.model.draw_times(number, generator.device, generator)
        return super().draw_times(number, generator, training)


# By the names of the models' classes
OBJECTIVES: Mapping[str, Callable[[nn.Module, Config], Objective]] = {
    "DDPM": DDPMObjective,
    "EDM": EDMObjective,
    "FM": FMObjective,
    "MeanFlow": MeanFlowObjective,
}


def objective_of(model: nn.Module, config: Config) -> Objective:
    """What a diffusion model is trained on, as a config says."""
    return for_model(model, OBJECTIVES)(model, config)
