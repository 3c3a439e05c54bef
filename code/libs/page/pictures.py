"""Pictures inside a page: tensors as data: URLs of a bounded size."""

import base64
import io
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ..runtime.visualize import PADDING_GREY, to_pil

CELL = 64  # pixels: smaller images are enlarged to about this size,
FRAME = 32  # and those of a film to at most this one
GAP = 2  # pixels between images
JPEG_QUALITY = 85


def cells(images: Tensor, columns: int) -> Tensor:
    """Lay images [N, C, H, W] in [0, 1] out in rows, as [C, H', W'] in [0, 1].

    Small images are enlarged smoothly: digits of 8x8 pixels are read more easily than as squares.
    """
    images = _enlarged(images, math.ceil(CELL / max(images.shape[-2:])))
    missing = -len(images) % columns
    images = F.pad(images, (0, GAP, 0, GAP), value=PADDING_GREY)
    images = F.pad(images, (0, 0) * 3 + (0, missing), value=PADDING_GREY)
    number, channels, height, width = images.shape
    rows = images.view(number // columns, columns, channels, height, width)
    grid = rows.permute(2, 0, 3, 1, 4).reshape(channels, -1, columns * width)
    return grid[:, :-GAP, :-GAP]


def film_strip(frames: Sequence[Tensor]) -> Tensor:
    """A film of S samples in one picture: a frame per row, a sample per column.

    Args:
        frames: at least one, [S, C, H, W] in [0, 1] each, x_T first.

    Returns:
        [C, frames * H', S * W'] in [0, 1], where H' and W' are H and W or a multiple of them.
    """
    factor = FRAME // max(frames[0].shape[-2:])
    strip = torch.stack([_enlarged(frame, factor) for frame in frames])  # [T, S, C, H, W]
    return strip.permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2)


def _enlarged(images: Tensor, factor: int) -> Tensor:
    """Images [N, C, H, W] in [0, 1], smoothly enlarged by a whole factor above 1."""
    if factor <= 1:
        return images
    return F.interpolate(images, scale_factor=factor, mode="bicubic").clamp(0, 1)


def data_url(image: Tensor, most: int) -> str:
    """A picture as a data: URL whose file has at most about `most` bytes.

    What is larger as PNG becomes a JPEG, and is halved in size until it fits.

    Args:
        image: uint8 [3, H, W], or float [C, H, W] in [0, 1].
    """
    picture = to_pil(image)
    content, kind = _encoded(picture, "png", optimize=True), "png"
    while len(content) > most and min(picture.size) > 1:
        if kind == "jpeg":
            picture = picture.resize(
                [side // 2 or 1 for side in picture.size], Image.Resampling.BOX
            )
        content, kind = _encoded(picture, "jpeg", quality=JPEG_QUALITY), "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()
