"""Expected values of the bonus part on Stable Diffusion, and the results of known mistakes.

The names follow the order in which CompVis's constructor appends blocks; guidance is Ho & Salimans
2022, eq. 6; steps are Song et al. 2021, eq. 12 without noise.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np

from autograder.checks.cases import Case
from autograder.hidden.schedule import normal

Array: TypeAlias = np.ndarray
# the levels' multipliers, the levels with transformers, residual blocks per level
Layout = tuple[Sequence[int], Sequence[int], int]
STABLE_DIFFUSION: Layout = (1, 2, 4, 4), (0, 1, 2), 2  # has 686 tensors
BLOCKS = {"names": 2, "names_one_block": 1, "names_three_blocks": 3}
GUIDED = {"guided": 4, "guided_half": 2, "guided_double": 1}  # samples
WALKS = {
    "walk": (2, 5),
    "walk_of_one_step": (1, 1),
    "walk_to_time_0": (17, 3),
    "long_walk": (2, 60),
}
SCALES = np.array([1.0, 7.5, 0.0, 2.3, 20.0])


def make_scaling_cases(seed: int) -> list[Case]:
    """The cases of rename, guided_eps and sample_guided."""
    makers = dict.fromkeys(BLOCKS, names_case) | dict.fromkeys(GUIDED, guided_case)
    makers |= dict.fromkeys(WALKS, walk_case)
    return [
        maker(config, np.random.default_rng([seed, 103, number]))
        for number, (config, maker) in enumerate(makers.items())
    ]


# --- names --------------------------------------------------------------------------------------


def names_case(config: str, random: np.random.Generator) -> Case:
    """All names of Stable Diffusion 1.x or another layout, in CompVis's form and in ours."""
    layout = STABLE_DIFFUSION
    if BLOCKS[config] != layout[2]:
        levels = int(random.integers(2, 5))
        mults = random.integers(1, 4, levels).tolist()
        attn = sorted(random.permutation(levels)[: random.integers(1, levels)].tolist())
        layout = mults, attn, BLOCKS[config]
    pairs = list(pairs_of(*layout))
    inputs = {"names": np.array([theirs for theirs, _ in pairs], dtype=np.bytes_)}
    inputs["res_blocks"] = np.array(layout[2])
    ours = np.array([ours for _, ours in pairs], dtype=np.bytes_)
    return Case("bonus_scaling", config, inputs, {"names": ours})


def pairs_of(
    mults: Sequence[int], attn_levels: Sequence[int], res_blocks: int
) -> Iterator[tuple[str, str]]:
    """Yield (CompVis's name, our name) of each tensor, in the order of the network."""

    def parts(theirs: str, ours: str, ends: Iterator[str]) -> Iterator[tuple[str, str]]:
        return ((f"{theirs}.{end}", f"{ours}.{end}") for end in ends)

    def block(theirs: str, ours: str, changes_width: bool, attends: bool) -> Iterator:
        yield from parts(f"{theirs}.0", f"{ours}.0", ends_of_res_block(changes_width))
        if attends:
            yield from parts(f"{theirs}.1", f"{ours}.1", ends_of_transformer())

    yield from parts("time_embed", "time_embd", both("0", "2"))
    yield from parts("input_blocks.0.0", "conv_in", both())
    counter, position, width, kept = 1, 0, 1, [1]
    for level, mult in enumerate(mults):
        for _ in range(res_blocks):
            names = f"input_blocks.{counter}", f"encoder.{position}"
            yield from block(*names, width != mult, level in attn_levels)
            counter, position, width = counter + 1, position + 1, mult
            kept.append(width)
        if level < len(mults) - 1:
            down = f"input_blocks.{counter}.0.op", f"encoder.{position - 1}.2.op"
            yield from parts(*down, both())
            counter += 1
            kept.append(width)
    yield from parts("middle_block.0", "mid_res_block1", ends_of_res_block(False))
    yield from parts("middle_block.1", "mid_attn", ends_of_transformer())
    yield from parts("middle_block.2", "mid_res_block2", ends_of_res_block(False))
    counter = 0
    for level, mult in reversed(list(enumerate(mults))):
        attends = level in attn_levels
        for i in range(res_blocks + 1):
            names = f"output_blocks.{counter}", f"decoder.{counter}"
            yield from block(*names, width + kept.pop() != mult, attends)
            width = mult
            if level and i == res_blocks:
                up = f"output_blocks.{counter}.{1 + attends}.conv", f"decoder.{counter}.2.conv"
                yield from parts(*up, both())
            counter += 1
    yield from parts("out", "final_conv", both("0", "2"))


def both(*layers: str) -> Iterator[str]:
    """The names of weight and bias of each layer; without layers, just "weight" and "bias"."""
    for layer in layers or ("",):
        yield from (f"{layer}.{kind}".lstrip(".") for kind in ("weight", "bias"))


def ends_of_res_block(changes_width: bool) -> Iterator[str]:
    yield from both("in_layers.0", "in_layers.2", "emb_layers.1", "out_layers.0", "out_layers.3")
    if changes_width:
        yield from both("skip_connection")


def ends_of_transformer() -> Iterator[str]:
    block = "transformer_blocks.0"
    yield from both("norm", "proj_in")
    for attn in ("attn1", "attn2"):
        yield from (f"{block}.{attn}.to_{letter}.weight" for letter in "qkv")
        yield from both(f"{block}.{attn}.to_out.0")
    yield from both(f"{block}.ff.net.0.proj", f"{block}.ff.net.2")
    yield from both(*(f"{block}.norm{i}" for i in (1, 2, 3)))
    yield from both("proj_out")


# --- guidance -----------------------------------------------------------------------------------

Pair = tuple[Array, Array]
# The weights of the network's answers to `negative` and to `context`; s is the scale.
GUIDANCE: dict[str, Callable[[Array], Pair]] = {
    "sd_guidance_swapped": lambda s: (s, 1 - s),
    "sd_guidance_plus_one": lambda s: (-s, 1 + s),
    "sd_guidance_plus_one:less": lambda s: (2 - s, s - 1),
    "sd_guidance_sign": lambda s: (1 + s, -s),
    "sd_guidance_sign:negative": lambda s: (s - 1, s),
    "sd_guidance_sign:sum": lambda s: (1 + s, s),
    "sd_negative_ignored": lambda s: (0 * s, 0 * s + 1),
    "sd_negative_ignored:scaled": lambda s: (0 * s, s),
    "sd_context_ignored": lambda s: (0 * s + 1, 0 * s),
    "sd_context_ignored:scaled": lambda s: (s, 0 * s),
    "sd_guidance_base": lambda s: (-s, s),
    "sd_guidance_no_difference": lambda s: (0 * s + 1, s),
    "sd_guidance_no_difference:unscaled": lambda s: (0 * s - 1, s),
    "sd_guidance_scale": lambda s: (1 - s**2, s**2),
    "sd_guidance_scale:rooted": lambda s: (1 - np.sqrt(s), np.sqrt(s)),
    "sd_guidance_scale:all": lambda s: (s - s**2, s**2),
    "sd_guidance_scale:fixed": lambda s: (0 * s - 6.5, 0 * s + 7.5),
    "sd_guidance_scale:clamped": lambda s: (1 - s.clip(1), s.clip(1)),
    "sd_guidance_scale:share": lambda s: (1 - s.clip(0, 1), s.clip(0, 1)),
    "sd_guidance_scale:averaged": lambda s: ((1 - s) / 2, s / 2),
}


def guided_case(config: str, random: np.random.Generator) -> Case:
    """A batch with different times and contexts, and the network's answers to both contexts."""
    batch = GUIDED[config]
    times = np.arange(901 if config == "guided_half" else 0, 1000)  # also early ones alone
    inputs = {"scales": SCALES, "t": random.choice(times, batch, replace=False)}
    inputs |= answers(random, (batch, 2, 3, 4))
    weights = {"negative": 1 - SCALES, "context": SCALES}
    case = Case("bonus_scaling", config, inputs, weights)
    for hint, formula in GUIDANCE.items():
        case.suspects[hint] = dict(zip(weights, formula(SCALES), strict=True))
    return case


def answers(random: np.random.Generator, shape: tuple, steps: tuple = ()) -> dict[str, Array]:
    """Random x, both contexts, and the network's answers to them in each step."""
    found = {"x": normal(random, shape)}
    for name in ("context", "negative"):
        found[name] = normal(random, (shape[0], 5, 6))
        found[f"eps_{name}"] = normal(random, (*steps, *shape))
    return found


# --- the walk -----------------------------------------------------------------------------------


def walk_case(config: str, random: np.random.Generator) -> Case:
    """A walk over some times of a short chain, whose first alpha_bar is far from 1."""
    batch, steps = WALKS[config]
    T = max(40, steps + 5)
    alpha_bar = np.cumprod(1 - np.linspace(1.6, 4.8, T) / T).astype(np.float32)
    times = np.sort(random.choice(np.arange(3, T - 1), steps, replace=False))[::-1].copy()
    if config == "walk_to_time_0":
        times[-1] = 0
    inputs = {"alphas_cumprod": alpha_bar, "times": times, "scale": np.array(3.5)}
    inputs |= answers(random, (batch, 2, 3, 4), (steps,))
    case = Case("bonus_scaling", config, inputs, {})
    bars = alpha_bar.astype(np.float64)[[*times, 0]]
    case.expected = {"states": states(case, bars), "alpha_bars": bars, "eps": guided(case)}
    for hint, formula in WALK.items():
        case.suspects[hint] = {"states": formula(case, bars.copy())}
    return case


def guided(case: Case, scale: float | None = None) -> Array:
    """The guided noise of each step, with the case's scale or the given one."""
    scale = float(case.inputs["scale"]) if scale is None else scale
    negative, context = (case.inputs[f"eps_{n}"].astype(float) for n in ("negative", "context"))
    return negative + scale * (context - negative)


def states(case: Case, bars: Array, eps: Array | None = None, stay: bool = False) -> Array:
    """The states after each step; with `stay`, each step starts from the first x."""
    x = start = case.inputs["x"].astype(np.float64)
    found = []
    for i, noise in enumerate(guided(case) if eps is None else eps):
        x_0 = ((start if stay else x) - np.sqrt(1 - bars[i]) * noise) / np.sqrt(bars[i])
        x = np.sqrt(bars[i + 1]) * x_0 + np.sqrt(1 - bars[i + 1]) * noise
        found.append(x)
    return np.stack(found).astype(np.float32)


def ended(bars: Array, last: float) -> Array:
    """The alpha_bars of a walk, with another last one."""
    return np.append(bars[:-1], last)


def stepped(case: Case, shift: int) -> Array:
    """The states if each step leads to the alpha_bar `shift` steps from its own time."""
    x, alpha_bar = case.inputs["x"].astype(np.float64), case.inputs["alphas_cumprod"]
    found = []
    for time, noise in zip(case.inputs["times"], guided(case), strict=True):
        a, b = alpha_bar[time], alpha_bar[time + shift]
        x = np.sqrt(b) * (x - np.sqrt(1 - a) * noise) / np.sqrt(a) + np.sqrt(1 - b) * noise
        found.append(x)
    return np.stack(found).astype(np.float32)


WALK: dict[str, Callable[[Case, Array], Array]] = {
    "sd_walk_final": lambda case, bars: states(case, ended(bars, 1.0)),
    "sd_walk_final:same": lambda case, bars: states(case, ended(bars, bars[-2])),
    "sd_walk_next": lambda case, bars: stepped(case, -1),
    "sd_walk_next:higher": lambda case, bars: stepped(case, 1),
    "sd_walk_not_fed_back": lambda case, bars: states(case, bars, stay=True),
    "sd_walk_scale": lambda case, bars: states(case, bars, guided(case, 1.0)),
    "sd_walk_scale:fixed": lambda case, bars: states(case, bars, guided(case, 7.5)),
    "sd_walk_contexts": lambda case, bars: states(case, bars, guided(case, -2.5)),
}
