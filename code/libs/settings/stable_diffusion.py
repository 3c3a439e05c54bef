"""The config of Stable Diffusion: what `sample.py --sd` reads; see config.py. No torch here."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..utils import UserError
from .limits import number


@dataclass
class UNetConfig:
    """The arguments of StableDiffusionUNet, see code/libs/stable_diffusion.py."""

    dim: int = number(320, at_least=1)
    context_dim: int = number(768, at_least=1)
    in_channels: int = number(4, at_least=1)
    dim_mults: list[int] = number((1, 2, 4, 4), at_least=1)
    attn_levels: list[int] = field(default_factory=lambda: [0, 1, 2])
    res_blocks: int = number(2, at_least=1)
    num_heads: int = number(8, at_least=1)
    num_groups: int = number(32, at_least=1)


@dataclass
class FirstStageConfig:
    """The autoencoder, see code/libs/autoencoders/kl.py, and the scale of its latents."""

    ch: int = number(128, at_least=1)
    ch_mult: list[int] = number((1, 2, 4, 4), at_least=1)
    num_res_blocks: int = number(2, at_least=1)
    num_groups: int = number(32, at_least=1)
    scale_factor: float = number(0.18215, above=0)


@dataclass
class ScheduleConfig:
    """The noise of each time step, see code/libs/schedules.py."""

    timesteps: int = number(1000, at_least=2)
    beta_schedule: Literal["linear", "quadratic"] = "quadratic"
    beta_start: float = number(0.00085, above=0, below=1)
    beta_end: float = number(0.012, above=0, below=1)


@dataclass
class SamplingConfig:
    """How pictures are drawn, unless flags say otherwise."""

    sampler: Literal["ddim", "dpm++"] = "ddim"
    steps: int = number(30, at_least=1)
    spacing: Literal["leading", "trailing", "linspace", "log_snr", "cosine"] = "leading"
    offset: int = number(1, at_least=0)  # of the time steps with leading spacing
    guidance: float = number(7.5, at_least=0)
    negative: str = ""
    size: int = number(512, at_least=1)


@dataclass
class StableDiffusionConfig:
    """A text-to-image model whose weights come from a file; the defaults are 1.x."""

    kind = "text-to-image model"
    script = "sample.py"

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
        for key, divisor in (("num_groups", unet.num_groups), ("num_heads", unet.num_heads)):
            if unet.dim % divisor:
                raise UserError(f"'unet.dim' {unet.dim} is not divisible by 'unet.{key}' {divisor}")
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
