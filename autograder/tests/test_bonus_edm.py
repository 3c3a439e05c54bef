"""EDM: the denoiser (Karras et al. 2022, eq. 7), its loss (eq. 8), Heun's step (Algorithm 1)."""

import contextlib
import itertools
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from autograder.checks.batches import (
    OUTLIER,
    Pieces,
    Spread,
    check_device,
    in_whole,
    indices,
    odd,
    rows_of,
)
from autograder.checks.cases import Case
from autograder.checks.evidence import (
    FEW_DIGITS,
    FLOATS,
    ROUNDED_LOSS,
    as_precise,
    check_network_kinds,
    check_untouched,
    close,
    fitting_hints,
    is_tensor_like,
    off,
    shown,
    suspect,
    tensor_of,
    weights,
)
from autograder.checks.findings import Finding
from autograder.checks.independence import check_drawn, check_independent
from autograder.checks.messages import Answer, Asked, Tensor
from autograder.checks.student import Student

PART = "bonus_edm"
POINT = ("next_x", "next_first")
STEP = ("step_x", "step_first", "step_second")
NAMES = ("x", "the first answer", "the second answer")
LARGE = {"mnist": 17, "odd": 65, "cosine": 1}  # images in the larger batch
HEUN = (17, 65, 1, 2)  # images in each step
CORNER = 30  # factor of the numbers in a corner, so that clamping shows
LOSS = 1e-5  # relative tolerance of a loss
IMAGES = ("x", "label", "sigma", "answer", "clean", "noise", "denoised")
FACTORS = ("c_in", "c_noise", "c_skip", "c_out", "signal", "noise")


@pytest.mark.group("denoise")
def test_network_call(student: Student, case: Case, random: np.random.Generator) -> None:
    """The network gets c_in x, the labels, and c_noise as a tensor [B], in batches of any size."""
    for batch in (case, with_large(enlarged(case, random))):
        check_network_call(batch, denoised(student, batch, training=False))


@pytest.mark.group("denoise")
def test_denoised(student: Student, case: Case, random: np.random.Generator) -> None:
    """The result is c_skip x + c_out F, for tiny and huge noise levels in one batch.

    Two batches have the same size: nothing may be kept from one to the next. In the last one some
    numbers are so large that clamping the result shows, whatever sigma_data is.
    """
    for batch in (case, enlarged(case, random), with_large(enlarged(case, random))):
        check_denoised(batch, denoised(student, batch))
    if case.config == "odd":
        check_device(lambda: denoised(student, case, away=True))


@pytest.mark.group("denoise")
@pytest.mark.configs("odd")
def test_denoised_in_double(student: Student, case: Case) -> None:
    """Images in float64 are denoised as precisely as others."""
    double = {name: case.inputs[name].astype(np.float64) for name in ("x", "sigma")}
    case = replace(case, inputs={**case.inputs, **double})
    answer = denoised(student, case, training=False)
    check_denoised(case, answer)


@pytest.mark.group("loss")
def test_loss(student: Student, case: Case, random: np.random.Generator) -> None:
    """Images with noise of level sigma are denoised; errors are weighted for each image."""
    batches = ((case, True), (enlarged(case, random), False), (spread_out(case, random), True))
    for batch, training in batches:
        objective = Objective(batch, training)
        objective.run(student, batch.inputs["noise"])
        y, noise = batch.inputs["clean"], batch.inputs["noise"]
        mix = mixture(objective.noisy, ("y", y), ("the given noise", noise))
        check_numbers(batch, dict(zip(("signal", "noise"), mix, strict=True)))
        objective.check()


@pytest.mark.group("loss")
def test_own_noise(student: Student, case: Case, random: np.random.Generator) -> None:
    """Without noise given, compute_loss draws new Gaussian noise each time."""
    case, draws = enlarged(case, random), []
    for training in (True, False, False):
        objective = Objective(case, training)
        objective.run(student)
        check_untouched(objective.answer, ["x_start", "label", "sigma"])
        drawn = (objective.noisy - case.inputs["clean"]) / each(case.inputs["sigma"])
        check_drawn([drawn], "The noise that compute_loss draws, in units of sigma,")
        draws.append(drawn)
    if any(np.allclose(a, b, atol=1e-2) for a, b in itertools.combinations(draws, 2)):
        raise Finding("Two calls without noise given drew the same noise.", "noise_repeated")
    check_independent(np.stack(draws), "The noise that compute_loss draws")
    if case.config == "odd":
        check_device(lambda: Objective(case).run(student, away=True))


@pytest.mark.group("heun")
def test_heun_step(student: Student, case: Case, random: np.random.Generator) -> None:
    """Between two levels the step follows the mean of the slopes at both ends."""
    found: dict[str, list[float]] = {name: [] for name in (*POINT, *STEP)}
    for size, pair in zip(HEUN, case.inputs["levels"][:-1], strict=True):
        three = three_of(case, random, size)
        answer = step(student, case, three, *pair)
        calls = denoiser_calls(answer.asked, size, 2)
        check_call(calls[0], three[0], pair[0])
        result = tensor_of(answer.value, three[0].shape, "heun_step's result")
        check_untouched(answer, [])
        if len(calls) == 1:
            text = f"From sigma {pair[0]:.3g} to {pair[1]:.3g} the denoiser was asked once, not "
            raise Finding(text + "at both ends.", "edm_heun_euler")
        check_second_level(calls[1].get("sigma"), *pair)
        where = "The x of the second call"
        point = tensor_of(calls[1].get("x"), result.shape, where, FLOATS)
        mix = mixture(point, *zip(NAMES[:2], three[:2], strict=True))
        for name, column in zip(POINT, mix, strict=True):
            found[name].append(middle_of(column))
        mix = mixture(result, *zip(NAMES, three, strict=True))
        for name, column in zip(STEP, mix, strict=True):
            found[name].append(middle_of(column))
    check_numbers(case, {name: np.array(found[name]) for name in POINT})
    check_numbers(case, {name: np.array(found[name]) for name in STEP})
    if case.config == "odd":
        check_device(lambda: step(student, case, three, *pair, away=True))


@pytest.mark.group("heun")
def test_step_to_zero(student: Student, case: Case, random: np.random.Generator) -> None:
    """A step to sigma 0 is Euler's: one call, and the denoiser's answer is the result."""
    sigma, zero = case.inputs["levels"][-1]
    for dtype, size in (("float32", 3), ("float64", 1)):
        three = [values.astype(dtype) for values in three_of(case, random, size)]
        answer = step(student, case, three, sigma, zero)
        calls = denoiser_calls(answer.asked, size, 2)
        check_call(calls[0], three[0], sigma)
        check_untouched(answer, [])
        if len(calls) > 1:
            level = shown(calls[1].get("sigma"))
            raise Finding(
                f"With sigma_next 0 the denoiser was asked twice, last with sigma {level}.",
                "edm_heun_at_zero",
            )
        what = f"The step in {dtype}"
        result = tensor_of(answer.value, three[1].shape, what, as_precise(dtype))
        if not close(result, three[1], 1e-5):
            raise Finding(
                f"The step to sigma 0 leads elsewhere than Euler's (up to "
                f"{np.abs(result - three[1]).max():.3g} away).",
                "loses_digits" if close(result, three[1], FEW_DIGITS) else "edm_heun_last",
            )


class Objective:
    """Runs compute_loss with doubles of denoise, and of the network for code that calls that."""

    def __init__(self, case: Case, training: bool = True) -> None:
        self.case, self.training = case, training
        self.answer = Answer(None)
        self.noisy = self.denoised = self.moved = np.empty(0)

    def run(self, student: Student, *noise: np.ndarray, away: bool = False) -> None:
        """Call compute_loss; sets the denoiser's input, `noisy`, and its answer, `denoised`."""
        inputs, batch = self.case.inputs, len(self.case.inputs["clean"])
        self.answer = student.call(
            student.edm(self.case),
            "compute_loss",
            *(inputs[name] for name in ("clean", "label", "sigma")),
            *noise,
            doubles={
                "denoise": Pieces("denoise", inputs["denoised"][None], again=True).answer,
                "model": Pieces(
                    "the network", inputs["answer"][None], again=True, expected=False
                ).answer,
            },
            gradients=not away,
            training=self.training,
            away=away,
        )
        asked = [a for a in self.answer.asked if a.name == "denoise"]
        calls = in_whole([a.bind("x", "label", "sigma") for a in asked], batch)
        if len(calls) > 1:
            raise Finding(f"denoise was called {len(calls)} times, not once.", "edm_called_often")
        if calls:
            self.look(calls[0])
        else:
            self.look_inside(network_call(self.answer.asked, batch))

    def look(self, call: dict[str, Any]) -> None:
        """Check that denoise got noisy images, the labels and sigma."""
        inputs = self.case.inputs
        check_network_kinds(call, inputs["clean"].dtype)
        if not is_tensor_like(call.get("label"), inputs["label"]):
            raise Finding(f"denoise got {shown(call.get('label'))} as label.", "edm_label")
        if not is_tensor_like(call.get("sigma"), inputs["sigma"]):
            raise Finding(f"denoise got {shown(call.get('sigma'))} as sigma.", "edm_loss_sigma")
        shape = inputs["clean"].shape
        self.noisy = tensor_of(call.get("x"), shape, "The x of denoise", FLOATS)
        self.denoised = self.moved = inputs["denoised"].astype(np.float64)

    def look_inside(self, call: dict[str, Any]) -> None:
        """Do the same for code that calls the network itself."""
        inputs, expected = self.case.inputs, self.case.expected
        check_network_kinds(call, inputs["clean"].dtype)
        x = tensor_of(call.get("x"), inputs["clean"].shape, "The network's x", FLOATS)
        right = is_tensor_like(call.get("time"), expected["c_noise"], 1e-4)
        if not right or not is_tensor_like(call.get("label"), inputs["label"]):
            raise Finding("The network got other labels or another c_noise.", "edm_loss_inside")
        self.noisy = x / each(expected["c_in"])
        self.moved = each(expected["c_out"]) * inputs["answer"]
        self.denoised = each(expected["c_skip"]) * self.noisy + self.moved

    def check(self) -> None:
        """Check that the loss is the mean weighted squared error, and check its gradient."""
        loss = tensor_of(self.answer.value, [], "The loss", FLOATS)
        check_untouched(self.answer, ["x_start", "label", "sigma", "noise"])
        error = self.denoised - self.case.inputs["clean"]
        weight = each(1 / self.case.expected["c_out"] ** 2)  # lambda
        expected = float((weight * error**2).mean())
        if not close(loss, np.asarray(expected), LOSS):
            hint = suspect({"loss": loss}, self.case.suspects, {"loss": 1e-6}, relative=2e-4)
            few = "loses_digits" if close(loss, np.asarray(expected), ROUNDED_LOSS) else ""
            raise Finding(
                f"The loss is {float(loss):.5g}; expected {expected:.5g}.",
                hint or few or "edm_loss_value",
            )
        size = float((2 * weight * error * self.moved).mean())
        check_gradient(self.answer, "denoise" if self.moved is self.denoised else "model", size)


def each(values: np.ndarray) -> np.ndarray:
    """One number per image, in a shape that broadcasts over images."""
    return np.reshape(values, (-1, 1, 1, 1))


def middle_of(column: np.ndarray) -> float:
    """The weight that all images of a batch share; raises Finding if they differ."""
    if off(column, column[0], 1e-3 * (1 + np.abs(column[0]))).any():
        text = f"In a batch of {len(column)} images a step weighs some differently from others."
        raise Finding(text, "mixes_samples")
    return float(column.mean())


def enlarged(case: Case, random: np.random.Generator) -> Case:
    """The case with its images repeated in a larger batch, without suspected losses."""
    batch = len(case.inputs["x"])
    rows = indices(random, batch, LARGE[case.config])
    inputs = {n: v[rows] if n in IMAGES else v for n, v in case.inputs.items()}
    inputs |= {n: odd(random, inputs[n]) for n in ("x", "answer", "clean", "noise")}
    inputs["denoised"][-1] += (OUTLIER - 1) * (inputs["denoised"] - inputs["clean"])[-1]
    expected = {n: v[rows] if n in FACTORS else v for n, v in case.expected.items()}
    suspects = {
        hint: {n: v[rows] for n, v in values.items()}
        for hint, values in case.suspects.items()
        if set(values) <= set(FACTORS)
    }
    return Case(case.part, case.config, inputs, expected, suspects)


def with_large(case: Case) -> Case:
    """The case with larger numbers in a corner of each image, and of the network's answer."""
    inputs = {name: case.inputs[name].copy() for name in ("x", "answer")}
    for values in inputs.values():
        values[..., :2, :2] *= CORNER
    return replace(case, inputs={**case.inputs, **inputs})


def spread_out(case: Case, random: np.random.Generator) -> Case:
    """A case whose network answers with numbers of all sizes, so that a few dominate the loss.

    Rounding errors of lower precision then do not average out.
    """
    shape = case.inputs["clean"].shape
    sizes = np.exp(random.uniform(-9, 5, shape)) * random.choice([-1.0, 1.0], shape)
    answers = dict.fromkeys(("answer", "denoised"), np.float32(sizes))
    return replace(case, inputs={**case.inputs, **answers}, suspects={})


def three_of(case: Case, random: np.random.Generator, size: int) -> list[np.ndarray]:
    """x and the denoiser's two answers, for a batch of `size` images; larger in a corner."""
    spread = Spread(random, case.inputs["heun_x"].shape, size)
    names = ("heun_x", "heun_first", "heun_second")
    found = [odd(random, spread(case.inputs[name])) for name in names]
    for values in found:
        values[..., :2, :2] *= CORNER
    return found


def denoised(student: Student, case: Case, training: bool = True, away: bool = False) -> Answer:
    """Call denoise; a double answers for the network."""
    return student.call(
        student.edm(case),
        "denoise",
        *(case.inputs[name] for name in ("x", "label", "sigma")),
        doubles={"model": Pieces("the network", case.inputs["answer"][None], again=True).answer},
        gradients=not away,
        training=training,
        away=away,
    )


def step(
    student: Student,
    case: Case,
    three: list[np.ndarray],
    sigma: float,
    sigma_next: float,
    away: bool = False,
) -> Answer:
    """Call heun_step on x; the other two arrays are the denoiser's answers."""
    with contextlib.suppress(Finding):  # a broken libs/unet.py gets a stand-in now
        student.edm(case)
    denoiser = Denoiser(three)
    try:
        answer = student.function(
            "edm",
            "heun_step",
            doubles={"denoise": denoiser.answer},
            away=away,
            x=three[0],
            sigma=float(sigma),
            sigma_next=float(sigma_next),
        )
    except Finding as finding:
        denoiser_calls(denoiser.in_order(finding.asked), len(three[0]), 2, least=0)
        raise
    answer.asked = denoiser.in_order(answer.asked)
    return answer


class Denoiser:
    """The double of heun_step's denoiser; a batch may arrive as a whole or in pieces.

    A call belongs to the beginning of the step if its x is that of the next images, and all
    earlier images have been at both ends; otherwise it belongs to the end. So both calls for some
    images may come before those for the next.

    Args:
        three: x, and the answers at the beginning and at the end, [B, C, H, W] each.
    """

    def __init__(self, three: list[np.ndarray]) -> None:
        self.x, *self.answers = three
        self.ahead = np.stack(self.answers)
        self.rows = [0, 0]  # rows answered at each end
        self.ends: list[int] = []  # the end that each call belongs to

    def answer(self, asked: Asked) -> np.ndarray | str:
        """The answer for the next images at one end."""
        batch, x = len(self.x), asked.bind("x", "sigma").get("x")
        rows = rows_of([x])
        begun, done = self.rows
        starts = begun == done or is_tensor_like(x, self.x[begun : begun + rows])
        end = 0 if starts and begun < batch else 1
        self.ends.append(end)
        row = self.rows[end]
        if row >= batch:
            return "denoise was called more often than there are steps"
        if not 0 < rows <= batch - row:  # a wrong call, which is judged later
            rows = batch - row
        self.rows[end] += rows
        return self.answers[end][row : row + rows]

    def in_order(self, asked: list[Asked]) -> list[Asked]:
        """The calls at the beginning, then those at the end."""
        ends = [*self.ends, *[1] * len(asked)]
        return [
            a for wanted in (0, 1) for a, end in zip(asked, ends, strict=False) if end == wanted
        ]


def check_network_call(case: Case, answer: Answer) -> None:
    """Check what the network gets."""
    call = network_call(answer.asked, len(case.inputs["x"]))
    check_network_kinds(call, case.inputs["x"].dtype)
    if not is_tensor_like(call.get("label"), case.inputs["label"]):
        raise Finding(f"The network got {shown(call.get('label'))} as label.", "edm_label")
    check_scaled_x(case, call)
    time, sigma = call.get("time"), case.inputs["sigma"]
    if not isinstance(time, Tensor) or time.shape != [len(sigma)]:
        text = f"The network got {shown(time)} as c_noise, expected a tensor [{len(sigma)}]."
        raise Finding(text, "edm_c_noise_shape")
    check_numbers(case, {"c_noise": tensor_of(time, [len(sigma)], "c_noise", FLOATS)})


def check_denoised(case: Case, answer: Answer) -> None:
    """Check the result of denoise, and the network's gradient."""
    inputs = case.inputs
    dtypes = as_precise(inputs["x"].dtype)
    result = tensor_of(answer.value, inputs["x"].shape, "denoise's result", dtypes)
    network_call(answer.asked, len(inputs["x"]))
    check_untouched(answer, ["x", "label", "sigma"])
    mix = mixture(result, ("x", inputs["x"]), ("the network's answer", inputs["answer"]))
    check_numbers(case, dict(zip(("c_skip", "c_out"), mix, strict=True)))
    check_gradient(answer, "model", (each(case.expected["c_out"]) * inputs["answer"]).sum())


def network_call(asked: list[Asked], batch: int) -> dict[str, Any]:
    """The arguments of the network's single call; calls for pieces of the batch are merged."""
    calls = [a.bind("x", "label", "time") for a in asked if a.name == "model"]
    calls = in_whole(calls, batch)
    if not calls:
        raise Finding("The network self.model was never called.", "network_not_called")
    if len(calls) > 1:
        raise Finding(f"The network was called {len(calls)} times, not once.", "edm_called_often")
    return calls[0]


def denoiser_calls(
    asked: list[Asked], batch: int, most: int, least: int = 1
) -> list[dict[str, Any]]:
    """The calls of heun_step's denoiser, `least` to `most`, as arguments by name."""
    calls = in_whole([a.bind("x", "sigma") for a in asked if a.name == "denoise"], batch)
    if not least <= len(calls) <= most:
        text = f"heun_step called denoise {len(calls)} times; a step takes one or two calls."
        raise Finding(text, "edm_heun_calls")
    return calls


def is_level(value: Any, level: float) -> bool:
    """Whether a value, a number or a tensor with one, is this noise level."""
    if isinstance(value, Tensor) and value.array is not None and value.array.size == 1:
        value = value.array.item()
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and close(np.asarray(value), np.asarray(level), 1e-5)


def check_call(call: dict[str, Any], x: np.ndarray, sigma: float) -> None:
    """Check that the first slope is taken at x, at the level where the step begins."""
    if not is_tensor_like(call.get("x"), x):
        raise Finding("The first call of denoise got another x than heun_step.", "edm_heun_start")
    if not is_level(call.get("sigma"), sigma):
        raise Finding(
            f"The first call of denoise got {shown(call.get('sigma'))} as sigma, expected "
            f"{sigma:.4g}.",
            "edm_heun_start",
        )


def check_second_level(value: Any, sigma: float, sigma_next: float) -> None:
    """Check that the second slope is taken at the level where the step ends."""
    if is_level(value, sigma_next):
        return
    middle = is_level(value, (sigma + sigma_next) / 2)
    raise Finding(
        f"The second call of denoise got {shown(value)} as sigma, on the way from {sigma:.4g} to "
        f"{sigma_next:.4g}.",
        "edm_heun_midpoint" if middle else "edm_heun_second_sigma",
    )


def check_scaled_x(case: Case, call: dict[str, Any]) -> None:
    """Check that the network's x is c_in times x."""
    x = tensor_of(call.get("x"), case.inputs["x"].shape, "The network's x", FLOATS)
    (c_in,) = mixture(x, ("x", case.inputs["x"]))
    check_numbers(case, {"c_in": c_in})


def mixture(output: np.ndarray, *inputs: tuple[str, np.ndarray]) -> Iterable[np.ndarray]:
    """The weights of each named input in an output, [B] each; it must hold nothing else."""
    found, rest = weights(output, *(values for _, values in inputs))
    scale = np.abs(output).max(axis=(1, 2, 3), keepdims=True)
    if off(rest, 0, 1e-5 * scale + 1e-6).any():
        if not off(rest, 0, FEW_DIGITS * scale + 1e-6).any():
            raise Finding(
                "The numbers of a sum have fewer digits than they should.", "loses_digits"
            )
        names = " and ".join(name for name, _ in inputs)
        raise Finding(f"Something other than {names} is in the result of a sum.", "edm_no_mix")
    return found.T


def check_numbers(case: Case, found: dict[str, np.ndarray]) -> None:
    """Compare measured numbers with the case's; the hint names a known mistake."""
    expected = {name: case.expected[name] for name in found}
    tolerance = {name: 2e-5 + 1e-4 * np.abs(values) for name, values in expected.items()}
    wrong = np.any([off(found[n], expected[n], tolerance[n]) for n in found], axis=0)
    if not wrong.any():
        return
    worst = int(np.flatnonzero(wrong)[0])
    if set(found) & {*POINT, *STEP}:
        where = "From sigma {:.4g} to {:.4g}".format(*case.inputs["levels"][worst])
    else:
        where = f"At sigma {case.inputs['sigma'][worst]:.4g}"
    spread = ", ".join(
        f"{LABELS[name]} {found[name][worst]:.5g} (expected {expected[name][worst]:.5g})"
        for name in found
    )
    hints = fitting_hints(found, case.suspects, dict.fromkeys(found, 2e-5), relative=2e-3)
    few = not any(off(found[n], v, FEW_DIGITS * np.abs(v)).any() for n, v in expected.items())
    general = "loses_digits" if few and not hints else FALLBACK[next(iter(found))]
    hint = hints.pop() if len(hints) == 1 else general
    raise Finding(f"{where}, {spread}.", hint)


def check_gradient(answer: Answer, double: str, expected: float) -> None:
    """Check that a gradient of this size reaches the double, if gradients were asked for."""
    if answer.gradients is None:
        return
    if not close(np.asarray(answer.gradients.get(double, 0.0)), np.asarray(float(expected)), 2e-2):
        raise Finding(
            "The value is right, but its gradient does not reach the network.", "edm_no_gradient"
        )


LABELS = {
    "c_in": "the network's x holds",
    "c_noise": "c_noise is",
    "c_skip": "the weight of x is",
    "c_out": "that of the network's answer",
    "signal": "what is denoised holds of y",
    "noise": "of the noise",
    "next_x": "the x of the second call holds of x",
    "next_first": "of the first answer",
    "step_x": "the result holds of x",
    "step_first": "of the first answer",
    "step_second": "of the second answer",
}
FALLBACK = {
    "c_in": "edm_c_in",
    "c_noise": "edm_c_noise",
    "c_skip": "edm_mix",
    "signal": "edm_noise_scale",
    "next_x": "edm_heun_first_slope",
    "step_x": "edm_heun_step",
}
