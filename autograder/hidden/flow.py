"""Flow matching: expected results of FM, and those of known mistakes (Liu et al. 2023).

Time runs from noise, t = 0, to data, t = 1. The points between are on a straight line, and the
network predicts its direction from noise to image.
"""

from collections.abc import Callable
from statistics import NormalDist
from typing import Any, TypeAlias

import numpy as np

from autograder.checks.cases import CONFIGS, LOGIT_NORMAL, Case, diffused_shape
from autograder.hidden.schedule import normal, rounded

Array: TypeAlias = np.ndarray
LOSSES = ("mnist", "odd", "odd_latent", "two_steps", "small", "logit_normal")
WALKS = ("odd", "odd_latent", "two_steps", "one_step", "many_steps")
LINE = np.array([[0.0, 1.0], [1.0, -1.0]])  # x_t = t image + (1 - t) noise
VELOCITY = np.array([1.0, -1.0])  # image - noise
LEVELS = 199  # number of quantiles that describe a distribution
GRID = np.linspace(0, 1, 257)  # times at which mistakes in x_t are tabulated

# x_t: the weights of image and noise at time t.
MIX: dict[str, Callable[[Array], tuple[Array, Array]]] = {
    "fm_ends_swapped": lambda t: (1 - t, t),
    "fm_signal_not_scaled": lambda t: (1 + 0 * t, 1 - t),
    "fm_noise_not_scaled": lambda t: (t, 1 + 0 * t),
    "fm_noise_not_scaled:nothing_is": lambda t: (1 + 0 * t, 1 + 0 * t),
    "fm_noise_not_scaled:as_the_image": lambda t: (t, t),
    "fm_signal_not_scaled:as_the_noise": lambda t: (1 - t, 1 - t),
    "fm_not_a_line": lambda t: (np.sqrt(t), np.sqrt(1 - t)),
    "fm_not_a_line:circle": lambda t: (t, np.sqrt(1 - t**2)),
    "fm_not_a_line:swapped_circle": lambda t: (np.sqrt(1 - t**2), t),
    "fm_not_a_line:sine": lambda t: (np.sin(t * np.pi / 2), np.cos(t * np.pi / 2)),
    "fm_not_a_line:swapped_sine": lambda t: (np.cos(t * np.pi / 2), np.sin(t * np.pi / 2)),
    "fm_not_a_line:swapped_roots": lambda t: (np.sqrt(1 - t), np.sqrt(t)),
    "fm_not_a_line:squares": lambda t: (t**2, (1 - t) ** 2),
    "fm_not_a_line:square": lambda t: (t**2, 1 - t**2),
    "fm_mix_sign": lambda t: (t, t - 1),
    "fm_mix_sign:image": lambda t: (-t, 1 - t),
    "fm_mix_sign:swapped": lambda t: (1 - t, -t),
    "fm_no_noise": lambda t: (t, 0 * t),
    "fm_no_noise:x_start": lambda t: (1 + 0 * t, 0 * t),
    "fm_no_noise:rest": lambda t: (1 - t, 0 * t),
    "fm_no_image": lambda t: (0 * t, 1 - t),
    "fm_no_image:noise": lambda t: (0 * t, 1 + 0 * t),
    "fm_velocity_as_x": lambda t: (1 + 0 * t, -1 + 0 * t),
    "fm_one_time": lambda t: (0.5 + 0 * t, 0.5 + 0 * t),
}

# The loss, from the prediction, the image, the noise, x_t and t.
LOSS: dict[str, Callable[[Array, Array, Array, Array, Array], Any]] = {
    "fm_velocity_negated": lambda v, x, n, xt, t: np.mean((v - (n - x)) ** 2),
    "fm_target_noise": lambda v, x, n, xt, t: np.mean((v - n) ** 2),
    "fm_target_noise:negated": lambda v, x, n, xt, t: np.mean((v + n) ** 2),
    "fm_target_image": lambda v, x, n, xt, t: np.mean((v - x) ** 2),
    "fm_target_x_t": lambda v, x, n, xt, t: np.mean((v - xt) ** 2),
    "fm_target_x_t:back": lambda v, x, n, xt, t: np.mean((v - (n - xt)) ** 2),
    "fm_target_sum": lambda v, x, n, xt, t: np.mean((v - (x + n)) ** 2),
    "fm_target_scaled": lambda v, x, n, xt, t: np.mean((v - t * (x - n)) ** 2),
    "fm_target_scaled:rest": lambda v, x, n, xt, t: np.mean((v - (1 - t) * (x - n)) ** 2),
    "fm_target_scaled:half": lambda v, x, n, xt, t: np.mean((v - (x - n) / 2) ** 2),
    "fm_weighted": lambda v, x, n, xt, t: np.mean(t * (v - (x - n)) ** 2),
    "fm_weighted:rest": lambda v, x, n, xt, t: np.mean((1 - t) * (v - (x - n)) ** 2),
    "fm_weighted:squared": lambda v, x, n, xt, t: np.mean(((1 - t) * (v - (x - n))) ** 2),
    "fm_absolute": lambda v, x, n, xt, t: np.mean(np.abs(v - (x - n))),
    "fm_absolute:smooth": lambda v, x, n, xt, t: _huber(v - (x - n)),
    "fm_sum": lambda v, x, n, xt, t: np.sum((v - (x - n)) ** 2),
    "fm_sum:per_image": lambda v, x, n, xt, t: np.sum((v - (x - n)) ** 2) / len(v),
    "fm_sum:over_pixels": lambda v, x, n, xt, t: np.sum((v - (x - n)) ** 2) / v[0, 0].size,
    "fm_root": lambda v, x, n, xt, t: np.sqrt(np.mean((v - (x - n)) ** 2)),
    "fm_root:norm": lambda v, x, n, xt, t: np.sqrt(np.sum((v - (x - n)) ** 2)),
    "fm_root:signed": lambda v, x, n, xt, t: np.mean(v - (x - n)),
    "fm_scaled": lambda v, x, n, xt, t: 0.5 * np.mean((v - (x - n)) ** 2),
    "fm_scaled:doubled": lambda v, x, n, xt, t: 2 * np.mean((v - (x - n)) ** 2),
    "fm_scaled:negative": lambda v, x, n, xt, t: -np.mean((v - (x - n)) ** 2),
    "fm_network_unused": lambda v, x, n, xt, t: np.mean((xt - (x - n)) ** 2),
}


def _huber(difference: Array) -> float:
    """Mean Huber loss with delta = 1."""
    size = np.abs(difference)
    return float(np.where(size < 1, size**2 / 2, size - 0.5).mean())


def _step_mistakes(T: int) -> dict[str, dict[str, Array]]:
    """Mistakes in each of T steps: the weights of the x before and of the network's answer."""
    t, one = np.arange(T) / T, np.ones(T)
    found = {
        "fm_step_sign": (one, -one / T),
        "fm_step_not_scaled": (one, one),
        "fm_step_not_scaled:sign": (one, -one),
        "fm_step_size": (one, one / (T + 1)),
        "fm_step_size:twice": (one, 2 * one / T),
        "fm_step_size:half": (one, one / (2 * T)),
        "fm_step_is_time": (one, t),
        "fm_step_is_time:next": (one, t + 1 / T),
        "fm_step_is_time:rest": (one, 1 - t),
        "fm_step_is_time:sign": (one, -t),
        "fm_x_replaced": (0 * one, one / T),
        "fm_x_replaced:answer": (0 * one, one),
        "fm_not_fed_back": (one, 0 * one),
        "fm_step_mixes": (1 - 1 / T + 0 * one, one / T),
        "fm_step_mixes:times": (1 - t, t),
        "fm_step_multiplied": (one / T, one / T),
    }
    if T > 1:
        found["fm_step_size:less"] = one, one / (T - 1)
    return {
        hint: dict(zip(("step_x", "step_v"), pair, strict=True)) for hint, pair in found.items()
    }


def make_flow_cases(seed: int) -> list[Case]:
    """The cases of both parts, with different numbers for each seed."""
    cases = []
    for number, (part, configs) in enumerate((("fm_loss", LOSSES), ("fm_generate", WALKS))):
        for config in configs:
            random = np.random.default_rng([seed, 100 + number, list(CONFIGS).index(config)])
            maker = loss_case if part == "fm_loss" else walk_case
            cases.append(maker(part, config, random))
    return cases


def loss_case(part: str, config: str, random: np.random.Generator) -> Case:
    """Algorithm 1, line 3, with another time for each sample, including 0 and 1.

    With an autoencoder `images` are encoded to `x_start`, which is also called `latents`.
    """
    shape, size = diffused_shape(config), 4
    t = random.uniform(0.1, 0.9, size)  # the first is never an end, where all mixes look alike
    t[1:] = random.permutation([0.0, 1.0, *t[3:]])
    inputs = {"t": rounded(t)}
    inputs["label"] = random.permutation(7 * np.arange(size) + 1) % CONFIGS[config]["num_classes"]
    inputs["noise"] = normal(random, (size, *shape))
    if CONFIGS[config].get("use_vae"):
        pictures = (size, *CONFIGS[config]["img_shape"])
        inputs["images"] = rounded(random.uniform(0, 1, pictures))
        inputs["x_start"] = inputs["latents"] = normal(random, (size, *shape))
    else:
        inputs["x_start"] = rounded(random.uniform(-1, 1, (size, *shape)))
    # similar to the velocity, but not to it or to either end with any sign
    towards = 0.5 * inputs["x_start"] - 0.3 * inputs["noise"]
    inputs["eps"] = rounded(towards + 0.7 * random.standard_normal((size, *shape)))
    case = Case(part, config, inputs, {"line": LINE, "velocity": VELOCITY})
    if config in ("small", "logit_normal"):
        case.expected["quantiles"] = quantiles(config)
        return case
    v, x, n = (inputs[name].astype(np.float64) for name in ("eps", "x_start", "noise"))
    s = inputs["t"].astype(np.float64).reshape(-1, 1, 1, 1)
    x_t = s * x + (1 - s) * n
    case.expected["loss"] = np.mean((v - (x - n)) ** 2)
    case.suspects = {
        hint: {"loss": np.asarray(formula(v, x, n, x_t, s))} for hint, formula in LOSS.items()
    }
    for hint, weigh in MIX.items():
        case.suspects[hint] = dict(zip(("signal", "noise"), weigh(GRID), strict=True))
    return case


def quantiles(config: str) -> Array:
    """Quantiles of the distributions that t may have, [n, LEVELS] (Esser et al. 2024, eq. 19).

    The first is the requested one (uniform if none is requested); without a request, the second is
    the one that Esser et al. use.
    """
    levels = (np.arange(LEVELS) + 1) / (LEVELS + 1)

    def logit_normal(mean: float, deviation: float) -> Array:
        z = np.array([NormalDist(mean, deviation).inv_cdf(level) for level in levels])
        return 1 / (1 + np.exp(-z))

    if config == "logit_normal":
        return logit_normal(*LOGIT_NORMAL)[None]
    return np.stack([levels, logit_normal(0, 1)])


def walk_case(part: str, config: str, random: np.random.Generator) -> Case:
    """Forward Euler from t = 0 to t = 1 in equal steps."""
    T, size = CONFIGS[config]["timesteps"], 2
    inputs = {"label": random.permutation(7 * np.arange(size) + 1) % CONFIGS[config]["num_classes"]}
    if CONFIGS[config].get("use_vae"):
        pictures = (size, *CONFIGS[config]["img_shape"])
        inputs["decoded"] = rounded(random.uniform(-0.3, 1.3, pictures))
    expected = {"times": np.arange(T) / T, "step_x": np.ones(T), "step_v": np.full(T, 1 / T)}
    return Case(part, config, inputs, expected, _step_mistakes(T))
