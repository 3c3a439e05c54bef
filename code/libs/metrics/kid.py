"""Kernel distance between two sets of features: the KID if they are Inception's.

Paper: Binkowski et al. 2018, "Demystifying MMD GANs". Unlike the FID it is not biased where images
are few.
"""

import torch
from torch import Tensor

NUM_SUBSETS = 100
SUBSET_SIZE = 1000


def squared_mmd(x: Tensor, y: Tensor) -> float:
    """The unbiased squared maximum mean discrepancy of two sets of features.

    The kernel is k(x, y) = (x.y / D + 1)^3 (Binkowski et al. 2018, section 4).

    Args:
        x, y: features, float64 [N, D] and [M, D], at least 2 rows each.

    Returns:
        An estimate that may be a little below 0.
    """

    def mean_of_pairs(z: Tensor) -> Tensor:
        k = _kernel(z, z)
        return (k.sum() - k.trace()) / (len(z) * (len(z) - 1))  # no image with itself

    return (mean_of_pairs(x) + mean_of_pairs(y) - 2 * _kernel(x, y).mean()).item()


def kernel_distance(x: Tensor, y: Tensor, seed: int = 0) -> tuple[float, float | None]:
    """The KID: the mean over 100 random subsets of at most 1000 images of each set.

    Args:
        x, y: features, floating point [N, D] and [M, D], at least 2 rows each.
        seed: of the subsets.

    Returns:
        The mean and its standard error over the subsets; None where every subset holds all images,
        so that nothing varies.
    """
    x, y = x.double(), y.double()
    size = min(SUBSET_SIZE, len(x), len(y))
    if size == len(x) == len(y):
        return squared_mmd(x, y), None
    generator = torch.Generator().manual_seed(seed)

    def subset(z: Tensor) -> Tensor:
        return z[torch.randperm(len(z), generator=generator)[:size]]

    values = torch.tensor([squared_mmd(subset(x), subset(y)) for _ in range(NUM_SUBSETS)])
    return values.mean().item(), (values.std() / NUM_SUBSETS**0.5).item()


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3
