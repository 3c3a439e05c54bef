"""DDIM: one step (Song et al. 2021, eq. 12 and 16), and sampling with a few steps."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from autograder.checks.batches import LARGER, SIZES, Pieces, Spread, check_device, in_whole, odd
from autograder.checks.cases import Case
from autograder.checks.doubles import Told
from autograder.checks.evidence import (
    FEW_DIGITS,
    check_untouched,
    close,
    is_tensor_like,
    number_of,
    off,
    suspect,
    tensor_of,
    weights,
    whole_number,
)
from autograder.checks.findings import Finding
from autograder.checks.messages import Answer, Asked, Tensor
from autograder.checks.student import Student

PART = "bonus_sampling"
WEIGHTS = ("x", "eps", "noise")
RUNS = {"plain": 17, "noisy": 65, "single": 1, "to_zero": 2}  # samples
CLEAR = 1e-4  # errors of half precision are larger, those of single precision smaller
# the inputs' dtype, their size, dtypes allowed for the result, its tolerance
PRECISIONS = (
    ("float64", 1.0, ("float64", "float32"), 1e-5),
    ("float32", 1e6, ("float32",), CLEAR),
    ("float16", 1.0, ("float16", "float32"), 2e-2),
)
# Hints that do not depend on ddim_step.
NO_ERRORS = ("process_ended", "too_slow", "forged", "syntax_error", "missing_package")


def step(
    student: Student, case: Case, number: int, x: np.ndarray, eps: np.ndarray, **options: Any
) -> Answer:
    """Call ddim_step between the case's pair of times with this number."""
    pair = (float(case.inputs[name][number]) for name in ("alpha_bar", "alpha_bar_next"))
    return student.function("ddim", "ddim_step", x, eps, *pair, **options)


def odd_batch(case: Case, random: np.random.Generator, size: int) -> list[np.ndarray]:
    """x, eps and noise for `size` samples, with float32's full precision."""
    return [odd(random, values) for values in batch_of(case, random, size)[1]]


def batch_of(case: Case, random: np.random.Generator, size: int) -> tuple[Spread, list[np.ndarray]]:
    """x, eps and noise for `size` samples, and the Spread that rearranged them."""
    spread = Spread(random, case.inputs["x"].shape, size)
    return spread, [spread(case.inputs[name]) for name in WEIGHTS]


@pytest.mark.group("step")
def test_step(student: Student, case: Case, random: np.random.Generator) -> None:
    """A step without noise leads from any time to any earlier one, and at the end to x_0."""
    check_steps(student, case, 0, random)


@pytest.mark.group("step")
def test_noise(student: Student, case: Case, random: np.random.Generator) -> None:
    """With eta > 0 a step adds noise with eq. 16's sigma, and reduces the direction by as much."""
    for e in (1, 3):
        check_steps(student, case, e, random)


def check_steps(student: Student, case: Case, e: int, random: np.random.Generator) -> None:
    """Check all pairs of times with the eta of this number, in batches of several sizes."""
    found = {name: case.expected[name][e].copy() for name in WEIGHTS}
    wrong = ""
    for number in range(len(case.inputs["alpha_bar"])):
        three = odd_batch(case, random, SIZES[number % len(SIZES)])
        given: dict[str, Any] = {}
        if e:
            given = {"eta": float(case.inputs["etas"][e]), "noise": three[2]}
        answer = step(student, case, number, *three[:2], **given)
        state = tensor_of(answer.value, three[0].shape, "ddim_step's result")
        check_untouched(answer, ["x", "eps"])
        if is_right(case, number, e, three, state, CLEAR / 10):
            continue
        mix, rest = weights(state, *(three if e else three[:2]))
        shares = shares_of(case, number, e)
        largest = np.abs(mixed(shares, three)).max()
        least, rounding = 2e-2 * max(1.0, largest), 1e-4 * max(1.0, largest)
        pure = not off(rest, 0, rounding).any()
        first = np.repeat(three[2][:1], len(state), axis=0)
        if e and not pure and not off(weights(state, *three[:2], first)[1], 0, rounding).any():
            text = f"In a batch of {len(state)}, all samples get the first one's noise."
            raise Finding(text, "mixes_samples")
        if off(rest, 0, least).any():  # rounding to half precision leaves less
            what = "x, eps and the given noise" if e else "x and eps"
            text = f"The next state is not a mix of {what}: something else is in it."
            raise Finding(text if e else f"With eta = 0, t{text[1:]}", "ddim_no_mix")
        if off(mix, mix.mean(axis=0), 1e-3 * (1 + np.abs(shares).max())).any():
            text = f"In a batch of {len(mix)} the weights differ from sample to sample."
            raise Finding(text, "mixes_samples" if pure else "ddim_no_mix")
        wrong = "loses_digits"
        for name, column in zip(WEIGHTS, mix.T, strict=False):
            found[name][number] = column.mean()
    check_weights(case, found, e)
    if wrong:
        raise Finding("The next states are right only on average.", wrong)


def is_right(
    case: Case, number: int, e: int, inputs: list[np.ndarray], state: np.ndarray, clear: float
) -> bool:
    """Whether each number of the next state is right."""
    shares = shares_of(case, number, e)
    largest = mixed(np.abs(shares), [np.abs(v) for v in inputs]).max()
    return not off(state, mixed(shares, inputs), clear * largest).any()


def shares_of(case: Case, number: int, e: int) -> list[float]:
    """The right weights of x, eps and the noise in a step."""
    return [case.expected[name][e, number] for name in WEIGHTS]


def mixed(shares: Sequence[float] | np.ndarray, inputs: list[np.ndarray]) -> np.ndarray:
    """The sum of the inputs with these weights, float64."""
    return sum(w * v.astype(np.float64) for w, v in zip(shares, inputs, strict=True))


@pytest.mark.group("step")
def test_precision(student: Student, case: Case, random: np.random.Generator) -> None:
    """A step keeps the precision of x and its device, and its numbers may be large."""
    numbers = range(len(case.inputs["alpha_bar"]))
    for number, (dtype, size, dtypes, clear) in itertools.product(numbers, PRECISIONS):
        if dtype != "float64" and number != 1:
            continue
        three = [(size * v).astype(dtype) for v in odd_batch(case, random, 3)]
        e = 0 if dtype == "float64" else 2  # noise in double precision would hide rounding of x
        given = {"eta": float(case.inputs["etas"][e]), "noise": three[2]} if e else {}
        value = step(student, case, number, *three[:2], **given).value
        state = tensor_of(value, three[0].shape, f"The state of x in {dtype}", dtypes)
        if not is_right(case, number, e, three, state, clear):
            text = f"With numbers of size {size:g} in {dtype} the step leads elsewhere."
            raise Finding(text, "large_numbers" if size > 1 else "loses_digits")
    x, eps, noise = batch_of(case, random, 3)[1]
    for given in ({"clip_x0": True}, {"eta": 1.0, "noise": noise}):
        check_device(lambda given=given: step(student, case, 1, x, eps, **given, away=True))


@pytest.mark.group("step")
def test_clipping(student: Student, case: Case, random: np.random.Generator) -> None:
    """With clip_x0 the predicted x_0 is clipped, and eps follows from the clipped one."""
    for number in range(len(case.inputs["alpha_bar"])):
        e = number % 2 * 2  # alternately without and with noise
        spread, three = batch_of(case, random, SIZES[-1 - number % len(SIZES)])
        given: dict[str, Any] = {"clip_x0": True}
        if e:
            given |= {"eta": float(case.inputs["etas"][e]), "noise": three[2]}
        answer = step(student, case, number, *three[:2], **given)
        state = tensor_of(answer.value, three[0].shape, "ddim_step's result")
        check_untouched(answer, ["x", "eps"])
        expected = spread(case.expected["clipped"])[e, number]
        if close(state, expected, 1e-3):
            continue
        wrong = {
            hint: {"clipped": spread(values["clipped"])[e, number]}
            for hint, values in case.suspects.items()
            if "clipped" in values
        }
        raise Finding(
            "With clip_x0 the step leads elsewhere than clipping x_0 to [-1, 1] and computing eps "
            f"again (up to {np.abs(state - expected).max():.3g} away).",
            suspect({"clipped": state}, wrong, {"clipped": 1e-3}) or "ddim_clip",
        )


@pytest.mark.group("loop")
@pytest.mark.parametrize("run", RUNS)
def test_loop(student: Student, case: Case, run: str, random: np.random.Generator) -> None:
    """sample_ddim visits the given times, and each step starts from the result of the last one."""
    walk = Walk(case, run, random)
    try:
        answer = walk.run(student)
        check_untouched(answer, ["x"])
        walk.check(answer)
    except Finding as finding:
        if finding.hint in NO_ERRORS or not walk.is_right_by_itself(student):
            raise
        return
    if run == "to_zero":
        check_device(lambda: walk.run(student, away=True))


def check_weights(case: Case, found: dict[str, np.ndarray], e: int) -> None:
    """Compare the weights of x, eps and noise with those for the eta of this number."""
    expected = {name: case.expected[name][e] for name in WEIGHTS}
    tolerance = {name: 1e-3 * (1 + np.abs(values)) for name, values in expected.items()}
    wrong = np.any([off(found[n], expected[n], tolerance[n]) for n in WEIGHTS], axis=0)
    if not wrong.any():
        return
    worst = int(np.flatnonzero(wrong)[0])
    a, b = (case.inputs[name][worst] for name in ("alpha_bar", "alpha_bar_next"))
    rows = {
        hint: {name: values[name][e] for name in WEIGHTS}
        for hint, values in case.suspects.items()
        if set(values) == set(WEIGHTS)
    }
    spread = ", ".join(
        f"{found[name][worst]:.4f} of {name} (expected {expected[name][worst]:.4f})"
        for name in WEIGHTS
    )
    raise Finding(
        f"From alpha_bar {a:.4f} to {b:.4f} with eta {case.inputs['etas'][e]:g}, the next state "
        f"holds {spread}.",
        suspect(found, rows, dict.fromkeys(WEIGHTS, 1e-3), relative=1e-3) or "ddim_weights",
    )


class Walk:
    """The doubles for one run of sample_ddim, and the checks of their calls."""

    def __init__(self, case: Case, run: str, random: np.random.Generator) -> None:
        self.case, self.name = case, run
        inputs = case.inputs
        spread = Spread(random, inputs["start"].shape, RUNS[run])
        # Without clipping, sampling is linear: scaling all inputs scales all states.
        share = np.ones(inputs["start"].shape[2:], np.float32)
        if run != "noisy":
            share *= np.float32(random.uniform(0.8, 1))
            share[0, 0] *= LARGER  # so that clamping shows
        self.spread = lambda array: share * spread(array)
        self.start = self.spread(inputs["start"])
        self.times = inputs[f"times_{run}"].tolist()
        steps = len(self.times)
        self.answers, self.noises = (
            self.spread(inputs[name])[:steps] for name in ("answers", "noises")
        )
        self.states = self.spread(case.expected[run])
        self.options: dict[str, Any] = {}
        if run != "plain":
            self.options["eta"] = float(inputs[f"eta_{run}"])
        if run in ("noisy", "single"):
            self.options["final_alpha_bar"] = float(inputs[f"final_{run}"])
        if run == "noisy":
            self.options["clip_x0"] = True
        bars = inputs["alphas_cumprod"][self.times].tolist()
        self.alpha_bars = [*bars, self.options.get("final_alpha_bar", 1.0)]
        self.networks: dict[str, Pieces] = {}

    def run(self, student: Student, away: bool = False, **inside: Any) -> Answer:
        """Call sample_ddim with doubles of everything that it calls except ddim_step."""
        self.networks = {
            "eps_model": Pieces("eps_model", self.answers),
            "draw_noise": Pieces("draw_noise", self.noises),
        }
        doubles: dict[str, Any] = {name: n.answer for name, n in self.networks.items()}
        if self.name != "single":  # on_step may be left out
            doubles["on_step"] = Told(len(self.times)).answer
        try:
            return student.function(
                "ddim",
                "sample_ddim",
                doubles=doubles,
                inside=inside,
                keeps=["on_step"] if "on_step" in doubles else [],
                away=away,
                x=self.start,
                alphas_cumprod=self.case.inputs["alphas_cumprod"],
                times=self.times,
                **self.options,
            )
        except Finding as finding:
            if away:
                raise
            self.check_times(finding.asked)  # wrong times may explain the error
            for name, network in self.networks.items():
                if network.too_many:
                    steps = len(self.times)
                    text = f"{name} was called more than {steps} times for {steps} time steps."
                    raise Finding(text, "ddim_loop_calls") from None
            raise

    def is_right_by_itself(self, student: Student) -> bool:
        """Whether the loop is right with a right ddim_step, whose errors cost only its own points.

        A double replaces ddim_step, and gives the right state only for the right arguments.
        """
        done: list[int] = []

        def own_step(asked: Asked) -> np.ndarray | str:
            i = len(done)
            if i == len(self.times) or not self.is_right_call(i, asked):
                return "ddim_step was called with other arguments than the step needs"
            done.append(i)
            return self.states[i]

        try:
            answer = self.run(student, ddim_step=own_step)
            check_untouched(answer, ["x"])
            self.check(answer)
        except Finding:
            return False
        return len(done) == len(self.times)

    def is_right_call(self, i: int, asked: Asked) -> bool:
        """Whether ddim_step got the right arguments for the step of this number."""
        call = asked.bind("x", "eps", "alpha_bar", "alpha_bar_next")
        eta = self.options.get("eta", 0.0)
        tensors = {"x": self.states[i - 1] if i else self.start, "eps": self.answers[i]}
        if eta:
            tensors["noise"] = self.noises[i]
        numbers = {"alpha_bar": self.alpha_bars[i], "alpha_bar_next": self.alpha_bars[i + 1]}
        right = all(is_tensor_like(call.get(name), v, CLEAR) for name, v in tensors.items())
        right &= all(
            close(np.asarray(number_of(call.get(name))), np.asarray(value), CLEAR)
            for name, value in {**numbers, "eta": eta}.items()
        )
        return right and bool(call.get("clip_x0")) == self.options.get("clip_x0", False)

    def check(self, answer: Answer) -> None:
        """Check the times, the states, the result, and the calls of on_step."""
        start, steps = self.start, len(self.times)
        calls = self.check_times(answer.asked, steps)
        result = tensor_of(answer.value, start.shape, "sample_ddim's result")
        fed = [tensor_of(c.get("x"), start.shape, "eps_model's x") for c in calls]
        if not close(fed[0], start, 1e-5):
            raise Finding("The first step does not start from the given x.", "ddim_loop_start")
        states = np.stack([*fed[1:], result])
        pairs = list(zip(states, self.states, strict=True))
        right = [close(*pair, 2 * CLEAR) for pair in pairs]
        if not all(right) and all(close(*pair, FEW_DIGITS) for pair in pairs):
            raise Finding("The states have fewer digits than they should.", "loses_digits")
        if not all(right):
            raise Finding(
                f"The state after step {right.index(False) + 1} of {steps} is not where a step to "
                "the next of the times leads.",
                self.mistake(states, answer.asked),
            )
        if self.name != "single":
            self.check_reports([a for a in answer.asked if a.name == "on_step"], states)

    def check_times(self, asked: list[Asked], steps: int = 0) -> list[dict[str, Any]]:
        """Check that eps_model got each time once, in order, as a LongTensor [B].

        Args:
            steps: the number of steps that must have been taken.

        Returns:
            Its calls as arguments by name, merged if they are for pieces of a batch.
        """
        calls = [a.bind("x", "t") for a in asked if a.name == "eps_model"]
        calls = in_whole(calls, len(self.start))
        found = []
        for call in calls:
            t = call.get("t")
            whole = isinstance(t, Tensor) and t.dtype == "int64" and t.array is not None
            if not whole or t.shape != [len(self.start)] or np.ptp(t.array):
                raise Finding(
                    "eps_model got a t that is not a LongTensor [B] with the same time for each "
                    "sample.",
                    "ddim_loop_t",
                )
            found.append(int(t.array[0]))
        times = self.times
        if len(found) > 1 and found == np.repeat(times, 2)[: len(found)].tolist():
            raise Finding("eps_model was asked twice at each time.", "ddim_loop_calls")
        if found != times[: max(steps, len(found))]:
            raise Finding(
                f"eps_model was asked at the times {found}, expected {times}.", "ddim_loop_times"
            )
        return calls

    def mistake(self, states: np.ndarray, asked: list[Asked]) -> str:
        """The hint for a run that leads elsewhere."""
        seen = [a.bind("i", "x").get("x") for a in asked if a.name == "on_step"]
        stayed = close(states[0], self.start, 1e-5)
        if stayed and seen and not is_tensor_like(seen[0], self.start):
            return "ddim_loop_not_fed_back"
        wrong = {
            h: {self.name: self.spread(v[self.name])}
            for h, v in self.case.suspects.items()
            if self.name in v and len(v[self.name]) == len(states)
        }
        known = suspect({self.name: states}, wrong, {self.name: 2e-3})
        if known:
            return known
        if self.options and self.networks["draw_noise"].rows < self.noises.shape[0] * len(
            self.start
        ):
            return "ddim_loop_noise"
        return "ddim_loop_step"

    def check_reports(self, asked: list[Asked], states: np.ndarray) -> None:
        """Check that on_step got (0, x), (1, x), ... with the state after each step."""
        calls = [a.bind("i", "x") for a in asked]
        numbers = [whole_number(call.get("i")) for call in calls]
        right = numbers == list(range(len(states))) and all(
            isinstance(call.get("x"), Tensor)
            and call["x"].array is not None
            and call["x"].shape == list(state.shape)
            and close(call["x"].array, state, 1e-4)
            for call, state in zip(calls, states, strict=True)
        )
        if not right:
            raise Finding(
                f"on_step was called with the steps {numbers}; expected 0 to {len(states) - 1}, "
                "each with the state after that step.",
                "ddim_loop_on_step",
            )
