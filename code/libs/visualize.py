"""Pictures: grids of samples, films of the reverse process, training curves."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision.utils import make_grid

CELL = 64  # pixels: smaller images are enlarged to about this size
PADDING_GREY = 0.5
PADDING = 4  # pixels


def image_grid(images: Tensor, columns: int) -> Tensor:
    """Lay images [N, C, H, W] in [0, 1] out in rows, as uint8 [3, H', W'].

    Small images are enlarged by a whole factor, so that every pixel becomes a crisp square.
    """
    factor = max(1, math.ceil(CELL / max(images.shape[-2:])))
    images = images.repeat_interleave(factor, dim=-1).repeat_interleave(factor, dim=-2)
    grid = make_grid(images, nrow=columns, padding=PADDING, pad_value=PADDING_GREY)
    return grid.mul(255).round().to(torch.uint8)


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


def _wrapped(text: str, font: ImageFont.ImageFont, width: int) -> str:
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
    path.parent.mkdir(parents=True, exist_ok=True)
    to_pil(image).save(path)


def to_pil(image: Tensor) -> Image.Image:
    """A PIL picture of an image, uint8 [3, H, W] or float [C, H, W] in [0, 1]."""
    if image.dtype != torch.uint8:
        image = image.mul(255).round().to(torch.uint8)
    array = image.permute(1, 2, 0).numpy()
    return Image.fromarray(array.squeeze(-1) if array.shape[-1] == 1 else array)


def save_film(frames: Sequence[Tensor], path: Path, columns: int = 11) -> None:
    """Write a film of samples [N, C, H, W], x_T first.

    A path that ends in .gif becomes an animation that rests on the last frame; any other becomes a
    strip with one sample a row and time running to the right.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() == ".gif":
        rows = math.ceil(len(frames[0]) / 5)
        pictures = [to_pil(image_grid(f, math.ceil(len(f) / rows))) for f in frames]
        rest = 15
        pictures += pictures[-1:] * rest
        pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=80, loop=0)
        return
    columns = min(columns, len(frames))
    chosen = [frames[round(i * (len(frames) - 1) / max(1, columns - 1))] for i in range(columns)]
    strip = torch.stack(chosen, dim=1).flatten(0, 1)  # sample by sample, each over time
    save_image(image_grid(strip, columns), path)


def save_training_curve(history: dict[str, list], path: Path) -> None:
    """Plot a loss history (see run_log.History) over epochs. Does nothing without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:  # optional: loss_history.json holds the numbers
        return
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot(
        xlabel="epoch", ylabel="loss (mean squared error of the noise)", yscale="log"
    )
    if len(history["step_loss"]) > len(history["epochs"]):  # finer than one point an epoch
        losses = [math.nan if v is None else v for v in history["step_loss"]]
        axes.plot(history["step_epochs"], losses, color="0.75", label="train, a few steps each")
    for name, label in (("train_loss", "train"), ("val_loss", "validation"), ("test_loss", "test")):
        points = [
            (e, v) for e, v in zip(history["epochs"], history[name], strict=True) if v is not None
        ]
        if points:
            axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=label)
    axes.grid(alpha=0.3, which="both")
    if axes.lines:
        axes.legend()
    figure.savefig(path, dpi=130)
