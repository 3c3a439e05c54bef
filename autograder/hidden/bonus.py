"""Expected values of the bonus parts in float64, on fresh numbers, and known mistakes' results.

Sampling: Song et al. 2021, eq. 12 and 16. Evaluation: Heusel et al. 2017, eq. 6; the
nearest-neighbour ratio of Yoon et al. 2023. EDM, Stable Diffusion and the vision
transformer are in edm.py, scaling.py and dit.py.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from autograder.checks.cases import Case, diffused_shape
from autograder.hidden.dit import make_dit_cases
from autograder.hidden.edm import make_edm_cases
from autograder.hidden.scaling import make_scaling_cases
from autograder.hidden.schedule import normal, schedule_of

Array: TypeAlias = np.ndarray
Triple = tuple[Array, Array, Array]


def make_bonus_cases(seed: int) -> list[Case]:
    """The cases of all bonus parts, with different numbers for each seed."""
    cases = []
    for number, config in enumerate(["mnist", "thousand", "odd"]):
        cases.append(ddim_case(config, np.random.default_rng([seed, 100, number])))
    for number, (config, shape) in enumerate(FEATURES.items()):
        random = np.random.default_rng([seed, 101, number])
        cases.append(evaluation_case(config, shape, random))
    return cases + make_edm_cases(seed) + make_scaling_cases(seed) + make_dit_cases(seed)


# --- DDIM -------------------------------------------------------------------------------------


def sigma_of(ab: Array, ab_next: Array, eta: Array) -> Array:
    """The standard deviation of the added noise, eq. 16."""
    return eta * np.sqrt((1 - ab_next) / (1 - ab)) * np.sqrt(1 - ab / ab_next)


def step_weights(ab: Array, ab_next: Array, eta: Array) -> Triple:
    """Eq. 12: the weights of x, of eps and of the noise in the next state."""
    return _with_sigma(ab, ab_next, sigma_of(ab, ab_next, eta))


def direction_of(ab_next: Array, sigma: Array) -> Array:
    """The weight of the direction to x_t, the second term of eq. 12."""
    return np.sqrt(np.maximum(1 - ab_next - sigma**2, 0))


def step_direction(ab: Array, ab_next: Array, eta: Array) -> Array:
    """The weight of the direction to x_t, with the sigma of eq. 16."""
    return direction_of(ab_next, sigma_of(ab, ab_next, eta))


def _weights(ab: Array, signal: Array, direction: Array, sigma: Array) -> Triple:
    """The weights of x, eps and noise in sqrt(signal) x_0 + direction eps + sigma noise."""
    x = np.sqrt(signal / ab)
    return x, direction - x * np.sqrt(1 - ab), sigma


def _with_sigma(ab: Array, ab_next: Array, sigma: Array) -> Triple:
    return _weights(ab, ab_next, direction_of(ab_next, sigma), sigma)


STEP: dict[str, Callable[[Array, Array, Array], Triple]] = {
    "ddim_sigma_not_taken_out": lambda a, b, eta: _weights(
        a, b, np.sqrt(1 - b), sigma_of(a, b, eta)
    ),
    "ddim_eta_ignored": lambda a, b, eta: step_weights(a, b, 0 * eta),
    "ddim_eta_ignored:one": lambda a, b, eta: (
        *step_weights(a, b, 0 * eta + 1)[:2],
        np.where(eta > 0, sigma_of(a, b, 0 * eta + 1), 0),  # eta = 0 gets no noise
    ),
    "ddim_variance_for_sigma": lambda a, b, eta: _weights(
        a, b, step_direction(a, b, eta), sigma_of(a, b, eta) ** 2
    ),
    "ddim_sigma": lambda a, b, eta: _with_sigma(a, b, eta * np.sqrt(1 - a / b)),
    "ddim_sigma:first_factor": lambda a, b, eta: _with_sigma(
        a, b, eta * np.sqrt((1 - b) / (1 - a))
    ),
    "ddim_sigma:squared": lambda a, b, eta: _with_sigma(
        a, b, eta * (1 - b) / (1 - a) * (1 - a / b)
    ),
    "ddim_sigma:eta_squared": lambda a, b, eta: _with_sigma(a, b, eta * sigma_of(a, b, eta)),
    "ddim_no_direction": lambda a, b, eta: _weights(a, b, 0 * b, sigma_of(a, b, eta)),
    "ddim_direction": lambda a, b, eta: _weights(
        a, b, step_direction(a, b, eta) ** 2, sigma_of(a, b, eta)
    ),
    "ddim_direction:old": lambda a, b, eta: _weights(
        a, b, direction_of(a, sigma_of(a, b, eta)), sigma_of(a, b, eta)
    ),
    "ddim_signal_unrooted": lambda a, b, eta: _weights(
        a, b**2, step_direction(a, b, eta), sigma_of(a, b, eta)
    ),
    "ddim_stays": lambda a, b, eta: _weights(a, a, step_direction(a, b, eta), sigma_of(a, b, eta)),
    "ddim_stays:all": lambda a, b, eta: (0 * b + 1, 0 * b, 0 * b),
    "ddim_returns_x0": lambda a, b, eta: _weights(a, 0 * b + 1, 0 * b, 0 * b),
    "ddim_x0": lambda a, b, eta: _wrong_x0(a, b, eta, 1 / a, -(1 - a) / a),
    "ddim_x0:not_divided": lambda a, b, eta: _wrong_x0(a, b, eta, 0 * a + 1, -np.sqrt(1 - a)),
    "ddim_x0:unrooted_noise": lambda a, b, eta: _wrong_x0(
        a, b, eta, 1 / np.sqrt(a), -(1 - a) / np.sqrt(a)
    ),
    "ddim_x0:sign": lambda a, b, eta: _wrong_x0(
        a, b, eta, 1 / np.sqrt(a), np.sqrt(1 - a) / np.sqrt(a)
    ),
    "ddim_x0:swapped": lambda a, b, eta: _wrong_x0(
        a, b, eta, 1 / np.sqrt(1 - a), -np.sqrt(a) / np.sqrt(1 - a)
    ),
}


def _wrong_x0(ab: Array, ab_next: Array, eta: Array, x: Array, eps: Array) -> Triple:
    """A step from a wrong x_0, with these weights of x and eps."""
    signal = np.sqrt(ab_next)
    return signal * x, signal * eps + step_direction(ab, ab_next, eta), sigma_of(ab, ab_next, eta)


def ddim_case(config: str, random: np.random.Generator) -> Case:
    """Steps between pairs of times at four etas, with and without clipping; and whole loops.

    The last step has no length.
    """
    s, shape = schedule_of(config), (diffused_shape(config)[0], 5, 4)  # small: all is stored
    high, low = 2 * s.T // 3, s.T // 5
    ab = s.alpha_bar[[s.T - 1, high, low, 0, high, high, low]]
    ab_next = np.array([*s.alpha_bar[[high, low, 1]], 1.0, 1.0, *s.alpha_bar[[high - 1, low]]])
    etas = np.array([0.0, random.uniform(0.1, 0.4), random.uniform(0.5, 0.9), 1.0])
    inputs = {"alpha_bar": ab, "alpha_bar_next": ab_next, "etas": etas}
    for name in ("x", "eps", "noise"):
        inputs[name] = normal(random, (2, *shape))
    grid = np.broadcast_arrays(ab, ab_next, etas[:, None])
    expected = dict(zip(("x", "eps", "noise"), step_weights(*grid), strict=True))
    suspects = {
        hint: dict(zip(("x", "eps", "noise"), formula(*grid), strict=True))
        for hint, formula in STEP.items()
    }
    case = Case("bonus_sampling", config, inputs, expected, suspects)
    clipped_step(case)
    loops(case, s.alpha_bar, random, shape)
    return case


def clipped_step(case: Case) -> None:
    """Fill in all steps with clip_x0, [etas, pairs, B, C, H, W], and the results of mistakes."""
    inputs = case.inputs
    grid = np.broadcast_arrays(
        inputs["alpha_bar"], inputs["alpha_bar_next"], inputs["etas"][:, None]
    )
    a, b, eta = (values[..., None, None, None, None] for values in grid)
    x, eps, noise = (inputs[name].astype(np.float64) for name in ("x", "eps", "noise"))
    sigma = sigma_of(a, b, eta)

    def step(x_0: Array, eps: Array) -> Array:
        return np.sqrt(b) * x_0 + direction_of(b, sigma) * eps + sigma * noise

    x_0 = (x - np.sqrt(1 - a) * eps) / np.sqrt(a)
    clipped = x_0.clip(-1, 1)
    again = (x - np.sqrt(a) * clipped) / np.sqrt(1 - a)
    case.expected["clipped"] = step(clipped, again)
    of_clipped = (x.clip(-1, 1) - np.sqrt(1 - a) * eps) / np.sqrt(a)
    wrong = {
        "ddim_clip_keeps_eps": step(clipped, eps),
        "ddim_not_clipped": step(x_0, eps),
        "ddim_clips_the_state": step(x_0, eps).clip(-1, 1),
        "ddim_clips_the_state:start": step(of_clipped, eps),
    }
    case.suspects |= {hint: {"clipped": value} for hint, value in wrong.items()}


# The walks of `loops`.
RUNS = ("plain", "noisy", "single", "to_zero")
MANY = 60  # times of a long walk


def loops(case: Case, alpha_bar: Array, random: np.random.Generator, shape: tuple) -> None:
    """Fill in walks over a few times: plain; with noise, clipping and an end before x_0; of one
    step; and with noise through time 0. In a chain of a thousand steps the plain walk is long."""
    T, n, etas = len(alpha_bar), 6, case.inputs["etas"]
    times = random.choice(np.arange(T // 10, T - 1), n - 1, replace=False)
    times = np.concatenate([[T - 1], np.sort(times)[::-1]])
    plain = np.linspace(T - 1, T // 10, MANY).astype(np.int64) if T >= 1000 else times
    case.inputs |= {
        "alphas_cumprod": alpha_bar,
        "times_plain": plain,
        "times_noisy": times,
        "times_single": random.integers(T // 3, T - 1, 1),
        "times_to_zero": np.array([T // 2, 1, 0]),
        "start": normal(random, (2, *shape)),
        "answers": normal(random, (len(plain), 2, *shape)),
        "noises": normal(random, (len(plain), 2, *shape)),
        "final": np.asarray((1 + alpha_bar[times[-1]]) / 2),
    }
    final = float(case.inputs["final"])
    runs: dict[str, dict[str, Any]] = {
        "plain": {"eta": 0.0, "clip": False, "final": 1.0},
        "noisy": {"eta": float(etas[2]), "clip": True, "final": final},
        "single": {"eta": float(etas[1]), "clip": False, "final": (1 + final) / 2},
        "to_zero": {"eta": 1.0, "clip": False, "final": 1.0},
    }
    for name, options in runs.items():
        case.inputs[f"eta_{name}"] = np.asarray(options["eta"])
        case.inputs[f"final_{name}"] = np.asarray(options["final"])
        case.expected[name] = walk(case, name, **options)
        for hint, changed in WRONG_LOOPS.items():
            wrong = {**options, **changed}
            if wrong != options and len(case.expected[name]) <= n:
                case.suspects.setdefault(hint, {})[name] = walk(case, name, **wrong)


WRONG_LOOPS: dict[str, dict[str, Any]] = {
    "ddim_loop_eta": {"eta": 0.0},
    "ddim_loop_clip": {"clip": False},
    "ddim_loop_final": {"final": 1.0},
    "ddim_loop_final:first": {"final": "first"},
    "ddim_loop_final:left_out": {"final": None},
    "ddim_loop_next": {"next_time": "previous"},
    "ddim_loop_next:same": {"next_time": "same"},
}


def walk(
    case: Case,
    run: str,
    eta: float,
    clip: bool,
    final: float | str | None,
    next_time: str = "listed",
) -> Array:
    """The states after each step, [n, B, C, H, W]; `final` None leaves out the last step."""
    alpha_bar, times = case.inputs["alphas_cumprod"], case.inputs[f"times_{run}"]
    x = case.inputs["start"].astype(np.float64)
    states = []
    for i, t in enumerate(times):
        a = alpha_bar[t]
        last = i == len(times) - 1
        b = alpha_bar[0] if final == "first" else final
        if not last:
            following = {"listed": times[i + 1], "previous": max(t - 1, 0), "same": t}[next_time]
            b = alpha_bar[following]
        if b is None:
            states.append(x)
            break
        eps = case.inputs["answers"][i].astype(np.float64)
        x_0 = (x - np.sqrt(1 - a) * eps) / np.sqrt(a)
        if clip:
            x_0 = x_0.clip(-1, 1)
            eps = (x - np.sqrt(a) * x_0) / np.sqrt(1 - a)
        sigma = sigma_of(a, max(a, b), eta)
        x = np.sqrt(b) * x_0 + direction_of(b, sigma) * eps + sigma * case.inputs["noises"][i]
        states.append(x)
    return np.stack(states).astype(np.float32)


# --- FID and memorization ---------------------------------------------------------------------

# number of images, and of features for each
FEATURES = {"many_images": (60, 5), "few_images": (6, 24), "two_images": (2, 7)}


def covariance(features: Array) -> Array:
    """The unbiased covariance of features [N, D]."""
    centred = features - features.mean(axis=0)
    return centred.T @ centred / (len(features) - 1)


def distance(m1: Array, c1: Array, m2: Array, c2: Array) -> float:
    """The Frechet distance, Heusel et al. 2017, eq. 6, by the eigenvalues of C1 C2."""
    return np.sum((m1 - m2) ** 2) + np.trace(c1) + np.trace(c2) - 2 * trace_of_root(c1, c2)


def trace_of_root(c1: Array, c2: Array) -> float:
    """The trace of (C1 C2)^(1/2).

    With few images the product has a null space. Its eigenvalues come out as rounding errors, which
    differ between processors and would show in the seventh digit after the root; they count as 0.
    """
    values = np.linalg.eigvals(c1 @ c2).real
    return float(np.sqrt(values[values > 1e-10 * values.max()]).sum())


def evaluation_case(config: str, shape: tuple[int, int], random: np.random.Generator) -> Case:
    """Two sets of features with their Gaussians, and images with copies among them.

    The features come from a matrix product, whose last digits depend on the processor. It is
    computed in float64 and rounded well above them, so that every machine makes the same case. The
    features need float32's digits, so that an answer in half precision fails.
    """
    n, d = shape
    mix = random.standard_normal((d, d))
    first = normal(random, (n, d)).astype(np.float64) @ mix + 30
    second = 1.5 * normal(random, (n, d)) + 30 + normal(random, (d,))
    inputs = {"features": (np.round(first * 2**16) / 2**16).astype(np.float32)}
    features = inputs["features"].astype(np.float64)
    mean, cov = features.mean(axis=0), covariance(features)
    other = second.astype(np.float64)
    mean2, cov2 = other.mean(axis=0), covariance(other)
    inputs |= {"mean2": mean2, "cov2": cov2, "mean1": mean, "cov1": cov}
    root = trace_of_root(cov, cov2)
    far, traces = np.sum((mean - mean2) ** 2), np.trace(cov) + np.trace(cov2)
    expected = {"mean": mean, "cov": cov, "distance": distance(mean, cov, mean2, cov2)}
    expected["distance_from_a_point"] = far + np.trace(cov)
    inputs["few_digits"] = normal(random, (n, d))  # exact in half precision
    few = inputs["few_digits"].astype(np.float64)
    expected |= {"mean_of_few": few.mean(axis=0), "cov_of_few": covariance(few)}
    deviation = np.sqrt(np.diag(cov))
    suspects = {
        "fid_biased": {"cov": cov * (n - 1) / n},
        "fid_not_centred": {"cov": features.T @ features / (n - 1)},
        "fid_not_centred:biased": {"cov": features.T @ features / n},
        "fid_not_divided": {"cov": cov * (n - 1)},
        "fid_correlation": {"cov": cov / deviation / deviation[:, None]},
        "fid_no_root": {"distance": far + traces - 2 * np.trace(cov @ cov2)},
        "fid_no_root:clamped": {"distance": max(far + traces - 2 * np.trace(cov @ cov2), 0.0)},
        "fid_factor_two": {"distance": far + traces - root},
        "fid_mean_not_squared": {"distance": np.sqrt(far) + traces - 2 * root},
        "fid_without_means": {"distance": traces - 2 * root},
        "fid_without_covariances": {"distance": far},
        "fid_without_covariances:root": {"distance": far + traces},
        "fid_root_of_all": {"distance": np.sqrt(max(far + traces - 2 * root, 0))},
        "fid_diagonal": {
            "distance": far + np.sum((np.sqrt(np.diag(cov)) - np.sqrt(np.diag(cov2))) ** 2)
        },
        "fid_elementwise_root": {
            "distance": far + traces - 2 * np.trace(np.sqrt(np.abs(cov @ cov2)))
        },
    }
    case = Case("bonus_evaluation", config, inputs, expected, suspects)
    neighbours(case, random, (3, 5, 5))
    return case


def distances(samples: Array, train: Array) -> Array:
    """Distances between all samples and training images, [N, M]."""
    flat, pool = (v.reshape(len(v), -1).astype(np.float64) for v in (samples, train))
    return np.sqrt(((flat[:, None] - pool[None]) ** 2).sum(axis=-1))


def neighbours(case: Case, random: np.random.Generator, shape: tuple[int, ...]) -> None:
    """Fill in training images, and samples with one exact and one near copy of these."""
    train = normal(random, (40, *shape))
    samples = normal(random, (9, *shape))
    samples[2] = train[7]
    samples[5] = train[11] + normal(random, shape, 0.05)
    twice = np.concatenate([train, train[[7, 11]]])
    case.inputs |= {"train": train, "samples": samples, "train_twice": twice}
    far, far_twice = (distances(samples, images) for images in (train, twice))
    case.inputs["nearest_two"] = np.argsort(far, axis=1)[:, :2]
    sorted_, sorted_twice = np.sort(far, axis=1), np.sort(far_twice, axis=1)
    case.expected["ratio"] = sorted_[:, 0] / sorted_[:, 1]
    case.expected["ratio_twice"] = sorted_twice[:, 0] / np.maximum(sorted_twice[:, 1], 1e-12)
    with np.errstate(divide="ignore"):
        inverted = sorted_[:, 1] / np.maximum(sorted_[:, 0], 1e-12)
    case.suspects |= {
        "nn_inverted": {"ratio": inverted},
        "nn_squared": {"ratio": case.expected["ratio"] ** 2},
        "nn_not_a_ratio": {"ratio": sorted_[:, 0]},
        "nn_not_a_ratio:second": {"ratio": sorted_[:, 1]},
        "nn_wrong_neighbour": {"ratio": sorted_[:, 0] / sorted_[:, 2]},
        "nn_wrong_neighbour:itself": {"ratio": sorted_[:, 1] / sorted_[:, 2]},
        "nn_wrong_neighbour:mean": {"ratio": sorted_[:, 0] / sorted_.mean(axis=1)},
        "nn_wrong_neighbour:farthest": {"ratio": sorted_[:, 0] / sorted_[:, -1]},
    }
