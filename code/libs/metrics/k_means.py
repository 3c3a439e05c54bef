"""Lloyd's k-means, for dividing a space into cells."""

import torch
from torch import Tensor

from .distances import nearest

NUM_STEPS = 20
AT_MOST = 10_000  # points that the cells are fitted to


def k_means(points: Tensor, num_cells: int, seed: int) -> Tensor:
    """The centres of `num_cells` cells, float32 [num_cells, D], for points [N, ...]."""
    order = torch.randperm(len(points), generator=torch.Generator().manual_seed(seed))
    points = points[order[:AT_MOST].to(points.device)].flatten(1).float()
    centres = points[:num_cells].clone()
    for _ in range(NUM_STEPS):
        cells = nearest(points, centres, 1)[1][:, 0]
        sums = torch.zeros_like(centres).index_add_(0, cells, points)
        sizes = cells.bincount(minlength=num_cells)[:, None]
        centres = torch.where(sizes > 0, sums / sizes.clamp(min=1), centres)
    return centres
