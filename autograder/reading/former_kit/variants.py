"""What `ddpm.py` and `unet.py` of a former version of the kit import, with all options off."""

from typing import Any

from torch import nn

from .blocks import Attention, Downsample, LabelEmbedding

ATTENTIONS = {"full": Attention}
CONTEXTS = {"class": LabelEmbedding}
DOWNSAMPLERS = {"conv": Downsample}


class ResBlocks(nn.Sequential):
    """Only used with several blocks per level."""


class TransformerMiddle(nn.Module):
    """Only used with a transformer in the middle."""


def null_label(num_classes: int, label_dropout: float, options: dict[str, Any]) -> int | None:
    """The label that means no class; only guidance needs it."""
    return num_classes if label_dropout else None


def sized(options: dict[str, Any], *shapes: Any) -> dict[str, Any]:
    """The network's options, unchanged."""
    return options
