"""Nearest neighbours without holding all distances at once."""

import torch
from torch import Tensor

from ..runtime.progress import counted

QUERIES, POINTS = 512, 8192  # distances held at once


def nearest(queries: Tensor, points: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k nearest points of each query, by Euclidean distance.

    Args:
        queries: [N, ...], flattened to [N, D] and compared in float32.
        points: [M, ...] with the same D, M at least k.

    Returns:
        Distances, float32 [N, k], the nearest first, and indices of the points, int64 [N, k].
    """
    queries, points = queries.flatten(1), points.flatten(1)
    chunks = counted(queries.split(QUERIES), len(queries), "looking for neighbours")
    found = [_nearest_to_chunk(chunk.float(), points, k) for chunk in chunks]
    distances, indices = zip(*found, strict=True)
    return torch.cat(distances), torch.cat(indices)


def _nearest_to_chunk(queries: Tensor, points: Tensor, k: int) -> tuple[Tensor, Tensor]:
    best = queries.new_empty(len(queries), 0)
    indices = torch.empty(len(queries), 0, dtype=torch.long, device=queries.device)
    for start in range(0, len(points), POINTS):
        distances = torch.cdist(queries, points[start : start + POINTS].float())
        here = torch.arange(start, start + distances.shape[1], device=queries.device)
        best = torch.cat([best, distances], dim=1)
        indices = torch.cat([indices, here.expand_as(distances)], dim=1)
        best, order = best.topk(min(k, best.shape[1]), dim=1, largest=False)
        indices = indices.gather(1, order)
    # cdist multiplies matrices, which loses the digits of small distances: those of copies
    exact = [(queries - points[column].float()).norm(dim=1) for column in indices.T]
    best, order = torch.stack(exact, dim=1).sort(dim=1, stable=True)
    return best, indices.gather(1, order)
