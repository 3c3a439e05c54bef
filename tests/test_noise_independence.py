"""What makes noise dependent is found, and fair draws are not accused."""

import numpy as np
import pytest
from autograder.checks.independence import dependence, fault_of_draw

SHAPE = (2, 9, 2, 20, 12)  # calls, images, channels, height, width


def with_part(draws: np.ndarray, to: tuple, values: np.ndarray) -> np.ndarray:
    """The draws with some of them exchanged."""
    draws[to] = values
    return draws


FAULTS = {
    "sample": (lambda d: with_part(d, np.s_[:, 1], d[:, 0]), "noise_shared"),
    "negative": (lambda d: with_part(d, np.s_[:, 1], -d[:, 8]), "noise_shared"),
    "mirrored": (lambda d: with_part(d, np.s_[:, 7], d[:, 2, ..., ::-1]), "noise_shared"),
    "moved": (lambda d: with_part(d, np.s_[:, 1], np.roll(d[:, 0], 3, -1)), "noise_shared"),
    "channel": (lambda d: with_part(d, np.s_[:, :, 1], d[:, :, 0]), "noise_shared"),
    "call": (lambda d: with_part(d, np.s_[1], d[0]), "noise_repeated"),
    "part of a call": (
        lambda d: with_part(d, np.s_[1], 0.3 * d[0] + 0.91**0.5 * d[1]),
        "noise_repeated",
    ),
    "neighbours": (lambda d: (d + 0.3 * np.roll(d, 1, -1)) / 1.09**0.5, "noise_correlated"),
    "no mean": (lambda d: d - d.mean(axis=1, keepdims=True), "noise_correlated"),
    "no tails": (lambda d: d.clip(-2.5, 2.5), "noise_uniform"),
    "a channel's mean": (lambda d: with_part(d, np.s_[:, :, 0], d[:, :, 0] + 0.2),
                         "noise_not_standard"),
    "one size": (lambda d: d / (d**2).mean(axis=(2, 3, 4), keepdims=True) ** 0.5,
                 "noise_correlated"),
    "a sample's size": (lambda d: with_part(d, np.s_[:, 4], 1.6 * d[:, 4]), "noise_not_standard"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_dependence_is_found(fault):
    """Each way of reusing noise gets its own hint, for any seed."""
    spoil, hint = FAULTS[fault]
    for seed in range(5):
        found = dependence(spoil(np.random.default_rng(seed).standard_normal(SHAPE)))
        assert found
        assert found[1] == hint, found


@pytest.mark.parametrize("shape", [SHAPE, (2, 1, 1, 16, 16), (1, 3, 3, 4, 4)])
def test_fair_draws_pass(shape):
    """Honest noise is never accused, also of small shapes: 50 draws each."""
    random = np.random.default_rng(0)
    for _ in range(50):
        assert dependence(random.standard_normal(shape)) is None


SHARED = {
    "moved": (lambda d: np.stack([np.roll(d[0], i, -1) for i in range(len(d))]), "noise_shared"),
    "by class": (lambda d: d[np.arange(len(d)) % 5], "noise_shared"),
    "no mean": (lambda d: d - d.mean(axis=0), "noise_correlated"),
}


@pytest.mark.parametrize("how", SHARED)
def test_shared_noise_is_no_matter_of_its_size(how):
    """Mean and size of shared noise are off by chance; the hint is the same for any seed."""
    spoil, hint = SHARED[how]
    for seed in range(40):
        draw = spoil(np.random.default_rng(seed).standard_normal((17, 1, 28, 28)))
        fault = fault_of_draw(draw) or dependence(draw[None])
        assert fault
        assert fault[1] == hint, (seed, fault)


def test_noise_of_another_size_or_shape_keeps_its_own_hint():
    """What is independent, and not standard Gaussian, is not taken for shared."""
    random = np.random.default_rng(0)
    for _ in range(20):
        draw = random.standard_normal((17, 1, 28, 28))
        assert fault_of_draw(draw) is None
        assert fault_of_draw(0.8 * draw)[1] == "noise_not_standard"
        assert fault_of_draw(draw + 0.2)[1] == "noise_not_standard"
        assert fault_of_draw(random.uniform(-(3**0.5), 3**0.5, draw.shape))[1] == "noise_uniform"
