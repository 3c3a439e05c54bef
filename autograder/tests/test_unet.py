"""The UNet's decoder: it concatenates the encoder's outputs and runs each level's members."""

from typing import Any

import numpy as np
import pytest
from autograder.checks.batches import check_device, indices
from autograder.checks.evidence import check_untouched, tensor_of
from autograder.checks.findings import Finding
from autograder.checks.student import Student
from autograder.checks.unet_wiring import Wiring, needed_levels

PART = "unet"
SHAPES: dict[str, tuple[dict[str, Any], tuple[int, int]]] = {
    "mnist": ({"in_channels": 1, "num_classes": 10}, (28, 28)),
    "cifar10": (
        {"in_channels": 3, "num_classes": 10, "dim_mults": [1, 2, 2, 2], "attn_levels": [1, 2]},
        (16, 16),
    ),
    "afhq_latent": ({"in_channels": 4, "num_classes": 3}, (16, 16)),
    "odd": (
        {"in_channels": 2, "num_classes": 100, "dim_mults": [1, 2], "attn_levels": [1]},
        (20, 12),
    ),
    "no_attention": (
        {"in_channels": 3, "num_classes": 4, "dim_mults": [1, 1, 1], "attn_levels": []},
        (8, 8),
    ),
    "five_levels": (
        {"in_channels": 1, "num_classes": 4, "dim_mults": [1, 1, 1, 1, 1]},
        (16, 16),
    ),
    "one_level": (
        {"in_channels": 1, "num_classes": 3, "dim_mults": [1], "attn_levels": [0]},
        (17, 19),
    ),
    "many_images": (
        {"in_channels": 1, "num_classes": 3, "dim_mults": [1], "attn_levels": [0]},
        (3, 5),
    ),
}
BATCHES = {"odd": 1, "no_attention": 17, "one_level": 1, "many_images": 65}  # 2 for the others
IN_EVALUATION = ("cifar10", "odd", "one_level")  # the others are in training mode
AGAIN = ("no_attention", "odd")  # they run twice, in both modes
shapes = pytest.mark.parametrize("shape", SHAPES)


def inputs_of(shape: str, random: np.random.Generator) -> tuple[dict[str, Any], list[np.ndarray]]:
    """The UNet's arguments, and x, label and time for a call."""
    kwargs, size = SHAPES[shape]
    batch = BATCHES.get(shape, 2)
    x = random.standard_normal((batch, kwargs["in_channels"], *size)).astype(np.float32)
    label, time = (
        indices(random, kwargs["num_classes"], batch),
        indices(random, 500, batch),
    )
    return {"dim": 8, "context_dim": 8, **kwargs}, [x, label, time]


@shapes
def test_wiring(student: Student, shape: str, random: np.random.Generator) -> None:
    """Every level of the decoder gets its input, the encoder's output of its size, t and label."""
    training = shape not in IN_EVALUATION
    check_wiring(student, shape, random, training, fresh=shape in AGAIN)


@pytest.mark.parametrize("shape", AGAIN)
def test_wiring_again(student: Student, shape: str, random: np.random.Generator) -> None:
    """Earlier runs of the network, and their mode, change nothing."""
    check_wiring(student, shape, random, training=shape in IN_EVALUATION, fresh=False)


def check_wiring(
    student: Student, shape: str, random: np.random.Generator, training: bool, fresh: bool
) -> None:
    """Run a network whose members are doubles, and follow x through its decoder.

    Args:
        training: the network's mode.
        fresh: whether it has not run before.
    """
    kwargs, inputs = inputs_of(shape, random)
    key, _ = student.build("unet", "UNet", kwargs)
    if not fresh:
        student.run_before(key, inputs, training=shape in IN_EVALUATION)
    wiring = Wiring(needed_levels(**kwargs), random, len(inputs[0]))
    try:
        answer, structure = student.network(
            key, *inputs, handler=wiring.answer, seed=wiring.seed, training=training
        )
    except Finding as finding:
        if finding.not_attempted:
            raise
        check_names(finding.structure, wiring, finding)
        explain(wiring, finding)
        raise
    check_names(structure, wiring, None)
    wiring.check(structure, answer.value)
    if answer.gradients is None:
        return
    if not answer.gradients:
        raise Finding("No gradient reaches the network's input.", "unet_detached")
    wiring.check_gradients(structure, answer.gradients)


def check_names(structure: dict[str, Any], wiring: Wiring, error: Finding | None) -> None:
    """Raise a Finding unless the network has encoder and decoder; then a person has to look."""
    if error is not None and not wiring.calls and not structure:
        raise error  # nothing else is known
    missing = [f"self.{name}" for name in ("encoder", "decoder") if name not in structure]
    if missing:
        raise Finding(
            f"The network has no {' and no '.join(missing)}, so its wiring cannot be followed.",
            "unet_other_names",
        )


def explain(wiring: Wiring, error: Finding) -> None:
    """Raise a Finding that explains the error better, if an earlier fault caused it."""
    if "NoneType" in error.reason:
        raise Finding(error.reason, "unet_none_called")
    try:
        wiring.check(error.structure, None)
    except Finding as finding:
        if finding.hint not in ("unet_no_decoder", "unet_block_missing", "unet_final"):
            raise
    if "Sizes of tensors must match" in error.reason:
        raise Finding(error.reason, "unet_skip_order")


@shapes
def test_runs(student: Student, shape: str, random: np.random.Generator) -> None:
    """The network itself runs, and returns the shape of its input."""
    kwargs, inputs = inputs_of(shape, random)
    key, _ = student.build("unet", "UNet", kwargs)
    answer = student.forward(key, inputs, training=shape in IN_EVALUATION)
    tensor_of(answer.value, inputs[0].shape, "The UNet's output")
    check_untouched(answer, ["x", "label", "time"])
    if shape == "odd":
        check_device(lambda: student.call(key, "forward", *inputs, away=True))
