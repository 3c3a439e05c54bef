"""The grader's batches: what code does to their ends shows with any seed of the hidden tests."""

import numpy as np
import pytest
from autograder.checks.batches import SIZES, indices
from autograder.hidden.oracles import make_cases


@pytest.mark.parametrize("count", [2, 3, 10, 100])
@pytest.mark.parametrize("size", SIZES)
def test_the_last_sample_is_told_from_those_it_is_mistaken_for(count, size):
    """Code that takes 64 at a time may take the first, or the one before, for the 65th."""
    for seed in range(50):
        found = indices(np.random.default_rng(seed), count, size)
        assert found.shape == (size,)
        assert ((found >= 0) & (found < count)).all()
        if size > 1:
            assert found[-1] not in found[[0, -2]]


def test_the_last_class_is_always_asked_for():
    """Code that takes labels modulo 10 or clamps them goes wrong where there are more classes."""
    cases = [c for seed in range(20) for c in make_cases(seed) if c.part == "compute_loss"]
    for case in cases:
        labels, classes = case.inputs["label"], case.kwargs["num_classes"]
        assert classes - 1 in labels
        assert len(labels) < 3 or 0 in labels, "where code takes 0 for no label"
