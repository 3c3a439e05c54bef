"""What the trainer asks of a model: data, one step, losses, pictures, and what to save."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from ..datasets import Images, Splits


@dataclass
class StepResult:
    """What one step did: the loss over all processes, the gradient's norm before clipping."""

    loss: float
    grad_norm: float
    learning_rate: float
    finite: bool  # False: the loss or its gradient was NaN or infinite, the step was skipped
    parts: list[float] = field(default_factory=list)  # other numbers that the loss came with
    outputs: list[Tensor] = field(default_factory=list)  # of the loss, one for each part of a batch


@dataclass
class Picture:
    """What the averaged model can do.

    Attributes:
        name: of the files of such pictures.
        grid: the picture, uint8 [3, H, W].
        images: the images in it, in [0, 1], row by row, [N, C, H, W]; None where it is not a plain
            grid of images.
        columns: names of the columns of such a grid, one each.
        film: the chains of its first images, x_T first, [S, C, H, W] in [0, 1] each.
        steps: of the chain.
    """

    name: str
    grid: Tensor
    images: Tensor | None = None
    columns: Sequence[str] = ()
    film: Sequence[Tensor] = ()
    steps: int = 0


@dataclass
class NoiseLevels:
    """The averaged model's loss at several noise levels.

    Attributes:
        levels: sigma / alpha of x = alpha x_0 + sigma noise.
        losses: one for each.
    """

    levels: Sequence[float]
    losses: Sequence[float]


class Learner(ABC):
    """A model with its data, as a Trainer trains it.

    Attributes:
        kind: what is trained, as checkpoints and messages call it.
        model: all that `state_dict` saves, on its device.
        splits: the images; `classes` are named after the training images' folders.
        classes: names of the classes.
        loss_name: what `evaluate` returns, such as "mean squared error of the noise".
        objective_name: what `step` minimises: often the same, drawn or weighed otherwise, or more.
        loss_code: where the loss is written, for messages.
    """

    kind: str
    model: nn.Module
    splits: Splits
    classes: list[str]
    loss_name: str
    objective_name: str
    loss_code: str

    @abstractmethod
    def describe(self) -> str:
        """The model in a few words."""

    @abstractmethod
    def measure(self, batch_size: int) -> None:
        """Take from the data what a new run needs to know of it; a resumed one knows it."""

    @abstractmethod
    def begin_epoch(self, epoch: int) -> None:
        """Prepare for the steps of an epoch, counted from 0."""

    @abstractmethod
    def step(self, number: int, steps_per_epoch: int, images: Tensor, labels: Tensor) -> StepResult:
        """Update the weights once.

        Args:
            number: the step, counted from 0 over the whole run; everything random follows from it.
            steps_per_epoch: what the learning rate's schedule counts in.
            images: this process's share of the batch, in [0, 1], or cached latents, [B, C, H, W].
            labels: class indices, LongTensor [B].
        """

    @abstractmethod
    def evaluate(self, dataset: Images, batch_size: int) -> float:
        """The averaged model's loss on a data set, the same every time; for the first process."""

    def part_names(self) -> list[str]:
        """Names of the numbers in StepResult.parts."""
        return []

    def scores(self) -> dict[str, float]:
        """How good the averaged model is, by name, beside its loss.

        It is called in all processes, and what the first one returns counts. Random states stay as
        they were.
        """
        return {}

    @abstractmethod
    def picture(self) -> Picture | None:
        """A picture of what the averaged model can do; None where none is asked for."""

    def noise_levels(self) -> NoiseLevels | None:
        """The averaged model's loss by noise level on a few images; None where there is no noise.

        Random states stay as they were.
        """
        return None

    def findings(
        self, step: int, is_over: bool, losses: Sequence[float | None], picture: Picture | None
    ) -> list[str]:
        """What is off with the run, in a sentence each, the first one the likely cause.

        Random states stay as they were.

        Args:
            step: updates so far.
            is_over: whether no other will follow.
            losses: the mean of each epoch.
            picture: what was drawn at this step, if anything was.
        """
        return []

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs to go on."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint, as `checkpoint.read` returns it."""
