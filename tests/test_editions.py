"""Submissions of earlier editions are graded as they were handed in, with their own code/libs."""

import numpy as np
import pytest
from autograder.student import Tensor
from autograder.wiring import same_condition


def tensor(array: np.ndarray) -> Tensor:
    """A submission's tensor as it came over the wire."""
    return Tensor("float32", "cpu", list(array.shape), array)


@pytest.mark.parametrize("shape", [(2, 8), (2, 1, 8), (2, 8, 1, 1)])
@pytest.mark.parametrize("given", [(2, 8), (2, 1, 8)])
def test_a_condition_is_known_by_its_values(shape, given):
    """Who adds a token's axis of length 1, the embedding or the network, does not matter."""
    array = np.arange(16, dtype=np.float32)
    assert same_condition(tensor(array.reshape(shape)), array.reshape(given))
    assert not same_condition(tensor(array[::-1].reshape(shape)), array.reshape(given))


def test_the_batch_stays_the_first_axis_of_a_condition():
    """A token's axis in the batch's place would show all samples' labels to each of them."""
    array = np.arange(16, dtype=np.float32)
    for wrong in ((1, 2, 8), (16,), (8, 2), (2, 2, 4)):
        assert not same_condition(tensor(array.reshape(wrong)), array.reshape(2, 8))
    assert not same_condition(None, array.reshape(2, 8))
    assert not same_condition(tensor(np.float32(1)), array.reshape(2, 8))
