"""Expected values in float64, from the papers' formulas, on fresh numbers.

These are the solutions. They share no code with `code/libs`, and use only NumPy.
"""

import functools
from collections.abc import Callable

import numpy as np

from autograder.checks.cases import CONFIGS, SHORT, Case, diffused_shape
from autograder.hidden.bonus import make_bonus_cases
from autograder.hidden.flow import make_flow_cases
from autograder.hidden.mistakes import COMPUTE_LOSS, P_SAMPLE_MEAN, P_SAMPLE_SIGMA, Q_SAMPLE
from autograder.hidden.schedule import Schedule, normal, rounded, schedule_of, with_rates

SCALE = 300.0  # of x and eps, so that coefficients can be measured despite the step's own noise


@functools.lru_cache(1)  # a batch has one seed
def make_cases(seed: int) -> list[Case]:
    """The cases of all functions, with different numbers for each seed."""
    makers: dict[str, tuple[Callable[..., Case], list[str]]] = {
        "q_sample": (q_sample_case, ["mnist", "cifar10", "afhq", "odd", "cosine"]),
        "p_sample": (p_sample_case, ["mnist", "cifar10", "afhq", "odd", "cosine", *SHORT]),
        "p_sample_loop": (loop_case, ["odd", *SHORT, "long"]),
        "compute_loss": (loss_case, ["mnist", "cifar10", "odd"]),
        "latent": (latent_case, ["afhq", "odd_latent"]),
    }
    cases = []
    for number, (part, (maker, configs)) in enumerate(makers.items()):
        for config in configs:
            random = np.random.default_rng([seed, number, list(CONFIGS).index(config)])
            cases.append(maker(part, config, random))
    return with_rates(cases) + make_flow_cases(seed) + make_bonus_cases(seed)


def mixed_steps(T: int, batch: int, random: np.random.Generator) -> np.ndarray:
    """A different time step for each sample, including 0 and T-1 if the batch is large enough."""
    steps = random.permutation(np.arange(1, T - 1))[:batch]
    if batch > 2:
        steps[[0, 1]] = T - 1, 0
    return random.permutation(steps).astype(np.int64)


def images(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Random images in [-1, 1]."""
    return rounded(random.uniform(-1, 1, shape))


def labels(random: np.random.Generator, config: str, batch: int) -> np.ndarray:
    """Class indices, int64 [batch], not all equal and not in order.

    The last class is among them, in a larger batch also the first.
    """
    classes = CONFIGS[config]["num_classes"]
    ends = [classes - 1, 0][: 1 + (batch > 2)]
    others = 1 + random.permutation(max(batch, classes - 2))[: batch - len(ends)] % (classes - 2)
    drawn = random.permutation([*ends, *others]).astype(np.int64)
    return drawn[::-1].copy() if (np.diff(drawn) >= 0).all() else drawn


def q_sample_case(part: str, config: str, random: np.random.Generator) -> Case:
    """Eq. 4. Expected: the weights of x_0 and of the noise, [B] each."""
    s, shape = schedule_of(config), diffused_shape(config)
    t = mixed_steps(s.T, 6, random)
    inputs = {"x_start": images(random, (6, *shape)), "t": t}
    inputs["noise"] = normal(random, (6, *shape))
    expected = {"signal": s.signal_rate[t], "noise": s.noise_rate[t]}
    suspects = {}
    for hint, formula in Q_SAMPLE.items():
        signal, noise = formula(s, t)
        suspects[hint] = {"signal": signal, "noise": noise}
    return Case(part, config, inputs, expected, suspects)


def p_sample_case(part: str, config: str, random: np.random.Generator) -> Case:
    """Eq. 11 at the last step and at four others.

    The first steps distinguish what is nearly equal later: beta and the posterior variance, and
    the variances of neighbouring steps.

    Expected, for each step: the weights of x_t and of eps_theta, and the two sigmas that the paper
    allows (section 3.2), from the posterior variance and from beta.
    """
    s, shape = schedule_of(config), diffused_shape(config)
    few = np.arange(s.T)
    steps = np.array([0, 1, 2, s.T // 3 + random.integers(s.T // 3), s.T - 1]) if s.T > 8 else few
    inputs = {"steps": steps, "label": labels(random, config, 4)}
    for k in range(len(steps)):
        scale = 1.0 if k == 0 else SCALE
        inputs[f"x{k}"] = normal(random, (4, *shape), scale)
        inputs[f"eps{k}"] = normal(random, (4, *shape), scale)
    expected = {name: values[steps] for name, values in step_values(s).items()}
    if s.T <= 2:  # too few steps to tell mistakes apart
        return Case(part, config, inputs, expected)
    suspects = {h: {"step_sigma": formula(s, steps)} for h, formula in P_SAMPLE_SIGMA.items()}
    for hint, formula in P_SAMPLE_MEAN.items():
        x, eps = formula(s, steps)
        suspects[hint] = {"step_x": x, "step_eps": eps}
    return Case(part, config, inputs, expected, suspects)


def loop_case(part: str, config: str, random: np.random.Generator) -> Case:
    """Algorithm 2. Expected: weights and sigmas of all steps, for loops that inline the step."""
    s = schedule_of(config)
    return Case(part, config, {"label": labels(random, config, 2)}, step_values(s))


def step_values(s: Schedule) -> dict[str, np.ndarray]:
    """Eq. 11 at all steps: the weights of x_t and eps_theta [T], and both sigmas [T, 2]."""
    sigmas = np.stack([np.sqrt(s.posterior_variance), np.sqrt(s.beta)], axis=-1)
    return {"step_x": s.x_weight, "step_eps": s.eps_weight, "step_sigma": sigmas}


def loss_case(part: str, config: str, random: np.random.Generator) -> Case:
    """Eq. 14. Expected: the loss, and the weights of x_0 and of the noise in x_t."""
    s, shape = schedule_of(config), diffused_shape(config)
    batch = 1 if config == "odd" else 5
    t = mixed_steps(s.T, batch, random)
    inputs = {"x_start": images(random, (batch, *shape)), "t": t}
    inputs["label"] = labels(random, config, batch)
    inputs["noise"] = normal(random, (batch, *shape))
    inputs["eps"] = normal(random, (batch, *shape), 0.5)
    inputs["x_t"] = normal(random, (batch, *shape))
    return loss_values(Case(part, config, inputs, {}), inputs["x_start"], s)


def latent_case(part: str, config: str, random: np.random.Generator) -> Case:
    """Like `loss_case`, for images in [0, 1] that the encoder's double turns into given latents."""
    s, shape = schedule_of(config), diffused_shape(config)
    image_shape = tuple(CONFIGS[config]["img_shape"])
    t = np.array([0, random.integers(1, s.T)])
    inputs = {"images": rounded(random.uniform(0, 1, (2, *image_shape))), "t": t}
    inputs["label"] = labels(random, config, 2)
    for name in ("latents", "noise", "x_t"):
        inputs[name] = normal(random, (2, *shape))
    inputs["eps"] = normal(random, (2, *shape), 0.5)
    case = loss_values(Case(part, config, inputs, {}), inputs["latents"], s)
    if config == "odd_latent":  # the one whose chain is run
        case.inputs["decoded"] = rounded(random.uniform(-0.3, 1.3, (2, *image_shape)))
        case.expected |= step_values(s)
    return case


def loss_values(case: Case, x_start: np.ndarray, s: Schedule) -> Case:
    """Fill in the expected results of compute_loss, and those of the catalogue's mistakes."""
    eps, noise = case.inputs["eps"].astype(np.float64), case.inputs["noise"].astype(np.float64)
    x_0, x_t, t = (
        x_start.astype(np.float64),
        case.inputs["x_t"].astype(np.float64),
        case.inputs["t"],
    )
    case.expected = {
        "loss": np.mean((eps - noise) ** 2),
        "gradient": np.mean(2 * (eps - noise) * eps),
        "signal": s.signal_rate[t],
        "noise": s.noise_rate[t],
    }
    signal_rate, noise_rate = (r[t].reshape(-1, 1, 1, 1) for r in (s.signal_rate, s.noise_rate))
    v = signal_rate * noise - noise_rate * x_0
    case.suspects = {
        hint: {"loss": np.asarray(formula(eps, noise, x_0, x_t, v))}
        for hint, formula in COMPUTE_LOSS.items()
    }
    return case
