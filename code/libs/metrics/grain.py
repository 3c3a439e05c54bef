"""Grain: whether neighbouring pixels of samples are as similar as in real images.

Features of a classifier hardly see noise of a few grey levels, and a power spectrum does not see it
beside the edges of pen strokes. The differences between neighbouring pixels do: most of them are
near 0 in real images, digits and photographs alike.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

LEVELS = 256  # a difference of two bytes is one of 0 .. 255


def difference_counts(batches: Iterable[Tensor]) -> Tensor:
    """How often neighbouring pixels differ by 0, 1, ... 255 grey levels.

    Neighbours are one beside or one above the other, in the same channel.

    Args:
        batches: images, uint8 [B, C, H, W] each.

    Returns:
        Counts, int64 [256].
    """
    counts = torch.zeros(LEVELS, dtype=torch.long)
    for images in batches:
        for axis in (2, 3):
            differences = images.to(torch.int16).diff(dim=axis).abs()
            counts += differences.flatten().long().bincount(minlength=LEVELS)
    return counts


def grain_distance(counts1: Tensor, counts2: Tensor) -> float:
    """How far two sets of images are apart in the differences between their neighbouring pixels.

    It is the Wasserstein distance between the two distributions of log2(1 + difference): grain
    makes small differences large, blur makes large ones small. The logarithm makes one grey level
    in a flat area count as much as the doubling of an edge.

    Args:
        counts1, counts2: see `difference_counts`.

    Returns:
        The distance: 0 for equal distributions, 1 where all large differences are doubled.
    """
    shares = [counts.double() / counts.sum().clamp(min=1) for counts in (counts1, counts2)]
    gap = (shares[0] - shares[1]).cumsum(dim=0).abs()
    width = (1 + torch.arange(LEVELS, dtype=torch.double)).log2().diff()
    return (gap[:-1] * width).sum().item()
