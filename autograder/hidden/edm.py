"""Expected values of the bonus part on EDM in float64, and the results of known mistakes.

Karras et al. 2022: eq. 7 and 8, Table 1 (column "Ours"), Algorithm 1.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from autograder.checks.cases import CONFIGS, Case, diffused_shape
from autograder.hidden.schedule import normal, rounded

Array: TypeAlias = np.ndarray
Pair = tuple[Array, Array]

BATCHES = {"mnist": 5, "odd": 3, "cosine": 1}
POINT_NAMES = ("next_x", "next_first")
STEP_NAMES = ("step_x", "step_first", "step_second")
X, FIRST, SECOND = np.eye(3)  # the terms of a step: x, and the denoiser's two answers


def make_edm_cases(seed: int) -> list[Case]:
    """One case per configuration, with different sizes, sigma_data and numbers of images."""
    return [
        edm_case(config, batch, np.random.default_rng([seed, 102, number]))
        for number, (config, batch) in enumerate(BATCHES.items())
    ]


def edm_case(config: str, batch: int, random: np.random.Generator) -> Case:
    """Tiny, medium and huge noise levels in one batch; scaled values have about unit size."""
    shape = (batch, *diffused_shape(config))
    levels = np.array([0.0012, 105.0, 0.35, 6.0, 0.04]) * random.uniform(0.8, 1.2, 5)
    if batch == 1:
        levels = levels[3:]
    sigma = random.permutation(levels[:batch]).astype(np.float32)
    sigma_data = np.float32(random.choice([0.2, 0.85, 1.6]) * random.uniform(0.9, 1.1))
    s, d = sigma.astype(np.float64), np.float64(sigma_data)
    size = np.sqrt(s**2 + d**2)
    inputs = {
        "sigma_data": np.asarray(sigma_data),
        "sigma": sigma,
        "label": random.permutation(CONFIGS[config]["num_classes"])[:batch].astype(np.int64),
        "x": rounded(each(size) * random.standard_normal(shape)),
        "answer": normal(random, shape),
        "clean": rounded(random.uniform(-1, 1, shape)),
        "noise": normal(random, shape),
    }
    error = random.standard_normal(shape) * each(random.uniform(0.5, 1.5, batch) * c_out(s, d))
    inputs["denoised"] = (inputs["clean"] + error).astype(np.float32)
    case = Case("bonus_edm", config, inputs, {}, {})
    case.expected = {"c_in": c_in(s, d), "c_noise": c_noise(s)}
    case.expected |= {"c_skip": c_skip(s, d), "c_out": c_out(s, d)}
    case.expected |= {"signal": np.ones(batch), "noise": s}
    for name, table in (("c_in", C_IN), ("c_noise", C_NOISE)):
        case.suspects |= {hint: {name: np.asarray(f(s, d))} for hint, f in table.items()}
    for names, table in ((("c_skip", "c_out"), MIX), (("signal", "noise"), NOISY)):
        for hint, f in table.items():
            case.suspects[hint] = dict(zip(names, f(s, d), strict=True))
    losses(case, s, d)
    steps(case, random)
    return case


def each(values: Array) -> Array:
    """One number per image, in a shape that broadcasts over images."""
    return np.reshape(values, (-1, 1, 1, 1))


# --- Table 1: preconditioning; s is sigma and d is sigma_data -----------------------------------


def c_skip(s: Array, d: Array) -> Array:
    return d**2 / (s**2 + d**2)


def c_out(s: Array, d: Array) -> Array:
    return s * d / np.sqrt(d**2 + s**2)


def c_in(s: Array, d: Array) -> Array:
    return 1 / np.sqrt(s**2 + d**2)


def c_noise(s: Array) -> Array:
    return np.log(s) / 4


Formula = Callable[[Array, Array], Array]
C_IN: dict[str, Formula] = {
    "edm_c_in_missing": lambda s, d: np.ones_like(s),
    "edm_c_in": lambda s, d: 1 / (s**2 + d**2),
    "edm_c_in:inverted": lambda s, d: np.sqrt(s**2 + d**2),
    "edm_c_in:added": lambda s, d: 1 / (s + d),
    "edm_c_in:unsquared": lambda s, d: 1 / np.sqrt(s + d),
    "edm_c_in:sigma": lambda s, d: 1 / s,
    "edm_c_in:sigma_unsquared": lambda s, d: 1 / np.sqrt(s + d**2),
    "edm_c_in:data_unsquared": lambda s, d: 1 / np.sqrt(s**2 + d),
    "edm_sigma_data": lambda s, d: c_in(s, 0.5),
    "edm_sigma_data:one": lambda s, d: c_in(s, 1.0),
    "edm_one_sigma": lambda s, d: np.full_like(s, c_in(s[0], d)),
    "edm_one_sigma:mean": lambda s, d: np.full_like(s, c_in(s.mean(), d)),
}
C_NOISE: dict[str, Formula] = {
    "edm_c_noise_not_divided": lambda s, d: np.log(s),
    "edm_c_noise_no_log": lambda s, d: s,
    "edm_c_noise_no_log:quarter": lambda s, d: s / 4,
    "edm_c_noise": lambda s, d: np.log10(s) / 4,
    "edm_c_noise:base_2": lambda s, d: np.log2(s) / 4,
    "edm_c_noise:base_10": lambda s, d: np.log10(s),
    "edm_c_noise:multiplied": lambda s, d: 4 * np.log(s),
    "edm_c_noise:half": lambda s, d: np.log(s) / 2,
    "edm_c_noise:log1p": lambda s, d: np.log1p(s) / 4,
    "edm_c_noise:root": lambda s, d: s**0.25,
    "edm_c_noise:sign": lambda s, d: -np.log(s) / 4,
    "edm_c_noise:of_ratio": lambda s, d: np.log(s / d) / 4,
}
# Eq. 7: the weights of x and of the network's answer.
MIX: dict[str, Callable[[Array, Array], Pair]] = {
    "edm_mix_swapped": lambda s, d: (c_out(s, d), c_skip(s, d)),
    "edm_sigma_unsquared": lambda s, d: (d**2 / (s + d**2), s * d / np.sqrt(s + d**2)),
    "edm_sigma_unsquared:skip": lambda s, d: (d**2 / (s + d**2), c_out(s, d)),
    "edm_sigma_unsquared:out": lambda s, d: (c_skip(s, d), s * d / np.sqrt(s + d**2)),
    "edm_sigma_unsquared:all": lambda s, d: (d / (s + d), s * d / np.sqrt(s + d)),
    "edm_c_out_unrooted": lambda s, d: (c_skip(s, d), s * d / (s**2 + d**2)),
    "edm_c_out": lambda s, d: (c_skip(s, d), s * c_in(s, d)),
    "edm_c_out:data": lambda s, d: (c_skip(s, d), d * c_in(s, d)),
    "edm_c_out:c_in": lambda s, d: (c_skip(s, d), c_in(s, d)),
    "edm_c_out:sum": lambda s, d: (c_skip(s, d), s * d / (s + d)),
    "edm_c_out:missing": lambda s, d: (c_skip(s, d), np.ones_like(s)),
    "edm_c_out:sigma": lambda s, d: (c_skip(s, d), s),
    "edm_c_out:multiplied": lambda s, d: (c_skip(s, d), s * d * np.sqrt(s**2 + d**2)),
    "edm_c_out:sign": lambda s, d: (c_skip(s, d), -c_out(s, d)),
    "edm_c_skip": lambda s, d: (s**2 / (s**2 + d**2), c_out(s, d)),
    "edm_c_skip:rooted": lambda s, d: (d * c_in(s, d), c_out(s, d)),
    "edm_c_skip:half_rooted": lambda s, d: (d**2 * c_in(s, d), c_out(s, d)),
    "edm_c_skip:unsquared": lambda s, d: (d / (s**2 + d**2), c_out(s, d)),
    "edm_c_skip:sign": lambda s, d: (-c_skip(s, d), c_out(s, d)),
    "edm_c_skip:one": lambda s, d: (np.ones_like(s), c_out(s, d)),
    "edm_c_skip:of_c_in": lambda s, d: (c_skip(s, d) * c_in(s, d), c_out(s, d)),
    "edm_no_skip": lambda s, d: (np.zeros_like(s), c_out(s, d)),
    "edm_not_mixed": lambda s, d: (np.zeros_like(s), np.ones_like(s)),
    "edm_not_mixed:eps": lambda s, d: (np.ones_like(s), -s),
    "edm_network_unused": lambda s, d: (c_skip(s, d), np.zeros_like(s)),
}
# The input of denoise in compute_loss: the weights of y and of the noise.
NOISY: dict[str, Callable[[Array, Array], Pair]] = {
    "edm_noise_not_scaled": lambda s, d: (np.ones_like(s), np.ones_like(s)),
    "edm_noise_scale": lambda s, d: (np.ones_like(s), s**2),
    "edm_noise_scale:root": lambda s, d: (np.ones_like(s), np.sqrt(s)),
    "edm_noise_scale:data": lambda s, d: (np.ones_like(s), s * d),
    "edm_noise_scale:sign": lambda s, d: (np.ones_like(s), -s),
    "edm_noise_missing": lambda s, d: (np.ones_like(s), np.zeros_like(s)),
    "edm_signal_scaled": lambda s, d: (1 / np.sqrt(1 + s**2), s / np.sqrt(1 + s**2)),
    "edm_signal_scaled:c_in": lambda s, d: (c_in(s, d), s * c_in(s, d)),
    "edm_signal_scaled:data": lambda s, d: (0 * s + d, s),
    "edm_signal_scaled:missing": lambda s, d: (np.zeros_like(s), s),
}


# --- eq. 8: the loss ----------------------------------------------------------------------------


def weight(s: Array, d: Array) -> Array:
    """The loss weight lambda(sigma)."""
    return (s**2 + d**2) / (s * d) ** 2


WEIGHTS: dict[str, Formula] = {
    "edm_weight_missing": lambda s, d: np.ones_like(s),
    "edm_weight_inverted": lambda s, d: 1 / weight(s, d),
    "edm_weight": lambda s, d: (s**2 + d**2) / (s * d),
    "edm_weight:rooted": lambda s, d: np.sqrt(weight(s, d)),
    "edm_weight:sum_squared": lambda s, d: (s + d) ** 2 / (s * d) ** 2,
    "edm_weight:added": lambda s, d: (s**2 + d**2) / (s + d) ** 2,
    "edm_weight:numerator": lambda s, d: s**2 + d**2,
    "edm_weight:denominator": lambda s, d: 1 / (s * d) ** 2,
    "edm_weight:ratio": lambda s, d: 1 / s**2,
    "edm_weight:unsquared": lambda s, d: (s + d) / (s * d) ** 2,
    "edm_sigma_data:loss": lambda s, d: weight(s, 0.5),
    "edm_sigma_data:loss_one": lambda s, d: weight(s, 1.0),
    "edm_one_sigma:loss": lambda s, d: np.full_like(s, weight(s[0], d)),
}


def losses(case: Case, s: Array, d: Array) -> None:
    """Fill in the loss for the denoiser's stored answer, and the results of mistakes."""
    names = ("clean", "noise", "denoised")
    y, noise, found = (case.inputs[name].astype(np.float64) for name in names)
    error, w = found - y, each(weight(s, d))
    case.expected["loss"] = np.mean(w * error**2)
    wrong = {hint: np.mean(each(f(s, d)) * error**2) for hint, f in WEIGHTS.items()}
    # every weight with every image, as from broadcasting [B] with [B, 1]
    wrong["edm_weight_of_others"] = weight(s, d).mean() * np.mean(error**2)
    wrong |= {
        "edm_target": np.mean(w * (found - noise) ** 2),
        "edm_target:noisy": np.mean(w * (found - y - each(s) * noise) ** 2),
        "edm_target:scaled_noise": np.mean(w * (found - each(s) * noise) ** 2),
        "edm_target:sum": np.mean(w * (found + y) ** 2),
        "edm_not_averaged": np.sum(w * error**2),
        "edm_not_averaged:per_image": np.sum(w * error**2) / len(y),
        "edm_not_averaged:pixels": np.sum(w * error**2) / y[0].size,
        "edm_not_squared": np.mean(w * np.abs(error)),
        "edm_not_squared:rooted": np.sqrt(np.mean(w * error**2)),
        "edm_not_squared:signed": np.mean(w * error),
        "edm_weight_squared_too": np.mean((w * error) ** 2),
    }
    case.suspects |= {hint: {"loss": np.asarray(value)} for hint, value in wrong.items()}


# --- Algorithm 1: one step, on the weights of x and of the denoiser's two answers ---------------


def slope(x: Array, denoised: Array, t: float) -> Array:
    """The slope dx/dt, lines 4 and 7."""
    return (x - denoised) / t


def euler(t: float, t_next: float) -> Array:
    """Euler's step, line 5."""
    return X + (t_next - t) * slope(X, FIRST, t)


def heun(t: float, t_next: float) -> Array:
    """Heun's step, line 8."""
    d, d_next = slope(X, FIRST, t), slope(euler(t, t_next), SECOND, t_next)
    return X + (t_next - t) * (d / 2 + d_next / 2)


def corrected(t: float, u: float, d_next: Array) -> Array:
    """Line 8 with another second slope, for mistakes."""
    return X + (u - t) * (slope(X, FIRST, t) + d_next) / 2


# The point at which the second slope is taken.
POINT: dict[str, Callable[[float, float], Array]] = {
    "edm_heun_point": lambda t, u: X,
    "edm_heun_point:denoised": lambda t, u: FIRST,
    "edm_heun_midpoint": lambda t, u: X + (u - t) / 2 * slope(X, FIRST, t),
    "edm_heun_direction": lambda t, u: X - (u - t) * slope(X, FIRST, t),
    "edm_heun_slope": lambda t, u: X + (u - t) * (X - FIRST),
    "edm_heun_slope:next": lambda t, u: X + (u - t) * slope(X, FIRST, u),
    "edm_heun_slope:denoised": lambda t, u: X + (u - t) * FIRST,
    "edm_heun_slope:eps": lambda t, u: X + (u - t) * FIRST / t,
    "edm_heun_slope:squared": lambda t, u: X + (u - t) * slope(X, FIRST, t**2),
    "edm_heun_interval": lambda t, u: X + u * slope(X, FIRST, t),
    "edm_heun_interval:missing": lambda t, u: X + slope(X, FIRST, t),
}
# The result, if the second slope was taken at the right point.
STEP: dict[str, Callable[[float, float], Array]] = {
    "edm_heun_euler": euler,
    "edm_heun_average": lambda t, u: (
        X + (u - t) * (slope(X, FIRST, t) + slope(euler(t, u), SECOND, u))
    ),
    "edm_heun_average:second": lambda t, u: X + (u - t) * slope(euler(t, u), SECOND, u),
    "edm_heun_average:difference": lambda t, u: corrected(t, u, -slope(euler(t, u), SECOND, u)),
    "edm_heun_average:first_whole": lambda t, u: (
        euler(t, u) + (u - t) / 2 * slope(euler(t, u), SECOND, u)
    ),
    "edm_heun_average:thirds": lambda t, u: (
        X + (u - t) * (slope(X, FIRST, t) + 2 * slope(euler(t, u), SECOND, u)) / 3
    ),
    "edm_heun_from_euler": lambda t, u: euler(t, u) + heun(t, u) - X,
    "edm_heun_second_divisor": lambda t, u: corrected(t, u, slope(euler(t, u), SECOND, t)),
    "edm_heun_second_divisor:none": lambda t, u: corrected(t, u, euler(t, u) - SECOND),
    "edm_heun_second_from_x": lambda t, u: corrected(t, u, slope(X, SECOND, u)),
    "edm_heun_denoised": lambda t, u: SECOND,
    "edm_heun_denoised:first": lambda t, u: FIRST,
}


def steps(case: Case, random: np.random.Generator) -> None:
    """Fill in steps between four pairs of levels, huge to tiny, and one Euler step to 0.

    One step is short, and one leads up.
    """
    levels = np.array([[60.0, 27.0], [2.3, 2.2], [0.013, 0.05], [0.004, 3e-4], [0.003, 0.0]])
    levels *= random.uniform(0.9, 1.1, levels.shape)
    case.inputs["levels"] = levels
    for name in ("heun_x", "heun_first", "heun_second"):
        case.inputs[name] = normal(random, (2, *diffused_shape(case.config)))

    def at_levels(names: tuple[str, ...], f: Callable[[float, float], Array]) -> dict[str, Array]:
        found = np.stack([f(t, t_next) for t, t_next in levels[:-1]])
        return dict(zip(names, found.T, strict=False))

    case.expected |= at_levels(POINT_NAMES, euler) | at_levels(STEP_NAMES, heun)
    case.suspects |= {hint: at_levels(POINT_NAMES, f) for hint, f in POINT.items()}
    case.suspects |= {hint: at_levels(STEP_NAMES, f) for hint, f in STEP.items()}
