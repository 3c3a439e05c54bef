"""p_sample: one step back, from x_t to x_{t-1} (Ho et al. 2020, eq. 11 and Algorithm 2)."""

import numpy as np
import pytest
from autograder.checks.batches import SIZES, Pieces, check_device
from autograder.checks.cases import Case, wide
from autograder.checks.evidence import (
    ENDED,
    ROUNDING,
    UNLIKELY,
    as_precise,
    check_network_call,
    check_rounding,
    check_untouched,
    network_calls,
    noise_fault,
    off,
    suspect,
    tensor_of,
    weights,
)
from autograder.checks.findings import Finding
from autograder.checks.independence import RARE, check_drawn, check_independent
from autograder.checks.student import Student

PART = "p_sample"
NAMES = ["x", "label", "t"]
# Scale of the cases' large x and eps where the noise is measured: float32 then rounds to 1e-6, far
# below the smallest sigma. A power of two, so that scaling itself rounds nothing.
UNIT = 2.0**-8
DIGITS = 0.9137  # a factor that gives the stored numbers more digits than float16 holds
LARGE = 1_000_000  # numbers in a batch that distinguishes standard deviations of 0.99 and 1
BATCH = 4  # size of a case's batches
ROW = 17  # samples that take several steps in a row
MUCH = 66  # CIFAR-10 images: 200,000 numbers
FAR = 9.0  # standard deviations; one number in 4e18 is beyond
WEIGHTS = {"x": 1e-4, "eps": 2e-3}  # relative tolerances of the weights
EPSILON = 2.0**-24  # relative rounding error of float32
SCALE = 300.0  # of numbers next to which a step's noise is small
NOISY = ("mnist", "cifar10", "afhq", "odd", "cosine", "two_steps")
ADDED = "What the steps add to their mean"


def step(
    student: Student,
    case: Case,
    k: int,
    training: bool = True,
    scale: float = 1.0,
    size: int = BATCH,
) -> np.ndarray:
    """Run the case's k-th step with a network that answers eps; returns x_{t-1}.

    Args:
        training: the network's mode, which must not change.
        scale, size: see `inputs_of`.
    """
    return run(student, case, k, *inputs_of(case, k, scale, size), training=training)


def run(
    student: Student,
    case: Case,
    k: int,
    x: np.ndarray,
    eps: np.ndarray,
    *,
    training: bool = True,
    away: bool = False,
    moved: int = 0,
) -> np.ndarray:
    """Run the case's k-th step with any x and any answer of the network; returns x_{t-1}.

    Args:
        away: put all inputs on a second device.
        moved: places that the labels move on by.
    """
    t_index = int(case.inputs["steps"][k])
    label = np.resize(np.roll(case.inputs["label"], moved), len(x))
    t = np.full(len(x), t_index)
    answer = student.call(
        student.ddpm(case),
        "p_sample",
        *(x, label, t, t_index),
        doubles={"model": Pieces("the network", eps[None], again=True).answer},
        training=training,
        away=away,
    )
    for call in network_calls(answer.asked, len(x)):
        check_network_call(call, x, label, t)
    value = tensor_of(answer.value, x.shape, "p_sample's x_{t-1}", as_precise(x.dtype))
    check_untouched(answer, NAMES)
    return value


def test_last_step(student: Student, case: Case) -> None:
    """The step to x_0, t_index = 0, gives the mean of eq. 11 and adds no noise."""
    value = step(student, case, 0, training=False)
    x, eps = inputs_of(case, 0)
    mean = case.expected["step_x"][0] * x + case.expected["step_eps"][0] * eps
    if not off(value, mean, 2e-3).any():
        size = np.abs(case.expected["step_x"][0] * x) + np.abs(case.expected["step_eps"][0] * eps)
        _, rest = weights(value / size, x / size, eps / size)
        check_rounding(rest, "The last step's result", "p_sample_no_mix")
        return
    again = step(student, case, 0)
    if np.abs(value - again).max() > 1e-6:
        size = (value - mean).std()
        raise Finding(
            f"The last step, t_index = 0, adds noise (of a standard deviation of about {size:.3g}):"
            " two calls with the same input differ.",
            "p_sample_noise_at_zero",
        )
    found, rest = weights(value, x, eps)
    if off(rest, 0, 1e-2 * np.abs(mean).max()).any():
        raise Finding("The last step is not a mix of x and the predicted noise.", "p_sample_no_mix")
    if np.abs(value - rest - mean).max() < np.abs(rest).max():  # the mix itself is right
        raise Finding("The last step's result is right only on average.", "loses_digits")
    found = found.mean(axis=0)
    raise Finding(
        f"The last step gives {found[0]:.5f} x {found[1]:+.5f} eps; expected "
        f"{case.expected['step_x'][0]:.5f} x {case.expected['step_eps'][0]:+.5f} eps.",
        # many mistakes look alike at this step; other steps tell them apart
        mean_hint(case, [0], found[None], np.array([1e-5])),
    )


@pytest.mark.configs(*NOISY)
def test_mean(student: Student, case: Case) -> None:
    """The mean of x_{t-1} is that of eq. 11, at the first steps, in the middle, and at T-1."""
    values = [step(student, case, k, training=k % 2 == 0) for k in noisy_steps(case)]
    check_mean(case, values)
    # What remains besides the mean must be the step's own noise, here as well.
    noises = [noise_of_step(case, v, k) for k, v in zip(noisy_steps(case), values, strict=True)]
    if not noise_fits(case, noises):
        check_noise_level(student, case)
        low = max(noise.std() for noise in noises) < 1e-2 * SCALE
        hint = "loses_digits" if low else "p_sample_wrong_sigma"
        raise Finding("The noise of a step depends on the size of x.", hint)


@pytest.mark.configs(*NOISY)
def test_noise(student: Student, case: Case) -> None:
    """Each step but the last adds fresh Gaussian noise of the posterior's standard deviation."""
    values = check_noise_level(student, case)
    check_mean(case, values, UNIT)
    k = noisy_steps(case)[-1]
    again = step(student, case, k, training=k % 2 == 1, scale=UNIT)
    if np.array_equal(values[-1], again):
        raise Finding("Two calls of the same step drew the same noise.", "noise_repeated")
    pairs = zip([*noisy_steps(case), k], [*values, again], strict=True)
    draws = [standardised(case, value, k) for k, value in pairs]
    check_independent(np.stack(draws), ADDED)


@pytest.mark.configs("odd")
def test_any_batch(student: Student, case: Case, random: np.random.Generator) -> None:
    """Each number of x_{t-1} is right, in batches of 1, 2, 17 and 65, in both modes, of any size.

    Where a step adds noise, as precisely as the noise allows.
    """
    shape, noisy = case.inputs["x0"].shape[1:], noisy_steps(case)
    for n, size in enumerate(SIZES):
        for k in (0, *noisy[n : n + 1]):
            # large numbers come last, for they show other mistakes too
            x, eps = (np.float32(SCALE * random.standard_normal((size, *shape))) for _ in "xe")
            value = run(student, case, k, x, eps, training=n % 2 == bool(k))
            check_each(case, k, value, x, eps, f"In a batch of {size}, x_{{t-1}}", "mixes_samples")
    for k in (0, *noisy[:1]):
        x, eps = (wide(random, (2, *shape)) for _ in range(2))
        try:
            value = run(student, case, k, x, eps, training=k == 0)
        except Finding as finding:
            hint = "large_numbers" if finding.hint == "not_finite" else finding.hint
            raise Finding(finding.reason, hint) from None
        check_each(case, k, value, x, eps, "Of numbers of all sizes, x_{t-1}", "large_numbers")
        check_device(lambda k=k, x=x, eps=eps: run(student, case, k, x, eps, away=True))


@pytest.mark.configs("odd", "two_steps")
def test_in_a_row(student: Student, case: Case, random: np.random.Generator) -> None:
    """Of steps in a row, as in a chain, each depends on its own arguments alone."""
    x = np.float32(SCALE * random.standard_normal((ROW, *case.inputs["x0"].shape[1:])))
    before = None
    for k in reversed(range(len(case.inputs["steps"]))):
        eps = np.float32(SCALE * random.standard_normal(x.shape))
        value = run(student, case, k, x, eps, moved=k)
        check_each(case, k, value, x, eps, "After other steps x_{t-1}", "keeps_state")
        noise = weights(value[None], x[None], eps[None])[1]
        if before is not None and k:
            alike = np.corrcoef(noise.ravel(), before.ravel())[0, 1]
            if abs(alike) > RARE / np.sqrt(noise.size):
                text = f"The noise of two steps in a row has a correlation of {alike:.2f}."
                raise Finding(text, "noise_repeated")
        x, before = value.astype(np.float32), noise


@pytest.mark.configs("cifar10")
def test_much_noise(student: Student, case: Case) -> None:
    """200,000 numbers of a step's noise are Gaussian far into the tails."""
    draw = standardised(case, step(student, case, 1, training=False, scale=UNIT, size=MUCH), 1)
    check_drawn([draw], ADDED)
    check_independent(draw[None], ADDED)


@pytest.mark.configs("odd")
def test_double(student: Student, case: Case) -> None:
    """Images and predictions in double precision give an x_{t-1} as precise as any other."""
    for k in (0, 1):
        x, eps = (values.astype(np.float64) for values in inputs_of(case, k))
        try:
            value = run(student, case, k, x, eps)
        except Finding as finding:
            if finding.hint in (*ENDED, "wrong_dtype"):
                raise
            run(student, case, k, *inputs_of(case, k))  # it takes only float32
            continue
        check_each(case, k, value, x, eps, "In double precision, x_{t-1}", "loses_digits")


def check_each(
    case: Case, k: int, value: np.ndarray, x: np.ndarray, eps: np.ndarray, what: str, hint: str
) -> None:
    """Check that each number equals the mean, as precisely as the step's noise allows.

    Args:
        what: what was computed, in words.
        hint: for errors larger than lower precision explains.
    """
    parts = case.expected["step_x"][k] * x, case.expected["step_eps"][k] * eps
    size = np.abs(parts[0]) + np.abs(parts[1])
    noise = FAR * case.expected["step_sigma"][k].max() if k else 0.0
    allowed = of_x(case)[k] * np.abs(parts[0]) + WEIGHTS["eps"] * np.abs(parts[1])
    wrong = off(value, sum(parts), allowed + noise)
    if k == 0 and not wrong.any():  # at k = 0 no noise hides other terms
        _, rest = weights(value / size, x / size, eps / size)
        wrong = off(rest, 0, ROUNDING)
    if not wrong.any():
        return
    i = np.unravel_index(int(wrong.argmax()), wrong.shape)
    share = ((np.abs(value - sum(parts)) - noise) / size).max()
    raise Finding(
        f"{what} is {value[i]:.6g} in one place at t = {case.inputs['steps'][k]}; its mean is "
        f"{sum(parts)[i]:.6g}.",
        "loses_digits" if share < 2e-2 else hint,
    )


def check_mean(case: Case, values: list[np.ndarray], scale: float = 1.0) -> None:
    """Compare the weights of x and eps in the noisy steps with eq. 11, as far as noise allows."""
    found, errors, steps = [], [], noisy_steps(case)
    for k, value in zip(steps, values, strict=True):
        x, eps = inputs_of(case, k, scale, len(value))
        whole, rest = (a[0] for a in weights(value[None], x[None], eps[None]))
        found.append(whole)
        errors.append(8 * rest.std() / np.sqrt((x**2).sum()) + 1e-5)
    found, errors = np.array(found), np.array(errors)
    expected = np.stack([case.expected["step_x"][steps], case.expected["step_eps"][steps]], axis=-1)
    error = np.maximum(errors[:, None], 2e-3 * np.abs(expected[:, 1:]))
    error = error + of_x(case)[steps, None] * np.abs(expected)
    wrong = off(found, expected, error).any(axis=1)
    if wrong.any():
        k = int(np.flatnonzero(wrong)[0])
        raise Finding(
            f"At t = {case.inputs['steps'][steps[k]]} (T = {case.kwargs['timesteps']}), the mean "
            f"is {found[k, 0]:.5f} x {found[k, 1]:+.5f} eps; expected {expected[k, 0]:.5f} x "
            f"{expected[k, 1]:+.5f} eps.",
            mean_hint(case, steps, found, errors) or "p_sample_mean",
        )


def of_x(case: Case) -> np.ndarray:
    """The relative tolerance of the weight of x in each step, [number of steps].

    By way of x_0 (eqs. 6 and 7) this weight is a quotient by 1 - alpha_bar, which has few digits in
    float32 where t is small.
    """
    x, eps = case.expected["step_x"], case.expected["step_eps"]
    betas = 1 - 1 / x**2
    return WEIGHTS["x"] + 2 * EPSILON / (betas * x / eps) ** 2


def noise_fits(case: Case, noises: list[np.ndarray]) -> bool:
    """Whether the noise of all noisy steps may have a standard deviation that the paper allows."""
    found, rounding = np.array([n.std() for n in noises]), rounding_of(case)
    expected = case.expected["step_sigma"][noisy_steps(case)]
    return fitting(found, expected, rounding, noises[0].size).all(axis=0).any()


def check_noise_level(student: Student, case: Case) -> list[np.ndarray]:
    """Judge the noise of steps from small x, where float32 rounds least; returns their values."""
    found, values = [], []
    for k in noisy_steps(case):
        value = step(student, case, k, training=k % 2 == 0, scale=UNIT)
        found.append(noise_of_step(case, value, k).std())
        values.append(value)
        fault = noise_fault(standardised(case, value, k))
        if fault and fault[1] not in ("noise_not_standard", "noise_missing"):
            t_index = case.inputs["steps"][k]
            raise Finding(f"The noise of the step at t = {t_index} is wrong: {fault[0]}.", fault[1])
    check_sigma(student, case, np.array(found), rounding_of(case, UNIT))
    return values


def check_sigma(student: Student, case: Case, found: np.ndarray, rounding: np.ndarray) -> None:
    """Compare the noise's standard deviation in each step with what the paper allows.

    Args:
        found: the standard deviation in each of the noisy steps.
        rounding: how much of it may be float32's rounding error.
    """
    steps, size = noisy_steps(case), case.inputs["x1"].size
    expected = case.expected["step_sigma"][steps]
    if fitting(found, expected, rounding, size).all(axis=0).any():
        return
    hint = sigma_hint(case, found, rounding, size)
    if not hint:  # 1, alpha_t and exp of a variance are near 1; a larger batch tells them apart
        many = BATCH * (1 + LARGE // size)
        values = [step(student, case, k, scale=UNIT, size=many) for k in steps]
        noises = [noise_of_step(case, v, k) for v, k in zip(values, steps, strict=True)]
        closer = np.array([noise.std() for noise in noises])
        hint = sigma_hint(case, closer, rounding, noises[0].size)
    k = int(np.argmax(np.abs(np.log((found + 1e-9) / expected[:, 0]))))
    raise Finding(
        f"At t = {case.inputs['steps'][steps[k]]} (T = {case.kwargs['timesteps']}), the noise "
        f"has a standard deviation of {found[k]:.3g}; expected {expected[k, 0]:.3g}.",
        hint or "p_sample_wrong_sigma",
    )


def noisy_steps(case: Case) -> list[int]:
    """The indices of the case's steps that add noise."""
    return list(range(1, len(case.inputs["steps"])))


def inputs_of(
    case: Case, k: int, scale: float = 1.0, size: int = BATCH
) -> tuple[np.ndarray, np.ndarray]:
    """x_t and eps of the case's k-th step, times `scale`, in a batch of this size."""
    inputs = (case.inputs[name] for name in (f"x{k}", f"eps{k}"))
    x, eps = (np.resize(np.float32(DIGITS * scale) * v, (size, *v.shape[1:])) for v in inputs)
    return x, eps


def noise_of_step(case: Case, value: np.ndarray, k: int) -> np.ndarray:
    """What a step adds to a mix of x and eps, with any weights."""
    x, eps = inputs_of(case, k, size=len(value))
    _, rest = weights(value[None], x[None], eps[None])
    return rest[0]


def standardised(case: Case, value: np.ndarray, k: int) -> np.ndarray:
    """A step's noise in units of the nearer one of the paper's two standard deviations."""
    noise, sigmas = noise_of_step(case, value, k), case.expected["step_sigma"][k]
    return noise / sigmas[np.argmin(np.abs(sigmas - noise.std()))]


def rounding_of(case: Case, scale: float = 1.0) -> np.ndarray:
    """Bounds on float32's rounding errors in the results of the noisy steps."""
    sizes = []
    for k in noisy_steps(case):
        x, eps = inputs_of(case, k, scale)
        mean = case.expected["step_x"][k] * x + case.expected["step_eps"][k] * eps
        sizes.append(np.abs(mean).max())
    return 4e-7 * np.array(sizes)


def fitting(found: np.ndarray, expected: np.ndarray, rounding: np.ndarray, size: int) -> np.ndarray:
    """Which standard deviations, measured on `size` numbers, match those of [steps, choices]."""
    allowed = UNLIKELY * expected / np.sqrt(2 * size) + np.reshape(rounding, (-1, 1))
    return ~off(found[:, None], expected, allowed)


def mean_hint(case: Case, steps: list[int], found: np.ndarray, errors: np.ndarray) -> str:
    """The hint for a known mistake in the mean; "" if there is none.

    Args:
        found: the weights of x and eps in each step.
        errors: how far off they may be because of the step's noise.
    """
    suspects = {
        hint: {"x": values["step_x"][steps], "eps": values["step_eps"][steps]}
        for hint, values in case.suspects.items()
        if "step_x" in values
    }
    measured = {"x": found[:, 0], "eps": found[:, 1]}
    # the weight of eps contains 1 - alpha_bar, which has few digits in float32 at the first steps
    return suspect(measured, suspects, {"x": errors, "eps": errors}, WEIGHTS)


def sigma_hint(case: Case, found: np.ndarray, rounding: np.ndarray, size: int) -> str:
    """The hint for a known mistake in the noise's standard deviation; "" if there is none.

    Args:
        found: the deviation in each of the noisy steps, measured on `size` numbers.
        rounding: how much of it may be float32's rounding error.
    """
    steps = noisy_steps(case)
    suspects = {
        hint: {"sigma": values["step_sigma"][steps]}
        for hint, values in case.suspects.items()
        if "step_sigma" in values
    }
    sampling = UNLIKELY / np.sqrt(2 * size)
    known = suspect({"sigma": found}, suspects, {"sigma": rounding}, sampling)
    right = fitting(found, case.expected["step_sigma"][steps], rounding, size)
    silent = (found <= rounding)[:, None]
    without_some = silent.any() and (right | silent).all(axis=0).any()
    return known or ("p_sample_no_noise" if without_some else "")
