"""Reading autoencoders that CompVis published (kl-f4, kl-f8), whose files pickle a class."""

from collections.abc import Mapping
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..utils import UserError
from ..weights import check_strictly, read_file
from .kl import MAX_GROUPS, KLAutoencoder


class ModelCheckpoint:
    """Takes the place of the one class that official files name; it does nothing."""

    __module__ = "pytorch_lightning.callbacks.model_checkpoint"


def read_compvis(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a published autoencoder without running code in its file.

    Args:
        path: a `.ckpt` of PyTorch Lightning, or named tensors in a `.pth` or `.safetensors` file.

    Returns:
        The weights without those of the training losses, and the arguments for `KLAutoencoder`
        that they fit: `load_strictly(KLAutoencoder(**architecture), weights, path)` will succeed.

    Raises:
        UserError: the file is missing, unreadable or refused, or it holds another network; the
            message names the first tensor that differs, with its expected and its found shape.
    """
    if not path.is_file():
        raise UserError(f"there is no autoencoder in {path}: no such file")
    content = read_named_tensors(path)
    weights = {name: w for name, w in content.items() if not str(name).startswith("loss.")}
    try:
        architecture = infer_architecture(weights, path)
        with torch.device("meta"):  # shapes without memory
            autoencoder = KLAutoencoder(**architecture)
    except (ValueError, ZeroDivisionError, RuntimeError) as error:
        raise UserError(f"{path} holds no autoencoder of CompVis: {error}") from None
    check_strictly(autoencoder, weights, path)
    return weights, architecture


def read_named_tensors(path: Path) -> Mapping[str, Tensor]:
    """The tensors of a published file, read without running code in it.

    Raises UserError where the file is unreadable, refused, or holds something else.
    """
    with torch.serialization.safe_globals([ModelCheckpoint]):
        content = read_file(path)
    if isinstance(content, Mapping):
        content = content.get("state_dict", content)
    if not isinstance(content, Mapping):
        raise UserError(f"{path} holds no named tensors, but a {type(content).__name__}")
    return content


def infer_architecture(weights: Mapping[str, Tensor], path: Path) -> dict[str, Any]:
    """Arguments of `KLAutoencoder` that follow from the tensors' shapes; `path` is for messages.

    Groups leave no trace in the shapes: CompVis always has 32.
    """

    def shape(name: str) -> tuple[int, ...]:
        found = tuple(getattr(weights.get(name), "shape", ()))
        if len(found) != 4:
            raise UserError(
                f"{path} holds no autoencoder of CompVis: tensor '{name}' should be the weight of "
                f"a convolution, with four dimensions, and is {found or 'absent'}"
            )
        return found

    def number(name: str) -> int:
        return len(list(takewhile(lambda i: name.format(i) in weights, count())))

    ch, in_channels = shape("encoder.conv_in.weight")[:2]
    block = "encoder.down.{}.block.0.conv1.weight"
    shape(block.format(0))  # there must be one level at least
    levels = range(number(block))
    return {
        "in_channels": in_channels,
        "ch": ch,
        "ch_mult": tuple(shape(block.format(i))[0] // ch for i in levels),
        "num_res_blocks": number("encoder.down.0.block.{}.conv1.weight"),
        "z_channels": shape("post_quant_conv.weight")[0],
        "embed_dim": shape("post_quant_conv.weight")[1],
        "attn_levels": tuple(i for i in levels if f"encoder.down.{i}.attn.0.q.weight" in weights),
        "num_groups": MAX_GROUPS,
    }
