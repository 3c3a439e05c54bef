"""What the page of play.py asks for, and of whom."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

EACH = "one of each class"
MOST = 16  # pictures at once


@dataclass(frozen=True)
class Wish:
    """What is to be drawn, and how.

    Attributes:
        what: a class, EACH, or a prompt; nothing for a model without labels.
        number: of pictures, 1 .. MOST; of each class one where `what` is EACH.
        sampler: one of `Playground.samplers`.
        steps: of the chain; None for the sampler's own number.
        eta: noise of ddim, dpm++ and deis, 0 .. 1.
        guidance: scale; None for no guidance.
        seed: same seed, same pictures.
    """

    what: str = EACH
    number: int = 4
    sampler: str = "own"
    steps: int | None = None
    eta: float = 0.0
    guidance: float | None = None
    seed: int = 0


class Playground(ABC):
    """What can be done with a trained model; pictures are uint8 arrays [H, W, 3].

    Attributes:
        samplers: those that this edition has; "own" is last, as it starts from noise of its own.
        classes: names of the classes; none for a model without labels, or of texts.
        reads_text: whether a prompt says what to draw.
        can_edit: whether drawings can be finished and filled.
        can_guide: whether the model was trained to be guided.
        are_points: whether it draws points of the plane.
        about: the model in a sentence.
        prompt: a text that it has seen, where it reads texts.
    """

    samplers: list[str]
    classes: list[str]
    reads_text: bool
    can_edit: bool
    can_guide: bool
    are_points: bool
    about: str
    prompt: str

    @abstractmethod
    def usual_steps(self) -> tuple[int, int]:
        """Steps to begin with, and the most that there are."""

    @abstractmethod
    def choices(self) -> list[str]:
        """What can be drawn, where that is a class."""

    @abstractmethod
    def draw(self, wish: Wish) -> Iterator[np.ndarray]:
        """Draw, and show the chain on the way: the last picture is the result.

        Raises UserError for what the model cannot do.
        """

    @abstractmethod
    def finish(self, drawing: np.ndarray | None, wish: Wish, strength: float) -> np.ndarray:
        """Turn a drawing into what the model draws, by SDEdit.

        Args:
            drawing: white on black, uint8 [H, W] or [H, W, 3]; None where nothing was drawn.
            wish: what it shows, and with which steps and seed; the sampler is DDIM.
            strength: above 0 to 1: how much of it to replace.

        Raises UserError for an empty drawing, and a model that cannot.
        """

    @abstractmethod
    def fill(self, picture: np.ndarray | None, erased: np.ndarray, wish: Wish) -> np.ndarray:
        """Draw the erased part of a picture again, so that it fits the rest, by RePaint.

        Args:
            picture: uint8 [H, W] or [H, W, 3].
            erased: above 0 where it was erased, [H', W'].
            wish: as in `finish`.

        Raises UserError where nothing was erased, or all of it, and for a model that cannot.
        """

    @abstractmethod
    def blank(self) -> np.ndarray:
        """A black picture to draw on."""

    @abstractmethod
    def one(self, wish: Wish) -> np.ndarray:
        """One picture, large enough to paint on."""
