"""What a checkpoint holds, as one record."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from ..config import Config
from ..runtime.checkpoint import SavedEncoder


@dataclass(frozen=True)
class TrainedModel:
    """What a checkpoint holds, ready to sample.

    Attributes:
        path: the file.
        model: with averaged weights, in evaluation mode.
        config: the run's.
        classes: their names; for a model that reads texts, the captions of the run's pictures.
        step: how many updates it was trained for.
        text: of a model that reads texts, how to find its text encoder again.
    """

    path: Path
    model: nn.Module
    config: Config
    classes: list[str]
    step: int
    text: SavedEncoder | None = None
