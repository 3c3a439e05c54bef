"""What `ddpm.py` and `unet.py` of the kit's former edition import, with all options off."""

from typing import Any

from torch import nn

from .blocks import Attention, Downsample, LabelEmbedding

ATTENTIONS = {"full": Attention}
CONTEXTS = {"class": LabelEmbedding}
DOWNSAMPLERS = {"conv": Downsample}


class ResBlocks(nn.Sequential):
    """Only made for several blocks per level."""


class TransformerMiddle(nn.Module):
    """Only made for a transformer in the middle."""


def null_label(num_classes: int, label_dropout: float, options: dict[str, Any]) -> int | None:
    """The label that stands for no class, which only guidance needs."""
    return num_classes if label_dropout else None


def sized(options: dict[str, Any], *shapes: Any) -> dict[str, Any]:
    """The network's options as they are."""
    return options
