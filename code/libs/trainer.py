"""The training loop: steps, losses, checkpoints, samples; on one process or several.

Everything random in a step follows from (seed, step): the order of the images, their augmentation,
t, and the noise. So a run that was killed goes on to the very same weights, and several processes,
which draw the same numbers and take their slices of them, train like one.
"""

import math
import signal
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from . import checkpoint
from .checkpoint import build_model
from .config import Config, dump_config, to_dict
from .datasets import Images, load_splits
from .ddpm import DDPM
from .ema import EMA
from .latent_cache import cache_latents
from .loading import EpochBatches, in_order, make_loader
from .optim import learning_rate, make_optimizer
from .progress import progress_bar, say
from .run_log import History, RunLog
from .runtime import Precision, Processes, generator_for, rng_state, set_rng_state
from .sampling import draw_samples
from .utils import UserError
from .visualize import image_grid, save_image

MAX_BAD_LOSSES = 10  # in a row
STEP_STREAM, EVAL_STREAM = 1, 2  # keep random numbers of different uses apart


class TrainingLoss(nn.Module):
    """compute_loss as a forward pass, which is what DistributedDataParallel wraps."""

    def __init__(self, ddpm: DDPM, cached_latents: bool):
        super().__init__()
        self.ddpm = ddpm
        self.cached_latents = cached_latents

    def forward(self, x: Tensor, label: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """The loss of images in [0, 1], or of cached latents, [B, C, H, W]."""
        if not self.ddpm.use_vae:
            return self.ddpm.compute_loss(2 * x - 1, label, t, noise)
        self.ddpm.use_vae = not self.cached_latents  # cached latents are encoded already
        try:
            return self.ddpm.compute_loss(x, label, t, noise)
        finally:
            self.ddpm.use_vae = True


class Trainer:
    """Trains the model of a config in a run folder.

    Args:
        config: the resolved config.
        folder: where checkpoints, samples and logs go.
        precision: device and number format.
        processes: this process among all.
        print_freq: steps between two lines of output.
        ckpt_freq: epochs between two checkpoints.
        state: a checkpoint, as `checkpoint.read` returns it, to go on from.

    Raises:
        UserError: the config does not fit the data, the machine or the checkpoint.
    """

    def __init__(
        self,
        config: Config,
        folder: Path,
        precision: Precision,
        processes: Processes,
        print_freq: int = 100,
        ckpt_freq: int = 5,
        state: dict[str, Any] | None = None,
    ):
        self.config, self.folder = config, folder
        self.precision, self.device = precision, precision.device
        self.processes = processes
        self.print_freq, self.ckpt_freq = print_freq, ckpt_freq
        cfg = config.train_cfg

        torch.manual_seed(config.seed)
        self.ddpm = build_model(config).to(self.device)
        if cfg.channels_last:
            self.ddpm.to(memory_format=torch.channels_last)
        self.splits = load_splits(config.dataset, config.model.img_shape, config.model.num_classes)
        self.classes = self.splits.train.classes
        if config.dataset.latent_cache:
            self._cache_latents()
        self.splits.val = self.splits.val and self.splits.val.at_most(cfg.eval_images)
        self.splits.test = self.splits.test and self.splits.test.at_most(cfg.eval_images)

        self.batch_size = self._fitting_batch_size(config.loader.batch_size)
        self.batches = EpochBatches(len(self.splits.train), self.batch_size, config.seed, processes)
        self.steps_per_epoch = len(self.batches)
        self.last_step = cfg.epochs * self.steps_per_epoch
        if cfg.max_steps is not None:
            self.last_step = min(self.last_step, cfg.max_steps)

        self.optimizer = make_optimizer(self.ddpm, cfg)
        self.ema = EMA(self.ddpm, cfg.ema_decay)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=precision.needs_scaler)
        self.loss = TrainingLoss(self.ddpm, config.dataset.latent_cache)
        self.history = History()
        self.step = 0
        self.best_val_loss: float | None = None
        self.bad_losses = 0
        self.epoch_losses: list[float] = []
        self.stop_signal = False
        if state is not None:
            self._restore(state)
        self.parallel_loss = self._wrap_loss()

    def describe(self) -> str:
        """One line: the model, the data, and what it runs on."""
        number = sum(p.numel() for p in self.ema.parameters.values())
        others = [f"{len(d)} {k}" for k, d in vars(self.splits).items() if d and k != "train"]
        parts = [
            f"{number / 1e6:.2f}M parameters",
            f"{', '.join([f'{len(self.splits.train)} training', *others])} images",
            f"{self.steps_per_epoch} steps an epoch",
            f"{self.device} in {self.precision.name}",
        ]
        if self.processes.world > 1:
            parts.append(f"{self.processes.world} processes")
        return ", ".join(parts)

    # Running

    def fit(self) -> Path:
        """Train to the end of the last epoch, or of `max_steps`; return the final checkpoint.

        Raises UserError if ten losses in a row are no numbers or a checkpoint cannot be written,
        KeyboardInterrupt after a checkpoint if the process is asked to stop.
        """
        self._open_folder()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask_to_stop)
        num_images = (self.last_step - self.step) * self.batch_size
        self.started, self.start_step = time.perf_counter(), self.step
        loader = make_loader(
            self.splits.train,
            self.batches,
            self.config.loader.num_workers,
            pin=self.device.type == "cuda",
        )
        with progress_bar(num_images, "training", "img", enabled=self.processes.is_main) as bar:
            self.bar = bar
            while self.step < self.last_step:
                self._train_epoch(loader)
        self._save("model_final.pth")
        self._draw_samples()
        self.log.close()
        return self.folder / "model_final.pth"

    def _train_epoch(self, loader: torch.utils.data.DataLoader) -> None:
        """Train from the current step to the end of its epoch, or of the run."""
        self.batches.epoch, self.batches.start = divmod(self.step, self.steps_per_epoch)
        self.loss.train()
        for images, labels in loader:
            loss, grad_norm = self._train_step(images, labels)
            self.step += 1
            self.epoch_losses.append(loss)
            self._report(loss, grad_norm)
            if self.stop_signal:
                self._save(f"step-{self.step:08d}.pth")
                raise KeyboardInterrupt
            ckpt_steps = self.config.train_cfg.ckpt_steps
            if ckpt_steps is not None and self.step % ckpt_steps == 0:
                self._save(f"step-{self.step:08d}.pth")
            if self.step == self.last_step:
                break
        self._end_epoch()

    def _train_step(self, images: Tensor, labels: Tensor) -> tuple[float, float]:
        """One update of the weights; return the loss over all processes and the gradient's norm."""
        cfg = self.config.train_cfg
        images = images.to(self.device, non_blocking=True)
        labels = labels.to(self.device, non_blocking=True)
        if cfg.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        generator = generator_for(self.config.seed, STEP_STREAM, self.step, device=self.device)
        t, noise = self._draw_t_and_noise(self.batch_size, generator)
        batch = images, labels, self.processes.share(t), self.processes.share(noise)

        rate = learning_rate(cfg, self.step, self.steps_per_epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        parts = list(zip(*(tensor.chunk(cfg.accumulate) for tensor in batch), strict=True))
        total = torch.zeros((), device=self.device)
        for i, part in enumerate(parts):
            synchronise = i == len(parts) - 1 or self.processes.world == 1
            with nullcontext() if synchronise else self.parallel_loss.no_sync():
                with self.precision.autocast():
                    loss = self.parallel_loss(*part) / len(parts)
                self.scaler.scale(loss).backward()
            total += loss.detach()
        loss_value, stop = self.processes.mean(
            torch.stack([total, torch.tensor(float(self.stop_signal), device=self.device)])
        ).tolist()
        self.stop_signal = stop > 0

        self.scaler.unscale_(self.optimizer)
        limit = math.inf if cfg.clip_grad_norm is None else cfg.clip_grad_norm
        grad_norm = nn.utils.clip_grad_norm_(self.ema.parameters.values(), limit).item()
        finite = math.isfinite(loss_value)
        finite = finite and (math.isfinite(grad_norm) or self.precision.needs_scaler)
        self._count_bad_loss(finite, rate)
        if finite:
            self.scaler.step(self.optimizer)  # with fp16 this skips gradients that overflowed
            self.ema.update()
        self.scaler.update()
        return loss_value, grad_norm

    def _draw_t_and_noise(self, number: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        options = {"generator": generator, "device": generator.device}
        t = torch.randint(self.ddpm.timesteps, (number,), **options)
        return t, torch.randn(number, *self.ddpm.img_shape, **options)

    def _count_bad_loss(self, finite: bool, rate: float) -> None:
        self.bad_losses = 0 if finite else self.bad_losses + 1
        if finite:
            return
        if self.processes.is_main:
            say(f"step {self.step}: the loss or its gradient is NaN or infinite, step skipped")
        if self.bad_losses == MAX_BAD_LOSSES:
            raise UserError(
                f"the last {MAX_BAD_LOSSES} losses, up to step {self.step}, were NaN or infinite. "
                f"Likely causes: a learning rate that is too high (it is {rate:.2g}), overflow in "
                f"half precision (dtype is {self.precision.name}, try fp32), or a mistake in "
                f"compute_loss. Checkpoints in {self.folder} are intact"
            )

    # Looking at the run

    def _report(self, loss: float, grad_norm: float) -> None:
        """Update the progress bar; every `print_freq` steps print a line and log numbers."""
        elapsed = time.perf_counter() - self.started
        speed = (self.step - self.start_step) * self.batch_size / elapsed
        self.bar.set_postfix_str(f"loss {loss:.4f}", refresh=False)
        self.bar.update(self.batch_size)
        if self.step % self.print_freq != 0 and self.step != self.last_step:
            return
        recent = [v for v in self.epoch_losses[-self.print_freq :] if math.isfinite(v)]
        mean = sum(recent) / len(recent) if recent else math.nan
        epoch = self.step / self.steps_per_epoch
        rate = self.optimizer.param_groups[0]["lr"]
        self.history.add_step(epoch, mean)
        numbers = {"loss": mean, "lr": rate, "images_per_second": speed, "grad_norm": grad_norm}
        self.log.scalars({f"train/{name}": value for name, value in numbers.items()}, self.step)
        if self.processes.is_main:
            left = (self.last_step - self.step) * self.batch_size / speed
            say(
                f"epoch {epoch:.2f}/{self.config.train_cfg.epochs}  step {self.step}  "
                f"loss {mean:.4f}  lr {rate:.2g}  {speed:.0f} images/s  {_duration(left)} left"
            )

    def _end_epoch(self) -> None:
        """Losses, and at some epochs a checkpoint with samples."""
        epoch, beyond = divmod(self.step, self.steps_per_epoch)
        is_last = self.step == self.last_step
        finite = [v for v in self.epoch_losses if math.isfinite(v)]
        train = sum(finite) / len(finite) if finite else None
        val = test = None
        if is_last or epoch % self.config.train_cfg.eval_every == 0:
            val, test = self._evaluate(self.splits.val), self._evaluate(self.splits.test)
        self.history.add_epoch(self.step / self.steps_per_epoch, train, val, test)
        measured = {"train/epoch_loss": train, "val/loss": val, "test/loss": test}
        self.log.scalars({k: v for k, v in measured.items() if v is not None}, self.step)
        if beyond == 0:
            self.epoch_losses = []
        if val is not None and (self.best_val_loss is None or val < self.best_val_loss):
            self.best_val_loss = val
            self._save("best.pth")
        if not is_last and epoch % self.ckpt_freq == 0:
            self._save(f"epoch-{epoch:04d}.pth")
            self._draw_samples()

    @torch.no_grad()
    def _evaluate(self, dataset: Images | None) -> float | None:
        """The averaged model's loss with t and noise that are the same every time."""
        if dataset is None or len(dataset) == 0:
            return None
        generator = generator_for(EVAL_STREAM, device=self.device)
        self.loss.eval()
        total = 0.0
        with self.ema.applied(), self.precision.autocast():
            for images, labels in in_order(dataset, self.batch_size):
                t, noise = self._draw_t_and_noise(len(labels), generator)
                images, labels = images.to(self.device), labels.to(self.device)
                total += self.loss(images, labels, t, noise).item() * len(labels)
        self.loss.train()
        return total / len(dataset)

    def _draw_samples(self) -> None:
        """Write sample-EPOCH.png from the averaged model, one class a column."""
        rows = self.config.train_cfg.num_eval_samples
        if not self.processes.is_main or rows < 1:
            return self.processes.wait()
        labels = torch.arange(len(self.classes)).repeat(rows)
        self.ddpm.eval()
        with self.ema.applied():
            batches = draw_samples(self.ddpm, labels, self.precision, seed=self.config.seed)
            grid = image_grid(torch.cat(list(batches)), columns=len(self.classes))
        self.ddpm.train()
        epoch = math.ceil(self.step / self.steps_per_epoch)
        save_image(grid, self.folder / f"sample-{epoch}.png")
        self.log.image("samples", grid, self.step)
        return self.processes.wait()

    # Saving and going on

    def _save(self, name: str) -> None:
        """Write a checkpoint and the loss history."""
        if self.processes.is_main:
            state = {
                "config": to_dict(self.config, self.folder),
                "classes": self.classes,
                "step": self.step,
                "steps_per_epoch": self.steps_per_epoch,
                "model": self.ddpm.state_dict(),
                "ema": self.ema.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "scaler": self.scaler.state_dict(),
                "rng": rng_state(),
                "history": self.history.values,
                "best_val_loss": self.best_val_loss,
                "bad_losses": self.bad_losses,
                "epoch_losses": self.epoch_losses,
            }
            checkpoint.save(state, self.folder / name)
            checkpoint.remove_old(self.folder, self.config.train_cfg.keep_last_n)
            self.history.write(self.folder)
        self.processes.wait()

    def _restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        if state["steps_per_epoch"] != self.steps_per_epoch:
            raise UserError(
                f"{state['path']} was trained with {state['steps_per_epoch']} steps an epoch, now "
                f"there are {self.steps_per_epoch}: the data set has changed"
            )
        if state["step"] >= self.last_step:
            raise UserError(
                f"{state['path']} is at step {state['step']}, and the run ends at step "
                f"{self.last_step} ({self.config.train_cfg.epochs} epochs of "
                f"{self.steps_per_epoch} steps): there is nothing left to do. To train longer, "
                "raise train_cfg.epochs or train_cfg.max_steps"
            )
        checkpoint.load_weights(self.ddpm, state)
        self.ema.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        set_rng_state(state["rng"])
        self.history = History(state["history"])
        self.step = state["step"]
        self.best_val_loss = state["best_val_loss"]
        self.bad_losses = state["bad_losses"]
        self.epoch_losses = state["epoch_losses"]

    # Setting up

    def _open_folder(self) -> None:
        """Create the run's folder with its config.yaml and logs."""
        resolved = to_dict(self.config, self.folder)
        if self.processes.is_main:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                text = dump_config(self.config, self.folder)
                (self.folder / "config.yaml").write_text(text, encoding="utf-8")
            except OSError as error:
                raise UserError(f"cannot write to the run's folder: {error}") from None
        self.log = RunLog(
            self.folder, self.config.wandb, resolved, self.step, self.processes.is_main
        )

    def _fitting_batch_size(self, wanted: int) -> int:
        """The batch size, or less where the data set is smaller, as a multiple of its parts."""
        parts = self.processes.world * self.config.train_cfg.accumulate
        if wanted % parts:
            raise UserError(
                f"'loader.batch_size' {wanted} must be divisible by the number of processes times "
                f"'train_cfg.accumulate', {parts}"
            )
        fitting = min(wanted, len(self.splits.train) // parts * parts)
        if fitting == 0:
            raise UserError(
                f"{len(self.splits.train)} training images are too few for {parts} parts of a batch"
            )
        if fitting < wanted and self.processes.is_main:
            say(f"batch size {fitting} instead of {wanted}: the data set has no more images")
        return fitting

    def _cache_latents(self) -> None:
        """Replace the data sets by their latents; the first process encodes, the others wait."""
        if not self.processes.is_main:
            self.processes.wait()
        config = self.config
        folder = config.output_folder / "latent_cache"
        for name, dataset in vars(self.splits).items():
            if dataset is not None:
                latents = cache_latents(
                    dataset,
                    self.ddpm.vae.encoder,
                    config.dataset.latent_variants,
                    folder,
                    self.precision,
                )
                setattr(self.splits, name, latents)
        if self.processes.is_main:
            self.processes.wait()

    def _wrap_loss(self) -> nn.Module:
        if self.config.train_cfg.compile:
            self.ddpm.model.compile()
        if self.processes.world == 1:
            return self.loss
        devices = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(self.loss, device_ids=devices, broadcast_buffers=False)

    def _ask_to_stop(self, number: int, frame: object) -> None:
        """Finish the current step, save, and stop; a second signal stops at once."""
        if self.stop_signal:
            raise KeyboardInterrupt
        self.stop_signal = True


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
