"""The config of an autoencoder: what `train_autoencoder.py` reads; see config.py. No torch here."""

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..config import (
    POSITIVE,
    SHARED_LIMITS,
    AutoencoderModelConfig,
    DatasetConfig,
    LoaderConfig,
    LpipsConfig,
    TrainConfig,
    WandbConfig,
)
from ..utils import UserError
from .checks import OF_SAMPLES, check_limits, check_training, lookup

SSIM_WINDOW = 11  # pixels, as in autoencoders/quality.py


@dataclass
class DiscriminatorConfig:
    """The PatchGAN discriminator; a stage says from which step on it takes part."""

    dim: int = 64
    num_layers: int = 3
    lr: float | None = None  # by default that of the autoencoder, whose schedule it follows

    @property
    def smallest(self) -> int:
        """Height and width of the smallest images that give a whole score."""
        return 3 * 2**self.num_layers


@dataclass
class Stage:
    """A part of the training with its own losses; the weights go on into the next one."""

    epochs: int = 10
    resolution: int = 256
    resize: int | None = None  # shorter side before the crop to `resolution`; by default no crop
    reconstruction: Literal["l1", "mse"] = "l1"
    kl_weight: float = 1e-6
    lpips_weight: float = 0.0
    disc_start: int | None = None  # step of this stage; null: no discriminator
    disc_weight: float = 0.5
    tanh: bool = False  # keep the images within [-1, 1], as LPIPS expects
    lr: float | None = None
    batch_size: int | None = None


STAGE_LIMITS = {
    "epochs": ([1], None),
    "resolution": ([1], None),
    "resize": POSITIVE,
    "kl_weight": ([0], None),
    "lpips_weight": ([0], None),
    "disc_start": ([0], None),
    "disc_weight": ([0], None),
    "lr": POSITIVE,
    "batch_size": ([1], None),
}


@dataclass
class AutoencoderConfig:
    """An autoencoder and the stages of its training."""

    kind = "autoencoder"
    script = "train_autoencoder.py"
    limits = SHARED_LIMITS | {
        "autoencoder.in_channels": ([1], [3]),
        "autoencoder.ch": ([1], None),
        "autoencoder.ch_mult": ([1], None),
        "autoencoder.num_res_blocks": ([1], None),
        "autoencoder.z_channels": ([1], None),
        "autoencoder.embed_dim": ([1], None),
        "discriminator.dim": ([1], None),
        "discriminator.num_layers": ([1], None),
        "discriminator.lr": POSITIVE,
    }

    devices: list[str] = field(default_factory=lambda: ["auto"])
    dtype: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    seed: int = 0
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
        if not self.autoencoder.ch_mult:
            raise UserError("'autoencoder.ch_mult' must name at least one level, found []")
        levels = range(len(self.autoencoder.ch_mult))
        if any(level not in levels for level in self.autoencoder.attn_levels):
            raise UserError(
                f"'autoencoder.attn_levels' {self.autoencoder.attn_levels} names a level that "
                f"'autoencoder.ch_mult' {self.autoencoder.ch_mult} does not have; levels count "
                "from 0"
            )
        train = self.train_cfg
        if train.eval_metrics:
            raise UserError(
                "'train_cfg.eval_metrics' scores what a diffusion model draws, and this is an "
                "autoencoder, whose psnr and ssim are always measured: leave it out"
            )
        for key in OF_SAMPLES:
            if lookup(self, key) is not None:
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
        if self.wandb.resume_id is not None and len(self.stages) > 1:
            raise UserError(
                "'wandb.resume_id' names one run, and each stage is a run of its own: leave it "
                "out; a checkpoint knows its run's id"
            )
        smallest = self.discriminator.smallest
        for number, stage in enumerate(self.stages):
            check_limits(stage, STAGE_LIMITS, prefix=f"stages[{number}].")
            if stage.resolution % self.factor:
                raise UserError(
                    f"'stages[{number}].resolution' {stage.resolution} is not divisible by "
                    f"{self.factor}, the factor by which {len(levels)} levels of "
                    "'autoencoder.ch_mult' make latents smaller"
                )
            if train.best_metric == "ssim" and stage.resolution < SSIM_WINDOW:
                raise UserError(
                    f"'train_cfg.best_metric' ssim needs images of at least {SSIM_WINDOW} pixels, "
                    f"'stages[{number}].resolution' is {stage.resolution}: choose psnr"
                )
            if stage.resize is not None and stage.resize < stage.resolution:
                raise UserError(
                    f"'stages[{number}].resize' {stage.resize} is smaller than the resolution "
                    f"{stage.resolution} that is cut out of it"
                )
            if stage.disc_start is not None and stage.resolution < smallest:
                raise UserError(
                    f"'stages[{number}].resolution' {stage.resolution} is too small for the "
                    f"discriminator, which needs {smallest} pixels: lower "
                    "'discriminator.num_layers'"
                )
        weights = self.lpips.weights
        if any(s.lpips_weight > 0 for s in self.stages) and weights and not weights.is_file():
            raise UserError(f"'lpips.weights': there is no file {weights}")

    def of_stage(self, number: int) -> "AutoencoderConfig":
        """The config of one stage, counted from 0: what the stage says stands in every section."""
        config, stage = copy.deepcopy(self), self.stages[number]
        config.dataset.resize = stage.resize
        config.train_cfg.epochs = stage.epochs
        config.train_cfg.lr = stage.lr or self.train_cfg.lr
        config.loader.batch_size = stage.batch_size or self.loader.batch_size
        config.autoencoder.tanh = stage.tanh
        return config
