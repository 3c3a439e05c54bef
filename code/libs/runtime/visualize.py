"""Pictures: grids of samples, films of the reverse process, training curves."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision.utils import make_grid

from ..utils import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CELL = 64  # pixels: smaller images are enlarged to about this size
POINT, CLOUD = (2, 1, 1), 256  # shape of an image that is a point, pixels of their pictures' sides
PADDING_GREY = 0.5
PADDING = 4  # pixels
LOWER_IS_BETTER = ("fid", "kid", "grain")  # of the scores in training; of all others, higher
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
SMALLEST, LARGEST = 11, 20  # pixels of the letters in the margins


def image_grid(images: Tensor, columns: int) -> Tensor:
    """Lay images [N, C, H, W] in [0, 1] out in rows, as uint8 [3, H', W'].

    Small images are enlarged by a whole factor, so that every pixel becomes a crisp square. Points
    of the plane are all drawn into one picture.
    """
    if tuple(images.shape[1:]) == POINT:
        return point_cloud(images).mul(255).to(torch.uint8).expand(3, -1, -1)
    factor = max(1, math.ceil(CELL / max(images.shape[-2:])))
    images = images.repeat_interleave(factor, dim=-1).repeat_interleave(factor, dim=-2)
    grid = make_grid(images, nrow=columns, padding=PADDING, pad_value=PADDING_GREY)
    return grid.mul(255).round().to(torch.uint8)


def point_cloud(points: Tensor) -> Tensor:
    """Points of the plane, images [N, 2, 1, 1] in [0, 1], as one picture [1, 256, 256] in [0, 1].

    What is on the border was beyond it, and is left out.
    """
    x, y = (
        points[(points > 0).all(dim=1).flatten() & (points < 1).all(dim=1).flatten()].flatten(1).T
    )
    picture = torch.zeros(CLOUD, CLOUD)
    picture[((1 - y) * CLOUD).long().clamp(max=CLOUD - 1), (x * CLOUD).long()] = 1
    return 1 - F.max_pool2d(picture[None], 3, stride=1, padding=1)


def captioned_grid(images: Tensor, captions: Sequence[str], columns: int) -> Tensor:
    """Lay images [N, C, H, W] in [0, 1] out in rows, each over its caption; as `image_grid`.

    Captions are wrapped to the width of their image; rows are as high as their longest one needs.
    """
    factor = max(1, math.ceil(CELL / max(images.shape[-2:])))
    width = factor * images.shape[-1]
    font = ImageFont.load_default(max(10, width // 24))
    rows = []
    for first in range(0, len(images), columns):
        row = image_grid(images[first : first + columns], columns)
        texts = [_wrapped(text, font, width) for text in captions[first : first + columns]]
        pen = ImageDraw.Draw(Image.new("RGB", (1, 1)))
        height = math.ceil(max(pen.multiline_textbbox((0, 0), text, font)[3] for text in texts))
        strip = Image.new("RGB", (row.shape[2], height + PADDING), "white")
        for i, text in enumerate(texts):
            place = PADDING + i * (width + PADDING), 0
            ImageDraw.Draw(strip).multiline_text(place, text, "black", font)
        rows += [row, torch.from_numpy(np.array(strip)).permute(2, 0, 1)]
    full = max(row.shape[2] for row in rows)  # the last row may be shorter
    return torch.cat([F.pad(row, (0, full - row.shape[2]), value=255) for row in rows], dim=1)


def with_margins(grid: Tensor, above: Sequence[str] = (), beside: Sequence[str] = ()) -> Tensor:
    """Write names above the columns of a grid and beside its rows, uint8 [3, H', W'].

    Where a name is wider than its column, all names are turned to run upwards; what is too long
    for its place is cut.

    Args:
        grid: as `image_grid` gives it, uint8 [3, H, W].
        above: one per column, of equal widths.
        beside: one per row, or per block of rows, of equal heights.
    """
    above, beside = ([" ".join(text.split()) for text in texts] for texts in (above, beside))
    if not any([*above, *beside]):
        return grid
    picture = to_pil(grid)
    width, height = (
        (side - PADDING) / max(1, n)
        for side, n in ((picture.width, len(above)), (picture.height, len(beside)))
    )
    size = int(min(LARGEST, max(SMALLEST, min(width, height) / 8)))
    font = ImageFont.load_default(size)
    line = size + PADDING
    turned = any(font.getlength(text) > width - PADDING for text in above)
    longest = 12 * size if turned else math.floor(width)
    tops = [_written(_cut(text, font, longest), font, line) for text in above]
    tops = [top.rotate(90, expand=True) if turned else top for top in tops]
    lines = max(1, int((height - 2 * PADDING) // line))
    sides = [_written(_few_lines(text, font, 8 * size, lines), font, line) for text in beside]
    left = max((side.width for side in sides), default=0)
    top = max((text.height for text in tops), default=0)
    page = Image.new("RGB", (left + picture.width, top + picture.height), "white")
    page.paste(picture, (left, top))
    for i, text in enumerate(tops):
        middle = left + (PADDING + i * width + PADDING / 2 + (i + 1) * width) / 2
        page.paste(text, (round(middle - text.width / 2), top - text.height))
    for i, text in enumerate(sides):
        middle = top + PADDING / 2 + (i + 0.5) * height
        page.paste(text, (0, round(middle - text.height / 2)))
    return torch.from_numpy(np.array(page)).permute(2, 0, 1)


def _written(text: str, font: Font, line: int) -> Image.Image:
    """Black on white, as large as the text needs; `line` is the height of one line."""
    lines = text.split("\n")
    width = math.ceil(max(font.getlength(each) for each in lines)) + 2 * PADDING
    page = Image.new("RGB", (width, line * len(lines) + PADDING), "white")
    for i, each in enumerate(lines):
        ImageDraw.Draw(page).text((PADDING, i * line), each, "black", font)
    return page


def _cut(text: str, font: Font, width: int) -> str:
    """The text, or as much of its beginning as fits into a width."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}...") > width:
        text = text[:-1]
    return f"{text.rstrip()}..."


def _few_lines(text: str, font: Font, width: int, most: int) -> str:
    """The text wrapped to a width, and cut to a number of lines."""
    lines = _wrapped(text, font, width).split("\n")
    if len(lines) > most:
        lines[most - 1] = _cut(" ".join(lines[most - 1 :]), font, width)
    return "\n".join(lines[:most])


def _wrapped(text: str, font: Font, width: int) -> str:
    """The text with line breaks, so that no line is wider; a longer word is broken, too."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
            continue
        lines.append("")
        for letter in word:
            if font.getlength(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    return "\n".join(line for line in lines if line)


def save_image(image: Tensor, path: Path) -> None:
    """Write an image, uint8 [3, H, W] or float [C, H, W] in [0, 1], as PNG or by the suffix."""
    _save(to_pil(image), path)


def _save(picture: Image.Image, path: Path, **options: object) -> None:
    """Write a picture so that its file is either complete or not there."""
    Image.init()
    kind = Image.registered_extensions().get(path.suffix.lower())
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished:
        picture.save(unfinished, kind, **options)


def to_pil(image: Tensor) -> Image.Image:
    """A PIL picture of an image, uint8 [3, H, W] or float [C, H, W] in [0, 1]."""
    if image.dtype != torch.uint8:
        image = image.mul(255).round().to(torch.uint8)
    array = image.permute(1, 2, 0).numpy()
    return Image.fromarray(array.squeeze(-1) if array.shape[-1] == 1 else array)


def save_film(frames: Sequence[Tensor], path: Path, columns: int = 11) -> None:
    """Write a film of samples [N, C, H, W], x_T first.

    A path that ends in .gif becomes an animation that rests on the last frame; any other becomes a
    strip with one sample per row and time running to the right.
    """
    if tuple(frames[0].shape[1:]) == POINT:
        frames = [point_cloud(frame)[None] for frame in frames]
    if path.suffix.lower() == ".gif":
        rows = math.ceil(len(frames[0]) / 5)
        pictures = [to_pil(image_grid(f, math.ceil(len(f) / rows))) for f in frames]
        rest = 15
        pictures += pictures[-1:] * rest
        animation = {"save_all": True, "append_images": pictures[1:], "duration": 80, "loop": 0}
        return _save(pictures[0], path, **animation)
    columns = min(columns, len(frames))
    chosen = [frames[round(i * (len(frames) - 1) / max(1, columns - 1))] for i in range(columns)]
    strip = torch.stack(chosen, dim=1).flatten(0, 1)  # sample by sample, each over time
    ends = ["x_T", *[""] * (columns - 2), "x_0"] if columns > 1 else []
    save_image(with_margins(image_grid(strip, columns), ends), path)


@dataclass
class Panel:
    """One plot of a training curve: its title, and lines as (label, epochs, values, style)."""

    title: str
    lines: list[tuple[str, list[float], list[float], dict[str, Any]]]
    is_loss: bool = True

    @property
    def scale(self) -> str:
        """ "log" for a positive loss that changes tenfold, "from 0" for other losses, or "free".

        A scale that is cut off magnifies each gap.
        """
        values = [v for line in self.lines for v in line[2]]
        if not self.is_loss or not values or min(values) < 0:
            return "free"
        return "log" if 0 < 10 * min(values) < max(values) else "from 0"

    def draw(self, axes: "Axes") -> None:
        """Draw the lines on the panel's scale."""
        axes.set_title("\n".join(textwrap.wrap(self.title, 58)), fontsize=10)
        axes.set_xlabel("epoch")
        for label, epochs, values, style in self.lines:
            axes.plot(epochs, values, label=label, **style)
        if self.scale == "log":
            axes.set_yscale("log")
        elif self.scale == "from 0":
            axes.set_ylim(bottom=0)
        axes.set_xlim(left=0)
        axes.grid(alpha=0.3, which="both")
        if any(label for label, *_ in self.lines):
            axes.legend(fontsize=8)


def save_training_curve(history: dict[str, Any], path: Path) -> None:
    """Plot a run's history (see run_log.History) over epochs. Does nothing without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:  # optional: loss_history.json holds the numbers
        return
    panels = curve_panels(history)
    columns = 1 if len(panels) <= 2 else 2
    rows = math.ceil(len(panels) / columns)
    size = {1: (7, 4), 2: (7, 6.5)}.get(len(panels), (10, 3 * rows))
    figure = Figure(figsize=size, layout="constrained")
    places = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes, panel in zip(places, panels, strict=False):
        panel.draw(axes)
    for axes in places[len(panels) :]:
        axes.set_axis_off()
    with replacing(path) as partial:
        figure.savefig(partial, dpi=130, format="png")


def curve_panels(history: dict[str, Any]) -> list[Panel]:
    """What a training curve shows of a run's history, see run_log.History.

    Losses of training, validation and test images, which are measured alike, share a panel. The
    loss of the training batches joins them where it is the same quantity; else it has a panel of
    its own. Each score, and each part that the training's loss is made of, has one, too.
    """
    return _loss_panels(history) + _small_panels(history)


def _loss_panels(history: dict[str, Any]) -> list[Panel]:
    """The panels of what training minimised, and of the losses that are measured alike."""
    grey = {"color": "0.7"}
    batches = _line("training batches", history["epochs"], history["epoch_loss"], marker="o")
    if len(history["step_loss"]) > len(history["epochs"]):  # finer than one point per epoch
        label = "training batches, a few steps per point"
        batches = _line(label, history["step_epochs"], history["step_loss"], **grey)
    alike = [
        _line(f"{name}, averaged weights", history["epochs"], history[key], marker="o")
        for name, key in (
            ("train", "train_loss"),
            ("validation", "val_loss"),
            ("test", "test_loss"),
        )
    ]
    alike = [line for line in alike if line[1]]
    title, objective = history["loss_name"], history["objective_name"]
    if all(v is None for key in ("val_loss", "test_loss") for v in history[key]):
        return [Panel(objective, [batches])]  # nothing to compare with
    if title == objective:
        batches[3].update(grey)
        return [Panel(title, [batches, *alike])]
    return [Panel(title, alike), Panel(f"while training: {objective}", [batches])]


def _small_panels(history: dict[str, Any]) -> list[Panel]:
    """A panel for each score, and for each part of the training's loss that was ever used."""
    panels = []
    for of_epochs, key in (("epochs", "scores"), ("step_epochs", "step_parts")):
        entries = [entry or {} for entry in history[key]]
        for name in dict.fromkeys(name for entry in entries for name in entry):
            marks = {"marker": "o"} if key == "scores" else {"color": "0.5"}
            line = _line("", history[of_epochs], [entry.get(name) for entry in entries], **marks)
            if key == "scores":
                hint = " (lower is better)" if name in LOWER_IS_BETTER else ""
                panels.append(Panel(f"score: {name}{hint}", [line], is_loss=False))
            elif any(line[2]):
                panels.append(Panel(f"in training: {name}", [line]))
    return panels


def _line(label: str, epochs: list, values: list, **style: Any) -> tuple:
    """A line of the values that are not None."""
    points = [(e, v) for e, v in zip(epochs, values, strict=True) if v is not None]
    if "marker" in style:
        style["markersize"] = 3
    return label, [e for e, _ in points], [v for _, v in points], style
