"""One training step of a diffusion model, and its validation loss; on one process or several.

Everything random in a step follows from (seed, step): t and the noise are drawn here for the whole
batch, by all processes alike, and each takes its slice. So several processes train like one, and a
run that was killed goes on to the very same weights.
"""

import math
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from .config import Config
from .datasets import Images
from .ddpm import DDPM
from .edm import EDM
from .ema import EMA
from .loading import in_order
from .objective import training_loss
from .optim import learning_rate, make_optimizer
from .runtime import Precision, Processes, generator_for
from .weights import load_strictly

STEP_STREAM, EVAL_STREAM = 1, 2  # keep random numbers of different uses apart
MEASURED_IMAGES = 1000  # enough for the standard deviation of data to a percent or so


class TrainingLoss(nn.Module):
    """The loss as a forward pass, which is what DistributedDataParallel wraps.

    It is the model's own compute_loss, unless the config asks for what that does not know.
    """

    def __init__(self, ddpm: DDPM | EDM, config: Config):
        super().__init__()
        self.ddpm = ddpm
        self.cached_latents = config.dataset.latent_cache
        options = config.train_cfg.loss, config.train_cfg.min_snr_gamma
        self.compute_loss = ddpm.compute_loss
        if (config.model.prediction, *options) != ("eps", "mse", None):
            self.compute_loss = lambda *batch: training_loss(ddpm, *batch, *options)

    def forward(self, x: Tensor, label: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """The loss of images in [0, 1], or of cached latents, [B, C, H, W].

        An EDM gets its noise levels as `t`.
        """
        if not self.ddpm.use_vae:
            return self.compute_loss(2 * x - 1, label, t, noise)
        self.ddpm.use_vae = not self.cached_latents  # cached latents are encoded already
        try:
            return self.compute_loss(x, label, t, noise)
        finally:
            self.ddpm.use_vae = True


@dataclass
class StepResult:
    """What one step did: the loss over all processes, the gradient's norm before clipping."""

    loss: float
    grad_norm: float
    learning_rate: float
    finite: bool  # False: the loss or its gradient was NaN or infinite, the step was skipped


class Learner:
    """A model with its optimizer, averaged weights and loss scaler.

    Args:
        config: the resolved config.
        ddpm: the model, on its device.
        precision: device and number format.
        processes: this process among all.
    """

    def __init__(
        self, config: Config, ddpm: DDPM | EDM, precision: Precision, processes: Processes
    ):
        self.config, self.ddpm = config, ddpm
        self.precision, self.device, self.processes = precision, precision.device, processes
        if config.train_cfg.channels_last:
            ddpm.to(memory_format=torch.channels_last)
        self.optimizer = make_optimizer(ddpm, config.train_cfg)
        self.ema = EMA(ddpm, config.train_cfg.ema_decay)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=precision.needs_scaler)
        if config.train_cfg.compile:
            ddpm.model.compile()
        self.loss = TrainingLoss(ddpm, config)
        self.parallel_loss = self.loss
        if processes.world > 1:
            devices = [self.device.index] if self.device.type == "cuda" else None
            self.parallel_loss = DistributedDataParallel(
                self.loss, device_ids=devices, broadcast_buffers=False
            )

    def step(self, number: int, steps_per_epoch: int, images: Tensor, labels: Tensor) -> StepResult:
        """Update the weights once.

        Args:
            number: the step, counted from 0 over the whole run.
            steps_per_epoch: what the learning rate's schedule counts in.
            images: this process's share of the batch, in [0, 1], or cached latents, [B, C, H, W].
            labels: class indices, LongTensor [B].
        """
        cfg = self.config.train_cfg
        rate = learning_rate(cfg, number, steps_per_epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._backward(*self._prepare(number, images, labels))
        self.scaler.unscale_(self.optimizer)
        limit = math.inf if cfg.clip_grad_norm is None else cfg.clip_grad_norm
        grad_norm = nn.utils.clip_grad_norm_(self.ema.parameters.values(), limit).item()
        # A scaler looks after gradients that overflow, and skips such steps by itself.
        finite = math.isfinite(loss) and (math.isfinite(grad_norm) or self.precision.needs_scaler)
        if finite:
            self.scaler.step(self.optimizer)
            self.ema.update()
        self.scaler.update()
        return StepResult(loss, grad_norm, rate, finite)

    def _prepare(self, number: int, images: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        """Put a batch on the device, draw its t and noise, and drop some of its labels."""
        images = images.to(self.device, non_blocking=True)
        labels = labels.to(self.device, non_blocking=True)
        if self.config.train_cfg.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        generator = generator_for(self.config.seed, STEP_STREAM, number, device=self.device)
        batch_size = len(images) * self.processes.world
        t, noise = self._draw(batch_size, generator)
        dropout = self.config.model.label_dropout
        if dropout:
            dropped = torch.rand(batch_size, generator=generator, device=self.device) < dropout
            labels = labels.masked_fill(self.processes.share(dropped), self.ddpm.null_label)
        return images, labels, self.processes.share(t), self.processes.share(noise)

    def _draw(self, number: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Time steps, or noise levels of an EDM, [number]; and noise [number, *img_shape]."""
        options = {"generator": generator, "device": generator.device}
        if isinstance(self.ddpm, EDM):
            t = self.ddpm.draw_sigma(number, generator)
        else:
            t = torch.randint(self.ddpm.timesteps, (number,), **options)
        return t, torch.randn(number, *self.ddpm.img_shape, **options)

    def _backward(self, *batch: Tensor) -> float:
        """Accumulate gradients over the parts of a batch; return the loss over all processes."""
        num_parts = self.config.train_cfg.accumulate
        parts = zip(*(tensor.chunk(num_parts) for tensor in batch), strict=True)
        total = torch.zeros((), device=self.device)
        for i, part in enumerate(parts, start=1):
            last = i == num_parts or self.processes.world == 1
            with nullcontext() if last else self.parallel_loss.no_sync():
                with self.precision.autocast():
                    loss = self.parallel_loss(*part) / num_parts
                self.scaler.scale(loss).backward()
            total += loss.detach()
        return self.processes.mean(total).item()

    @torch.no_grad()
    def evaluate(self, dataset: Images, batch_size: int) -> float:
        """The averaged model's loss on a data set, with t and noise the same every time."""
        generator = generator_for(EVAL_STREAM, device=self.device)
        total = 0.0
        self.loss.eval()
        with self.ema.applied(), self.precision.autocast():
            for images, labels in in_order(dataset, batch_size):
                t, noise = self._draw(len(labels), generator)
                loss = self.loss(images.to(self.device), labels.to(self.device), t, noise)
                total += loss.item() * len(labels)
        self.loss.train()
        return total / len(dataset)

    @torch.no_grad()
    def measure_sigma_data(self, dataset: Images, batch_size: int) -> float:
        """The standard deviation of what an EDM diffuses, over at most MEASURED_IMAGES images."""
        count, total, squares = 0, 0.0, 0.0
        for images, _ in in_order(dataset.at_most(MEASURED_IMAGES), batch_size):
            images = images.to(self.device)
            if not self.ddpm.use_vae:
                images = 2 * images - 1
            elif not self.loss.cached_latents:
                with self.precision.autocast():
                    images = self.ddpm.vae.encoder(images)
            values = images.cpu().double()
            count += values.numel()
            total += values.sum().item()
            squares += values.square().sum().item()
        return self.processes.same(math.sqrt(squares / count - (total / count) ** 2))

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs to go on."""
        return {
            "model": self.ddpm.state_dict(),
            "ema": self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint, as `checkpoint.read` returns it."""
        load_strictly(self.ddpm, state["model"], state["path"])
        self.ema.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
