"""Autoencoders from files: those of train_autoencoder.py, and those that CompVis published."""

from dataclasses import replace
from pathlib import Path

from torch import Tensor

from ..config import AutoencoderModelConfig, from_dict
from ..runtime import checkpoint
from ..settings.autoencoder import AutoencoderConfig
from ..utils import UserError, default, shown
from ..weights import load_strictly
from .compvis import read_compvis
from .kl import KLAutoencoder

FREE = ("tanh", "num_groups")  # may differ from what a config says


def read_autoencoder(
    path: Path, expected: AutoencoderModelConfig | None = None, section_name: str = "autoencoder"
) -> tuple[dict[str, Tensor], AutoencoderModelConfig]:
    """The averaged weights of an autoencoder, and its architecture.

    Args:
        path: a checkpoint or run folder of train_autoencoder.py, or a published kl-f4 or kl-f8.
        expected: what a config says of the autoencoder; None where it says nothing.
        section_name: where it says so, for messages.

    Raises:
        UserError: the file holds something else, or another autoencoder than expected.
    """
    look = checkpoint.read if path.is_dir() else checkpoint.find
    state = look(path, kind=AutoencoderConfig.kind)
    if state is not None:
        section = from_dict(state["config"], path.parent, str(path), AutoencoderConfig).autoencoder
        weights = state["model"] | state["ema"]["average"]
    else:
        weights, found = read_compvis(path)
        found = {key: list(v) if isinstance(v, tuple) else v for key, v in found.items()}
        section = replace(AutoencoderModelConfig(), **found)
    wanted = section if expected is None else expected
    described, found = (
        vars(s) | {"embed_dim": default(s.embed_dim, s.z_channels)} for s in (wanted, section)
    )
    differences = [
        f"{name} is {described[name]} and {value} in the file"
        for name, value in found.items()
        if described[name] != value and name not in FREE
    ]
    if differences:
        raise UserError(
            f"{shown(path)} holds another autoencoder than section '{section_name}' describes: "
            + "; ".join(differences)
        )
    return weights, section


def load_autoencoder(
    path: Path, expected: AutoencoderModelConfig | None = None
) -> tuple[KLAutoencoder, AutoencoderModelConfig]:
    """A diffusion model's autoencoder and its architecture; arguments and errors as above."""
    weights, section = read_autoencoder(path, expected, "vae.autoencoder")
    autoencoder = KLAutoencoder(**vars(section))
    load_strictly(autoencoder, weights, path)
    return autoencoder, section
