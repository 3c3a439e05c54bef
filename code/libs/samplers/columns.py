"""What is in the columns of a grid of samples: classes, prompts, or nothing in particular."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..models.trained import TrainedModel
from ..runtime.progress import say
from ..runtime.visualize import captioned_grid, image_grid, with_margins
from ..text.contexts import number_prompts
from ..utils import UserError, default, did_you_mean, slug

UNLABELLED = 10  # columns of a grid of samples without labels


@dataclass(frozen=True)
class Wanted:
    """What sample.py was asked to draw; None for flags that were not given.

    Attributes:
        labels: classes, such as "0,1,2" or "cat,dog".
        prompt: texts.
        negative: a text to guide away from.
    """

    labels: str | None = None
    prompt: list[str] | None = None
    negative: str | None = None


@dataclass
class Columns:
    """The columns of a grid.

    Attributes:
        labels: what is drawn, one per column, and again in each row.
        names: of folders for each column's pictures.
        number: of columns in the grid.
        titles: what is written above the columns.
        captions: what is written below each picture of a column, or None.
    """

    labels: list[int]
    names: list[str]
    number: int
    titles: Sequence[str] = ()
    captions: list[str] | None = None

    def grid(self, blocks: Sequence[Tensor], names: Sequence[str] = ()) -> Tensor:
        """Lay blocks of images [N, C, H, W] in [0, 1] out, row by row, as uint8 [3, H', W'].

        Args:
            blocks: one below the other, each with the same columns.
            names: written beside the blocks, one each.
        """
        return with_margins(torch.cat([self._block(b) for b in blocks], dim=1), self.titles, names)

    def _block(self, images: Tensor) -> Tensor:
        if self.captions is None:
            return image_grid(images, self.number)
        rows = len(images) // self.number
        return captioned_grid(images, self.captions * rows, self.number)


def pick_columns(trained: TrainedModel, wanted: Wanted, guided: bool) -> Columns:
    """The columns for what the user wants to see.

    Args:
        trained: the model that draws.
        wanted: classes or prompts.
        guided: whether samples are drawn with guidance.

    Raises:
        UserError: flags that do not fit the model or each other, or `make_text_encoder`'s.
    """
    config, classes = trained.config, trained.classes
    if config.model.context == "tokens":
        return _of_prompts(trained, wanted, guided)
    for flag, value in (("--prompt", wanted.prompt), ("--negative", wanted.negative)):
        if value is not None:
            raise UserError(
                f"{flag}: the model was trained with classes, not with texts; choose them with "
                "--labels"
            )
    if config.model.conditional:
        labels = pick_labels(wanted.labels, classes, config.model.num_classes)
        titles = [classes[label] if label < len(classes) else str(label) for label in labels]
        names = [
            _class_folder(label, title, classes)
            for label, title in zip(labels, titles, strict=True)
        ]
        return Columns(labels, names, len(labels), titles)
    if wanted.labels is None:
        return Columns([0], [""], UNLABELLED)
    raise UserError("--labels: the model was trained without labels; leave the flag out")


def pick_labels(text: str | None, classes: list[str], num_classes: int) -> list[int]:
    """Turn "0,2" or "cat,wild" into class indices; None means all classes of the data set."""
    if text is None:
        return list(range(len(classes)))
    labels = []
    for entry in text.split(","):
        entry = entry.strip()
        label = classes.index(entry) if entry in classes else entry
        if not str(label).lstrip("-").isdigit() or not 0 <= int(label) < num_classes:
            known = " or " + ", ".join(classes[:20]) + (" ..." if len(classes) > 20 else "")
            if classes == [str(number) for number in range(len(classes))]:
                known = ""
            raise UserError(
                f"--labels: there is no class '{entry}'{did_you_mean(entry, classes)}; use 0 to "
                f"{num_classes - 1}{known}"
            )
        labels.append(int(label))
    return labels


def _of_prompts(trained: TrainedModel, wanted: Wanted, guided: bool) -> Columns:
    if wanted.labels is not None:
        raise UserError("--labels: the model draws what a text says, not classes; use --prompt")
    if wanted.negative is not None and not guided:
        raise UserError(
            "--negative: without guidance there is nothing to guide away from; add --guidance 7.5"
        )
    if wanted.prompt is None:
        say("no --prompt: drawing captions of training images")
    prompts = default(wanted.prompt, trained.classes)
    labels = number_prompts(trained, prompts, wanted.negative)
    names = [slug(f"{label:02d} {prompt}") for label, prompt in zip(labels, prompts, strict=True)]
    return Columns(labels, names, len(labels), captions=prompts)


def _class_folder(label: int, name: str, classes: Sequence[str]) -> str:
    """A class's name, with its number where another differs in case alone, as EMNIST's A and a."""
    alike = sum(other.casefold() == name.casefold() for other in classes)
    return f"{label}-{name}" if alike > 1 else name
