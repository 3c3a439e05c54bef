"""Precision and recall of samples: how many look real, and how much of the real they cover.

Paper: Kynkäänniemi et al. 2019, "Improved Precision and Recall Metric for Assessing Generative
Models", eq. 1 and 2.
"""

import torch
from torch import Tensor

from .distances import POINTS, QUERIES, nearest

K = 3


def precision_recall(generated: Tensor, real: Tensor) -> tuple[float, float]:
    """The share of samples on the manifold of real images, and the share of the opposite.

    The manifold of a set is the union of balls around its points, each of which reaches to the
    point's third nearest neighbour.

    Args:
        generated, real: features, floating point [N, D] and [M, D], at least 4 rows each.

    Returns:
        Precision and recall, in [0, 1].
    """
    return _share_inside(generated, real), _share_inside(real, generated)


def _share_inside(queries: Tensor, points: Tensor) -> float:
    """The share of queries that are in the ball of at least one point."""
    radii = nearest(points, points, K + 1)[0][:, K]  # the nearest is the point itself
    inside = torch.zeros(len(queries), dtype=torch.bool, device=queries.device)
    for start in range(0, len(queries), QUERIES):
        chunk = slice(start, start + QUERIES)
        for first in range(0, len(points), POINTS):
            ball = slice(first, first + POINTS)
            distances = torch.cdist(queries[chunk].float(), points[ball].float())
            inside[chunk] |= (distances <= radii[ball]).any(dim=1)
    return inside.double().mean().item()
