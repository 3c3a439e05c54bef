"""The flags of Stable Diffusion, for a script that also draws from checkpoints without it."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass

from ..samplers.flags import SamplerFlags
from ..utils import UserError

DEFAULT = "configs/stable_diffusion_v1.yaml"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the flags of Stable Diffusion; those not given stay None."""
    group = parser.add_argument_group("Stable Diffusion")
    group.add_argument(
        "--sd",
        metavar="PATH",
        help="draw --prompt with Stable Diffusion 1.x instead of a checkpoint: a .safetensors or "
        ".ckpt file, or a folder of diffusers",
    )
    group.add_argument("--sd-config", metavar="FILE", help=f"what it is (default: {DEFAULT})")
    group.add_argument("--size", metavar="N", help="pixels, as 512, or width and height, 768x512")
    group.add_argument("--vocabulary", metavar="DIR", help="folder with CLIP's vocabulary")
    group.add_argument("--dtype", metavar="NAME", help="auto, fp32, bf16 or fp16")


def refuse(flags: Mapping[str, object]) -> None:
    """Refuse the flags of `add`, by their names and values, where --sd is not given."""
    for name in ("sd_config", "size", "vocabulary", "dtype"):
        if flags[name] is not None:
            flag = "--" + name.replace("_", "-")
            raise UserError(f"{flag}: only Stable Diffusion has it; add --sd PATH, or leave it out")


@dataclass(frozen=True)
class Request:
    """What the flags of sample.py ask Stable Diffusion for; None for what was not given."""

    sd: str
    sampler: SamplerFlags
    num: int
    seed: int
    batch_size: int
    device: str
    force: bool
    checkpoint: str | None = None
    labels: str | None = None
    prompt: list[str] | None = None
    negative: str | None = None
    out: str | None = None
    out_dir: str | None = None
    film: str | None = None
    sd_config: str | None = None
    size: str | None = None
    vocabulary: str | None = None
    dtype: str | None = None
    init_image: str | None = None
    strength: float | None = None
