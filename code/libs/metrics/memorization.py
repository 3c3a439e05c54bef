"""Three tests of whether samples are copies of training images.

All work on rows of numbers, pixels or features, by Euclidean distance. What counts as small depends
on the data set: verdict.py compares with real images that the model has not seen.
"""

import math

import torch
from torch import Tensor

from ..utils import UserError
from .distances import k_means, nearest

TINY = 1e-12  # keeps an exact copy of an image that the data holds twice from being 0 / 0
ENOUGH = 20  # images in a cell for the normal approximation of the Mann-Whitney test


def nearest_neighbour_ratio(samples: Tensor, train: Tensor) -> Tensor:
    """Distance to the nearest training image over the distance to the second nearest.

    A copy is close to one image and as far as usual from all others: below 1/3 is suspicious (Yoon
    et al. 2023, "Diffusion Probabilistic Models Generalize when They Fail to Memorize").

    Args:
        samples: [N, ...].
        train: training images or their features, [M, ...], M at least 2.

    Returns:
        Ratios in [0, 1], float32 [N]; 0 for an exact copy.
    """
    # TODO: Find the two nearest training images of each sample with `nearest` (distances.py) and
    # divide the smaller distance by the larger. Keep the denominator above 0 (Yoon et al. 2023).
    # BEGIN SOLUTION bonus_evaluation
    distances, _ = nearest(samples, train, 2)
    return distances[:, 0] / distances[:, 1].clamp(min=TINY)
    # END SOLUTION


def calibrated_distance(
    samples: Tensor, train: Tensor, num_neighbours: int = 50, alpha: float = 0.5
) -> Tensor:
    """Distance to the nearest training image, relative to how dense the data is there.

    The unit is alpha times the mean distance to the sample's nearest training images, so that small
    values tell copies from samples of a crowded region (Carlini et al. 2023, "Extracting Training
    Data from Diffusion Models", section 5).

    Args:
        samples: [N, ...].
        train: training images or their features, [M, ...].
        num_neighbours: nearest training images that the mean is over, at most M.
        alpha: scale of the unit.

    Returns:
        Non-negative values, float32 [N]; 0 for an exact copy, 1 / alpha at most.
    """
    distances, _ = nearest(samples, train, min(num_neighbours, len(train)))
    return distances[:, 0] / (alpha * distances.mean(dim=1)).clamp(min=TINY)


def c_t(samples: Tensor, train: Tensor, test: Tensor, num_cells: int, seed: int) -> float:
    """The data-copying statistic C_T (Meehan et al. 2020, "A Non-Parametric Test to Detect
    Data-Copying in Generative Models").

    In each cell of a k-means partition of the training images, a Mann-Whitney test compares how far
    samples and held-out images are from the training images. The z-scores are averaged over the
    cells that hold at least 20 of both, weighted by the cells' held-out images.

    Args:
        samples, train, test: [N, ...], [M, ...] and [H, ...].
        num_cells: cells of the partition.
        seed: of the partition.

    Returns:
        About 0 where samples are as far from the training images as held-out images are; below -3
        they are closer, that is copies; far above 0 they are unlike real images.

    Raises:
        UserError: no cell holds enough samples and enough held-out images.
    """
    centres = k_means(train, num_cells, seed)
    cell_of_sample, cell_of_test = (nearest(x, centres, 1)[1][:, 0] for x in (samples, test))
    of_samples, of_test = (nearest(x, train, 1)[0][:, 0] for x in (samples, test))
    total = weight = 0.0
    for cell in range(num_cells):
        here, held_out = of_samples[cell_of_sample == cell], of_test[cell_of_test == cell]
        if min(len(here), len(held_out)) >= ENOUGH:
            total += len(held_out) * mann_whitney_z(here, held_out)
            weight += len(held_out)
    if not weight:
        raise UserError(
            f"C_T needs a cell with {ENOUGH} samples and {ENOUGH} held-out images, but none of "
            f"{num_cells} holds that many of {len(samples)} and {len(test)}: draw more with --num"
        )
    return total / weight


def mann_whitney_z(x: Tensor, y: Tensor) -> float:
    """The z-score of how often values of x [N] exceed values of y [M]; ties count half."""
    y = y.sort().values
    smaller, not_larger = torch.searchsorted(y, x), torch.searchsorted(y, x, right=True)
    u = (smaller + not_larger).sum().item() / 2
    n, m = len(x), len(y)
    return (u - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)
