"""Pictures: grids of samples, films of the reverse process, training curves."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision.utils import make_grid

CELL = 64  # pixels: smaller images are enlarged to about this size
CAPTIONED_CELL = 128  # room for a few words a line
PADDING_GREY = 0.5


def image_grid(images: Tensor, columns: int) -> Tensor:
    """Lay images [N, C, H, W] in [0, 1] out in rows, as uint8 [3, H', W'].

    Small images are enlarged by a whole factor, so that every pixel becomes a crisp square.
    """
    factor = max(1, math.ceil(CELL / max(images.shape[-2:])))
    images = images.repeat_interleave(factor, dim=-1).repeat_interleave(factor, dim=-2)
    grid = make_grid(images, nrow=columns, padding=4, pad_value=PADDING_GREY)
    return grid.mul(255).round().to(torch.uint8)


def captioned_grid(images: Tensor, captions: Sequence[str], columns: int) -> Tensor:
    """Lay images [N, C, H, W] in [0, 1] out in rows, as uint8 [3, H', W'], their captions below.

    Small images are enlarged as by `image_grid`; captions are wrapped to the pictures' width.
    """
    factor = max(1, math.ceil(CAPTIONED_CELL / max(images.shape[-2:])))
    images = images.expand(-1, 3, -1, -1)
    images = images.repeat_interleave(factor, dim=-1).repeat_interleave(factor, dim=-2)
    width = images.shape[-1]
    font = ImageFont.load_default()
    wrapped = ["\n".join(_wrap(caption, font, width)) for caption in captions]
    height = max(math.ceil(_text_box(text, font)[1]) for text in wrapped) + 4
    cells = []
    for image, text in zip(images, wrapped, strict=True):
        below = Image.new("RGB", (width, height), "white")
        ImageDraw.Draw(below).multiline_text((0, 0), text, "black", font)
        below = torch.from_numpy(np.array(below)).permute(2, 0, 1) / 255
        cells.append(torch.cat([image.cpu().float(), below], dim=1))
    grid = make_grid(torch.stack(cells), nrow=columns, padding=4, pad_value=1.0)
    return grid.mul(255).round().to(torch.uint8)


def _wrap(text: str, font: ImageFont.ImageFont, width: int) -> list[str]:
    """Break a text into lines of at most `width` pixels, between words where that is possible."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:  # a word may be longer than a line
            if font.getlength(lines[-1] + letter) > width and lines[-1]:
                lines.append("")
            lines[-1] += letter
    return lines


def _text_box(text: str, font: ImageFont.ImageFont) -> tuple[float, float]:
    """Right and bottom edge of a text that is written from (0, 0) on."""
    return ImageDraw.Draw(Image.new("RGB", (1, 1))).multiline_textbbox((0, 0), text, font)[2:]


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
