"""q_sample: x_t directly from x_0 (Ho et al. 2020, eq. 4)."""

from collections.abc import Sequence

import numpy as np
import pytest
from autograder.checks.batches import SIZES, check_device, indices
from autograder.checks.cases import Case, wide
from autograder.checks.evidence import (
    ENDED,
    FEW_DIGITS,
    as_precise,
    check_rounding,
    check_untouched,
    close,
    off,
    suspect,
    tensor_of,
    weights,
)
from autograder.checks.findings import Finding
from autograder.checks.independence import check_drawn, check_independent
from autograder.checks.student import Student

PART = "q_sample"
NAMES = ["x_start", "t", "noise"]
TOLERANCE = {"signal": 5e-5, "noise": 5e-5}  # rates in float16 are off by more
CALLS = 4  # number of calls that draw noise
ROUNDED = 4e-3  # relative error of a rate in lower precision
MUCH = 28  # copies of six CIFAR-10 images: half a million numbers
WHAT = "What q_sample adds without noise given"


def test_given_noise(student: Student, case: Case) -> None:
    """x_t mixes the given image and noise, each sample at its own time step."""
    key = student.ddpm(case)
    x_start, t, noise = (case.inputs[name] for name in NAMES)
    answer = student.call(key, "q_sample", x_start, t, noise)
    x_t = tensor_of(answer.value, x_start.shape, "q_sample's x_t")
    found, rest = weights(x_t, x_start, noise)
    worst, largest = np.abs(rest).max(), np.abs(noise).max()  # no weight is above 1
    if off(worst, 0, 1e-3 * max(1.0, largest)):
        few = worst < FEW_DIGITS * max(1.0, largest)
        raise Finding(
            f"x_t is not a mix of x_start and the noise: something else is in it, by {worst:.3g}.",
            "loses_digits" if few else "q_sample_no_mix",
        )
    check_rates(case, {"signal": found[:, 0], "noise": found[:, 1]}, t)
    check_untouched(answer, NAMES)


def test_any_batch(student: Student, case: Case, random: np.random.Generator) -> None:
    """Batches of 1, 2, 17 and 65 work in both modes, with numbers of any size.

    Two batches have the same size and other time steps: nothing may be kept from one to the next.
    """
    t, shape = case.inputs["t"], case.inputs["noise"].shape[1:]
    last, first = int(np.argmax(t)), int(np.argmin(t))
    for rows in ([first, first], [last], *(indices(random, len(t), n) for n in SIZES[2:]),
                 [last, first]):  # fmt: skip
        batch = len(rows)
        given = wide(random, (batch, *shape)), t[rows], wide(random, (batch, *shape))
        what = f"In a batch of {batch}, q_sample's x_t"
        answer = student.call(student.ddpm(case), "q_sample", *given, training=batch in SIZES[::2])
        check_precisely(case, answer.value, given, rows, what)
        check_untouched(answer, NAMES)


def test_own_noise(student: Student, case: Case) -> None:
    """Without noise given, q_sample draws new standard Gaussian noise each time."""
    draws = [drawn(student, case, 1, training=number % 2 == 0) for number in range(CALLS)]
    check_drawn(draws, WHAT)
    if any(np.allclose(draws[0], other, atol=1e-3) for other in draws[1:]):
        raise Finding("Two calls without noise given drew the same noise.", "noise_repeated")
    check_independent(np.stack(draws), WHAT)
    key = student.ddpm(case)
    given = [case.inputs[name] for name in NAMES]
    for args in (given, given[:2]):
        check_device(lambda args=args: student.call(key, "q_sample", *args, away=True))


@pytest.mark.configs("cifar10")
def test_much_noise(student: Student, case: Case) -> None:
    """Half a million numbers of q_sample's own noise are Gaussian far into the tails."""
    much = drawn(student, case, MUCH)
    check_drawn([much], WHAT)
    check_independent(much[None], WHAT)


@pytest.mark.configs("odd")
def test_double(student: Student, case: Case) -> None:
    """Images in double precision give an x_t as precise as any other."""
    x_start, t, noise = (case.inputs[name] for name in NAMES)
    given = x_start.astype(np.float64), t, noise.astype(np.float64)
    try:
        answer = student.call(student.ddpm(case), "q_sample", *given)
    except Finding as finding:
        if finding.hint in ENDED:
            raise
        answer = student.call(student.ddpm(case), "q_sample", x_start, t, noise)  # only float32
        tensor_of(answer.value, x_start.shape, "q_sample's x_t")
        return
    check_precisely(case, answer.value, given, np.arange(len(t)), "In double precision, x_t")


def drawn(student: Student, case: Case, copies: int, training: bool = True) -> np.ndarray:
    """The noise that q_sample draws and adds to copies of the case's images."""
    x_start = np.tile(case.inputs["x_start"], (copies, 1, 1, 1))
    t = np.tile(case.inputs["t"], copies)
    answer = student.call(student.ddpm(case), "q_sample", x_start, t, training=training)
    x_t = tensor_of(answer.value, x_start.shape, "q_sample's x_t")
    check_untouched(answer, NAMES)
    signal, rate = (np.tile(case.expected[name], copies) for name in ("signal", "noise"))
    check_own_signal(x_t, x_start, t, signal, rate)
    signal, rate = signal.reshape(-1, 1, 1, 1), rate.reshape(-1, 1, 1, 1)
    return (x_t - signal * x_start) / rate


def check_precisely(
    case: Case,
    value: object,
    given: tuple[np.ndarray, ...],
    rows: Sequence[int] | np.ndarray,
    what: str,
) -> None:
    """Check that each number of x_t has float32's precision, and its time step's weights.

    Args:
        given: x_start, t and noise, as `wide` makes them.
        rows: the index of each t in the case.
    """
    x_start, t, noise = given
    try:
        x_t = tensor_of(value, x_start.shape, what, as_precise(x_start.dtype))
    except Finding as finding:
        hint = "large_numbers" if finding.hint == "not_finite" else finding.hint
        raise Finding(finding.reason, hint) from None
    # In units of each number's own size, since float32 rounds relative to it.
    signal, rate = (case.expected[name][rows].reshape(-1, 1, 1, 1) for name in ("signal", "noise"))
    unit = signal * np.abs(x_start) + rate * np.abs(noise)
    found, rest = weights(x_t / unit, x_start / unit, noise / unit)
    try:
        check_rounding(rest, what, "q_sample_no_mix")
    except Finding as finding:
        if finding.hint == "loses_digits":  # in these units weights that are too large round more
            check_weights(case, found, rows, t, what)
        raise
    check_weights(case, found, rows, t, what)


def check_weights(
    case: Case, found: np.ndarray, rows: Sequence[int] | np.ndarray, t: np.ndarray, what: str
) -> None:
    """Compare the weights of x_0 and noise of each sample, [B, 2], with those of its time step."""
    for number, name in enumerate(("signal", "noise")):
        expected = case.expected[name][rows]
        wrong = off(found[:, number], expected, TOLERANCE[name] * (1 + np.abs(expected)))
        if wrong.any():
            k = int(wrong.argmax())
            raise Finding(
                f"{what} holds {found[k, number]:.4f} of {('x_start', 'the noise')[number]} at t = "
                f"{t[k]}; expected {expected[k]:.4f}.",
                "q_sample_small_batch",
            )


def check_rates(case: Case, measured: dict[str, np.ndarray], t: np.ndarray) -> None:
    """Compare measured weights of x_0 and noise with the expected ones."""
    wrong = np.zeros(len(t), bool)
    for name in ("signal", "noise"):
        expected = case.expected[name]
        wrong |= off(measured[name], expected, TOLERANCE[name] * (1 + np.abs(expected)))
    if not wrong.any():
        return
    worst = int(np.flatnonzero(wrong)[0])
    raise Finding(
        f"At t = {t[worst]} (T = {case.kwargs['timesteps']}), x_t holds "
        f"{measured['signal'][worst]:.4f} of x_start and {measured['noise'][worst]:.4f} of the "
        f"noise; expected {case.expected['signal'][worst]:.4f} and "
        f"{case.expected['noise'][worst]:.4f}.",
        rates_hint(case, measured, wrong),
    )


def rates_hint(case: Case, measured: dict[str, np.ndarray], wrong: np.ndarray) -> str:
    """The hint for weights, which are wrong in some samples."""
    known = suspect(measured, case.suspects, TOLERANCE)
    same = all(np.ptp(values) < 1e-4 for values in measured.values())
    few = all(close(v, case.expected[name], ROUNDED) for name, v in measured.items())
    off_in_half = 2 * np.count_nonzero(wrong) >= len(wrong)  # lower precision changes most rates
    if few and off_in_half and not same:
        return known or "loses_digits"
    return known or ("q_sample_one_step_for_all" if same else "q_sample_weights")


def check_own_signal(
    x_t: np.ndarray, x_start: np.ndarray, t: np.ndarray, signal: np.ndarray, rate: np.ndarray
) -> None:
    """Check the image's weight, as precisely as the unknown noise allows."""
    found, _ = weights(x_t, x_start)
    size = np.sqrt((x_start.reshape(len(t), -1) ** 2).sum(axis=1))
    wrong = off(found[:, 0], signal, 9 * rate / size + 1e-3)
    if wrong.any():
        worst = int(np.flatnonzero(wrong)[0])
        raise Finding(
            f"Without noise given, x_t at t = {t[worst]} holds {found[worst, 0]:.3f} of x_start; "
            f"expected {signal[worst]:.3f}.",
            "q_sample_weights",
        )
