"""The latent branch: images are encoded before the loss, sampled latents are decoded."""

import numpy as np
import pytest
from autograder.checks.batches import SIZES, check_device, in_whole
from autograder.checks.cases import Case
from autograder.checks.evidence import check_untouched, close, is_tensor_like, tensor_of
from autograder.checks.findings import Finding
from autograder.checks.loss import Objective, check_draws
from autograder.checks.messages import Tensor
from autograder.checks.sampling_loop import Chain, other_labels, walk
from autograder.checks.student import Student

PART = "latent"
CALLS = 3  # that draw noise


def check_encoder(objective: Objective) -> None:
    """The encoder got the images, once, as they are."""
    asked = [a.bind("x") for a in objective.answer.asked if a.name == "vae.encoder"]
    asked = in_whole(asked, len(objective.images))
    decoded = any(a.name == "vae.decoder" for a in objective.answer.asked)
    if not asked:
        hint = "latent_wrong_half" if decoded else "latent_not_encoded"
        raise Finding("With use_vae, self.vae.encoder was never called.", hint)
    if not is_tensor_like(asked[0].get("x"), objective.images):
        raise Finding("The encoder did not get the images.", "latent_encoder_input")
    if len(asked) > 1:
        raise Finding(f"The encoder was called {len(asked)} times.", "latent_encoded_twice")
    if decoded:
        raise Finding("compute_loss called the decoder.", "latent_wrong_half")


@pytest.mark.group("encode")
def test_encode(student: Student, case: Case) -> None:
    """compute_loss encodes the images and diffuses their latents, in either mode."""
    for training in (True, False):
        objective = Objective(case, case.inputs["images"], case.inputs["latents"])
        objective.run(student, case.inputs["noise"], training=training)
        check_encoder(objective)
        objective.check(case.inputs["noise"])


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
def test_decode(student: Student, case: Case, random: np.random.Generator) -> None:
    """p_sample_loop draws latents and decodes the last of them to pictures in [0, 1]."""
    check_decoding(student, case, random)


@pytest.mark.group("decode")
@pytest.mark.configs("odd_latent")
def test_decode_any_batch(student: Student, case: Case, random: np.random.Generator) -> None:
    """1 and 33 labels, some of them the same, give a picture each, in evaluation mode too."""
    for size in SIZES[1::2]:
        check_decoding(student, other_labels(case, size, random), random, training=False)
    check_device(lambda: Chain(case, random, away=True).run(student))


def check_decoding(
    student: Student, case: Case, random: np.random.Generator, training: bool = True
) -> None:
    """Run a chain and judge what the decoder gets, and what becomes of its answer."""
    chain, answer, x_0 = walk(student, case, random, training)
    check_untouched(answer, ["labels"])
    if chain.encoded:
        raise Finding("p_sample_loop called the encoder.", "latent_wrong_half")
    decoded = chain.calls("vae.decoder")
    pictures = case.inputs["decoded"]
    if not decoded:
        raise Finding("With use_vae, self.vae.decoder was never called.", "latent_not_decoded")
    # one call for the batch, or one for each of its parts
    latents = [call.get("x") for call, _ in decoded]
    if not all(isinstance(z, Tensor) and z.array is not None for z in latents):
        raise Finding("The decoder did not get a tensor.", "latent_decoder_input")
    if sum(len(z.array) for z in latents) > len(x_0):
        raise Finding(f"The decoder was called {len(decoded)} times.", "latent_decoded_twice")
    if any(z.shape[1:] != list(x_0.shape[1:]) for z in latents):
        raise Finding("The decoder did not get the shape of the latents.", "latent_decoder_input")
    last = np.concatenate([z.array for z in latents])
    if last.shape != x_0.shape or not close(last, x_0, 1e-4):
        raise Finding("The decoder did not get the chain's last latents.", "latent_decoder_input")
    if isinstance(answer.value, Tensor) and answer.value.shape == list(x_0.shape):
        raise Finding("p_sample_loop returned latents instead of pictures.", "latent_not_decoded")
    found = tensor_of(answer.value, pictures.shape, "p_sample_loop's result")
    if close(found, pictures.clip(0, 1), 1e-4):
        return
    halves = ((pictures + 1) / 2, (pictures.clip(-1, 1) + 1) / 2, (pictures.clip(0, 1) + 1) / 2)
    if any(close(found, np.clip(half, 0, 1), 1e-4) for half in halves):
        raise Finding("The decoded pictures were rescaled from [-1, 1].", "latent_rescaled")
    if close(found, pictures, 1e-4):
        raise Finding("The decoded pictures were not clamped to [0, 1].", "loop_not_clamped")
    raise Finding(
        "p_sample_loop's result is not the decoder's output in [0, 1] (its values are between "
        f"{found.min():.2f} .. {found.max():.2f}).",
        "latent_result",
    )
