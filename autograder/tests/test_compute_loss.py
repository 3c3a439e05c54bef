"""compute_loss: the simplified training objective (Ho et al. 2020, eq. 14 and Algorithm 1)."""

from dataclasses import replace

import numpy as np
import pytest
from autograder.checks.batches import OFFSET, OUTLIER, SIZES, check_device, indices
from autograder.checks.cases import Case, wide
from autograder.checks.findings import under
from autograder.checks.loss import Objective, check_drawn_times, check_draws
from autograder.checks.student import Student

PART = "compute_loss"
CALLS = 4  # number of calls that draw noise
WIDE = 2  # the size of the batch with numbers of all sizes
MUCH = 171  # CIFAR-10 images: half a million numbers


def test_given_noise(student: Student, case: Case) -> None:
    """The loss is the mean squared error between the network's prediction and the given noise."""
    images = case.inputs["x_start"]
    for training in (True, False):
        objective = Objective(case, images, images)
        objective.run(student, case.inputs["noise"], training=training)
        objective.check(case.inputs["noise"])
    if not objective.answer.draws:  # otherwise it makes t on the model's device, the CPU
        check_device(lambda: objective.run(student, case.inputs["noise"], away=True))


def test_any_batch(student: Student, case: Case, random: np.random.Generator) -> None:
    """Batches of 1, 2, 17 and 65 work, with numbers of any size."""
    for batch in SIZES:
        objective = other_batch(case, batch, random)
        noise = objective.case.inputs["noise"]
        objective.run(student, noise, training=batch in SIZES[::2])
        hint = "large_numbers" if batch == WIDE else "mixes_samples"
        with under(f"In a batch of {batch}", hint, ("loss_value", "not_finite")):
            objective.check(noise)


def test_own_noise(student: Student, case: Case) -> None:
    """Without noise given, the same noise diffuses the image and is the network's target."""
    images = case.inputs["x_start"]
    draws = []
    for number in range(CALLS):
        objective = Objective(case, images, images)
        objective.run(student, training=number % 2 == 0)
        draws.append(objective.check(None))
    check_draws(draws)
    if objective.answer.draws and case.config == "odd":  # "odd" has the fewest time steps
        check_drawn_times(student, case)
    if not objective.answer.draws:
        check_device(lambda: objective.run(student, away=True))


@pytest.mark.configs("cifar10")
def test_much_noise(student: Student, case: Case) -> None:
    """Half a million numbers of compute_loss's own noise are Gaussian far into the tails."""
    rows = np.arange(MUCH) % len(case.inputs["t"])
    inputs = {name: values[rows] for name, values in case.inputs.items()}
    expected = {name: case.expected[name][rows] for name in ("signal", "noise")}
    many = replace(case, inputs=inputs, expected=expected, suspects={})
    objective = Objective(many, inputs["x_start"], inputs["x_start"])
    objective.run(student)
    check_draws([objective.check(None)])


def other_batch(case: Case, batch: int, random: np.random.Generator) -> Objective:
    """The case with `batch` other images."""
    rows = indices(random, len(case.inputs["t"]), batch)
    shape = (batch, *case.inputs["noise"].shape[1:])
    inputs = {name: case.inputs[name][rows] for name in ("t", "label")}
    for name in ("noise", "eps", "x_t"):
        gaussian = random.standard_normal(shape, dtype=np.float32)
        inputs[name] = wide(random, shape) if batch == WIDE else gaussian + OFFSET
    inputs["eps"][-1] *= OUTLIER
    images = 2 * random.random(shape, dtype=np.float32) - 1
    if batch == 1:
        images = np.abs(images)  # a bright image, which nothing tells from one in [0, 1]
    expected = {name: case.expected[name][rows] for name in ("signal", "noise")}
    return Objective(replace(case, inputs=inputs, expected=expected, suspects={}), images, images)
