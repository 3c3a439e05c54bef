"""The latent branch: images are encoded before the loss, sampled latents are decoded."""

from dataclasses import replace

import numpy as np
import pytest
from autograder.checks.batches import SIZES, check_device, indices, odd
from autograder.checks.cases import Case, wide
from autograder.checks.evidence import check_untouched
from autograder.checks.findings import under
from autograder.checks.loss import Objective, check_draws, check_encoder
from autograder.checks.sampling_loop import Chain, check_decoded, other_labels, walk
from autograder.checks.student import Student

PART = "latent"
CALLS = 3  # number of calls that draw noise


@pytest.mark.group("encode")
def test_encode(student: Student, case: Case) -> None:
    """compute_loss encodes the images and diffuses their latents, in either mode."""
    for training in (True, False):
        objective = Objective(case, case.inputs["images"], case.inputs["latents"])
        objective.run(student, case.inputs["noise"], training=training)
        check_encoder(objective)
        objective.check(case.inputs["noise"])


@pytest.mark.group("encode")
@pytest.mark.configs("odd_latent")
def test_latents_of_all_sizes(student: Student, case: Case, random: np.random.Generator) -> None:
    """The loss of latents is precise even if a few large numbers dominate it."""
    names = ("noise", "eps", "x_t", "latents")
    inputs = {name: wide(random, case.inputs[name].shape) for name in names}
    inputs["images"] = odd(random, case.inputs["images"])
    many = replace(case, inputs={**case.inputs, **inputs}, suspects={})
    objective = Objective(many, many.inputs["images"], many.inputs["latents"])
    objective.run(student, many.inputs["noise"])
    check_encoder(objective)
    with under("With numbers of all sizes", "large_numbers", ("not_finite", "loss_value")):
        objective.check(many.inputs["noise"])


@pytest.mark.group("encode")
@pytest.mark.configs("odd_latent")
def test_encode_any_batch(student: Student, case: Case, random: np.random.Generator) -> None:
    """Batches of 17 and 65 images are encoded as a whole."""
    general = ("latent_encoder_input", "latent_scaled", "network_wrong_x", "loss_value")
    for batch in SIZES[2:]:
        rows = indices(random, len(case.inputs["t"]), batch)
        inputs = {name: values[rows] for name, values in case.inputs.items()}
        for name in ("noise", "eps", "x_t", "latents"):
            inputs[name] = random.standard_normal(inputs[name].shape, dtype=np.float32)
        inputs["images"] = random.random(inputs["images"].shape, dtype=np.float32)
        expected = {name: case.expected[name][rows] for name in ("signal", "noise")}
        many = replace(case, inputs=inputs, expected=expected, suspects={})
        objective = Objective(many, inputs["images"], inputs["latents"])
        objective.run(student, inputs["noise"], training=batch in SIZES[::2])
        with under(f"In a batch of {batch}", "mixes_samples", general):
            check_encoder(objective)
            objective.check(inputs["noise"])


@pytest.mark.group("encode")
def test_noise_of_latents(student: Student, case: Case) -> None:
    """Without noise given, the noise has the shape of the latents."""
    draws = []
    for number in range(CALLS):
        objective = Objective(case, case.inputs["images"], case.inputs["latents"])
        objective.run(student, training=number % 2 == 0)
        check_encoder(objective)
        draws.append(objective.check(None))
    check_draws(draws)
    if not objective.answer.draws:
        check_device(lambda: objective.run(student, away=True))


@pytest.mark.group("decode")
@pytest.mark.configs("odd_latent")  # AFHQ's thousand steps would take longer, and show the same
def test_decode(student: Student, case: Case, random: np.random.Generator) -> None:
    """p_sample_loop draws latents and decodes the last of them to pictures in [0, 1]."""
    check_decoding(student, case, random)


@pytest.mark.group("decode")
@pytest.mark.configs("odd_latent")
def test_decode_any_batch(student: Student, case: Case, random: np.random.Generator) -> None:
    """1 and 65 labels, some of them the same, give a picture each, in evaluation mode too."""
    for size in SIZES[1::2]:
        check_decoding(student, other_labels(case, size, random), random, training=False)
    check_device(lambda: Chain(case, random, away=True).run(student))


def check_decoding(
    student: Student, case: Case, random: np.random.Generator, training: bool = True
) -> None:
    """Run a chain, and judge what the decoder gets and what happens to its output."""
    chain, answer, x_0 = walk(student, case, random, training)
    check_untouched(answer, ["labels"])
    check_decoded(answer.value, x_0, chain)
