"""Whether noise is independent: of other samples, channels, pixels and calls.

`noise_fault` in evidence.py tests one draw as a whole; this module compares its parts, pair by
pair. A right answer fails with a probability below 1e-8: 66 images with 2 channels need about
100,000 comparisons, each with a bound that 1 in 1e14 exceeds, and the test of the largest number
fails 1 in 7e10.
"""

from collections.abc import Iterable
from statistics import NormalDist

import numpy as np

from autograder.checks.evidence import HUGE, noise_fault
from autograder.checks.findings import Finding

RARE = 7.7  # standard deviations; 1 in 1e14 exceeds them
PAIRED = 200  # planes that are compared directly and mirrored
MOST = 24  # planes that are compared at every shift
DEPENDENT = ("noise_shared", "noise_repeated", "noise_correlated")  # hints
BEYOND = 25.0  # expected number beyond the largest; none at all has probability e^-25


def check_independent(draws: np.ndarray, what: str) -> None:
    """Raise a Finding unless the draws look independent.

    Args:
        draws: [calls, B, C, H, W], standardised.
        what: what the draws are, in words.
    """
    fault = dependence(draws)
    if fault:
        raise Finding(f"{what} is not independent Gaussian noise: {fault[0]}.", fault[1])


def check_drawn(draws: Iterable[np.ndarray], what: str) -> None:
    """Raise a Finding unless each draw, [B, C, H, W], looks like standard Gaussian noise."""
    for draw in draws:
        fault = fault_of_draw(draw)
        if fault:
            raise Finding(f"{what} is not standard Gaussian noise: {fault[0]}.", fault[1])


def fault_of_draw(draw: np.ndarray) -> tuple[str, str] | None:
    """Why one draw, [B, C, H, W], is not standard Gaussian noise, as (reason, hint), or None.

    Noise that samples share makes mean, size and tails of the whole draw deviate by chance. So if
    these are wrong, dependence is tested first, on the standardised draw.
    """
    fault = noise_fault(draw)
    if fault is None or fault[1] not in ("noise_not_standard", "noise_uniform"):
        return fault
    if not np.isfinite(draw).all() or not 0 < draw.std() < HUGE:
        return fault
    closer = dependence(((draw - draw.mean()) / draw.std())[None])
    return closer if closer and closer[1] in DEPENDENT else fault


def dependence(draws: np.ndarray) -> tuple[str, str] | None:
    """Why draws are not independent, as (reason, hint), or None."""
    draws = draws.astype(np.float32)  # half the time; the bounds are far above its rounding
    return pair_fault(draws) or moment_fault(draws) or shift_fault(draws)


def pair_fault(draws: np.ndarray) -> tuple[str, str] | None:
    """A fault if two planes are alike: directly, mirrored, or shifted."""
    batch, channels, height, width = draws.shape[1:]
    planes = unit(draws.reshape(-1, height * width)[:PAIRED]).reshape(-1, height, width)
    size = height * width
    pairs = ~np.eye(len(planes), dtype=bool)
    # in a plane times its own mirror image each product occurs twice
    bound = np.where(pairs, RARE / np.sqrt(size), RARE / np.sqrt(size / 2)).clip(max=0.99)
    for axes in ((), (1,), (2,), (1, 2)):
        alike = planes.reshape(-1, size) @ np.flip(planes, axes).reshape(-1, size).T
        found = np.abs(alike) > bound
        if not axes:
            found &= pairs
        if found.any():
            i, j = (int(n) for n in np.argwhere(found)[0])
            how = "mirrored in" if axes else "found in"
            return name_of(i, j, batch, channels, how)
    waves = np.fft.rfft2(planes[:MOST])
    one, other = np.triu_indices(len(waves), 1)
    moved = np.fft.irfft2(waves[one] * waves[other].conj(), s=(height, width))
    if np.abs(moved).max(initial=0.0) > min(0.99, RARE / np.sqrt(size)):
        return "what one sample got, another one got too, moved", "noise_shared"
    return None


def name_of(i: int, j: int, batch: int, channels: int, how: str) -> tuple[str, str]:
    """The fault of two similar planes i and j, by their call, sample and channel."""
    (one, a), (other, b) = (divmod(n // channels, batch) for n in (i, j))
    if one != other:
        return f"what one call drew is {how} what the next one drew", "noise_repeated"
    if a != b:
        return f"what sample {a} got is {how} what sample {b} got", "noise_shared"
    return f"what one channel got is {how} another one's, or in its own", "noise_shared"


def shift_fault(draws: np.ndarray) -> tuple[str, str] | None:
    """A fault if pixels, channels or calls are correlated on average over all samples."""
    calls, _, channels, height, width = draws.shape
    planes = draws.reshape(-1, height, width)
    waves = np.fft.rfft2(planes)
    power = (waves.real**2 + waves.imag**2).mean(axis=0)
    near = np.fft.irfft2(power, s=(height, width)) / (height * width)
    # shifted by half an axis, each product counts twice
    bound = RARE * np.sqrt(2 / planes.size)
    if np.abs(near.reshape(-1)[1:]).max(initial=0.0) > bound:
        return "a pixel says something about others", "noise_correlated"
    flat = draws.transpose(2, 0, 1, 3, 4).reshape(channels, -1)
    alike = np.abs(np.corrcoef(flat)) if channels > 1 else np.zeros((1, 1))
    if alike[~np.eye(channels, dtype=bool)].max(initial=0.0) > RARE / np.sqrt(flat.shape[1]):
        return "a channel says something about another", "noise_correlated"
    if calls > 1:
        alike = np.corrcoef(draws.reshape(calls, -1))
        if np.abs(alike[~np.eye(calls, dtype=bool)]).max() > RARE / np.sqrt(draws[0].size):
            return "one call says something about the next", "noise_repeated"
    for axes, name in (((0,), "calls"), ((1,), "samples"), ((2,), "channels"), ((3, 4), "pixels")):
        means = draws.mean(axis=axes)
        together = np.prod([draws.shape[axis] for axis in axes])
        score = size_score((means**2).mean() * together, means.size)
        if together > 1 and abs(score) > RARE:
            size = "large" if score > 0 else "small"
            # an offset of each plane, which also shows in a single sample's mean
            offset = name == "pixels" and score > 0
            hint = "noise_not_standard" if offset else "noise_correlated"
            return f"the means over all {name} are too {size}", hint
    return None


def moment_fault(draws: np.ndarray) -> tuple[str, str] | None:
    """A fault if a channel or sample has another mean or size, or large numbers are missing."""
    for axes, name in (((0, 1, 3, 4), "channel"), ((0, 2, 3, 4), "sample")):
        means = draws.mean(axis=axes)
        n = draws.size / means.size
        if np.abs(means).max() * np.sqrt(n) > RARE:
            worst = means[np.abs(means).argmax()]
            return f"the mean of one {name} is {worst:.3f} and not 0", "noise_not_standard"
        squares = (draws**2).mean(axis=axes)
        scores = np.abs(size_score(squares, n))
        if scores.max() > RARE:
            worst = squares[scores.argmax()]
            return f"the variance of one {name} is {worst:.3f} and not 1", "noise_not_standard"
    sizes = size_score((draws**2).mean(axis=(2, 3, 4)).ravel(), draws[0, 0].size)
    if size_score((sizes**2).mean(), sizes.size) < -RARE:
        return "the sizes of the samples are too much alike", "noise_correlated"
    share = BEYOND / draws.size / 2
    bound = NormalDist().inv_cdf(1 - share) if share < 0.2 else 0.0
    if np.abs(draws).max() < bound:
        return f"nothing is beyond {bound:.1f} standard deviations", "noise_uniform"
    return None


def size_score(mean_square: np.ndarray, n: float) -> np.ndarray:
    """How many standard deviations the mean square of n numbers from N(0, 1) is away from 1.

    Uses that its cube root is nearly Gaussian (Wilson and Hilferty 1931).
    """
    width = 2 / (9 * n)
    return (np.cbrt(mean_square) - 1 + width) / np.sqrt(width)


def unit(rows: np.ndarray) -> np.ndarray:
    """The rows, centred and scaled to length 1."""
    rows = rows - rows.mean(axis=1, keepdims=True)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30)
