"""FM.generate: along the flow from noise to images, in Euler steps (Liu et al. 2023)."""

import numpy as np
import pytest
from autograder.checks.batches import SIZES, check_device
from autograder.checks.cases import Case
from autograder.checks.findings import Finding, under
from autograder.checks.flow import FlowChain, follow
from autograder.checks.independence import check_independent
from autograder.checks.sampling_loop import other_labels
from autograder.checks.student import Student

PART = "fm_generate"
MANY = SIZES[-1]  # labels


def test_steps(student: Student, case: Case, random: np.random.Generator) -> None:
    """From noise at t = 0, equal steps lead to the image at t = 1, returned in [0, 1]."""
    follow(student, case, random)


@pytest.mark.configs("odd", "odd_latent")
def test_any_batch(student: Student, case: Case, random: np.random.Generator) -> None:
    """1, 17 and 65 labels, some of them the same, give an image each, in either mode."""
    sizes = SIZES[2:3] if case.kwargs.get("use_vae") else SIZES[1:]
    for number, size in enumerate(sizes):
        many = other_labels(case, size, random)
        general = ("fm_result", "shape_error", "raises")
        with under(f"With {size} labels", "mixes_samples", general):
            follow(student, many, random, training=number % 2 == 0)


@pytest.mark.configs("odd")
def test_draws_anew(student: Student, case: Case, random: np.random.Generator) -> None:
    """Each image starts from its own noise, new in each call."""
    many = other_labels(case, MANY, random)
    starts = [follow(student, many, random, training).start.array for training in (True, False)]
    if np.allclose(*starts, atol=1e-3):
        raise Finding("Two calls started from the same noise.", "noise_repeated")
    check_independent(np.stack(starts), "The noise that generate starts from")
    check_device(lambda: FlowChain(case, random, away=True).run(student))
