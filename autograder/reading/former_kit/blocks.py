"""Blocks with the options of the kit's former edition, all of them off."""

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
    """A transformer of full attention."""

    def __init__(self, *arguments: Any, self_attention: Any = None, **named: Any) -> None:
        super().__init__(*arguments, **named)
