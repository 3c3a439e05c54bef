"""Checks of compute_loss: what the network is trained on, and with which loss."""

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from autograder.checks.batches import Pieces, in_whole
from autograder.checks.cases import Case
from autograder.checks.evidence import (
    FLOATS,
    check_network_call,
    check_rounding,
    check_untouched,
    close,
    is_rounded,
    is_tensor_like,
    network_calls,
    off,
    rounded_share,
    shown,
    suspect,
    tensor_of,
    weights,
)
from autograder.checks.findings import Finding
from autograder.checks.independence import check_drawn, check_independent
from autograder.checks.messages import Answer, Tensor
from autograder.checks.student import Student

NAMES = ["x_start", "label", "t", "noise"]
# Tolerance of a loss if the noise is recovered from x_t. In float32, 1 - alpha_bar at t = 0 is 1e-4
# within 6e-8, so its root, and the noise, have a relative error of up to 3e-4.
RECOVERED = 1e-3
MANY = 1400  # drawn time steps, of which one in 49 is missing with probability 1e-11


@dataclass(repr=False)  # pytest would spell out all its numbers
class Objective:
    """Runs compute_loss with doubles of q_sample, network and autoencoder, and judges the call.

    Args:
        case: its inputs include x_t and eps, the answers of q_sample and of the network.
        images: the images that compute_loss gets.
        clean: what is diffused: the images, or their latents.
    """

    family: ClassVar[str] = "loss"  # the beginning of its hints' ids
    case: Case
    images: np.ndarray
    clean: np.ndarray
    answer: Answer = field(default_factory=lambda: Answer(None))
    t: np.ndarray = field(default_factory=lambda: np.empty(0))  # the time steps, given or drawn

    def run(
        self, student: Student, *noise: np.ndarray, training: bool = True, away: bool = False
    ) -> None:
        """Call compute_loss, with `noise` if it is given."""
        self.student, self.noise = student, noise
        self.options = {"training": training, "away": away}
        try:
            self.answer = self.call()
        except Finding as finding:
            self.explain(finding)
            raise

    def call(self) -> Answer:
        """Make the call of compute_loss; it may be repeated."""
        answers = self.answers()
        if self.case.kwargs.get("use_vae"):
            answers |= {"vae.encoder": self.case.inputs["latents"], "vae.decoder": self.images}
        pieces = {
            name: Pieces(name, values[None], again=True, expected=name != "vae.decoder")
            for name, values in answers.items()
        }
        doubles = {name: piece.answer for name, piece in pieces.items()}
        options: dict[str, Any] = {"gradients": not self.options["away"], "time_at": 2}
        options |= self.options
        args = self.arguments()
        return self.student.call(self.key(), "compute_loss", *args, doubles=doubles, **options)

    def key(self) -> str:
        """The key of the case's model."""
        return self.student.ddpm(self.case)

    def answers(self) -> dict[str, np.ndarray]:
        """The doubles' answers, without the autoencoder's."""
        return {"q_sample": self.case.inputs["x_t"], "model": self.case.inputs["eps"]}

    def arguments(self) -> list[Any]:
        """The arguments of compute_loss."""
        return [self.images, self.case.inputs["label"], self.case.inputs["t"], *self.noise]

    def explain(self, finding: Finding) -> None:
        """Raise a more precise Finding than the error's if the noise had a wrong shape."""
        for asked in finding.asked:
            drawn = asked.bind("x_start", "t", "noise").get("noise")
            if asked.name == "q_sample" and isinstance(drawn, Tensor):
                tensor_of(drawn, self.clean.shape, "The noise that q_sample got")

    def check(self, noise: np.ndarray | None) -> np.ndarray:
        """Judge the call.

        Args:
            noise: the given noise, or None if compute_loss had to draw it.

        Returns:
            The noise, float64.

        Raises:
            Finding
        """
        inputs, drawn = self.case.inputs, noise is None
        diffusions = [a.bind("x_start", "t", "noise") for a in self.answer.asked
                      if a.name == "q_sample"]  # fmt: skip
        diffusions = in_whole(diffusions, len(self.clean))
        calls = network_calls(self.answer.asked, len(self.clean))
        self.t = drawn_times(self.case, calls[-1]) if self.answer.draws else inputs["t"]
        if diffusions:
            noise = self.check_diffusion(diffusions[-1], noise)
            x_t = inputs["x_t"]
        else:
            noise, x_t = self.recover_noise(calls[-1].get("x"), noise)
        for call in calls:
            if is_tensor_like(call.get("x"), self.clean) and not close(x_t, self.clean, 1e-3):
                raise Finding("The network got x_start and not x_t.", "network_wrong_x")
            check_network_call(call, None, inputs["label"], self.t)
            if not is_tensor_like(call.get("x"), x_t):
                hint = "loses_digits" if is_rounded(call.get("x"), x_t) else "network_wrong_x"
                raise Finding("The network did not get x_t.", hint)
        recovered = drawn and not diffusions
        self.check_loss(noise, RECOVERED if recovered else 2e-5)
        check_untouched(self.answer, NAMES)
        return noise

    def check_diffusion(self, call: dict[str, Any], noise: np.ndarray | None) -> np.ndarray:
        """Check that q_sample got x_start, t and the noise; returns the noise."""
        if not is_tensor_like(call.get("x_start"), self.clean):
            raise Finding("q_sample did not get x_start.", self.clean_hint(call))
        if not is_tensor_like(call.get("t"), self.t):
            whose = "the network" if self.answer.draws else "compute_loss"
            raise Finding(f"q_sample got other time steps than {whose}.", "loss_wrong_t")
        if call.get("noise") is None:
            raise Finding(
                "q_sample was called without the noise, so it draws its own, which the loss does "
                "not know.",
                "loss_noise_not_passed",
            )
        drawn = call["noise"]
        if noise is None:
            return tensor_of(drawn, self.clean.shape, "The noise that compute_loss drew")
        if not is_tensor_like(drawn, noise):
            hint = "loses_digits" if is_rounded(drawn, noise) else "loss_own_noise"
            raise Finding("q_sample got other noise than compute_loss was given.", hint)
        return noise.astype(np.float64)

    def clean_hint(self, call: dict[str, Any]) -> str:
        """The hint for a wrong x_start in the call of q_sample."""
        value = call.get("x_start")
        if is_rounded(value, self.clean):
            return "loses_digits"
        if self.case.part != "latent":
            return "loss_x_start_changed"
        return "latent_not_encoded" if is_tensor_like(value, self.images) else "latent_scaled"

    def recover_noise(self, x: Any, noise: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """For code that computes x_t itself: the noise in its x_t, and x_t."""
        x_t = tensor_of(x, self.clean.shape, "The network's input x_t")
        signal, rate = self.rates()
        if noise is not None:
            unit = signal * np.abs(self.clean) + rate * np.abs(noise)
            found, rest = weights(x_t / unit, self.clean / unit, noise / unit)
            # Not relative to the sum: where the terms cancel, rounding is all that is left.
            if off(x_t, signal * self.clean + rate * noise, 1e-3 * unit).any():
                raise Finding(
                    f"The network's input holds {found[0, 0]:.4f} of x_start and {found[0, 1]:.4f} "
                    f"of the noise; expected {signal[0, 0, 0, 0]:.4f} and {rate[0, 0, 0, 0]:.4f}.",
                    "network_wrong_x",
                )
            check_rounding(rest, "The network's input", "network_wrong_x")
            return noise.astype(np.float64), x_t
        return (x_t - signal * self.clean) / rate, x_t

    def rates(self) -> list[np.ndarray]:
        """The weights of x_start and of the noise in x_t, [B, 1, 1, 1] each."""
        found = [self.case.expected[name] for name in ("signal", "noise")]
        if self.answer.draws:
            if self.case.rates is None:
                raise Finding(
                    "compute_loss draws t itself; expected t as an argument.", "signature"
                )
            found = list(self.case.rates[:, self.t])
        return [values.reshape(-1, 1, 1, 1) for values in found]

    def check_loss(self, target: np.ndarray, tolerance: float) -> None:
        """Check that the loss is the mean squared error, and that its gradient reaches the network.

        Args:
            target: what the network should predict.
        """
        eps = self.case.inputs["eps"]
        loss = float(tensor_of(self.answer.value, [], "The loss", FLOATS))
        difference = eps - target
        expected = float((difference**2).mean())
        if not close(loss, expected, tolerance):
            hint = suspect({"loss": np.asarray(loss)}, self.case.suspects, {"loss": 1e-6}, 1e-5)
            again = float(tensor_of(self.call().value, [], "The loss", FLOATS))
            if not close(again, loss, 1e-6):
                hint = hint or f"{self.family}_other_noise"
            elif not off(loss, expected, rounded_share(difference) * expected):
                hint = hint or "loses_digits"
            raise Finding(
                f"The loss is {loss:.5f}; expected {expected:.5f}.",
                hint or f"{self.family}_value",
            )
        if self.answer.gradients is None:
            return
        gradient = self.answer.gradients.get("model", 0.0)
        if not close(gradient, float((2 * difference * eps).mean()), 1e-2):
            raise Finding(
                "The loss has the right value, but no gradient reaches the network.",
                f"{self.family}_no_gradient",
            )


def check_encoder(objective: Objective) -> None:
    """Check that the encoder got the images, unchanged and once."""
    asked = [a.bind("x") for a in objective.answer.asked if a.name == "vae.encoder"]
    asked = in_whole(asked, len(objective.images))
    decoded = any(a.name == "vae.decoder" for a in objective.answer.asked)
    if not asked:
        hint = "latent_wrong_half" if decoded else "latent_not_encoded"
        raise Finding("With use_vae, self.vae.encoder was never called.", hint)
    given = asked[0].get("x")
    if not is_tensor_like(given, objective.images):
        hint = "loses_digits" if is_rounded(given, objective.images) else "latent_encoder_input"
        raise Finding("The encoder did not get the images.", hint)
    if given.dtype != "float32":
        raise Finding(f"The encoder got images in {given.dtype}.", "network_dtype")
    if len(asked) > 1:
        raise Finding(f"The encoder was called {len(asked)} times.", "latent_encoded_twice")
    if decoded:
        raise Finding("compute_loss called the decoder.", "latent_wrong_half")


def drawn_times(case: Case, call: dict[str, Any]) -> np.ndarray:
    """The time steps that a loss drew, read from the network's call; raises Finding."""
    size, T = len(case.inputs["label"]), case.kwargs["timesteps"]
    value = call.get("time")
    if not isinstance(value, Tensor) or value.array is None or value.shape != [size]:
        raise Finding(
            f"The network got t = {shown(value)}; expected a time step for each of the {size} "
            "images.",
            "loss_drawn_t",
        )
    t = value.array
    if not np.isin(t, np.arange(T)).all():
        raise Finding(
            f"The loss drew t from {t.min():g} to {t.max():g}; expected whole numbers from 0 to "
            f"{T - 1}.",
            "loss_drawn_t",
        )
    return t.astype(np.int64)


def check_drawn_times(student: Student, case: Case) -> None:
    """Check that a loss draws all t equally often, and others in each call (Algorithm 1)."""
    times = 1 + MANY // len(case.inputs["label"])
    inputs = {n: np.concatenate([v] * times) for n, v in case.inputs.items() if v.ndim}
    many = Objective(replace(case, inputs=inputs), inputs["x_start"], inputs["x_start"])
    drawn = []
    for _ in range(2):
        many.run(student)
        drawn.append(
            drawn_times(many.case, network_calls(many.answer.asked, len(inputs["label"]))[-1])
        )
    T, size = case.kwargs["timesteps"], len(drawn[0])
    count = np.bincount(drawn[0], minlength=T)
    if count.max() == size:
        raise Finding(f"The loss drew one t for all {size} images.", "loss_drawn_t")
    if count.min() == 0:
        missing = int(count.argmin())
        raise Finding(f"The loss never drew t = {missing} for {size} images.", "loss_drawn_t")
    # mean within 6 deviations, each count within 8: a right answer fails with 2e-9 each
    mean, spread = (T - 1) / 2, np.sqrt((T**2 - 1) / 12 / size)
    often = 8 * np.sqrt(size / T)
    if off(drawn[0].mean(), mean, 6 * spread) or off(count, size / T, often).any():
        raise Finding("The loss does not draw all time steps equally often.", "loss_drawn_t")
    if np.array_equal(*drawn):
        raise Finding("Two calls drew the same time steps.", "loss_drawn_t")


def check_draws(draws: list[np.ndarray]) -> None:
    """Check that compute_loss draws standard Gaussian noise, and other noise in each call."""
    what = "The noise that compute_loss draws"
    check_drawn(draws, what)
    if any(np.allclose(draws[0], other, atol=1e-3) for other in draws[1:]):
        raise Finding("Two calls without noise given drew the same noise.", "noise_repeated")
    check_independent(np.stack(draws), what)
