"""The config of Stable Diffusion: what `sample.py --sd` reads; see config.py. No torch here."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..config import POSITIVE
from ..utils import UserError


@dataclass
class UNetConfig:
    """The arguments of StableDiffusionUNet, see code/libs/stable_diffusion.py."""

    dim: int = 320
    context_dim: int = 768
    in_channels: int = 4
    dim_mults: list[int] = field(default_factory=lambda: [1, 2, 4, 4])
    attn_levels: list[int] = field(default_factory=lambda: [0, 1, 2])
    res_blocks: int = 2
    num_heads: int = 8
    num_groups: int = 32


@dataclass
class FirstStageConfig:
    """The autoencoder, see code/libs/autoencoders/kl.py, and the scale of its latents."""

    ch: int = 128
    ch_mult: list[int] = field(default_factory=lambda: [1, 2, 4, 4])
    num_res_blocks: int = 2
    num_groups: int = 32
    scale_factor: float = 0.18215


@dataclass
class ScheduleConfig:
    """The noise of each time step, see code/libs/schedules.py."""

    timesteps: int = 1000
    beta_schedule: Literal["linear", "quadratic"] = "quadratic"
    beta_start: float = 0.00085
    beta_end: float = 0.012


@dataclass
class SamplingConfig:
    """How pictures are drawn, unless flags say otherwise."""

    sampler: Literal["ddim", "dpm++"] = "ddim"
    steps: int = 30
    spacing: Literal["leading", "trailing", "linspace", "log_snr"] = "leading"
    offset: int = 1  # of the time steps with leading spacing
    guidance: float = 7.5
    negative: str = ""
    size: int = 512


LIMITS = {
    "unet.dim": ([1], None),
    "unet.context_dim": ([1], None),
    "unet.in_channels": ([1], None),
    "unet.dim_mults": ([1], None),
    "unet.res_blocks": ([1], None),
    "unet.num_heads": ([1], None),
    "unet.num_groups": ([1], None),
    "vae.ch": ([1], None),
    "vae.ch_mult": ([1], None),
    "vae.num_res_blocks": ([1], None),
    "vae.num_groups": ([1], None),
    "vae.scale_factor": POSITIVE,
    "schedule.timesteps": ([2], None),
    "schedule.beta_start": (0, 1),
    "schedule.beta_end": (0, 1),
    "sampling.steps": ([1], None),
    "sampling.offset": ([0], None),
    "sampling.guidance": ([0], None),
    "sampling.size": ([1], None),
}


@dataclass
class StableDiffusionConfig:
    """A text-to-image model whose weights come from a file; the defaults are 1.x."""

    kind = "text-to-image model"
    script = "sample.py"
    limits = LIMITS

    dtype: Literal["auto", "fp32", "bf16", "fp16"] = "auto"  # of weights and arithmetic
    vocabulary: Path = Path("../pretrained/clip_bpe")  # vocab.json and merges.txt of CLIP
    unet: UNetConfig = field(default_factory=UNetConfig)
    vae: FirstStageConfig = field(default_factory=FirstStageConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)

    @property
    def multiple(self) -> int:
        """Height and width of a picture must be divisible by it: latents are halved, too."""
        return 2 ** (len(self.vae.ch_mult) - 1 + len(self.unet.dim_mults) - 1)

    def check(self) -> None:
        """Refuse keys that contradict each other."""
        unet, vae = self.unet, self.vae
        for key, mults in (("unet.dim_mults", unet.dim_mults), ("vae.ch_mult", vae.ch_mult)):
            if not mults:
                raise UserError(f"'{key}' must name at least one level, found []")
        if any(level not in range(len(unet.dim_mults)) for level in unet.attn_levels):
            raise UserError(
                f"'unet.attn_levels' {unet.attn_levels} names a level that 'unet.dim_mults' "
                f"{unet.dim_mults} does not have; levels count from 0"
            )
        for key, number in (("num_groups", unet.num_groups), ("num_heads", unet.num_heads)):
            if unet.dim % number:
                raise UserError(f"'unet.dim' {unet.dim} is not divisible by 'unet.{key}' {number}")
        if vae.ch % vae.num_groups:
            raise UserError(
                f"'vae.ch' {vae.ch} is not divisible by 'vae.num_groups' {vae.num_groups}"
            )
        self.check_size(self.sampling.size, "'sampling.size'")

    def check_size(self, pixels: int, source: str) -> None:
        """Refuse a height or width that cannot be halved often enough."""
        multiple = self.multiple
        if pixels < 1 or pixels % multiple:
            below = max(1, pixels // multiple) * multiple
            raise UserError(
                f"{source}: {pixels} pixels are not divisible by {multiple}, which autoencoder and "
                f"UNet need together; take {below} or {below + multiple}"
            )
