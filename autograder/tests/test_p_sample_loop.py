"""p_sample_loop: the whole chain, from noise to pictures (Ho et al. 2020, Algorithm 2)."""

import numpy as np
import pytest
from autograder.checks.batches import SIZES, check_device
from autograder.checks.cases import Case
from autograder.checks.evidence import check_untouched
from autograder.checks.findings import Finding, under
from autograder.checks.independence import check_drawn, check_independent
from autograder.checks.sampling_loop import Chain, check_pictures, other_labels, walk
from autograder.checks.student import Student

PART = "p_sample_loop"
MANY = SIZES[-1]  # labels
MUCH = 2605  # labels, for which x_T has half a million numbers


def test_chain(student: Student, case: Case, random: np.random.Generator) -> None:
    """The chain starts from noise, takes the steps T-1, ..., 0, and returns pictures in [0, 1]."""
    chain, answer, x_0 = walk(student, case, random)
    check_pictures(answer.value, x_0, chain)
    check_untouched(answer, ["labels"])


@pytest.mark.configs("odd")
def test_any_batch(student: Student, case: Case, random: np.random.Generator) -> None:
    """1 and 17 labels, some of them the same, give a picture each."""
    for size in SIZES[1:3]:
        pictures_of(student, other_labels(case, size, random), random, training=size > 1)


@pytest.mark.configs("odd")
def test_draws_anew(student: Student, case: Case, random: np.random.Generator) -> None:
    """Chains for 65 labels, one in each mode, start from new, independent noise."""
    many = other_labels(case, MANY, random)
    chains = [pictures_of(student, many, random, training) for training in (True, False)]
    starts = [chain.start.array for chain in chains]
    if np.allclose(starts[0], starts[1], atol=1e-3):
        raise Finding("Two chains started from the same noise.", "noise_repeated")
    check_independent(np.stack(starts), "The chain's start x_T")
    check_device(lambda: Chain(case, random, away=True).run(student))


@pytest.mark.configs("one_step")
def test_much_noise(student: Student, case: Case, random: np.random.Generator) -> None:
    """Half a million numbers of x_T are Gaussian far into the tails."""
    chain, _, _ = walk(student, other_labels(case, MUCH, random), random)
    check_drawn([chain.start.array], "The chain's start x_T")


def pictures_of(student: Student, case: Case, random: np.random.Generator, training: bool) -> Chain:
    """Run and judge a chain for any number of labels, and its pictures; returns the chain."""
    general = ("loop_result", "shape_error", "raises")
    with under(f"With {len(case.inputs['label'])} labels", "mixes_samples", general):
        chain, answer, x_0 = walk(student, case, random, training)
        check_pictures(answer.value, x_0, chain)
    check_untouched(answer, ["labels"])
    return chain
