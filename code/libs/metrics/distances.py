"""Nearest neighbours without holding all distances at once, and cells of near points."""

import torch
from torch import Tensor

from ..runtime.progress import counted

QUERIES, POINTS = 512, 8192  # distances held at once
NUM_STEPS = 20  # of k-means
AT_MOST = 10_000  # points that its cells are fitted to


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


def k_means(points: Tensor, num_cells: int, seed: int) -> Tensor:
    """Lloyd's k-means: centres of cells, float32 [num_cells, D], for points [N, ...]."""
    order = torch.randperm(len(points), generator=torch.Generator().manual_seed(seed))
    points = points[order[:AT_MOST].to(points.device)].flatten(1).float()
    centres = points[:num_cells].clone()
    for _ in range(NUM_STEPS):
        cells = nearest(points, centres, 1)[1][:, 0]
        sums = torch.zeros_like(centres).index_add_(0, cells, points)
        sizes = cells.bincount(minlength=num_cells)[:, None]
        centres = torch.where(sizes > 0, sums / sizes.clamp(min=1), centres)
    return centres
