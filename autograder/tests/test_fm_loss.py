"""FM.compute_loss: flow matching's objective (Liu et al. 2023, Algorithm 1)."""

from dataclasses import replace

import numpy as np
import pytest
from autograder.checks.batches import OFFSET, OUTLIER, SIZES, check_device, indices
from autograder.checks.cases import Case, wide
from autograder.checks.findings import under
from autograder.checks.flow import FlowObjective, check_times
from autograder.checks.loss import check_draws, check_encoder
from autograder.checks.student import Student

PART = "fm_loss"
CALLS = 4  # number of calls that draw noise
WIDE = 2  # the size of the batch with numbers of all sizes
MANY = 2048  # images of a batch for which times are drawn
EARLIER = np.float32(0.9)  # factor on the case's times, so that some noise is left at all of them


def objective_of(case: Case) -> FlowObjective:
    """The case's loss, of images or of their latents."""
    return FlowObjective(case, case.inputs.get("images", case.inputs["x_start"]),
                         case.inputs["x_start"])  # fmt: skip


@pytest.mark.configs("mnist", "odd", "odd_latent", "two_steps")
def test_given_noise(student: Student, case: Case) -> None:
    """The network learns the velocity, at the point on the line between noise and image."""
    for training in (True, False):
        objective = objective_of(case)
        objective.run(student, case.inputs["noise"], training=training)
        if "images" in case.inputs:
            check_encoder(objective)
        objective.check(case.inputs["noise"])
    if not objective.answer.draws:  # otherwise it makes t on the model's device, the CPU
        check_device(lambda: objective.run(student, case.inputs["noise"], away=True))


@pytest.mark.configs("odd")
def test_any_batch(student: Student, case: Case, random: np.random.Generator) -> None:
    """Batches of 1, 2, 17 and 65 work, with numbers of any size."""
    for batch in SIZES:
        other = other_batch(case, batch, random)
        objective = objective_of(other)
        hint = "large_numbers" if batch == WIDE else "mixes_samples"
        unknown = ("fm_value", "fm_no_mix", "fm_mix", "not_finite", "loses_digits")
        with under(f"In a batch of {batch}", hint, unknown):
            objective.run(student, other.inputs["noise"], training=batch in SIZES[::2])
            objective.check(other.inputs["noise"])


@pytest.mark.configs("odd", "odd_latent")
def test_own_noise(student: Student, case: Case) -> None:
    """Without noise given, Gaussian noise of the right shape is drawn in each call."""
    draws = []
    inputs = {**case.inputs, "t": EARLIER * case.inputs["t"]}
    for number in range(CALLS):
        objective = objective_of(replace(case, inputs=inputs, suspects={}))
        objective.run(student, training=number % 2 == 0)
        draws.append(objective.check(None))
    check_draws(draws)
    if not objective.answer.draws:
        check_device(lambda: objective.run(student, away=True))
    without_t = {name: value for name, value in inputs.items() if name != "t"}
    objective = objective_of(replace(case, inputs=without_t, suspects={}))
    objective.run(student)
    objective.check(None)


@pytest.mark.configs("small", "logit_normal")
def test_own_times(student: Student, case: Case, random: np.random.Generator) -> None:
    """Without t given, each image gets its own time, from the requested distribution."""
    check_times(student, other_batch(case, MANY, random))


def other_batch(case: Case, size: int, random: np.random.Generator) -> Case:
    """The case with `size` other images, without suspected losses."""
    shape = (size, *case.inputs["noise"].shape[1:])
    inputs = {"label": indices(random, case.kwargs["num_classes"], size)}
    inputs["t"] = random.uniform(0, 1, size).astype(np.float32)
    inputs["x_start"] = np.float32(random.uniform(-1, 1, shape))
    for name in ("noise", "eps"):
        inputs[name] = random.standard_normal(shape, dtype=np.float32)
    if size == WIDE:
        inputs |= {name: wide(random, shape) for name in ("x_start", "noise", "eps")}
    inputs["eps"] += OFFSET
    inputs["eps"][-1] *= OUTLIER
    mixes = {hint: values for hint, values in case.suspects.items() if "signal" in values}
    return replace(case, inputs=inputs, suspects=mixes)
