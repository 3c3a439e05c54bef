"""What the trainer asks of a model: data, one step, losses, pictures, and what to save."""

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn

from ..datasets import Images, Splits
from .updater import StepResult


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
    def picture(self) -> tuple[str, Tensor] | None:
        """A name, and a picture of what the averaged model can do, uint8 [3, H, W]."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs to go on."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint, as `checkpoint.read` returns it."""
