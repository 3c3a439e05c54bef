"""The config of an autoencoder: what `train_autoencoder.py` reads; see config.py. No torch here."""

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..config import (
    AutoencoderModelConfig,
    DatasetConfig,
    LoaderConfig,
    LpipsConfig,
    TrainConfig,
    WandbConfig,
)
from ..utils import UserError
from .checks import OF_SAMPLES, check_training, lookup
from .limits import number

SSIM_WINDOW = 11  # pixels, as in autoencoders/quality.py


@dataclass
class DiscriminatorConfig:
    """The PatchGAN discriminator; a stage says from which step on it takes part."""

    dim: int = number(64, at_least=1)
    num_layers: int = number(3, at_least=1)
    # By default that of the autoencoder, whose schedule it follows
    lr: float | None = number(None, above=0)

    @property
    def smallest(self) -> int:
        """Height and width of the smallest images that give a whole score."""
        return 3 * 2**self.num_layers


@dataclass
class Stage:
    """A part of the training with its own losses; the weights go on into the next one."""

    epochs: int = number(10, at_least=1)
    resolution: int = number(256, at_least=1)
    # Shorter side before the crop to `resolution`; by default no crop
    resize: int | None = number(None, above=0)
    reconstruction: Literal["l1", "mse"] = "l1"
    kl_weight: float = number(1e-6, at_least=0)
    lpips_weight: float = number(0.0, at_least=0)
    disc_start: int | None = number(None, at_least=0)  # step of this stage; null: no discriminator
    disc_weight: float = number(0.5, at_least=0)
    tanh: bool = False  # keep the images within [-1, 1], as LPIPS expects
    lr: float | None = number(None, above=0)
    batch_size: int | None = number(None, at_least=1)


@dataclass
class AutoencoderConfig:
    """An autoencoder and the stages of its training."""

    kind = "autoencoder"
    script = "train_autoencoder.py"
    devices: list[str] = field(default_factory=lambda: ["auto"])
    dtype: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    seed: int = number(0, at_least=0, below=2**62)
    output_folder: Path = Path("../logs")
    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    loader: LoaderConfig = field(default_factory=LoaderConfig)
    autoencoder: AutoencoderModelConfig = field(default_factory=AutoencoderModelConfig)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    lpips: LpipsConfig = field(default_factory=LpipsConfig)
    vae_ckpt: Path | None = None  # a published checkpoint, or one of an earlier run, to start from
    features: Literal["lenet", "inception"] | None = "lenet"  # for the reconstructions' FID
    inception_weights: Path | None = None  # torch-fidelity's file; by default downloaded once
    train_cfg: TrainConfig = field(default_factory=TrainConfig)
    stages: list[Stage] = field(default_factory=lambda: [Stage()])
    wandb: WandbConfig = field(default_factory=WandbConfig)

    @property
    def factor(self) -> int:
        """How many times smaller than images latents are, in height and width."""
        return 2 ** (len(self.autoencoder.ch_mult) - 1)

    def check(self) -> None:
        """Refuse keys that contradict each other."""
        if not self.stages:
            raise UserError("'stages' must describe at least one stage, found []")
        check_levels(self.autoencoder)
        check_training_of_autoencoder(self)
        if self.wandb.resume_id is not None and len(self.stages) > 1:
            raise UserError(
                "'wandb.resume_id' names one run, and each stage is a run of its own: leave it "
                "out; a checkpoint knows its run's id"
            )
        for i in range(len(self.stages)):
            check_stage(self, i)
        weights = self.lpips.weights
        if any(s.lpips_weight > 0 for s in self.stages) and weights and not weights.is_file():
            raise UserError(f"'lpips.weights': there is no file {weights}")

    def of_stage(self, i: int) -> "AutoencoderConfig":
        """The config of one stage, counted from 0: what the stage says is put into the sections."""
        config, stage = copy.deepcopy(self), self.stages[i]
        config.dataset.resize = stage.resize
        config.train_cfg.epochs = stage.epochs
        config.train_cfg.lr = stage.lr or self.train_cfg.lr
        config.loader.batch_size = stage.batch_size or self.loader.batch_size
        config.autoencoder.tanh = stage.tanh
        return config


def check_levels(section: AutoencoderModelConfig) -> None:
    """Refuse an autoencoder without levels, and attention at one that it does not have."""
    if not section.ch_mult:
        raise UserError("'autoencoder.ch_mult' must name at least one level, found []")
    if any(level not in range(len(section.ch_mult)) for level in section.attn_levels):
        raise UserError(
            f"'autoencoder.attn_levels' {section.attn_levels} names a level that "
            f"'autoencoder.ch_mult' {section.ch_mult} does not have; levels count from 0"
        )


def check_training_of_autoencoder(config: AutoencoderConfig) -> None:
    """Refuse keys of `train_cfg` that are for diffusion models."""
    train = config.train_cfg
    if train.eval_metrics:
        raise UserError(
            "'train_cfg.eval_metrics' scores what a diffusion model draws, and this is an "
            "autoencoder, whose psnr and ssim are always measured: leave it out"
        )
    for key in OF_SAMPLES:
        if lookup(config, key) is not None:
            raise UserError(
                f"'{key}' is for the samples of a diffusion model, and this is an "
                "autoencoder: leave it out"
            )
    if train.best_metric not in (None, "psnr", "ssim"):
        raise UserError(
            f"'train_cfg.best_metric' {train.best_metric} is for diffusion models: choose "
            "psnr or ssim, or null for the validation loss"
        )
    check_training(train)
    if not train.keep_last_model:
        raise UserError(
            "'train_cfg.keep_last_model: false' is for diffusion models: an autoencoder's "
            "stages each start from the model_final.pth of the one before"
        )


def check_stage(config: AutoencoderConfig, i: int) -> None:
    """Refuse a resolution, of the stage counted from 0, that does not fit the networks."""
    stage, key = config.stages[i], f"'stages[{i}].resolution' "
    if stage.resolution % config.factor:
        raise UserError(
            f"{key}{stage.resolution} is not divisible by {config.factor}, the factor by which "
            f"{len(config.autoencoder.ch_mult)} levels of 'autoencoder.ch_mult' make latents "
            "smaller"
        )
    if config.train_cfg.best_metric == "ssim" and stage.resolution < SSIM_WINDOW:
        raise UserError(
            f"'train_cfg.best_metric' ssim needs images of at least {SSIM_WINDOW} pixels, "
            f"{key}is {stage.resolution}: choose psnr"
        )
    if stage.resize is not None and stage.resize < stage.resolution:
        raise UserError(
            f"'stages[{i}].resize' {stage.resize} is smaller than the resolution "
            f"{stage.resolution} that is cut out of it"
        )
    smallest = config.discriminator.smallest
    if stage.disc_start is not None and stage.resolution < smallest:
        raise UserError(
            f"{key}{stage.resolution} is too small for the discriminator, which needs {smallest} "
            "pixels: lower 'discriminator.num_layers'"
        )
