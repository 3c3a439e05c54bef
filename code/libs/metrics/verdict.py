"""Have samples been copied from the training images? Three tests, calibrated on held-out images."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..utils import check_result
from .distances import nearest
from .memorization import c_t, calibrated_distance, nearest_neighbour_ratio

LOW = 0.01  # the share of held-out images that may look like copies
SIGMAS = 3  # evidence that a test needs before it fires
IMAGES_A_CELL = 100
MAX_CELLS = 10
NUM_SHOWN = 10  # samples in the picture of the most suspicious
NUM_NEIGHBOURS = 3  # their training images


@dataclass
class Finding:
    """What one test finds: its statistic of samples and held-out images, and whether it fires."""

    test: str
    statistic: str
    samples: float
    held_out: float
    fires: bool


@dataclass
class Verdict:
    """What the tests say, and the most suspicious samples.

    Attributes:
        findings: one entry per test.
        suspects: indices of samples, the most suspicious first, int64 [S].
        neighbours: indices of their nearest training images, int64 [S, 3].
    """

    findings: list[Finding]
    suspects: Tensor
    neighbours: Tensor

    @property
    def memorized(self) -> bool:
        return any(finding.fires for finding in self.findings)

    def __str__(self) -> str:
        if self.memorized:
            return "memorized, by " + ", ".join(f.test for f in self.findings if f.fires)
        return "no sign by " + ", ".join(f.test for f in self.findings)


def judge(samples: Tensor, train: Tensor, held_out: Tensor, seed: int = 0) -> Verdict:
    """Test samples against training images, and held-out real images for comparison.

    Ratio and calibrated distance fire where clearly more samples than held-out images are within
    the lowest percent of the held-out images; C_T fires below -3. The value of C_T for held-out
    images compares one half of them with the other.

    Args:
        samples, train, held_out: pixels or features, [N, ...], [M, ...] and [H, ...]; N at least
            20, H at least 40, M at least 3.
        seed: of the cells of C_T and of the halves of the held-out images.
    """
    calibrated = calibrated_distance(samples, train)
    findings = [
        _compare_low_ends(
            "nearest-neighbour ratio",
            _ratio(samples, train),
            _ratio(held_out, train),
        ),
        _compare_low_ends("calibrated distance", calibrated, calibrated_distance(held_out, train)),
        _copying_statistic(samples, train, held_out, seed),
    ]
    suspects = calibrated.argsort()[:NUM_SHOWN]
    _, neighbours = nearest(samples[suspects], train, NUM_NEIGHBOURS)
    return Verdict(findings, suspects.cpu(), neighbours.cpu())


def _ratio(samples: Tensor, train: Tensor) -> Tensor:
    ratio = nearest_neighbour_ratio(samples, train)
    return check_result(ratio, nearest_neighbour_ratio, "one ratio per sample", (len(samples),))


def _compare_low_ends(test: str, samples: Tensor, held_out: Tensor) -> Finding:
    """Compare how many values of each are within the lowest percent of the held-out ones."""
    threshold = held_out.quantile(LOW)
    below, expected = ((x <= threshold).double().mean().item() for x in (samples, held_out))
    pooled = (below * len(samples) + expected * len(held_out)) / (len(samples) + len(held_out))
    error = math.sqrt(pooled * (1 - pooled) * (1 / len(samples) + 1 / len(held_out)))
    fires = below - expected > SIGMAS * error
    return Finding(test, f"share with {test} up to {threshold:.2g}", below, expected, fires)


def _copying_statistic(samples: Tensor, train: Tensor, held_out: Tensor, seed: int) -> Finding:
    order = torch.randperm(len(held_out), generator=torch.Generator().manual_seed(seed))
    half, other = (held_out[indices] for indices in order.tensor_split(2))

    def statistic(x: Tensor, y: Tensor) -> float:
        num_cells = min(len(x), len(y)) // IMAGES_A_CELL
        return c_t(x, train, y, min(max(1, num_cells), MAX_CELLS), seed)

    value = statistic(samples, held_out)
    return Finding("C_T", "C_T", value, statistic(half, other), value < -SIGMAS)
