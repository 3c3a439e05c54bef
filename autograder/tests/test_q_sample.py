"""q_sample: x_t from x_0 in one go (Ho et al. 2020, eq. 4)."""

import numpy as np
from autograder.cases import Case
from autograder.evidence import check_noise, check_untouched, off, suspect, tensor_of, weights
from autograder.student import Finding, Student

PART = "q_sample"
NAMES = ["x_start", "t", "noise"]
TOLERANCE = {"signal": 2e-4, "noise": 2e-4}


def test_given_noise(student: Student, case: Case) -> None:
    """x_t mixes the given image and noise, each sample at its own time step."""
    key = student.ddpm(case)
    x_start, t, noise = (case.inputs[name] for name in NAMES)
    answer = student.call(key, "q_sample", x_start, t, noise)
    x_t = tensor_of(answer.value, x_start.shape, "q_sample's x_t")
    found, rest = weights(x_t, x_start, noise)
    measured = {"signal": found[:, 0], "noise": found[:, 1]}
    worst = np.abs(rest).max()
    if off(worst, 0, 1e-3 * max(1.0, np.abs(x_t).max())):
        raise Finding(
            f"x_t is no mix of x_start and the noise: something else is in it, up to {worst:.3g}.",
            "q_sample_no_mix",
        )
    check_rates(case, measured, t)
    check_untouched(answer, NAMES)


def test_batch_of_one(student: Student, case: Case) -> None:
    """A batch of one image works, with the time step T-1."""
    key = student.ddpm(case)
    one = [np.argmax(case.inputs["t"])]
    x_start, t, noise = (case.inputs[name][one] for name in NAMES)
    answer = student.call(key, "q_sample", x_start, t, noise)
    x_t = tensor_of(answer.value, x_start.shape, "q_sample's x_t")
    signal, rate = (case.expected[name][one].reshape(-1, 1, 1, 1) for name in ("signal", "noise"))
    if off(x_t, signal * x_start + rate * noise, 1e-3).any():
        raise Finding("In a batch of one image at t = T-1, x_t is wrong.", "q_sample_small_batch")


def test_own_noise(student: Student, case: Case) -> None:
    """Without noise given, q_sample draws standard Gaussian noise, other noise each time."""
    key = student.ddpm(case)
    x_start = np.tile(case.inputs["x_start"], (3, 1, 1, 1))
    t = np.tile(case.inputs["t"], 3)
    signal, rate = (np.tile(case.expected[n], 3).reshape(-1, 1, 1, 1) for n in ("signal", "noise"))
    noises = []
    for _ in range(2):
        answer = student.call(key, "q_sample", x_start, t)
        x_t = tensor_of(answer.value, x_start.shape, "q_sample's x_t")
        check_untouched(answer, NAMES)
        noises.append((x_t - signal * x_start) / rate)
    check_own_noise(case, x_t, x_start, t)
    check_noise(noises[0], "What q_sample adds without noise given")
    if np.allclose(noises[0], noises[1], atol=1e-3):
        raise Finding("Two calls without noise given drew the same noise.", "noise_repeated")


def check_rates(case: Case, measured: dict[str, np.ndarray], t: np.ndarray) -> None:
    """Compare measured weights of x_0 and noise with the expected ones."""
    wrong = np.zeros(len(t), bool)
    for name in ("signal", "noise"):
        expected = case.expected[name]
        wrong |= off(measured[name], expected, TOLERANCE[name] + 1e-4 * np.abs(expected))
    if not wrong.any():
        return
    worst = int(np.flatnonzero(wrong)[0])
    raise Finding(
        f"At t = {t[worst]} (T = {case.kwargs['timesteps']}), x_t holds "
        f"{measured['signal'][worst]:.4f} of x_start and {measured['noise'][worst]:.4f} of the "
        f"noise; expected {case.expected['signal'][worst]:.4f} and "
        f"{case.expected['noise'][worst]:.4f}.",
        rates_hint(case, measured),
    )


def rates_hint(case: Case, measured: dict[str, np.ndarray]) -> str:
    """The hint for wrong weights."""
    known = suspect(measured, case.suspects, TOLERANCE)
    same = all(np.ptp(values) < 1e-4 for values in measured.values())
    return known or ("q_sample_one_step_for_all" if same else "q_sample_weights")


def check_own_noise(case: Case, x_t: np.ndarray, x_start: np.ndarray, t: np.ndarray) -> None:
    """The image's weight, as far as noise that is unknown here lets one measure it."""
    found, _ = weights(x_t, x_start)
    signal, rate = np.tile(case.expected["signal"], 3), np.tile(case.expected["noise"], 3)
    size = np.sqrt((x_start.reshape(len(t), -1) ** 2).sum(axis=1))
    error = 8 * rate / size + 1e-3
    wrong = off(found[:, 0], signal, error)
    if wrong.any():
        worst = int(np.flatnonzero(wrong)[0])
        raise Finding(
            f"Without noise given, x_t at t = {t[worst]} holds {found[worst, 0]:.3f} of x_start; "
            f"expected {signal[worst]:.3f}.",
            "q_sample_weights",
        )
