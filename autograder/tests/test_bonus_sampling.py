"""DDIM: one step (Song et al. 2021, eq. 12 and 16), and the walk over a few time steps."""

from typing import Any

import numpy as np
import pytest
from autograder.cases import Case
from autograder.evidence import (
    check_untouched,
    close,
    is_tensor_like,
    off,
    suspect,
    tensor_of,
    weights,
)
from autograder.student import Answer, Asked, Finding, Student, Tensor

PART = "bonus_sampling"
WEIGHTS = ("x", "eps", "noise")
RUNS = ("plain", "noisy")


def step(student: Student, case: Case, number: int, **options: Any) -> Answer:
    """One call of ddim_step between the case's pair of times of this number."""
    inputs = case.inputs
    pair = (float(inputs[name][number]) for name in ("alpha_bar", "alpha_bar_next"))
    return student.function("ddim", "ddim_step", inputs["x"], inputs["eps"], *pair, **options)


@pytest.mark.group("step")
def test_step(student: Student, case: Case) -> None:
    """A step without noise leads from any time to any earlier one, and at the end to x_0."""
    found = {name: [] for name in WEIGHTS}
    for number in range(len(case.inputs["alpha_bar"])):
        answer = step(student, case, number)
        state = tensor_of(answer.value, case.inputs["x"].shape, "ddim_step's result")
        check_untouched(answer, ["x", "eps"])
        both, rest = weights(state, case.inputs["x"], case.inputs["eps"])
        if off(rest, 0, 1e-3 * max(1.0, np.abs(state).max())).any():
            raise Finding(
                "With eta = 0 the next state is no mix of x and eps: something else is in it.",
                "ddim_no_mix",
            )
        for name, column in zip(WEIGHTS, both.T, strict=False):
            found[name].append(column.mean())
        found["noise"].append(0.0)
    check_weights(case, {name: np.array(values) for name, values in found.items()}, 0)


@pytest.mark.group("step")
def test_noise(student: Student, case: Case) -> None:
    """With eta above 0 a step adds noise of eq. 16's sigma, and takes it out of the direction."""
    noise = case.inputs["noise"]
    for e, eta in enumerate(case.inputs["etas"][1:], start=1):
        found = {name: [] for name in WEIGHTS}
        for number in range(len(case.inputs["alpha_bar"])):
            answer = step(student, case, number, eta=float(eta), noise=noise)
            state = tensor_of(answer.value, noise.shape, "ddim_step's result")
            three, rest = weights(state, case.inputs["x"], case.inputs["eps"], noise)
            if off(rest, 0, 1e-3 * max(1.0, np.abs(state).max())).any():
                raise Finding(
                    "The next state is no mix of x, eps and the given noise: something else is "
                    "in it.",
                    "ddim_no_mix",
                )
            for name, column in zip(WEIGHTS, three.T, strict=True):
                found[name].append(column.mean())
        check_weights(case, {name: np.array(values) for name, values in found.items()}, e)


@pytest.mark.group("step")
def test_clipping(student: Student, case: Case) -> None:
    """With clip_x0 the predicted x_0 is clipped, and eps follows from the clipped one."""
    answer = step(student, case, 1, clip_x0=True)
    state = tensor_of(answer.value, case.inputs["x"].shape, "ddim_step's result")
    expected = case.expected["clipped"]
    if close(state, expected, 1e-3):
        return
    hint = suspect({"clipped": state}, case.suspects, {"clipped": 1e-3})
    raise Finding(
        "With clip_x0 the step leads elsewhere than clipping x_0 to [-1, 1] and computing eps "
        f"anew (up to {np.abs(state - expected).max():.3g} away).",
        hint or "ddim_clip",
    )


@pytest.mark.group("loop")
@pytest.mark.parametrize("run", RUNS)
def test_loop(student: Student, case: Case, run: str) -> None:
    """sample_ddim visits the given times, and feeds each step with what the one before returned."""
    walk = Walk(case, run)
    answer = walk.run(student)
    check_untouched(answer, ["x"])
    walk.check(student, answer)


def check_weights(case: Case, found: dict[str, np.ndarray], e: int) -> None:
    """Compare the weights of x, eps and noise with those of the eta of this number."""
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
    """The doubles of one run of sample_ddim, and the judgement of what they were asked."""

    def __init__(self, case: Case, run: str) -> None:
        self.case, self.name = case, run
        self.options: dict[str, Any] = {}
        if run == "noisy":
            eta, final = float(case.inputs["etas"][1]), float(case.inputs["final"])
            self.options = {"eta": eta, "clip_x0": True, "final_alpha_bar": final}
        self.used = {"eps_model": 0, "draw_noise": 0}

    def take(self, double: str, stored: str) -> np.ndarray | str:
        """The next of the stored answers."""
        self.used[double] += 1
        if self.used[double] > len(self.case.inputs["times"]):
            return f"{double} was called more often than there are times"
        return self.case.inputs[stored][self.used[double] - 1]

    def run(self, student: Student) -> Answer:
        """Call sample_ddim with doubles of everything that it calls but ddim_step."""
        inputs, steps = self.case.inputs, len(self.case.inputs["times"])
        doubles = {
            "eps_model": lambda asked: self.take("eps_model", "answers"),
            "draw_noise": lambda asked: self.take("draw_noise", "noises"),
            "on_step": lambda asked: np.zeros(1, np.float32),
        }
        try:
            return student.function(
                "ddim",
                "sample_ddim",
                doubles=doubles,
                x=inputs["start"],
                alphas_cumprod=inputs["alphas_cumprod"],
                times=inputs["times"].tolist(),
                **self.options,
            )
        except Finding as finding:
            self.check_times(finding.asked)  # an error may follow from them
            for name, times in self.used.items():
                if times > steps:
                    text = f"{name} was called more than {steps} times for {steps} time steps."
                    raise Finding(text, "ddim_loop_calls") from None
            raise

    def check(self, student: Student, answer: Answer) -> None:
        """The times, the states, the result, and what on_step was told."""
        start, steps = self.case.inputs["start"], len(self.case.inputs["times"])
        calls = self.check_times(answer.asked, steps)
        result = tensor_of(answer.value, start.shape, "sample_ddim's result")
        fed = [tensor_of(c.get("x"), start.shape, "eps_model's x") for c in calls]
        if not close(fed[0], start, 1e-5):
            raise Finding("The first step does not start from the given x.", "ddim_loop_start")
        states = np.stack([*fed[1:], result])
        if not close(states, self.case.expected[self.name], 2e-3):
            self.check_own_steps(student, states, answer.asked)
        self.check_reports([a for a in answer.asked if a.name == "on_step"], states)

    def check_times(self, asked: list[Asked], steps: int = 0) -> list[dict[str, Any]]:
        """eps_model got each time once, in order, as a LongTensor [B], in so many steps at least.

        Returns:
            Its calls, as arguments by name.
        """
        calls = [a.bind("x", "t") for a in asked if a.name == "eps_model"]
        found = []
        for call in calls:
            t = call.get("t")
            whole = isinstance(t, Tensor) and t.dtype == "int64" and t.array is not None
            if not whole or t.shape != [len(self.case.inputs["start"])] or np.ptp(t.array):
                raise Finding(
                    "eps_model got a t that is no LongTensor [B] with the same time for each "
                    "sample.",
                    "ddim_loop_t",
                )
            found.append(int(t.array[0]))
        times = self.case.inputs["times"].tolist()
        if len(found) > 1 and found == np.repeat(times, 2)[: len(found)].tolist():
            raise Finding("eps_model was asked twice at each time.", "ddim_loop_calls")
        if found != times[: max(steps, len(found))]:
            raise Finding(
                f"eps_model was asked at the times {found}, expected {times}.", "ddim_loop_times"
            )
        return calls

    def check_own_steps(self, student: Student, states: np.ndarray, asked: list[Asked]) -> None:
        """A wrong ddim_step costs its own points alone: the loop may be right with it."""
        inputs, options = self.case.inputs, dict(self.options)
        final = options.pop("final_alpha_bar", 1.0)
        bars = [*inputs["alphas_cumprod"][inputs["times"]].tolist(), final]
        x = inputs["start"]
        for i, state in enumerate(states):
            noise = {"noise": inputs["noises"][i]} if options else {}
            try:
                answer = student.function(
                    "ddim",
                    "ddim_step",
                    x,
                    inputs["answers"][i],
                    *bars[i : i + 2],
                    **options,
                    **noise,
                )
                own = tensor_of(answer.value, x.shape, "ddim_step's result")
            except Finding:
                own = np.full(x.shape, np.inf)
            if not close(state, own, 2e-3):
                break
            x = state
        else:
            return
        raise Finding(
            f"The state after step {i + 1} of {len(states)} is not where a step to the next of "
            "the times leads.",
            self.mistake(states, asked),
        )

    def mistake(self, states: np.ndarray, asked: list[Asked]) -> str:
        """The hint for a walk that leads elsewhere."""
        start = self.case.inputs["start"]
        told = [a.bind("i", "x").get("x") for a in asked if a.name == "on_step"]
        if close(states[0], start, 1e-5) and told and not is_tensor_like(told[0], start):
            return "ddim_loop_not_fed_back"
        wrong = {
            h: {self.name: v[self.name]}
            for h, v in self.case.suspects.items()
            if self.name in v and v[self.name].shape == states.shape
        }
        known = suspect({self.name: states}, wrong, {self.name: 2e-3})
        if known:
            return known
        if self.options and self.used["draw_noise"] < len(states):
            return "ddim_loop_noise"
        return "ddim_loop_step"

    def check_reports(self, asked: list[Asked], states: np.ndarray) -> None:
        """on_step got (0, x), (1, x), ... with the state after each step."""
        calls = [a.bind("i", "x") for a in asked]
        numbers = [call.get("i") for call in calls]
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
