"""The vision transformer: its patches, its modulation, a block, and the whole network."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from autograder.checks.batches import Pieces, check_device, in_whole, indices
from autograder.checks.cases import TRANSFORMERS, Case
from autograder.checks.evidence import (
    check_untouched,
    close,
    is_tensor_like,
    off,
    shown,
    suspect,
    tensor_of,
)
from autograder.checks.findings import Finding
from autograder.checks.messages import Answer
from autograder.checks.student import Student

PART, MODULE, BLOCKS = "dit", "models.dit", "models.adaln"
TOLERANCE = 1e-4  # float32's rounding over a few layers
# Images in the other batch: of 129, code that drops a tenth at random spares all once in 1e6.
LARGE = {"dit_odd": 129, "dit_latent": 1, "dit_wide": 3}
OF_BLOCKS = "answers"  # [depth, B, N, dim]: their batch is the second axis
NO_GRADIENT = "attn.to_k.bias"  # softmax does not depend on a term that all keys share


@pytest.mark.group("patches")
def test_patchify(student: Student, case: Case, random: np.random.Generator) -> None:
    """Each patch of an image becomes a token, row by row."""
    for batch in (case, enlarged(case, random)):
        answer = asked(student, batch, "patchify", batch.inputs["x"])
        check(batch, answer, "tokens", "patchify's result", "dit_patches")
        check_untouched(answer, ["x"])


@pytest.mark.group("patches")
def test_unpatchify(student: Student, case: Case, random: np.random.Generator) -> None:
    """Patches go back to where they came from, and so do pixels and channels inside them."""
    for batch in (case, enlarged(case, random)):
        answer = asked(student, batch, "unpatchify", batch.inputs["patches"], *grid(case))
        check(batch, answer, "images", "unpatchify's result", "dit_unpatch")
        check_untouched(answer, ["tokens"])


@pytest.mark.group("block")
def test_modulate(student: Student, case: Case, random: np.random.Generator) -> None:
    """Each sample's own scale and shift, in the precision of the tokens."""
    for batch, dtype in ((case, "float32"), (enlarged(case, random), "float64")):
        three = [batch.inputs[name].astype(dtype) for name in ("tokens", "shift", "scale")]
        answer = student.function(BLOCKS, "modulate", *three)
        check(batch, answer, "modulated", "modulate's result", "dit_modulate", (dtype,))
        check_untouched(answer, ["x", "shift", "scale"])
    if case.config == "dit_odd":
        check_device(lambda: student.function(BLOCKS, "modulate", *three, away=True))


@pytest.mark.group("block")
def test_block(student: Student, case: Case, random: np.random.Generator) -> None:
    """A block with random weights gives the paper's result, for each sample by itself."""
    key, prefix = block_of(student, case), "blocks.0."
    weights = {
        name.removeprefix(prefix): value
        for name, value in weights_of(case).items()
        if name.startswith(prefix)
    }
    for batch, training in batches_of(case, random):
        given = batch.inputs["tokens"], batch.inputs["emb"]
        answer = student.call(
            key, "forward", *given, weights=weights, training=training, gradients=True
        )
        check(batch, answer, "block", "The block's result", "dit_block")
        check_untouched(answer, ["x", "emb"])
        check_gradients(answer, weights)
    if case.config == "dit_odd":
        check_device(lambda: student.call(key, "forward", *given, weights=weights, away=True))


@pytest.mark.group("block")
@pytest.mark.configs("dit_odd")
def test_block_starts_as_identity(student: Student, case: Case) -> None:
    """A fresh block returns its tokens, since its gates begin at zero."""
    if not is_identity(student, case):
        raise Finding("A fresh block changes the tokens it is given.", "dit_zero_start")


@pytest.mark.group("whole")
def test_forward(student: Student, case: Case, random: np.random.Generator) -> None:
    """The network with random weights gives the paper's result; label and time condition it."""
    for batch, training in batches_of(case, random):
        walk = Walk(batch)
        try:
            answer = walk.run(student, training)
            check(batch, answer, "whole", "The network's result", "dit_whole")
        except Finding as finding:
            # forward may be right, and the code it calls wrong: replace all of that by doubles.
            Walk(batch, alone=True).judge(student, training, finding)
            continue
        walk.check_embeddings(answer)
        check_untouched(answer, ["x", "label", "time"])
        check_gradients(answer, weights_of(case))
    if case.config == "dit_odd":
        check_device(lambda: Walk(case, alone=True).run(student, away=True))


@pytest.mark.group("whole")
@pytest.mark.configs("dit_odd")
def test_starts_as_zero(student: Student, case: Case) -> None:
    """A fresh network answers zero, and its blocks are the identity."""
    inputs = case.inputs
    first, last = inputs["first_tokens"], inputs["modulated"]
    doubles = {"patchify": answering("patchify", first), "final_norm": answering("norm", last)}
    given = [inputs[name] for name in ("x", "label", "time")]
    answer = student.call(network_of(student, case), "forward", *given, doubles=doubles)
    result = tensor_of(answer.value, case.expected["whole"].shape, "The network's result")
    if np.abs(result).max() > 0:
        raise Finding("A fresh network answers something else than zero.", "dit_zero_start")
    calls = {name: calls_of(case, answer, name, "x") for name in doubles}
    if not all(calls.values()):
        return  # forward does not call them, so its blocks cannot be observed
    expected = first + case.expected["positions"]
    passed_on = is_tensor_like(calls["final_norm"][0].get("x"), expected, TOLERANCE)
    if not passed_on and is_identity(student, case):
        raise Finding("The blocks of a fresh network change their tokens.", "dit_zero_start")


class Walk:
    """Runs a whole network, with doubles of its time and label embeddings.

    Args:
        alone: also replace by doubles all that forward calls and other tests judge. They answer
            with numbers that cannot be known beforehand.
    """

    def __init__(self, case: Case, alone: bool = False) -> None:
        self.case, self.inputs, self.expected = case, case.inputs, case.expected
        self.blocks = [f"blocks.{i}" for i in range(len(case.inputs[OF_BLOCKS]))] if alone else []
        answers = {"time_embd": "time_emb", "label_embd": "label_emb"}
        if alone:
            answers |= {"patchify": "first_tokens", "unpatchify": "images"}
        found = {name: self.inputs[stored] for name, stored in answers.items()}
        found |= dict(zip(self.blocks, self.inputs[OF_BLOCKS], strict=False))
        self.doubles = {name: answering(name, values) for name, values in found.items()}
        self.inside = {"modulate": answering("modulate", self.inputs["modulated"])} if alone else {}

    def run(self, student: Student, training: bool = True, away: bool = False) -> Answer:
        """Call forward."""
        return student.call(
            network_of(student, self.case),
            "forward",
            *(self.inputs[name] for name in ("x", "label", "time")),
            doubles=self.doubles,
            inside=self.inside,
            weights=weights_of(self.case),
            gradients=not away,
            training=training,
            away=away,
        )

    def judge(self, student: Student, training: bool, before: Finding) -> None:
        """Raise a Finding unless forward is right if all that it calls is right.

        Args:
            before: the Finding from the run with the submission's own code.
        """
        try:
            answer = self.run(student, training)
            self.check_embeddings(answer)
            self.check_walk(answer)
            self.check_last(answer)
        except Finding as finding:
            known = before.hint.startswith("dit_") and before.hint != "dit_whole"
            raise (before if known else finding) from None
        check_untouched(answer, ["x", "label", "time"])
        if any(answer.lacks_gradient(name) for name in self.blocks):
            raise Finding("No gradient reaches a block, so it cannot learn.", "dit_detached")

    def calls(self, answer: Answer, name: str, *names: str) -> list[dict[str, Any]]:
        """The calls of a double, see `calls_of`."""
        return calls_of(self.case, answer, name, *names)

    def check_embeddings(self, answer: Answer) -> None:
        """Check that time and label went to their own embeddings, which learn."""
        for name in ("time", "label"):
            double = f"{name}_embd"
            for call in self.calls(answer, double, "x"):
                got = call.get("x")
                if not is_tensor_like(got, self.inputs[name]):
                    raise Finding(
                        f"self.{double} got {shown(got)}, not the {name}.", "dit_embedding"
                    )
                if not self.blocks and answer.lacks_gradient(double):
                    text = f"No gradient reaches self.{double}, so it cannot learn."
                    raise Finding(text, "dit_detached")

    def check_walk(self, answer: Answer) -> None:
        """Check that each block got the previous one's tokens, and the sum of the embeddings."""
        cut = self.calls(answer, "patchify", "x")
        if cut and not is_tensor_like(cut[0].get("x"), self.inputs["x"]):
            raise Finding(f"self.patchify got {shown(cut[0].get('x'))}, not x.", "dit_whole")
        tokens = self.inputs["first_tokens"] if cut else self.expected["tokens"]
        wanted = tokens + self.expected["positions"]
        for name, answered in zip(self.blocks, self.inputs[OF_BLOCKS], strict=True):
            calls = self.calls(answer, name, "x", "emb")
            if len(calls) != 1:
                raise Finding(f"self.{name} ran {len(calls)} times, not once.", "dit_blocks")
            if not is_tensor_like(calls[0].get("x"), wanted, TOLERANCE):
                hint = "dit_positions" if name == self.blocks[0] else "dit_blocks"
                raise Finding(f"self.{name} got other tokens than it should.", hint)
            emb = calls[0].get("emb")
            if not is_tensor_like(emb, self.expected["emb"], TOLERANCE):
                alone = [
                    n for n in ("time", "label") if is_tensor_like(emb, self.inputs[f"{n}_emb"])
                ]
                hints = {"time": "dit_label_missing", "label": "dit_time_missing"}
                text = f"self.{name} got another embedding than the sum of both."
                raise Finding(text, hints[alone[0]] if alone else "dit_embedding")
            wanted = answered

    def check_last(self, answer: Answer) -> None:
        """Check what follows the blocks: norm, modulation, the last layer, and unpatchify."""
        after, images = self.expected["last"], self.expected["drawn"]
        for call in self.calls(answer, "modulate", "x", "shift", "scale")[:1]:
            for what, name in (("x", "normed"), ("shift", "shift"), ("scale", "scale")):
                array, wanted = getattr(call.get(what), "array", None), self.expected[name]
                same = array is not None and array.size == wanted.size
                if not same or not close(array.reshape(wanted.shape), wanted, TOLERANCE):
                    hint = "dit_final_norm" if what == "x" else "dit_final_modulation"
                    raise Finding(f"After the blocks, modulate got another {what}.", hint)
            after, images = self.expected["after_modulate"], self.expected["drawn_after"]
        for call in self.calls(answer, "unpatchify", "tokens", "rows", "columns")[:1]:
            if not is_tensor_like(call.get("tokens"), after, TOLERANCE):
                text = "self.unpatchify got other patches than it should."
                raise Finding(text, "dit_final_modulation")
            counts = [call.get("rows"), call.get("columns")]
            if counts != list(grid(self.case)):
                text = f"self.unpatchify got {counts} as the rows and columns of patches, expected "
                raise Finding(f"{text}{list(grid(self.case))}.", "dit_unpatch_grid")
            images = self.inputs["images"]
        result = tensor_of(answer.value, images.shape, "The network's result")
        if not close(result, images, TOLERANCE):
            raise Finding("What follows the blocks gives other images.", "dit_whole")


def answering(name: str, values: np.ndarray) -> Callable:
    """A double that answers with these values, [B, ...], as a whole or in pieces."""
    return Pieces(f"self.{name}", values[None], again=True).answer


def calls_of(case: Case, answer: Answer, name: str, *names: str) -> list[dict[str, Any]]:
    """The calls of a double, merged to whole batches, as arguments by name."""
    found = [a.bind(*names) for a in answer.asked if a.name == name]
    return in_whole(found, len(case.inputs["x"]))


def network_of(student: Student, case: Case) -> str:
    """The key of a case's network."""
    return student.build(MODULE, "DiT", TRANSFORMERS[case.config][0])[0]


def block_of(student: Student, case: Case) -> str:
    """The key of a single block like those of a case's network."""
    given = TRANSFORMERS[case.config][0]
    kwargs = {"dim": given["dim"], "emb_dim": given["dim"], "num_heads": given["num_heads"]}
    kwargs |= {"mlp_ratio": given["mlp_ratio"], "gelu": "tanh"}
    return student.build(BLOCKS, "AdaLNBlock", kwargs)[0]


def is_identity(student: Student, case: Case) -> bool:
    """Whether a fresh block returns its input tokens."""
    given = case.inputs["tokens"], case.inputs["emb"]
    answer = student.call(block_of(student, case), "forward", *given)
    result = tensor_of(answer.value, given[0].shape, "The block's result")
    return close(result, given[0], 1e-6)


def weights_of(case: Case) -> dict[str, np.ndarray]:
    """The parameters of a case's network, by name."""
    return {n.removeprefix("w:"): v for n, v in case.inputs.items() if n.startswith("w:")}


def grid(case: Case) -> tuple[int, int]:
    """The number of rows and columns of patches in a case's images."""
    kwargs, (height, width) = TRANSFORMERS[case.config]
    return height // kwargs["patch_size"], width // kwargs["patch_size"]


def enlarged(case: Case, random: np.random.Generator) -> Case:
    """The case with its images repeated in a batch of another size."""
    rows = indices(random, len(case.inputs["x"]), LARGE[case.config])

    def spread(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        kept = {n: v for n, v in values.items() if n.startswith("w:") or n == "positions"}
        others = {n: v for n, v in values.items() if n not in kept}
        return kept | {n: v[:, rows] if n == OF_BLOCKS else v[rows] for n, v in others.items()}

    suspects = {hint: spread(values) for hint, values in case.suspects.items()}
    inputs, expected = spread(case.inputs), spread(case.expected)
    return replace(case, inputs=inputs, expected=expected, suspects=suspects)


def batches_of(case: Case, random: np.random.Generator) -> tuple[tuple[Case, bool], ...]:
    """Two batches and whether they are for training: another size and mode, or both the same.

    With both the same, something kept from the first batch shows.
    """
    return (case, False), (enlarged(case, random), case.config != "dit_wide")


def asked(student: Student, case: Case, method: str, *args: Any) -> Answer:
    """Call a method of the network, with a case's weights."""
    return student.call(network_of(student, case), method, *args, weights=weights_of(case))


def check(
    case: Case,
    answer: Answer,
    name: str,
    what: str,
    general: str,
    dtypes: tuple[str, ...] = ("float32",),
) -> None:
    """Check a result against the case; the hint names a known mistake.

    Rounding errors of a whole network reach all of its numbers: they are relative to the largest.
    """
    expected = case.expected[name]
    found = tensor_of(answer.value, expected.shape, what, dtypes)
    size = np.abs(expected).max() if name == "whole" else np.abs(expected)
    if not off(found, expected, TOLERANCE * (1 + size)).any():
        return
    hint = suspect({name: found}, case.suspects, {name: 1e-3}, relative=1e-3)
    raise Finding(f"{what} is off by up to {np.abs(found - expected).max():.3g}.", hint or general)


def check_gradients(answer: Answer, weights: dict[str, np.ndarray]) -> None:
    """Check that gradients reach all parameters, if they were asked for."""
    for name in weights:
        if not name.endswith(NO_GRADIENT) and answer.lacks_gradient(name):
            raise Finding(f"No gradient reaches {name}, so it cannot learn.", "dit_detached")
