"""Checks of sampling, from noise to images: the steps it takes, their inputs, its result."""

import itertools
import math
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from autograder.checks.batches import LARGER, indices, rows_of, together
from autograder.checks.cases import Case, diffused_shape
from autograder.checks.doubles import Ahead
from autograder.checks.evidence import (
    FEW_DIGITS,
    check_network_kinds,
    close,
    is_rounded,
    is_tensor_like,
    noise_fault,
    off,
    shown,
    tensor_of,
    whole_number,
)
from autograder.checks.findings import Finding
from autograder.checks.independence import DEPENDENT, check_independent, fault_of_draw
from autograder.checks.messages import Answer, Asked, Tensor
from autograder.checks.student import Student

AHEAD = 128  # steps that are answered ahead
DRAWS = 8  # draws of one chain that are compared with each other
ROUNDING = 1e-5  # of sums in float32, relative to the size of their terms
# Of the weight of eps at t = 0, relative: 1 - alpha_bar has few digits left there in float32.
SCHEDULE = 1e-3
MORE = 16  # a step's x may have this many times the numbers of the chain's x


@dataclass(repr=False)  # pytest would spell out all its numbers
class Chain:
    """Test doubles of p_sample, network and decoder, and their calls and answers.

    Args:
        random: draws the answers.
        whole: keep the submission's own p_sample, so that the chain is judged only by the calls of
            the network.
        training: the mode of the model.
        away: put the labels on a second device.
    """

    case: Case
    random: np.random.Generator
    whole: bool = False
    training: bool = True
    away: bool = False
    method: ClassVar[str] = "p_sample_loop"  # in the contract; `name` is the submission's
    family: ClassVar[str] = "loop"  # the beginning of its hints' ids
    name: str = ""
    asked: list[Asked] = field(default_factory=list)
    decodings: int = 0  # calls of the decoder
    decoded: int = 0  # pictures that it returned
    start: Any = None  # the x of the first step
    rounding: np.ndarray | float = 0.0  # how far it may take the x_0 of the last step, for its size
    several: str | None = None  # the tensor that a step got as t_index, in words
    encoded: bool = False

    def step(self, asked: Asked) -> Ahead | str:
        """Answer a call of p_sample or of the network with fresh numbers in the shape of x.

        A submission gains nothing by knowing the next answers: in the calls of a right chain each
        answer is the input of the right step, and only running the chain gives these calls.
        """
        call = asked.bind("x", "label", "t", "t_index")
        x, t_index = call.get("x"), call.get("t_index")
        if self.start is None:
            self.start = x
            if not self.is_start(x, asked):
                return f"x_T is {shown(x)}, expected a tensor of shape {self.shape}"
        if not isinstance(x, Tensor) or x.array is None:
            return f"x is {shown(x)}, not a tensor on the CPU"
        if isinstance(t_index, Tensor) and math.prod(t_index.shape) > 1:
            self.several = shown(t_index)
            return f"t_index is {self.several}, expected an int"
        if not x.shape or x.array.size > MORE * math.prod(self.shape):
            return f"x is {shown(x)}, not a batch of {self.shape}"
        # To save memory, calls with more numbers than the chain's x get no answers ahead.
        ahead = min(AHEAD, self.case.kwargs["timesteps"])
        number = 1 + ahead if x.array.size <= math.prod(self.shape) else 1
        values = 4 * self.random.random((number, *x.shape), dtype=np.float32) - 2
        values[..., :1, :1] *= LARGER / self.weight  # in a corner, so that clamping shows
        return Ahead(values[0], values[1:])

    @property
    def weight(self) -> float:
        """The least weight that an answer has in the next state."""
        return float(np.abs(self.case.expected["step_eps"]).min()) if self.whole else 1.0

    def is_start(self, x: Any, asked: Asked) -> bool:
        """Whether x has the shape of x_T, or of a piece of it with as many labels."""
        if not isinstance(x, Tensor) or x.array is None or x.shape[1:] != self.shape[1:]:
            return False
        label = asked.bind("x", "label").get("label")
        return x.shape == self.shape or 0 < x.shape[0] == rows_of([label]) < self.shape[0]

    @property
    def shape(self) -> list[int]:
        """The shape of x_T: what is diffused, for all labels."""
        return [len(self.case.inputs["label"]), *diffused_shape(self.case.config)]

    def encode(self, asked: Asked) -> np.ndarray:
        """Answer the encoder, which sampling should not call."""
        self.encoded = True
        return self.case.inputs.get("latents", np.zeros(self.shape, np.float32))

    def decode(self, asked: Asked) -> np.ndarray | str:
        """Answer the decoder with the case's pictures, some of their values outside [0, 1]."""
        self.decodings += 1
        if self.decodings > 1 + len(self.case.inputs["label"]):
            return "the decoder was called too often"
        pictures = self.case.inputs["decoded"]
        z = asked.bind("x").get("x")
        rows = z.shape[0] if isinstance(z, Tensor) and z.shape else 1
        if rows > len(pictures):
            return f"the decoder got {shown(z)} for {len(pictures)} pictures"
        self.decoded += rows
        return pictures[(self.decoded - rows + np.arange(rows)) % len(pictures)]

    def key(self, student: Student) -> str:
        """The key of the case's model."""
        return student.ddpm(self.case)

    def run(self, student: Student) -> Answer:
        """Draw one picture for each label of the case."""
        key = self.key(student)
        self.name = student.words(self.method)
        doubles: dict[str, Any] = {} if self.whole else {"p_sample": self.step}
        doubles |= {"model": self.step}
        if self.case.kwargs.get("use_vae"):
            doubles |= {"vae.decoder": self.decode, "vae.encoder": self.encode}
        try:
            answer = student.call(
                key,
                self.method,
                self.case.inputs["label"],
                doubles=doubles,
                training=self.training,
                away=self.away,
            )
        except Finding as finding:  # an earlier fault may explain the error better
            first = next((a for a in finding.asked if a.name in ("p_sample", "model")), None)
            if first is not None and not self.is_start(self.start, first):
                self.check_start(self.start)
            if self.several is not None:
                raise Finding(
                    f"A step got t_index = {self.several}; expected an int.", "loop_t"
                ) from None
            if self.decodings > len(self.case.inputs["label"]):
                raise Finding(
                    "The decoder was called in every step.", "latent_decoded_twice"
                ) from None
            raise finding
        self.asked = answer.asked
        return answer

    def calls(self, name: str) -> list[tuple[dict[str, Any], np.ndarray]]:
        """The calls of one double: arguments by name, and the answer."""
        names = {
            "p_sample": ("x", "label", "t", "t_index"),
            "model": ("x", "label", "t"),
            "vae.decoder": ("x",),
        }[name]
        found = [
            (a.bind(*names), a.answered)
            for a in self.asked
            if a.name == name and a.answered is not None
        ]
        if name == "model":  # the network's own name for t
            found = [({"t": call.get("time"), **call}, value) for call, value in found]
        return found

    def check(self) -> np.ndarray:
        """Judge all steps; returns the x_0 with which the chain must end.

        Raises:
            Finding
        """
        steps, inlined = self.calls("p_sample"), False
        if not steps:
            steps, inlined = self.calls("model"), True
        if not steps:
            raise Finding("The loop took no step: self.p_sample was never called.", "loop_no_steps")
        steps = self.in_whole(steps, inlined)
        self.start = steps[0][0].get("x")
        self.check_start(self.start)
        order = [self.time_of(call, inlined) for call, _ in steps]
        times = [self.time_of(call, True) for call, _ in steps]
        check_order(order, times, self.case.kwargs["timesteps"])
        for (call, _), t in zip(steps, order, strict=True):
            self.check_conditions(call, t)
        return self.follow_inlined(steps) if inlined else self.follow(steps)

    def in_whole(
        self, steps: list[tuple[dict[str, Any], np.ndarray]], inlined: bool
    ) -> list[tuple[dict[str, Any], np.ndarray]]:
        """The calls of a chain, with those for pieces of a batch merged.

        Each step may be taken in pieces, or each piece may go through all steps by itself.
        """
        by_time: dict[int | None, list[int]] = {}
        for i, (call, _) in enumerate(steps):
            by_time.setdefault(self.time_of(call, inlined), []).append(i)
        pieces = list(by_time.values())  # of each step
        rows = [[rows_of([steps[i][0].get("x")]) for i in found] for found in pieces]
        if len(pieces[0]) == 1 or any(r != rows[0] or sum(r) != self.shape[0] for r in rows):
            return steps
        if any(i > j for piece in zip(*pieces, strict=True) for i, j in itertools.pairwise(piece)):
            return steps
        return [
            (together([steps[i][0] for i in found]), np.concatenate([steps[i][1] for i in found]))
            for found in pieces
        ]

    def check_start(self, x: Any) -> None:
        """Check that the chain starts from standard Gaussian noise of the right shape."""
        try:
            start = tensor_of(x, self.shape, "The chain's start x_T")
        except Finding as finding:
            double = finding.hint == "wrong_dtype" and x.dtype == "float64"
            hint = "network_dtype" if double else f"{self.family}_start_shape"
            raise Finding(finding.reason, hint) from None
        fault = fault_of_draw(start)
        if fault:
            reason = f"The chain's start x_T is not standard Gaussian noise: {fault[0]}."
            by_chance = fault[1] in DEPENDENT and fault != noise_fault(start)
            raise Finding(reason, fault[1] if by_chance else f"{self.family}_start_noise")

    def time_of(self, call: dict[str, Any], inlined: bool) -> int | None:
        """The time step in a call; None if there is none."""
        return whole_number(call.get("t") if inlined else call.get("t_index"))

    def check_labels(self, call: dict[str, Any]) -> None:
        """Check that a step got the labels."""
        labels = self.case.inputs["label"]
        check_network_kinds(call, np.dtype(np.float32))
        if not is_tensor_like(call.get("label"), labels):
            raise Finding(
                f"A step got the wrong labels: {shown(call.get('label'))}, expected "
                f"{labels.tolist()}.",
                f"{self.family}_labels",
            )

    def check_conditions(self, call: dict[str, Any], t: int) -> None:
        """Check that a step got the labels and the right tensor t."""
        self.check_labels(call)
        labels = self.case.inputs["label"]
        value = call.get("t")
        whole = isinstance(value, Tensor) and value.dtype == "int64"
        if not whole or not is_tensor_like(value, np.full(len(labels), t)):
            kind = f" ({value.dtype})" if isinstance(value, Tensor) else ""
            raise Finding(
                f"The step t_index = {t} got t = {shown(value)}{kind}; expected a LongTensor with "
                f"one entry for each of the {len(labels)} labels, all equal to t_index.",
                "loop_t",
            )

    def follow(self, steps: list[tuple[dict[str, Any], np.ndarray]]) -> np.ndarray:
        """Check that each step starts from the previous result; returns the last one."""
        before = None
        for call, value in steps:
            if before is not None and not is_tensor_like(call.get("x"), before, 1e-6):
                if is_rounded(call.get("x"), before):
                    text = "rounds what the step before it returned"
                    at = self.time_of(call, False)
                    raise Finding(f"The step t_index = {at} {text}.", "loses_digits")
                start = is_tensor_like(call.get("x"), self.start.array)
                raise Finding(
                    f"The step t_index = {self.time_of(call, False)} did not start from what the "
                    f"step before it returned{', but from x_T' if start else ''}.",
                    "loop_not_fed_back",
                )
            before = value
        return before

    def follow_inlined(self, steps: list[tuple[dict[str, Any], np.ndarray]]) -> np.ndarray:
        """For a loop that computes the steps itself: each must follow eq. 11, noise included."""
        expected = self.case.expected
        rest = []
        t = len(steps) - 1
        for (call, eps), (following, _) in itertools.pairwise(steps):
            shape = call["x"].shape
            x_next = tensor_of(following["x"], shape, f"x at t = {t - 1}")
            rest.append(
                x_next - expected["step_x"][t] * call["x"].array - expected["step_eps"][t] * eps
            )
            t -= 1
        for sigma in expected["step_sigma"].T if rest else ():
            noise = np.stack(
                [r / s for r, s in zip(rest, sigma[: len(rest) + 1][:0:-1], strict=True)]
            )
            if len(noise) > 1 and close(noise[0], noise[1], 1e-2):
                raise Finding("The loop adds the same noise in each step.", "noise_repeated")
            fault = noise_fault(noise.reshape(-1, *noise.shape[2:]))
            if fault is None:
                drawn = np.concatenate([self.start.array[None], noise])[:DRAWS]
                check_independent(drawn, "What the chain draws")
                break
        if rest and fault:
            raise Finding(
                "The steps inside the loop do not follow eq. 11: what they add to its mean is not "
                f"the posterior's noise ({fault[0]}).",
                "loop_inlined_step",
            )
        last, eps = steps[-1]
        terms = expected["step_x"][0] * last["x"].array, expected["step_eps"][0] * eps
        x_0 = self.add(*terms)
        self.rounding += SCHEDULE * np.abs(terms[1])
        return x_0

    def add(self, *terms: np.ndarray) -> np.ndarray:
        """The x_0 of a chain whose last step adds these up; sets `rounding` by their size."""
        self.rounding = ROUNDING * sum(np.abs(term) for term in terms)
        return sum(terms)


def walk(
    student: Student,
    case: Case,
    random: np.random.Generator,
    training: bool = True,
) -> tuple[Chain, Answer, np.ndarray]:
    """Run a chain and judge its steps; returns the chain, its result, and the x_0 it must end with.

    A loop may do more with a step's result than pass it on, or fail on the result of the contract's
    step, because it divides the work differently: the mean in p_sample, the noise in the loop. Then
    loop and p_sample are judged together, and a chain that is right as a whole is right. For
    `training` see `Chain`. Raises Finding.
    """
    chain = Chain(case, random, training=training)
    try:
        answer = chain.run(student)
    except Finding as finding:
        if chain.start is None or finding.hint == "too_slow":
            raise
        first = finding
    else:
        one_step = case.kwargs["timesteps"] == 1
        try:
            x_0 = chain.check()
            if one_step and not case.kwargs.get("use_vae"):
                check_pictures(answer.value, x_0, chain)  # no later step shows what is passed on
            return chain, answer, x_0
        except Finding as finding:
            if finding.hint != "loop_not_fed_back" and not one_step:
                raise
            first = finding
    whole = Chain(case, random, whole=True, training=training)
    try:
        answer = whole.run(student)
        return whole, answer, whole.check()
    except Finding:
        raise first from None


def other_labels(case: Case, size: int, random: np.random.Generator) -> Case:
    """The case with `size` labels, which may repeat, and as many pictures."""
    inputs = {"label": indices(random, case.kwargs["num_classes"], size)}
    if "decoded" in case.inputs:
        shape = size, *case.inputs["decoded"].shape[1:]
        inputs["decoded"] = np.float32(random.uniform(-0.3, 1.3, shape))
    return replace(case, inputs=inputs)


def check_order(order: list[int | None], times: list[int | None], T: int) -> None:
    """Check that the steps are T-1, ..., 0, each once, both by t_index and by the tensor t."""
    expected = list(range(T - 1, -1, -1))
    apart = [(i, t) for i, t in zip(order, times, strict=True) if i != t]
    if apart:
        raise Finding(f"A step got t_index = {apart[0][0]} but t = {apart[0][1]}.", "loop_t")
    if order == expected:
        return
    ends = f"{order[0]}, {order[1]}, ..., {order[-1]}" if len(order) > 2 else str(order)
    reason = f"The steps were t = {ends} ({len(order)} of them, T = {T})"
    if order == expected[::-1]:
        hint = "loop_ascending"
    elif order[0] == T:
        hint = "loop_starts_at_T"
    elif order == expected[: len(order)]:
        hint = "loop_ends_early"
    elif order == list(range(len(order)))[::-1]:
        hint = "loop_starts_late"
    elif len(order) > T:
        hint = "loop_steps_repeated"
    else:
        hint = "loop_steps_missing"
    raise Finding(f"{reason}; expected T-1, T-2, ..., 0.", hint)


def check_pictures(value: Any, x_0: np.ndarray, chain: Chain) -> None:
    """Check a pixel model's result: x_0 scaled from [-1, 1] to [0, 1], and clamped."""
    found = result_of(value, x_0.shape, chain)
    halves = (x_0 + 1) / 2
    if not off(found, halves.clip(0, 1), ROUNDING + chain.rounding).any():
        return
    if close(found, halves.clip(0, 1), FEW_DIGITS):
        raise Finding(f"{chain.name} rounds its pictures.", "loses_digits")
    first = chain.start
    known = {
        "no_postprocess": ("the last x as it is, not in [0, 1]", [x_0, x_0.clip(-1, 1)]),
        "not_clamped": ("values outside [0, 1]", [halves]),
        "rescaled_twice": (
            "pictures that were rescaled twice",
            [((halves + 1) / 2).clip(0, 1), ((halves.clip(0, 1) + 1) / 2).clip(0, 1)],
        ),
        "not_rescaled": ("x_0 clamped to [0, 1] but not rescaled", [x_0.clip(0, 1)]),
        "returns_start": (
            "what the chain started from",
            [first.array, ((first.array + 1) / 2).clip(0, 1)],
        ),
    }
    for hint, (what, values) in known.items():
        if any(v.shape == found.shape and close(found, v, 1e-4) for v in values):
            raise Finding(f"{chain.name} returned {what}.", f"{chain.family}_{hint}")
    raise Finding(
        f"{chain.name}'s result is not x_0 of its last step, brought to [0, 1] by postprocess "
        f"(its values are between {found.min():.2f} and {found.max():.2f}).",
        f"{chain.family}_result",
    )


def result_of(value: Any, shape: tuple[int, ...], chain: Chain) -> np.ndarray:
    """The result of sampling, if it is a tensor of this shape; raises Finding."""
    if isinstance(value, list):
        raise Finding(
            f"{chain.name} returned a list of {len(value)}; expected only the pictures, as one "
            "tensor.",
            f"{chain.family}_returns_list",
        )
    return tensor_of(value, shape, f"{chain.name}'s result")


def check_decoded(value: Any, x_0: np.ndarray, chain: Chain) -> None:
    """Check a latent model's result: the decoder got x_0, and its output is clamped to [0, 1]."""
    if chain.encoded:
        raise Finding(f"{chain.name} called the encoder.", "latent_wrong_half")
    decoded = chain.calls("vae.decoder")
    pictures = chain.case.inputs["decoded"]
    if not decoded:
        raise Finding("With use_vae, self.vae.decoder was never called.", "latent_not_decoded")
    # one call for the batch, or one for each piece of it
    latents = [call.get("x") for call, _ in decoded]
    if not all(isinstance(z, Tensor) and z.array is not None for z in latents):
        raise Finding("The decoder did not get a tensor.", "latent_decoder_input")
    if sum(rows_of([z]) for z in latents) > len(x_0):
        raise Finding(f"The decoder was called {len(decoded)} times.", "latent_decoded_twice")
    if any(z.shape[1:] != list(x_0.shape[1:]) for z in latents):
        raise Finding("The decoder did not get the shape of the latents.", "latent_decoder_input")
    last = np.concatenate([z.array for z in latents])
    tolerance = ROUNDING * (1 + np.abs(x_0)) + chain.rounding
    if last.shape != x_0.shape or off(last, x_0, tolerance).any():
        few = last.shape == x_0.shape and close(last, x_0, FEW_DIGITS)
        hint = "loses_digits" if few else "latent_decoder_input"
        raise Finding("The decoder did not get the chain's last latents.", hint)
    if any(z.dtype != "float32" for z in latents):
        raise Finding(f"The decoder got latents in {latents[0].dtype}.", "network_dtype")
    if isinstance(value, Tensor) and value.shape == list(x_0.shape):
        text = f"{chain.name} returned latents instead of pictures."
        raise Finding(text, "latent_not_decoded")
    found = tensor_of(value, pictures.shape, f"{chain.name}'s result")
    if close(found, pictures.clip(0, 1), 1e-5):
        return
    if close(found, pictures.clip(0, 1), FEW_DIGITS):
        raise Finding("The decoded pictures were rounded.", "loses_digits")
    halves = ((pictures + 1) / 2, (pictures.clip(-1, 1) + 1) / 2, (pictures.clip(0, 1) + 1) / 2)
    if any(close(found, np.clip(half, 0, 1), 1e-4) for half in halves):
        raise Finding("The decoded pictures were rescaled from [-1, 1].", "latent_rescaled")
    if close(found, pictures, 1e-4):
        raise Finding(
            "The decoded pictures were not clamped to [0, 1].", f"{chain.family}_not_clamped"
        )
    raise Finding(
        f"{chain.name}'s result is not the decoder's output in [0, 1] (its values are between "
        f"{found.min():.2f} .. {found.max():.2f}).",
        "latent_result",
    )
