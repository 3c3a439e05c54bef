"""Fréchet distance between two sets of features: the FID if they are Inception's.

Paper: Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash
Equilibrium", eq. 6.
"""

import torch
from torch import Tensor


def statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    """The Gaussian that is fitted to features.

    Args:
        features: one row per image, floating point [N, D], N at least 2.

    Returns:
        The mean, float64 [D], and the unbiased covariance, float64 [D, D].
    """
    # TODO: Compute the mean of the features and their covariance, with N - 1 in the denominator, in
    # float64. They are the m and C of Heusel et al. 2017, eq. 6.
    # BEGIN SOLUTION bonus_evaluation
    features = features.double()
    mean = features.mean(dim=0)
    centred = features - mean
    return mean, centred.T @ centred / (len(features) - 1)
    # END SOLUTION


def frechet_distance(mean1: Tensor, cov1: Tensor, mean2: Tensor, cov2: Tensor) -> float:
    """The squared Fréchet distance between two Gaussians (eq. 6).

    Args:
        mean1, mean2: float64 [D].
        cov1, cov2: symmetric and without negative eigenvalues, float64 [D, D]; with fewer images
            than features they have no full rank.

    Returns:
        The distance, 0 for equal Gaussians.
    """
    # TODO: Return |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), eq. 6 of the paper above. C1 C2 has
    # the eigenvalues of the symmetric C1^(1/2) C2 C1^(1/2), and torch.linalg.eigvalsh finds them
    # for any rank (Heusel et al. 2017). Rounding makes some slightly negative: clamp at 0.
    # BEGIN SOLUTION bonus_evaluation
    eigenvalues, eigenvectors = torch.linalg.eigh(cov1)
    root1 = eigenvectors * eigenvalues.clamp(min=0).sqrt() @ eigenvectors.T
    trace_of_root = torch.linalg.eigvalsh(root1 @ cov2 @ root1).clamp(min=0).sqrt().sum()
    distance = (mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * trace_of_root
    return distance.clamp(min=0).item()
    # END SOLUTION
