"""Checks of flow matching: FM's loss, and its sampling from noise to images.

A case holds the right answers as numbers, so that no formula has to be here:
- `line`, [2, 2]: the weights of image and noise in x_t at t = 0 (first column), and their change
  until t = 1 (second column);
- `velocity`, [2]: the weights of image and noise in what the network should predict;
- `times`, [T]: the times at which the network is asked;
- `step_x` and `step_v`, [T]: the weights of x and of the network's answer in the next x.
"""

import itertools
import zlib
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from autograder.checks.cases import Case, diffused_shape
from autograder.checks.evidence import (
    check_network_call,
    check_untouched,
    close,
    is_tensor_like,
    network_calls,
    noise_fault,
    number_of,
    off,
    shown,
    suspect,
    tensor_of,
    weights,
)
from autograder.checks.findings import Finding
from autograder.checks.loss import NAMES, Objective
from autograder.checks.messages import Answer, Tensor
from autograder.checks.sampling_loop import Chain, check_decoded, check_pictures
from autograder.checks.student import Student
from autograder.reading.program import constructor_names

EXACT = 2e-5  # tolerance of a mix, relative to the size of image and noise
LEAST = 1e-3  # weight of the noise in x_t from which it can be recovered
TRIES = 5  # calls that draw t until all samples have that weight; five fail once in 1e11
# How far a measured distribution may be from the right one, times the root of the number of draws.
# A right answer is farther with a probability below 2 exp(-2 * 3.1^2) = 9e-9 (Dvoretzky, Kiefer and
# Wolfowitz; Massart 1990).
APART = 3.1
MIXED = {"signal": 2e-3, "noise": 2e-3}
FEW = 20  # different times in a batch
OPTION = "logit_normal"  # the argument of FM that chooses the distribution of t
STEP = {"step_x": 1e-4, "step_v": 1e-5}


@dataclass(repr=False)
class FlowObjective(Objective):
    """Runs FM's compute_loss with doubles of network and autoencoder, and judges the call.

    Without t in the case's inputs, compute_loss has to draw it.
    """

    family: ClassVar[str] = "fm"
    scale: float = 1.0  # factor on the network's t, see `own_scale`

    def key(self) -> str:
        return self.student.fm(self.case)

    def answers(self) -> dict[str, np.ndarray]:
        return {"model": self.case.inputs["eps"]}

    def arguments(self) -> list[Any]:
        t = self.case.inputs.get("t")
        times = [] if t is None and not self.noise else [t]
        return [self.images, self.case.inputs["label"], *times, *self.noise]

    @property
    def draws(self) -> bool:
        """Whether compute_loss drew t, instead of getting it."""
        return self.answer.draws or "t" not in self.case.inputs

    def run(self, student: Student, *noise: np.ndarray, **options: Any) -> None:
        """Call compute_loss; again if x_t has too little of the drawn noise to recover it."""
        for _ in range(TRIES):
            super().run(student, *noise, **options)
            calls = [a.bind("x", "label", "time") for a in self.answer.asked if a.name == "model"]
            if noise or not self.draws or not any(map(self.is_near_the_end, calls)):
                break

    def is_near_the_end(self, call: dict[str, Any]) -> bool:
        """Whether a time of a call leaves less than `LEAST` of the noise in x_t."""
        value = call.get("time")
        if not isinstance(value, Tensor) or value.array is None:
            return False
        start, change = self.case.expected["line"][1]
        return bool((start + change * value.array < LEAST).any())

    def explain(self, finding: Finding) -> None:
        """Raise a more precise Finding than the error's if pixels were used instead of latents."""
        encoded = any(asked.name == "vae.encoder" for asked in finding.asked)
        if self.case.kwargs.get("use_vae") and finding.hint == "shape_error" and not encoded:
            text = f"With use_vae, self.vae.encoder was never called, and then: {finding.reason}"
            raise Finding(text, "latent_not_encoded")
        for asked in finding.asked:
            x = asked.bind("x", "label", "time").get("x")
            if asked.name == "model" and isinstance(x, Tensor) and len(x.shape) != 4:
                tensor_of(x, self.clean.shape, "The network's x_t")

    def check(self, noise: np.ndarray | None) -> np.ndarray:
        """Judge the call; see `Objective.check`.

        If compute_loss drew the noise, the result is valid only for samples with at least `LEAST`
        of it in x_t.
        """
        call = network_calls(self.answer.asked, len(self.clean))[-1]
        self.t = self.times_of(call)
        signal, rate = self.mix()
        x_t = tensor_of(call.get("x"), self.clean.shape, "The network's x_t")
        tolerance = 2e-5
        if noise is None:
            noise = (x_t - signal * self.clean) / np.maximum(rate, LEAST)
            # the effect of rounding x_t on the recovered noise, and so on the loss
            eps, most = self.case.inputs["eps"], np.abs(self.clean).max() + 6
            lost = 2e-7 * most / np.maximum(rate, LEAST)
            tolerance += float((2 * (np.abs(eps) + most) * lost).mean())
        else:
            noise = noise.astype(np.float64)
            self.check_mix(x_t, noise, signal, rate)
        check_network_call(call, None, self.case.inputs["label"], self.scale * self.t)
        check_untouched(self.answer, NAMES)
        if self.noise or rate.min() >= LEAST:
            towards = self.case.expected["velocity"]
            self.check_loss(towards[0] * self.clean + towards[1] * noise, tolerance)
        return noise

    def mix(self) -> list[np.ndarray]:
        """The weights of image and noise at each sample's time, [B, 1, 1, 1] each."""
        line = self.case.expected["line"]
        t = self.t.astype(np.float64).reshape(-1, 1, 1, 1)
        return [start + change * t for start, change in line]

    def times_of(self, call: dict[str, Any]) -> np.ndarray:
        """The times that the network got; the given ones, if there were any and they match."""
        size, value = len(self.clean), call.get("time")
        label = self.case.inputs["label"]
        if is_tensor_like(value, label) and not is_tensor_like(call.get("label"), label):
            raise Finding(
                "The network got t as its label and the label as its t.", "network_swapped"
            )
        if not isinstance(value, Tensor) or value.array is None or value.shape != [size]:
            raise Finding(
                f"The network got t = {shown(value)}; expected a tensor [{size}], a time for each "
                "image.",
                "fm_time_shape",
            )
        t = tensor_of(value, [size], "The network's t", (value.dtype,))
        if self.draws:
            if (t > 1).any():
                self.scale = own_scale(self.student, self.case)
                t = t / self.scale
            if (t < 0).any() or (t > 1 + 1e-6).any():
                text = f"The network got t from {t.min():.3g} to {t.max():.3g}, not from 0 to 1."
                raise Finding(text, "fm_t_range")
            return t
        given = self.case.inputs["t"]
        if close(t, given, 1e-5):
            return given
        hint = time_hint(t, given, self.case.kwargs["timesteps"])
        if hint == "fm_time_scaled":
            self.scale = own_scale(self.student, self.case)
            if close(t, self.scale * given, 1e-5):
                return given
        raise Finding(
            f"The network got other times than compute_loss: {shown(value)} for {given.tolist()}.",
            hint,
        )

    def check_mix(
        self, x_t: np.ndarray, noise: np.ndarray, signal: np.ndarray, rate: np.ndarray
    ) -> None:
        """Check that x_t is on the line between noise and image, at the right place."""
        size = np.abs(self.clean) + np.abs(noise)
        wrong = off(x_t, signal * self.clean + rate * noise, EXACT * size + 1e-6)
        if not wrong.any():
            return
        found, rest = weights(x_t, self.clean, noise)
        if off(rest, 0, 1e-3 * max(1.0, size.max())).any():
            if rate.max() > 0.1:
                inside = (x_t - signal * self.clean)[rate.reshape(-1) > 0.1]
                if noise_fault(inside / rate[rate > 0.1].reshape(-1, 1, 1, 1)) is None:
                    text = "The network's x_t holds other noise than compute_loss was given."
                    raise Finding(text, "fm_own_noise")
            raise Finding(
                "The network's x is not a mix of image and noise: something else is in it.",
                "fm_no_mix",
            )
        worst = int(wrong.reshape(len(wrong), -1).sum(axis=1).argmax())
        mixed = {"signal": found[:, 0], "noise": found[:, 1]}
        suspects = {
            hint: {n: np.interp(self.t, np.linspace(0, 1, len(v)), v) for n, v in values.items()}
            for hint, values in self.case.suspects.items()
            if set(values) == set(mixed)
        }
        hint = suspect(mixed, suspects, MIXED)
        if (
            len(found) > 1
            and not hint
            and close(found, np.broadcast_to(found[0], found.shape), 1e-4)
        ):
            hint = "fm_one_time"
        expected = signal.reshape(-1)[worst], rate.reshape(-1)[worst]
        if close(found[worst], np.array(expected), 1e-4):
            raise Finding("The network's x_t has lost digits.", "loses_digits")
        raise Finding(
            f"At t = {self.t[worst]:.3f} the network's x holds {found[worst, 0]:.4f} of the image "
            f"and {found[worst, 1]:.4f} of the noise; expected {expected[0]:.4f} and "
            f"{expected[1]:.4f}.",
            hint or "fm_mix",
        )


def own_scale(student: Student, case: Case) -> float:
    """The factor by which FM multiplies t for its network; 1 unless loss and sampling agree on it.

    An FM with such a factor is right: its network learns from the same times at which it is asked.
    """
    drawn = b"".join(np.asarray(value).tobytes() for value in case.inputs.values())
    random = np.random.default_rng(zlib.crc32(drawn))  # repeated by --seed
    size, T = 2, case.kwargs["timesteps"]
    shape = (size, *diffused_shape(case.config))
    inputs = {"label": np.arange(size), "t": np.float32([0.25, 0.75])}
    inputs |= {n: random.standard_normal(shape, np.float32) for n in ("latents", "noise", "eps")}
    inputs["decoded"] = np.zeros((size, *case.kwargs["img_shape"]), np.float32)
    images = inputs["decoded"] if case.kwargs.get("use_vae") else inputs["latents"]
    part = replace(case, inputs=inputs)
    objective = FlowObjective(part, images, inputs["latents"])
    chain = FlowChain(part, random)
    try:
        objective.run(student, inputs["noise"])
        call = network_calls(objective.answer.asked, size)[-1]
        x_t = tensor_of(call.get("x"), shape, "The network's x_t")
        times = tensor_of(call.get("time"), [size], "The network's t", ("float32", "float64"))
        chain.run(student)
    except Finding:
        return 1.0
    found, _ = weights(x_t, inputs["latents"], inputs["noise"])
    last = [chain.time_of(step, True) for step, _ in chain.calls("model")][-1:]
    scale = number_of(last[0] if last else None) * T / max(T - 1, 1)
    return scale if scale > 0 and close(times / scale, found[:, 0], 1e-4) else 1.0


def time_hint(found: np.ndarray, t: np.ndarray, T: int) -> str:
    """The hint for times that differ from t."""
    largest = int(np.argmax(t))
    scale = found[largest] / t[largest] if t[largest] else 0.0
    if close(found, t[::-1], 1e-4) or close(found, np.roll(t, 1), 1e-4):
        return "fm_time"
    if close(found, 1 - t, 1e-4):
        return "fm_time_reversed"
    if off(scale, 0, 1e-3) and close(found / scale, t, 1e-4):
        return "fm_time_scaled"
    if close(found, np.round(t * T), 1e-4) or close(found, np.floor(t * T), 1e-4):
        return "fm_time_scaled"
    if close(found, np.full_like(found, found[0]), 1e-6):
        return "fm_one_time"
    return "fm_time"


def check_times(student: Student, case: Case) -> None:
    """Check that a loss draws a t for each image, from the right distribution, new in each call.

    The case's `quantiles`, [n, levels], belong to the right distributions: first the requested one,
    then others that are accepted from an FM without an argument to choose it.
    """
    inputs = {name: v for name, v in case.inputs.items() if name != "t"}
    drawn = []
    for training in (True, False):
        objective = FlowObjective(
            replace(case, inputs=inputs), inputs["x_start"], inputs["x_start"]
        )
        objective.run(student, inputs["noise"], training=training)
        if not drawn:
            check_one_each(objective)
        objective.check(inputs["noise"])
        drawn.append(objective.t)
    if np.array_equal(*drawn):
        raise Finding("Two calls drew the same times.", "fm_t_repeated")
    if are_shared(drawn[0]):
        raise Finding("Some images of a batch always have the same t.", "fm_one_time")
    times = np.sort(np.concatenate(drawn))
    knows = student.libs and constructor_names(student.libs / "fm.py", "FM", OPTION)
    right = case.expected["quantiles"][: 1 if knows else None]
    if min(distance(times, quantiles) for quantiles in right) <= APART / np.sqrt(len(times)):
        return
    hint = "fm_t_distribution"
    if len(np.unique(np.round(times, 5))) < len(times) / 4:
        hint = "fm_t_discrete"
    raise Finding(
        f"The times that compute_loss draws are not distributed as they should: their mean is "
        f"{times.mean():.3f}, half of them are between {np.quantile(times, 0.25):.3f} and "
        f"{np.quantile(times, 0.75):.3f}.",
        hint,
    )


def distance(times: np.ndarray, quantiles: np.ndarray) -> float:
    """The Kolmogorov-Smirnov distance of sorted numbers from a distribution, at its quantiles."""
    levels = (np.arange(len(quantiles)) + 1) / (len(quantiles) + 1)
    below = [
        np.searchsorted(times, quantiles, side=side) / len(times) for side in ("left", "right")
    ]
    return float(np.maximum(levels - below[1], below[0] - levels).max())


def are_shared(times: np.ndarray) -> bool:
    """Whether a batch's times are drawn for groups of its samples, side by side or in turn.

    The same times then come again at the distance at which the first one does. By chance a third
    of a large batch does so only where few different times are drawn at all.
    """
    again = np.flatnonzero(times[: len(times) // 2 + 2] == times[0])[1 : 1 + FEW]
    shared = any(np.mean(times[by:] == times[:-by]) > 1 / 3 for by in again)
    return shared and len(np.unique(times)) > FEW


def check_one_each(objective: FlowObjective) -> None:
    """Check that not all images got the same t."""
    size = len(objective.clean)
    value = network_calls(objective.answer.asked, size)[-1].get("time")
    if isinstance(value, Tensor) and value.array is not None and value.array.size:
        t = value.array.reshape(-1)
        if value.shape == [size] and (t == t[0]).all():
            raise Finding(f"compute_loss drew one t for all {size} images.", "fm_one_time")


@dataclass(repr=False)
class FlowChain(Chain):
    """Test doubles of FM's network and decoder, and their calls and answers during sampling."""

    method: ClassVar[str] = "generate"
    family: ClassVar[str] = "fm"

    def key(self, student: Student) -> str:
        self.student = student
        return student.fm(self.case)

    @property
    def weight(self) -> float:
        """The weight that an answer has in the next state: equal steps have equal weights."""
        return 1 / self.case.kwargs["timesteps"]

    def time_of(self, call: dict[str, Any], inlined: bool) -> Any:
        """The time in a call, a float; None if there is none."""
        value = call.get("t")
        if isinstance(value, Tensor) and value.array is not None and value.array.size:
            return float(value.array.reshape(-1)[0])
        return float(value) if isinstance(value, int | float) else None

    def check(self) -> np.ndarray:
        """Judge all steps; returns the x with which sampling must end.

        Raises:
            Finding
        """
        steps = self.calls("model")
        if not steps:
            raise Finding("The network self.model was never called.", "fm_no_steps")
        steps = self.in_whole(steps, True)
        self.start = steps[0][0].get("x")
        self.check_start(self.start)
        for call, _ in steps:
            self.check_labels(call)
            self.check_time(call.get("t"))
        self.check_order([number_of(self.time_of(call, True)) for call, _ in steps])
        found = [self.weights_of(i, *pair) for i, pair in enumerate(itertools.pairwise(steps))]
        self.check_steps(found)
        (last, value), expected = steps[-1], self.case.expected
        return self.add(expected["step_x"][-1] * last["x"].array, expected["step_v"][-1] * value)

    def check_time(self, value: Any) -> None:
        """Check that the network got a tensor with the time of each sample, all equal."""
        size = len(self.case.inputs["label"])
        fits = isinstance(value, Tensor) and value.array is not None and value.shape == [size]
        if not fits or not close(value.array, np.full(size, value.array[0]), 1e-6):
            raise Finding(
                f"A step got t = {shown(value)}; expected a tensor [{size}] with the step's time "
                "for each label.",
                "fm_time_shape",
            )

    def check_order(self, times: list[float]) -> None:
        """Check that the network is asked at the expected times."""
        found, expected = np.array(times), self.case.expected["times"]
        T = len(expected)
        if len(found) == T and close(found, expected, 1e-4):
            return
        few = ", ".join([*(f"{t:.4g}" for t in found[:3]), *["..."] * (len(found) > 3)])
        text = (
            f"The network was asked {len(found)} times, at t = {few}; expected {T} times, from 0 "
            "in equal steps."
        )
        hint = order_hint(found, expected)
        if hint in ("fm_time_scaled", "fm_times") and len(found) == T:
            scale = own_scale(self.student, self.case)
            if close(found, scale * expected, 1e-4):
                return
        raise Finding(text, hint)

    def weights_of(
        self,
        i: int,
        step: tuple[dict[str, Any], np.ndarray],
        following: tuple[dict[str, Any], np.ndarray],
    ) -> tuple[float, float]:
        """The weights of x and of the network's answer in the next x; raises Finding."""
        x, value = step[0]["x"].array.astype(np.float64), step[1].astype(np.float64)
        x_next = tensor_of(following[0].get("x"), x.shape, f"x after step {i}")
        expected = self.case.expected["step_x"][i], self.case.expected["step_v"][i]
        terms = expected[0] * x, expected[1] * value
        size = 1 + np.abs(terms[0]) + np.abs(terms[1])
        if not off(x_next, terms[0] + terms[1], EXACT * size).any():
            return expected
        found, rest = weights(x_next, x, value)
        if off(rest, 0, 1e-3).any():
            # perhaps it starts from the noise again
            first = self.start.array.astype(np.float64)
            _, rest = weights(x_next, first, value)
            again = not off(rest, 0, 1e-3).any()
            raise Finding(
                f"The x after step {i} holds something else than x and the network's answer"
                f"{': it goes on from the noise' if again else ''}.",
                "fm_not_fed_back" if again else "fm_step_no_mix",
            )
        if off(found, found[0], 1e-3).any():
            raise Finding("A step treats the samples differently.", "mixes_samples")
        if not off(found, np.array(expected), 1e-4).any():
            raise Finding(f"The x after step {i} has lost digits.", "loses_digits")
        return float(found[:, 0].mean()), float(found[:, 1].mean())

    def check_steps(self, found: list[tuple[float, float]]) -> None:
        """Check that each step follows the network's answer for its share of the time."""
        if not found:
            return
        expected = self.case.expected
        measured = dict(zip(STEP, np.array(found).T, strict=True))
        wrong = [off(values, expected[n][:-1], 1e-3 * expected[n][:-1] + STEP[n])
                 for n, values in measured.items()]  # fmt: skip
        bad = np.flatnonzero(np.any(wrong, axis=0))
        if not len(bad):
            return
        suspects = {
            hint: {name: values[name][: len(found)] for name in STEP}
            for hint, values in self.case.suspects.items()
        }
        hint = suspect(measured, suspects, STEP, 1e-3)
        at = int(bad[0])
        raise Finding(
            f"After the step at t = {expected['times'][at]:.3f}, x holds {found[at][0]:.4f} of the "
            f"x before and {found[at][1]:.4f} of the network's answer; expected "
            f"{expected['step_x'][at]:.4f} and {expected['step_v'][at]:.4f}.",
            hint or "fm_step",
        )

    def check_result(self, answer: Answer, x: np.ndarray) -> None:
        """Judge what generate returned: x brought to [0, 1], or decoded."""
        try:
            check_untouched(answer, ["labels"])
            if self.case.kwargs.get("use_vae"):
                check_decoded(answer.value, x, self)
            else:
                check_pictures(answer.value, x, self)
        except Finding as finding:
            if finding.hint in ("fm_result", "fm_returns_start", "latent_decoder_input"):
                self.check_last_step(answer)
            raise

    def check_last_step(self, answer: Answer) -> None:
        """Raise a Finding for a mistake in the last step, which shows only in the result."""
        call, value = self.in_whole(self.calls("model"), True)[-1]
        shown_at = [call.get("x") for call, _ in self.calls("vae.decoder")] or [answer.value]
        if len(shown_at) != 1 or not isinstance(shown_at[0], Tensor) or shown_at[0].array is None:
            return
        decoded = bool(self.calls("vae.decoder"))
        mistakes = {**self.case.suspects, "fm_last_step": {"step_x": [1.0], "step_v": [0.0]}}
        for hint, step in reversed(mistakes.items()):
            x = step["step_x"][-1] * call["x"].array + step["step_v"][-1] * value
            expected = x if decoded else ((x + 1) / 2).clip(0, 1)
            if is_tensor_like(shown_at[0], expected, 1e-4):
                text = "The result shows another last step than the network's answer asks for."
                raise Finding(text, hint.split(":")[0])


def follow(
    student: Student, case: Case, random: np.random.Generator, training: bool = True
) -> FlowChain:
    """Draw images and judge the steps; returns the chain. Raises Finding."""
    chain = FlowChain(case, random, training=training)
    answer = chain.run(student)
    chain.check_result(answer, chain.check())
    return chain


def order_hint(found: np.ndarray, expected: np.ndarray) -> str:
    """The hint for times that differ from the expected ones."""
    n, T = len(found), len(expected)
    whole = np.append(expected, 1.0)
    if n == 2 * T:
        return "fm_evaluations"
    if n == T - 1 and close(found, expected[:-1], 1e-4):
        return "fm_last_step"
    if n == T - 1 and close(found, expected[1:], 1e-4):
        return "fm_first_step"
    if n == T + 1:
        return "fm_step_too_many"
    if n != T:
        return "fm_evaluations"
    if T > 1 and close(found, np.full(T, found[0]), 1e-6):
        return "fm_time_stays"
    known = {
        "fm_time_reversed": (whole[:0:-1], expected[::-1]),
        "fm_time_off_by_one": (whole[1:],),
        "fm_time_grid": (np.linspace(0, 1, T), np.linspace(1, 0, T)),
        "fm_time_scaled": (np.arange(T),),
    }
    for hint, grids in known.items():
        if any(close(found, grid, 1e-4) for grid in grids):
            return hint
    scale = found[-1] / expected[-1] if T > 2 else 0.0  # any other time is a multiple of one
    if off(scale, 0, 1e-3) and close(found / scale, expected, 1e-4):
        return "fm_time_scaled"
    return "fm_times"
