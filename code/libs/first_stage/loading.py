"""Autoencoders from files: those of train_autoencoder.py, and those that CompVis published."""

from dataclasses import replace
from pathlib import Path

from torch import Tensor

from .. import checkpoint
from ..autoencoder_config import AutoencoderConfig
from ..config import AutoencoderModelConfig, from_dict, shown
from ..utils import UserError
from ..weights import load_strictly
from .autoencoder import KLAutoencoder
from .compvis import read_compvis

FREE = ("tanh", "num_groups")  # may differ from what a config says


def read_autoencoder(
    path: Path, expected: AutoencoderModelConfig | None = None
) -> tuple[dict[str, Tensor], AutoencoderModelConfig]:
    """The averaged weights of an autoencoder, and its architecture.

    Args:
        path: a checkpoint or run folder of train_autoencoder.py, or a published kl-f4 or kl-f8.
        expected: what a config says of the autoencoder; None where it says nothing.

    Raises:
        UserError: the file holds something else, or another autoencoder than expected.
    """
    if path.is_dir() or checkpoint.is_ours(path):
        state = checkpoint.read(path, kind=AutoencoderConfig.kind)
        section = from_dict(state["config"], path.parent, str(path), AutoencoderConfig).autoencoder
        weights = state["model"] | state["ema"]["average"]
    else:
        weights, found = read_compvis(path)
        found = {key: list(v) if isinstance(v, tuple) else v for key, v in found.items()}
        section = replace(AutoencoderModelConfig(), **found)
    for name, value in vars(section).items():
        wanted = value if expected is None else getattr(expected, name)
        if wanted != value and name not in FREE:
            raise UserError(
                f"'autoencoder.{name}' is {wanted}, and {value} in {shown(path)}: they must agree"
            )
    return weights, section


def load_autoencoder(
    path: Path, expected: AutoencoderModelConfig | None = None
) -> tuple[KLAutoencoder, AutoencoderModelConfig]:
    """A trained autoencoder and its architecture; arguments and errors as above."""
    weights, section = read_autoencoder(path, expected)
    autoencoder = KLAutoencoder(**vars(section))
    load_strictly(autoencoder, weights, path)
    return autoencoder, section
