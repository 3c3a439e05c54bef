"""Blocks that take the options of a former version of the kit, with all options off."""

from typing import Any

from . import kit_blocks
from .kit_blocks import *  # noqa: F403


class ResBlock(kit_blocks.ResBlock):
    """A residual block, without adaptive group normalization and without dropout."""

    def __init__(
        self, *arguments: Any, adagn: bool = False, dropout: float = 0.0, **named: Any
    ) -> None:
        super().__init__(*arguments, **named)


class SpatialTransformer(kit_blocks.SpatialTransformer):
    """A transformer with full attention."""

    def __init__(self, *arguments: Any, self_attention: Any = None, **named: Any) -> None:
        super().__init__(*arguments, **named)
