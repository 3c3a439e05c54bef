"""FM.generate: along the flow from noise to images, in Euler steps (Liu et al. 2023)."""

import numpy as np
import pytest
from autograder.checks.batches import SIZES, check_device
from autograder.checks.cases import Case
from autograder.checks.findings import Finding, under
from autograder.checks.flow import FlowChain, follow
from autograder.checks.independence import check_drawn, check_independent
from autograder.checks.sampling_loop import other_labels
from autograder.checks.student import Student

PART = "fm_generate"
MANY = SIZES[-1]  # labels
MUCH = 2605  # labels, for which the noise has half a million numbers


def test_steps(student: Student, case: Case, random: np.random.Generator) -> None:
    """From noise at t = 0, equal steps lead to the image at t = 1, returned in [0, 1]."""
    follow(student, case, random)


@pytest.mark.configs("odd", "odd_latent")
def test_any_batch(student: Student, case: Case, random: np.random.Generator) -> None:
    """1 and 17 labels, some of them the same, give an image each."""
    for size in SIZES[2:3] if case.kwargs.get("use_vae") else SIZES[1:3]:
        images_of(student, other_labels(case, size, random), random, training=size > 1)


@pytest.mark.configs("odd")
def test_draws_anew(student: Student, case: Case, random: np.random.Generator) -> None:
    """Each of 65 images starts from its own noise, new in each call, in either mode."""
    many = other_labels(case, MANY, random)
    chains = [images_of(student, many, random, training) for training in (True, False)]
    starts = [chain.start.array for chain in chains]
    if np.allclose(*starts, atol=1e-3):
        raise Finding("Two calls started from the same noise.", "noise_repeated")
    check_independent(np.stack(starts), "The noise that generate starts from")
    check_device(lambda: FlowChain(case, random, away=True).run(student))


@pytest.mark.configs("one_step")
def test_much_noise(student: Student, case: Case, random: np.random.Generator) -> None:
    """Half a million numbers of the noise to start from are Gaussian far into the tails."""
    chain = follow(student, other_labels(case, MUCH, random), random)
    check_drawn([chain.start.array], "The noise that generate starts from")


def images_of(
    student: Student, case: Case, random: np.random.Generator, training: bool
) -> FlowChain:
    """Run and judge a flow for any number of labels; returns what was observed."""
    general = ("fm_result", "shape_error", "raises")
    with under(f"With {len(case.inputs['label'])} labels", "mixes_samples", general):
        return follow(student, case, random, training)
