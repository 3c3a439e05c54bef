"""Stable Diffusion: the UNet's forward, the names in its files, guidance, guided sampling."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pytest
from autograder.checks.batches import check_device, indices, rows_of, together
from autograder.checks.cases import Case
from autograder.checks.evidence import (
    FEW_DIGITS,
    check_untouched,
    close,
    is_rounded,
    number_of,
    off,
    shown,
    suspect,
    tensor_of,
    weights,
    whole_number,
)
from autograder.checks.findings import Finding
from autograder.checks.messages import Answer, Asked, Tensor
from autograder.checks.sd_unet_wiring import WholeUNet, needed_blocks
from autograder.checks.student import Student

PART, MODULE = "bonus_scaling", "stable_diffusion"
SIDES = ("negative", "context")
# Precision of x, and of the network's answers.
GUIDED = {"guided": ("float32", "float32"), "guided_half": ("float32", "float16")}
GUIDED["guided_double"] = ("float64", "float32")
FOREIGN = ["betas", "model_ema.decay", "first_stage_model.decoder.conv_in.weight"]
FOREIGN += ["cond_stage_model.transformer.text_model.final_layer_norm.weight"]
FOREIGN += ["encoder.0.0.in_layers.0.weight"]
# Hints of findings other than an error raised by rename.
NO_ERRORS = ("syntax_error", "missing_package", "process_ended", "too_slow", "forged")
MANY = 65  # samples in the larger batch
FLOATS = ("float16", "float32", "float64")

# dim_mults, attn_levels, res_blocks; height and width
SHAPES: dict[str, tuple[tuple[list[int], list[int], int], tuple[int, int]]] = {
    "one_level": (([1], [0], 2), (20, 16)),
    "stable_diffusion": (([1, 2, 4, 4], [0, 1, 2], 2), (16, 8)),
    "equal_widths": (([1, 1], [0, 1], 2), (2, 4)),
    "one_block": (([1, 2, 3], [1, 2], 1), (4, 4)),
    "three_blocks_no_attention": (([1, 2], [], 3), (6, 4)),
}
TOKENS = {"one_level": 80}  # in a context; CLIP gives 77
SAMPLES = {"one_level": 1, "equal_widths": 65, "one_block": 3}  # in a batch; 2 for the others
IN_EVALUATION = ("one_level", "stable_diffusion", "one_block")  # the others are in training mode
AGAIN = ("one_block",)  # they run twice, in both modes
shapes = pytest.mark.parametrize("shape", SHAPES)


def network_of(
    student: Student, shape: str, random: np.random.Generator
) -> tuple[str, list[np.ndarray]]:
    """The key of a narrow network; x, context and time for a call."""
    (mults, attn_levels, res_blocks), size = SHAPES[shape]
    kwargs = {"dim": 8, "context_dim": 6, "in_channels": 3, "dim_mults": mults}
    kwargs |= {"attn_levels": attn_levels, "res_blocks": res_blocks}
    kwargs |= {"num_heads": 2, "num_groups": 4}
    batch = SAMPLES.get(shape, 2)
    sizes = (batch, 3, *size), (batch, TOKENS.get(shape, 5), 6)
    x, context = (random.standard_normal(s).astype(np.float32) for s in sizes)
    key, _ = student.build(MODULE, "StableDiffusionUNet", kwargs)
    return key, [x, context, indices(random, 1000, batch)]


@pytest.mark.group("unet")
@shapes
def test_forward(student: Student, shape: str, random: np.random.Generator) -> None:
    """Every block gets its input, t_emb or the context; each state goes to its decoder block."""
    training = shape not in IN_EVALUATION
    check_forward(student, shape, random, training, fresh=shape in AGAIN)


@pytest.mark.group("unet")
@pytest.mark.parametrize("shape", AGAIN)
def test_forward_again(student: Student, shape: str, random: np.random.Generator) -> None:
    """Earlier runs of the network, and their mode, change nothing."""
    check_forward(student, shape, random, training=shape in IN_EVALUATION, fresh=False)


def check_forward(
    student: Student, shape: str, random: np.random.Generator, training: bool, fresh: bool
) -> None:
    """Run a network whose members are doubles, and follow x through it.

    Args:
        training: the network's mode.
        fresh: whether it has not run before.
    """
    key, inputs = network_of(student, shape, random)
    if not fresh:
        student.run_before(key, inputs, training=shape in IN_EVALUATION)
    needed = needed_blocks(*SHAPES[shape][0])
    x, context, time = inputs
    walk = WholeUNet(needed, random, len(x), x=x, context=context, time=time)
    try:
        answer, structure = student.network(
            key, *inputs, handler=walk.answer, seed=walk.seed, training=training
        )
    except Finding as finding:
        if not finding.not_attempted and finding.structure:
            walk.error = finding
            walk.check(finding.structure, None)
        raise
    walk.check(structure, answer.value)


@pytest.mark.group("unet")
@shapes
def test_forward_runs(student: Student, shape: str, random: np.random.Generator) -> None:
    """The network itself runs, does not change its input, and returns the shape of x."""
    key, inputs = network_of(student, shape, random)
    answer = student.forward(key, inputs, training=shape in IN_EVALUATION)
    tensor_of(answer.value, inputs[0].shape, "The network's output")
    check_untouched(answer, ["x", "context", "time"])


@pytest.mark.group("names")
@pytest.mark.configs("names", "names_one_block", "names_three_blocks")
def test_names(student: Student, case: Case, random: np.random.Generator) -> None:
    """Each of CompVis's names becomes our name for the same tensor, for any number of blocks."""
    theirs, ours = ([n.decode() for n in v["names"]] for v in (case.inputs, case.expected))
    found = renamed(student, random, theirs, int(case.inputs["res_blocks"]))
    wrong = [i for i, name in enumerate(found) if name != ours[i]]
    if not wrong:
        return
    i = wrong[0]
    if not isinstance(found[i], str):
        raise Finding(f"rename('{theirs[i]}') gave {shown(found[i])}.", "sd_names_no_text")
    blocks = int(case.inputs["res_blocks"])
    by_two = renamed(student, random, [theirs[k] for k in wrong], 2) if blocks != 2 else []
    if by_two == [found[k] for k in wrong]:
        hint = "sd_names_res_blocks"
    else:
        hint = hint_of_name(theirs[i], ours[i], [(ours[k], found[k]) for k in wrong])
    raise Finding(
        f"With {blocks} residual blocks per level, {len(wrong)} of {len(found)} names are wrong: "
        f"'{theirs[i]}' became '{found[i][:80]}', expected '{ours[i]}'.",
        hint,
    )


@pytest.mark.group("names")
@pytest.mark.configs("names")
def test_foreign_names(student: Student, case: Case, random: np.random.Generator) -> None:
    """A name that is not the UNet's raises an error, and the UNet's own names do not."""
    theirs = [name.decode() for name in case.inputs["names"]][:: len(FOREIGN)]
    found = called(student, random, theirs + FOREIGN)
    for name, value in zip(theirs + FOREIGN, found, strict=True):
        if isinstance(value, Finding):
            if name in theirs or value.not_attempted or value.hint in NO_ERRORS:
                raise value
        elif name in FOREIGN:
            text = f"rename('{name}') gave {shown(value)}, not an error."
            raise Finding(text, "sd_names_foreign")


def renamed(
    student: Student, random: np.random.Generator, names: list[str], res_blocks: int
) -> list[Any]:
    """The results of rename for these names."""
    given = {"res_blocks": res_blocks} if res_blocks != 2 else {}
    found = called(student, random, names, **given)
    for value in found:
        if isinstance(value, Finding):
            raise value
    return found


def called(
    student: Student, random: np.random.Generator, names: list[str], **given: Any
) -> list[Any]:
    """The result of rename for each name, or its error; it gets the names in random order."""
    order = random.permutation(len(names))
    values = student.each(MODULE, "rename", [names[k] for k in order], **given)
    found = dict(zip(order.tolist(), values, strict=True))
    for k, value in found.items():
        if isinstance(value, Finding) and not value.not_attempted:
            value.reason = f"rename('{names[k]}'): {value.reason}"
            value.hint = "sd_names_raises" if value.hint == "raises" else value.hint
    return [found[k] for k in range(len(names))]


def hint_of_name(theirs: str, ours: str, wrong: list[tuple[str, Any]]) -> str:
    """The hint for the first wrong name; `wrong` lists all pairs (expected, found)."""
    part, number, *_ = theirs.split(".")
    found = str(wrong[0][1])
    end = ours.split(".", 3)[-1] if part in ("input_blocks", "output_blocks") else ""
    if end and not found.endswith(f".{end}") and number != "0":
        return "sd_names_end"
    if part == "input_blocks" and number == "0":
        return "sd_names_conv_in"
    if part == "input_blocks":
        shifts = [
            shift_of(a, str(b)) for a, b in wrong if a.startswith("encoder.") and ".op." not in a
        ]
        if None not in shifts and len(set(shifts)) > 1:
            return "sd_names_downsample_counted"
        if ".op." in theirs:
            return "sd_names_downsample"
        return "sd_names_encoder" if None in shifts else "sd_names_shifted"
    if part == "output_blocks":
        return "sd_names_upsample" if ".conv." in theirs else "sd_names_decoder"
    hints = {"time_embed": "time", "middle_block": "middle", "out": "out"}
    return f"sd_names_{hints[part]}"


def shift_of(ours: str, found: str) -> int | None:
    """How far a block's position in the encoder is off, if the rest of its name is right."""
    (part, place, *rest), other = ours.split("."), found.split(".")
    right = len(other) > 1 and other[0] == part and re.fullmatch("[0-9]{1,4}", other[1])
    return int(other[1]) - int(place) if right and other[2:] == rest else None


@pytest.mark.group("guidance")
@pytest.mark.configs(*GUIDED)
def test_guided_eps(student: Student, case: Case, random: np.random.Generator) -> None:
    """One call of the network on both contexts; its answers are combined in x's precision."""
    found: dict[str, list[float]] = {side: [] for side in SIDES}
    exact, half = [], GUIDED[case.config][1] == "float16"
    stored = case
    for i, scale in enumerate(stored.inputs["scales"].tolist()):
        case = enlarged(stored, random) if (stored.config, i) == ("guided", 1) else stored
        inputs = {name: case.inputs[name] for name in ("x", "t", "context", "negative")}
        inputs["x"] = inputs["x"].astype(GUIDED[case.config][0])
        network = Network(case, random, GUIDED[case.config][1])
        try:
            answer = student.function(
                MODULE, "guided_eps", doubles={"network": network.answer}, **inputs, scale=scale
            )
        except Finding:
            if network.calls:
                network.check(inputs["t"], inputs["x"])  # what it got may explain the error
            raise
        network.check(inputs["t"], inputs["x"])
        result = answer.value
        if half and isinstance(result, Tensor) and result.dtype == "float16":
            raise Finding("With a network in half precision, so is the result.", "sd_precision")
        dtypes = (str(inputs["x"].dtype),)
        if isinstance(result, Tensor) and result.dtype == "float32" and "float64" in dtypes:
            raise Finding("With x in float64 the result is in float32.", "sd_precision")
        eps = tensor_of(result, inputs["x"].shape, "guided_eps's result", dtypes)
        check_untouched(answer, [])
        both, rest = weights(eps, *(network.answers(side) for side in SIDES))
        right = sum(case.expected[side][i] * network.answers(side) for side in SIDES)
        if off(rest, 0, 2e-2 * max(1.0, np.abs(right).max())).any():
            text = f"With scale {scale:g}, the sum holds more than the network's answers."
            raise Finding(text, "sd_guidance_no_mix")
        for side, column in zip(SIDES, both.T, strict=True):
            found[side].append(column.mean())
        exact.append(close(eps, right, 3e-5))
    check_guidance(case, {side: np.array(values) for side, values in found.items()})
    if not all(exact):
        raise Finding(
            "The result is off by what half precision rounds away."
            if half
            else "The result is right only on average.",
            "sd_precision" if half else "sd_guidance",
        )
    if case.config == "guided_double":
        away = Network(case, random, GUIDED[case.config][1])
        check_device(
            lambda: student.function(
                MODULE,
                "guided_eps",
                doubles={"network": away.answer},
                away=True,
                **inputs,
                scale=2.0,
            )
        )


def check_guidance(case: Case, found: dict[str, np.ndarray]) -> None:
    """Compare the weights of both answers in the results with the case's."""
    expected = case.expected
    wrong = np.any([off(found[n], expected[n], 5e-3) for n in SIDES], axis=0)
    if not wrong.any():
        return
    worst = int(np.flatnonzero(wrong)[0])
    spread = " and ".join(
        f"{found[side][worst]:.3g} of what it says with {side} (expected "
        f"{expected[side][worst]:.3g})"
        for side in SIDES
    )
    hint = suspect(found, case.suspects, dict.fromkeys(SIDES, 1e-2))
    scale = case.inputs["scales"][worst]
    raise Finding(
        f"With scale {scale:g} the result holds {spread}: the network's answers, weighted.",
        hint or "sd_guidance",
    )


@pytest.mark.group("guidance")
@pytest.mark.configs("walk", "walk_of_one_step", "walk_to_time_0", "long_walk")
def test_sample_guided(student: Student, case: Case, random: np.random.Generator) -> None:
    """The given times are visited, each step leads to the next alpha_bar, the last to time 0's."""
    walk = Walk(case, random)
    walk.check(student, walk.run(student))
    if case.config == "walk_of_one_step":
        check_device(lambda: Walk(case, random).run(student, away=True))


def enlarged(case: Case, random: np.random.Generator) -> Case:
    """The case with MANY samples, each with its own time and contexts."""
    inputs = {**case.inputs, "t": random.choice(1000, MANY, replace=False)}
    for name in ("x", "context", "negative", "eps_context", "eps_negative"):
        shape = (MANY, *case.inputs[name].shape[1:])
        inputs[name] = random.standard_normal(shape).astype(np.float32)
    return replace(case, inputs=inputs)


@dataclass(repr=False)  # pytest would spell out all its numbers
class Network:
    """The double of the network; it identifies the rows of a batch by their contexts.

    Args:
        case: has the answers to both contexts.
        random: draws the answers to other contexts.
        dtype: dtype of the answers.
        steps: how often it may be called.
        joins: merge calls at the same time step for different samples.
    """

    case: Case
    random: np.random.Generator
    dtype: str = "float32"
    steps: int = 1
    joins: bool = False
    calls: list[dict[str, Any]] = field(default_factory=list)
    samples: list[int] = field(default_factory=list)  # the samples of the last call, or piece

    def answers(self, side: str, step: int = 0) -> np.ndarray:
        """The network's answer for one of the contexts, rounded to its dtype, as float64."""
        stored = self.case.inputs[f"eps_{side}"]
        stored = stored[step] if stored.ndim == 5 else stored
        return stored.astype(self.dtype).astype(np.float64)

    def answer(self, asked: Asked) -> np.ndarray | str:
        """The stored answer for each row whose context is known, fresh numbers for others."""
        call = asked.bind("x", "context", "time")
        self.samples = self.samples_of(call)
        if self.continues(call):
            self.calls[-1] = together([self.calls[-1], call])
        else:
            self.calls.append(call)
        if len(self.calls) > 2 * self.steps + 2:
            return "the network was called far too often"
        if not self.is_batch(call.get("x")):
            return f"the network's x was {shown(call.get('x'))}"
        step = min(len(self.calls), self.steps) - 1
        value = self.random.standard_normal(call["x"].shape)
        for n, (side, sample) in enumerate(self.rows(call)):
            if side:
                value[n] = self.answers(side, step)[sample]
        return value.astype(self.dtype)

    def samples_of(self, call: dict[str, Any]) -> list[int]:
        """The samples in a call, each once."""
        if not self.is_batch(call.get("x")):
            return []
        return list(dict.fromkeys(sample for _, sample in self.rows(call)))

    def continues(self, call: dict[str, Any]) -> bool:
        """Whether a call has the next samples at the time of the last call."""
        if not (self.joins and self.calls and self.samples):
            return False
        before, times = self.samples_of(self.calls[-1]), [self.calls[-1].get("time")]
        times.append(call.get("time"))
        same = whole_number(times[0]) == whole_number(times[1]) is not None
        return same and bool(before) and not {-1, *before} & set(self.samples)

    def is_batch(self, x: Any) -> bool:
        """Whether a call's x can be a batch of the case's samples, each at most a few times."""
        batch, *shape = self.case.inputs["x"].shape
        known = isinstance(x, Tensor) and x.array is not None and x.shape[1:] == shape
        return known and 0 < x.shape[0] <= 4 * batch

    def rows(self, call: dict[str, Any]) -> list[tuple[str, int]]:
        """For each row of a call, the context ("" if unknown) and the sample that it belongs to."""
        length, context = call["x"].shape[0], call.get("context")
        unknown = [("", -1)] * length
        if not isinstance(context, Tensor) or context.array is None:
            return unknown
        if context.shape != [length, *self.case.inputs["context"].shape[1:]]:
            return unknown
        return [self.row_of(row) for row in context.array]

    @cached_property
    def known(self) -> dict[bytes, tuple[str, int]]:
        """The side and the sample of each context, by its bytes."""
        return {
            context.tobytes(): (side, b)
            for side in SIDES
            for b, context in enumerate(self.case.inputs[side])
        }

    def row_of(self, context: np.ndarray) -> tuple[str, int]:
        """The side and the sample that a context belongs to, even if it was rounded."""
        found = self.known.get(context.tobytes())
        if found is not None:
            return found
        contexts = np.concatenate([self.case.inputs[side] for side in SIDES])
        wrong = off(context, contexts, 1e-3 * (1 + np.abs(contexts)))
        (fitting,) = np.nonzero(~wrong.any(axis=(1, 2)))
        return list(self.known.values())[fitting[-1]] if len(fitting) else ("", -1)

    def check(self, times: np.ndarray, *expected: np.ndarray) -> None:
        """Check that there is one call for each expected x, with each sample's time."""
        if not self.calls:
            raise Finding("The network was never called.", "sd_network_calls")
        if len(self.calls) > self.steps:
            text = f"The network was called {len(self.calls)} times, expected {self.steps}."
            raise Finding(text, "sd_network_calls")
        for call, x in zip(self.calls, expected, strict=False):
            self.check_call(call, times, x)

    def check_call(self, call: dict[str, Any], times: np.ndarray, x: np.ndarray) -> None:
        """Check that every row has the x, the time and a context of the same sample."""
        batch, found, time = len(x), call.get("x"), call.get("time")
        sizes = [v.shape[0] if isinstance(v, Tensor) and v.shape else 0 for v in call.values()]
        known = set(call) == {"x", "context", "time"} and self.is_batch(found)
        if not known or len(set(sizes)) > 1 or sizes[0] not in (batch, 2 * batch):
            listed = ", ".join(f"{name} {shown(value)}" for name, value in call.items())
            text = f"The network's arguments are not a batch of {2 * batch}: {listed}."
            raise Finding(text, "sd_network_batch")
        if time.dtype != "int64" or time.shape != [sizes[0]] or time.array is None:
            text = f"The network's time was {shown(time)} ({time.dtype}), expected a LongTensor."
            raise Finding(text, "sd_network_time")
        states = tensor_of(found, [sizes[0], *x.shape[1:]], "The network's x", FLOATS)
        if found.dtype == "float64" and x.dtype == np.float32:
            raise Finding("The network got an x in float64; expected float32.", "network_dtype")
        for n, (side, sample) in enumerate(self.rows(call)):
            if not side:
                raise Finding(f"Row {n} has neither context nor negative.", "sd_network_context")
            if close(states[n], x[sample], FEW_DIGITS) and not close(states[n], x[sample], 1e-4):
                raise Finding(f"Row {n} has an x with fewer digits than given.", "loses_digits")
            if not close(states[n], x[sample], 1e-4):
                mixed = any(close(states[n], other, 1e-2) for other in x)
                text = f"Row {n} has {side} of sample {sample}, but another x."
                raise Finding(text, "sd_network_rows" if mixed else "sd_network_x")
            if time.array[n] != times[sample]:
                text = f"Row {n} has the time {time.array[n]}, expected {times[sample]}."
                raise Finding(text, "sd_network_time")


class Walk:
    """The doubles for one run of sample_guided, and the checks of their calls."""

    def __init__(self, case: Case, random: np.random.Generator) -> None:
        self.case, self.random = case, random
        self.times = case.inputs["times"].tolist()
        self.states = case.expected["states"]
        self.network = Network(case, random, steps=len(self.times), joins=True)
        self.steps: list[
            tuple[int, dict[str, Any]]
        ] = []  # calls of ddim_step, with their step's number
        self.waiting = 0  # samples for which the last step has not been taken yet
        self.reported: list[dict[str, Any]] = []  # calls of on_step

    def step(self, asked: Asked) -> np.ndarray | str:
        """Answer ddim_step with the right state; its arguments are judged later."""
        i = len(self.network.calls) - 1
        if not 0 <= i < len(self.states) or len(self.steps) > 2 * len(self.states):
            return "ddim_step was called where no step is due"
        call, state = asked.bind("x", "eps", "alpha_bar", "alpha_bar_next"), self.states[i]
        rows, waiting = rows_of([call.get("x")]), self.waiting
        is_piece = rows < len(state) and rows == len(self.network.samples)
        self.waiting = max(0, (waiting or len(state)) - rows) if is_piece else 0
        if is_piece and waiting and self.steps[-1][0] == i:
            self.steps[-1] = i, together([self.steps[-1][1], call])
        else:
            self.steps.append((i, call))
        return state[self.network.samples] if is_piece else state

    def tell(self, asked: Asked) -> np.ndarray:
        """Record a call of on_step."""
        self.reported.append(asked.bind("i", "x"))
        return np.zeros(1, np.float32)

    def run(self, student: Student, away: bool = False) -> Answer:
        """Call sample_guided with doubles of all that it calls except guided_eps."""
        inputs = self.case.inputs
        doubles: dict[str, Any] = {"network": self.network.answer}
        if self.case.config == "walk":  # the others run without on_step
            doubles["on_step"] = self.tell
        given = {name: inputs[name] for name in ("x", "context", "negative", "alphas_cumprod")}
        try:
            return student.function(
                MODULE,
                "sample_guided",
                doubles=doubles,
                inside={"ddim_step": self.step},
                keeps=[name for name in doubles if name == "on_step"],
                away=away,
                **given,
                times=self.times,
                scale=float(inputs["scale"]),
            )
        except Finding:
            if self.network.calls and not away:
                self.check_times(self.times[: len(self.network.calls)])
                self.check_steps()
            raise

    def check(self, student: Student, answer: Answer) -> None:
        """Check the times, the steps, the states, the result, and the calls of on_step."""
        self.check_times(self.times)
        inputs = self.case.inputs
        result = tensor_of(answer.value, inputs["x"].shape, "sample_guided's result")
        fed = [self.fed(call) for call in self.network.calls]
        if not close(fed[0], inputs["x"], 1e-5):
            raise Finding("The first step does not start from the given x.", "sd_walk_start")
        try:
            self.check_steps()
        except Finding as finding:
            if finding.hint == "sd_walk_step" and self.is_random(student, result):
                finding.hint = "sd_walk_noise"
            raise
        states = np.stack([*fed[1:], result])
        if not close(states, self.states, 2e-4):
            if close(states, self.states, FEW_DIGITS):
                raise Finding("The states have fewer digits than they should.", "loses_digits")
            raise Finding(
                "The states between the steps are not where steps to the next of the times lead.",
                self.mistake(student, states),
            )
        for i, (call, x) in enumerate(zip(self.network.calls, fed, strict=True)):
            self.network.check_call(call, np.full(len(x), self.times[i]), x)
        check_untouched(answer, [])
        if self.case.config == "walk":
            self.check_reports()

    def check_times(self, times: Sequence[int]) -> None:
        """Check that the network was called once at each time, in order."""
        found = []
        for call in self.network.calls:
            time = call.get("time")
            whole = isinstance(time, Tensor) and time.dtype == "int64" and time.array is not None
            if not whole or len(time.shape) != 1 or not time.array.size or np.ptp(time.array):
                text = f"The network's time was {shown(time)}, expected a LongTensor of one time."
                raise Finding(text, "sd_walk_t")
            found.append(int(time.array[0]))
        if len(found) > len(self.times) and found[::2] == found[1::2] == self.times:
            raise Finding("The network was called twice at each time.", "sd_network_calls")
        if found != times:
            text = f"The network was asked at the times {found}, expected {self.times}."
            raise Finding(text, "sd_walk_times")

    def fed(self, call: dict[str, Any]) -> np.ndarray:
        """The x of a call, in the order of the samples."""
        x = call.get("x")
        if not self.network.is_batch(x):
            raise Finding(f"The network's x was {shown(x)}.", "sd_network_batch")
        values = tensor_of(x, x.shape, "The network's x")
        found = {sample: values[n] for n, (_, sample) in enumerate(self.network.rows(call))}
        if sorted(found) != list(range(len(self.case.inputs["x"]))):
            raise Finding("A row has neither context nor negative.", "sd_network_context")
        return np.stack([found[sample] for sample in sorted(found)])

    def check_steps(self) -> None:
        """Check that each ddim_step got the state, the guided noise, and successive alpha_bars."""
        bars, eps = self.case.expected["alpha_bars"], self.case.expected["eps"]
        before = [self.case.inputs["x"], *self.states]
        for i, call in self.steps:
            last = i == len(self.states) - 1
            if number_of(call.get("eta")) or call.get("noise") is not None:
                raise Finding("ddim_step was asked to add noise.", "sd_walk_noise")
            if call.get("clip_x0"):
                raise Finding("ddim_step was asked to clip x_0.", "sd_walk_clip")
            pair = [number_of(call.get(name)) for name in ("alpha_bar", "alpha_bar_next")]
            for found, wanted, hint in zip(
                pair, bars[i : i + 2], ("start", "final" if last else "next"), strict=True
            ):
                if not close(np.asarray(found), np.asarray(wanted), 1e-4):
                    hint = "sd_walk_alpha_bar" if hint == "start" else f"sd_walk_{hint}"
                    text = f"Step {i} of {len(self.states)} went from alpha_bar {pair[0]:.5f} to "
                    text += f"{pair[1]:.5f}, expected {bars[i]:.5f} to {bars[i + 1]:.5f}."
                    raise Finding(text, hint)
            if not is_like(call.get("x"), before[i]) and is_rounded(call.get("x"), before[i]):
                text = f"Step {i} of {len(self.states)} started from fewer digits than there were."
                raise Finding(text, "loses_digits")
            if not is_like(call.get("x"), before[i]):
                text = f"Step {i} of {len(self.states)} did not start where the last one ended."
                back = any(is_like(call.get("x"), earlier) for earlier in before[:i])
                raise Finding(text, "sd_walk_not_fed_back" if back else "sd_walk_step")
            if not is_like(call.get("eps"), eps[i]) and is_rounded(call.get("eps"), eps[i]):
                text = f"Step {i} of {len(self.states)} got an eps with fewer digits than guided."
                raise Finding(text, "loses_digits")
            if not is_like(call.get("eps"), eps[i]):
                raise Finding(
                    f"Step {i} of {len(self.states)} got another eps than the guided one.",
                    self.hint_of_eps(i, call.get("eps")),
                )

    def hint_of_eps(self, i: int, eps: Any) -> str:
        """The hint for a wrong eps of ddim_step, such as swapped contexts or another scale."""
        if not isinstance(eps, Tensor) or eps.shape != list(self.states.shape[1:]):
            return "sd_walk_eps"
        scale = float(self.case.inputs["scale"])
        negative, context = (self.network.answers(side, i) for side in SIDES)
        if eps.array is None:
            return "sd_walk_eps"
        both, _ = weights(eps.array, negative, context)
        found = both.mean(axis=0)
        if close(found, np.array([scale, 1 - scale]), 1e-2):
            return "sd_walk_contexts"
        return "sd_walk_scale" if abs(found.sum() - 1) < 1e-2 else "sd_walk_eps"

    def mistake(self, student: Student, states: np.ndarray) -> str:
        """The hint for a run that leads elsewhere."""
        wrong = {h: v for h, v in self.case.suspects.items() if v["states"].shape == states.shape}
        known = suspect({"states": states}, wrong, {"states": 2e-3})
        if known:
            return known
        return "sd_walk_noise" if self.is_random(student, states[-1]) else "sd_walk_step"

    def is_random(self, student: Student, result: np.ndarray) -> bool:
        """Whether repeating the run gives another result."""
        try:
            return not is_like(Walk(self.case, self.random).run(student).value, result, 1e-5)
        except Finding:
            return False

    def check_reports(self) -> None:
        """Check that on_step got (0, x), (1, x), ... with the state after each step."""
        numbers = [whole_number(call.get("i")) for call in self.reported]
        right = numbers == list(range(len(self.states))) and all(
            is_like(call.get("x"), state, 1e-3)
            for call, state in zip(self.reported, self.states, strict=True)
        )
        if not right:
            raise Finding(
                f"on_step was called with the steps {numbers}; expected 0 to "
                f"{len(self.states) - 1}, each with the state after that step.",
                "sd_walk_on_step",
            )


def is_like(value: Any, expected: np.ndarray, tolerance: float = 1e-4) -> bool:
    """Whether a value is a tensor with about these values."""
    known = isinstance(value, Tensor) and value.array is not None
    same_shape = known and value.shape == list(expected.shape)
    return same_shape and close(value.array, expected, tolerance)
