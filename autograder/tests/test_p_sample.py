"""p_sample: one step back, from x_t to x_{t-1} (Ho et al. 2020, eq. 11 and Algorithm 2)."""

import numpy as np
from autograder.cases import Case
from autograder.evidence import (
    check_network_call,
    check_untouched,
    network_calls,
    noise_fault,
    suspect,
    tensor_of,
    weights,
)
from autograder.student import Finding, Student

PART = "p_sample"
NAMES = ["x", "label", "t"]


def step(student: Student, case: Case, k: int, training: bool = True) -> tuple[np.ndarray, int]:
    """Run the case's k-th step on a network that answers eps; returns x_{t-1} and t.

    Args:
        training: the network's mode, which has to stay.
    """
    key = student.ddpm(case)
    t_index = int(case.inputs["steps"][k])
    x, eps, label = case.inputs[f"x{k}"], case.inputs[f"eps{k}"], case.inputs["label"]
    t = np.full(len(label), t_index)
    answer = student.call(
        key,
        "p_sample",
        *(x, label, t, t_index),
        doubles={"model": lambda asked: eps},
        training=training,
    )
    for call in network_calls(answer.asked):
        check_network_call(call, x, label, t)
    value = tensor_of(answer.value, x.shape, "p_sample's x_{t-1}")
    check_untouched(answer, NAMES)
    return value, t_index


def test_last_step(student: Student, case: Case) -> None:
    """The step to x_0, t_index = 0, gives the mean of eq. 11 and adds no noise."""
    value, _ = step(student, case, 0, training=False)
    x, eps = case.inputs["x0"], case.inputs["eps0"]
    mean = case.expected["step_x"][0] * x + case.expected["step_eps"][0] * eps
    if np.abs(value - mean).max() < 1e-3:
        return
    again, _ = step(student, case, 0)
    if np.abs(value - again).max() > 1e-6:
        size = (value - mean).std()
        raise Finding(
            f"The last step, t_index = 0, adds noise (of a standard deviation of about {size:.3g}):"
            " two calls with the same input differ.",
            "p_sample_noise_at_zero",
        )
    found, rest = weights(value, x, eps)
    if np.abs(rest).max() > 1e-2 * np.abs(value).max():
        raise Finding("The last step gives no mix of x and the predicted noise.", "p_sample_no_mix")
    found = found.mean(axis=0)
    raise Finding(
        f"The last step gives {found[0]:.5f} x {found[1]:+.5f} eps; expected "
        f"{case.expected['step_x'][0]:.5f} x {case.expected['step_eps'][0]:+.5f} eps.",
        # many mistakes look alike at this step; the others tell them apart
        mean_hint(case, [0], found[None], np.array([1e-4])),
    )


def test_mean(student: Student, case: Case) -> None:
    """The mean of x_{t-1} is that of eq. 11, at t = 1, in the middle, and at T-1."""
    found, errors, steps = [], [], [1, 2, 3]
    for k in steps:
        value, _ = step(student, case, k)
        x, eps = case.inputs[f"x{k}"], case.inputs[f"eps{k}"]
        whole, rest = (a[0] for a in weights(value[None], x[None], eps[None]))
        found.append(whole)
        errors.append(8 * rest.std() / np.sqrt((x**2).sum()) + 1e-5)
    found, errors = np.array(found), np.array(errors)
    expected = np.stack([case.expected["step_x"][steps], case.expected["step_eps"][steps]], axis=-1)
    error = np.maximum(errors[:, None], 2e-3 * np.abs(expected[:, 1:])) + 1e-4 * np.abs(expected)
    off = (np.abs(found - expected) > error).any(axis=1)
    if off.any():
        k = int(np.flatnonzero(off)[0])
        raise Finding(
            f"At t = {case.inputs['steps'][steps[k]]} (T = {case.kwargs['timesteps']}), the mean "
            f"is {found[k, 0]:.5f} x {found[k, 1]:+.5f} eps; expected {expected[k, 0]:.5f} x "
            f"{expected[k, 1]:+.5f} eps.",
            mean_hint(case, steps, found, errors) or "p_sample_mean",
        )


def test_noise(student: Student, case: Case) -> None:
    """Each step but the last adds fresh Gaussian noise of the posterior's standard deviation."""
    found, allowed = [], []
    for k in (1, 2, 3):
        value, t_index = step(student, case, k)
        noise = noise_of_step(case, value, k)
        sigmas = case.expected["step_sigma"][k]
        sigma = noise.std()
        found.append(sigma)
        # float32 rounds the large values of these inputs, and their mean with them
        allowed.append(6 * sigmas / np.sqrt(2 * noise.size) + 4e-7 * np.abs(value).max())
        nearest = sigmas[np.argmin(np.abs(sigmas - sigma))]
        fault = noise_fault(noise / nearest)
        if fault and fault[1] not in ("noise_not_standard", "noise_missing"):
            raise Finding(f"The noise of the step at t = {t_index} is wrong: {fault[0]}.", fault[1])
    found, allowed = np.array(found), np.array(allowed)
    expected = case.expected["step_sigma"][1:]
    fits = (np.abs(found[:, None] - expected) <= allowed).all(axis=0)
    if not fits.any():
        k = int(np.argmax(np.abs(np.log((found + 1e-9) / expected[:, 0]))))
        hint = sigma_hint(case, found, allowed[:, 0])
        if not hint and found[k] < 0.02 * expected[k, 0]:
            hint = "p_sample_no_noise"
        raise Finding(
            f"At t = {case.inputs['steps'][k + 1]} (T = {case.kwargs['timesteps']}), the noise "
            f"has a standard deviation of {found[k]:.5f}; expected {expected[k, 0]:.5f}.",
            hint or "p_sample_wrong_sigma",
        )
    again, _ = step(student, case, 3)
    if np.array_equal(value, again):
        raise Finding("Two calls of the same step drew the same noise.", "noise_repeated")


def noise_of_step(case: Case, value: np.ndarray, k: int) -> np.ndarray:
    """What a step adds to any mix of x and eps."""
    _, rest = weights(value[None], case.inputs[f"x{k}"][None], case.inputs[f"eps{k}"][None])
    return rest[0]


def mean_hint(case: Case, steps: list[int], found: np.ndarray, errors: np.ndarray) -> str:
    """The hint of a known mistake in the mean."""
    suspects = {
        hint: {"x": values["step_x"][steps], "eps": values["step_eps"][steps]}
        for hint, values in case.suspects.items()
        if "step_x" in values
    }
    measured = {"x": found[:, 0], "eps": found[:, 1]}
    return suspect(measured, suspects, {"x": errors + 1e-4, "eps": errors + 1e-4})


def sigma_hint(case: Case, found: np.ndarray, errors: np.ndarray) -> str:
    """The hint of a known mistake in the noise's standard deviation."""
    suspects = {
        hint: {"sigma": values["step_sigma"][1:]}
        for hint, values in case.suspects.items()
        if "step_sigma" in values
    }
    size = np.maximum(found, case.expected["step_sigma"][1:, 0])
    tolerance = {"sigma": errors + 6 * size / np.sqrt(2 * case.inputs["x1"].size)}
    return suspect({"sigma": found}, suspects, tolerance)
