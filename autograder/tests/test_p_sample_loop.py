"""p_sample_loop: the whole chain, from noise to pictures (Ho et al. 2020, Algorithm 2)."""

import numpy as np
import pytest
from autograder.checks.batches import SIZES, check_device
from autograder.checks.cases import Case
from autograder.checks.evidence import check_untouched
from autograder.checks.findings import Finding, under
from autograder.checks.independence import check_independent
from autograder.checks.sampling_loop import Chain, check_pictures, other_labels, walk
from autograder.checks.student import Student

PART = "p_sample_loop"
MANY = SIZES[-1]  # labels


def test_chain(student: Student, case: Case, random: np.random.Generator) -> None:
    """The chain starts from noise, takes the steps T-1, ..., 0, and returns pictures in [0, 1]."""
    chain, answer, x_0 = walk(student, case, random)
    check_pictures(answer.value, x_0, chain)
    check_untouched(answer, ["labels"])


@pytest.mark.configs("odd")
def test_any_batch(student: Student, case: Case, random: np.random.Generator) -> None:
    """1, 17 and 65 labels, some of them the same, give a picture each, in either mode."""
    for number, size in enumerate(SIZES[1:]):
        many = other_labels(case, size, random)
        general = ("loop_result", "shape_error", "raises")
        with under(f"With {size} labels", "mixes_samples", general):
            chain, answer, x_0 = walk(student, many, random, training=number % 2 == 1)
            check_pictures(answer.value, x_0, chain)
        check_untouched(answer, ["labels"])


@pytest.mark.configs("odd")
def test_draws_anew(student: Student, case: Case, random: np.random.Generator) -> None:
    """Each chain starts from new, independent noise."""
    many = other_labels(case, MANY, random)
    starts = []
    for training in (True, False):
        chain, _, _ = walk(student, many, random, training)
        starts.append(chain.start.array)
    if np.allclose(starts[0], starts[1], atol=1e-3):
        raise Finding("Two chains started from the same noise.", "noise_repeated")
    check_independent(np.stack(starts), "The chain's start x_T")
    check_device(lambda: Chain(case, random, away=True).run(student))
