"""How cost grows with each size of the work: python benchmarks/growth.py

Times a training step and a sampling step of a small DDPM on the CPU against the side of the images,
the width of the network, the tokens of a text, the batch and the length T of the chain; whole
chains against T; and the metrics against the number of images. Seconds are the processor's, over
all threads, which other programs disturb less, and medians of rounds that visit all sizes in turn,
so that a slow moment hits all alike. The slope of the larger half on log-log axes is the order of
growth, in seconds and in the multiplications and additions (FLOPs) that PyTorch counts, which
nothing disturbs. Prints both beside the order that the arithmetic allows, and writes growth.json
and growth.png to --out.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import kit

# isort: split

import torch
from torch import Tensor

from counting import count_flops
from libs.config import Config, ModelConfig
from libs.ddpm import DDPM
from libs.metrics.distances import nearest
from libs.metrics.fid import frechet_distance
from libs.metrics.fid import statistics as gaussian
from libs.models.build import build_model
from libs.runtime import cli
from libs.runtime.device import Precision
from libs.runtime.processes import Processes
from libs.runtime.progress import say
from libs.training.diffusion_losses import TrainingLoss
from libs.training.updater import Updater
from libs.utils import save_json

SLACK = 0.3  # by which an order in seconds may exceed the expected one
ROUNDING = 1e-6  # the same for FLOPs, which are exact
FEATURES = 64  # numbers that describe an image to the metrics
Work = Callable[[], object]


# What is timed: each function prepares the work of one size


def make_batch(batch: int = 8, tokens: int | None = None, **options: object) -> tuple[DDPM, Tensor]:
    """A small DDPM, and labels for it: classes [batch], or contexts [batch, tokens, 64]."""
    torch.manual_seed(0)
    small = {"img_shape": (3, 16, 16), "dim": 32, "attn_levels": (1,)}
    context = "class" if tokens is None else "tokens"
    model = build_model(Config(model=ModelConfig(**small | options, context=context)))
    return model, torch.arange(batch) % 10 if tokens is None else torch.randn(batch, tokens, 64)


def training_step(**sizes: object) -> Work:
    """A step as train.py takes it: loss, gradients, clipping, AdamW, averaged weights."""
    model, labels = make_batch(**sizes)
    config = Config(dtype="fp32")
    precision = Precision.pick(config.dtype, torch.device("cpu"))
    loss = TrainingLoss(model, config)
    updater = Updater(model, loss, config.train_cfg, precision, Processes())
    images = torch.rand(len(labels), *model.img_shape)
    t = torch.randint(model.timesteps, (len(labels),))
    return partial(updater.step, 1e-4, images, labels, t, torch.randn_like(images))


def sampling_step(**sizes: object) -> Work:
    """One step of the chain, with noise."""
    model, labels = make_batch(**sizes)
    x = torch.randn(len(labels), *model.img_shape)
    t_index = model.timesteps - 1
    return partial(model.p_sample, x, labels, torch.full((len(x),), t_index), t_index)


def whole_chain(timesteps: int) -> Work:
    """p_sample_loop of a tiny network."""
    tiny = {"img_shape": (3, 8, 8), "dim": 8, "dim_mults": (1, 2), "attn_levels": ()}
    model, labels = make_batch(batch=2, timesteps=timesteps, **tiny)
    return partial(model.p_sample_loop, labels)


def frechet(images: int) -> Work:
    samples, real = torch.randn(2, images, FEATURES)
    return lambda: frechet_distance(*gaussian(samples), *gaussian(real))


def two_nearest(images: int) -> Work:
    """The two training images nearest to each sample, which memorization is judged by."""
    return partial(nearest, *torch.randn(2, images, FEATURES), k=2)


# What grows


def pixels(attention: str, side: int) -> dict[str, object]:
    """Options of `make_batch`: attention between the pixels of the finest level, too."""
    small = {"attn_levels": (0, 1), "dim": 16, "batch": 2}
    return {"img_shape": (3, side, side), "attention": attention, **small}


def texts(tokens: int) -> dict[str, object]:
    """Options of `make_batch`: so few pixels that long texts are most of the work."""
    return {"img_shape": (3, 8, 8), "attn_levels": (0, 1), "dim": 16, "tokens": tokens}


SIDES, LENGTHS = (8, 16, 24, 32, 48, 64), (10, 20, 40, 80, 160)
STEPS = {"training step": training_step, "sampling step": sampling_step}
# Quantity, highest order that is expected, sizes, and their options of a step
OF_STEPS = [
    ("side, linear attention", 2, SIDES, partial(pixels, "linear")),
    ("side, full attention", 4, SIDES, partial(pixels, "full")),
    ("width dim", 2, (16, 32, 48, 64, 96, 128), lambda dim: {"dim": dim}),
    ("tokens", 1, (1, 16, 77, 308, 1232, 4928), texts),
    ("batch", 1, (1, 2, 4, 8, 16, 32, 64), lambda batch: {"batch": batch}),
    ("T", 0, LENGTHS, lambda timesteps: {"timesteps": timesteps}),
]
OTHERS = [  # the kind of work comes first
    ("whole chain", "T", 1, LENGTHS, whole_chain),
    ("Fréchet distance", "images", 1, (1000, 2000, 4000, 8000, 16000), frechet),
    ("two nearest", "images", 2, (250, 500, 1000, 2000, 4000), two_nearest),
]


@dataclass
class Growth:
    """How one kind of work grows with one quantity: median CPU seconds, FLOPs, both orders."""

    work: str
    quantity: str
    expected: int
    sizes: Sequence[int]
    seconds: list[float]
    flops: list[int]
    order: float
    flop_order: float | None  # None where PyTorch counts nothing
    verdict: str


def fit_order(sizes: Sequence[int], values: Sequence[float]) -> float:
    """The exponent p of values ~ sizes ** p, by least squares on logarithms.

    The fit is over the larger half of the sizes, two at least, where what does not grow matters
    less. Sums of powers up to K with positive factors never have an exponent above K.
    """
    half = min(len(sizes) // 2, len(sizes) - 2)
    logs = ([math.log(value) for value in line[half:]] for line in (sizes, values))
    return statistics.linear_regression(*logs).slope


def measure(works: Sequence[Work], rounds: int) -> tuple[list[float], list[int]]:
    """Median CPU seconds and FLOPs of each; counting comes first and warms up, too."""
    flops = [count_flops(work) for work in works]
    seconds = [[] for _ in works]
    for _ in range(rounds):
        for work, found in zip(works, seconds, strict=True):
            start = time.process_time()
            work()
            found.append(time.process_time() - start)
    return [statistics.median(found) for found in seconds], flops


def judge(expected: int, order: float, flop_order: float | None) -> str:
    """Whether an order is above the expected one; that of FLOPs has no excuse."""
    above = order > expected + SLACK
    above |= flop_order is not None and flop_order > expected + ROUNDING
    return "above the expected order" if above else "as expected"


def grow(args: argparse.Namespace) -> Iterator[Growth]:
    """Measure all that is listed above."""
    listed = [
        (work, *row, lambda size, step=step, options=options: step(**options(size)))
        for *row, options in OF_STEPS
        for work, step in STEPS.items()
    ]
    for work, quantity, expected, sizes, prepare in [*listed, *OTHERS]:
        sizes = sizes[: args.sizes]
        seconds, flops = measure([prepare(size) for size in sizes], args.rounds)
        order = fit_order(sizes, seconds)
        flop_order = fit_order(sizes, flops) if all(flops) else None
        say(f"{work} against {quantity}: order {order:.2f}")
        facts = sizes, seconds, flops, order, flop_order, judge(expected, order, flop_order)
        yield Growth(work, quantity, expected, *facts)


# What is written


def table(found: list[Growth]) -> str:
    """The orders as text, one sweep a line, with its sizes and milliseconds below."""
    columns = f"{'seconds':>9}{'FLOPs':>9}{'expected':>10}"
    lines = [f"{'work':20}{'grows with':24}{columns}  verdict"]
    for g in found:
        flops = "-" if g.flop_order is None else f"{g.flop_order:.3f}"
        orders = f"{g.order:9.2f}{flops:>9}{g.expected:10}"
        lines.append(f"{g.work:20}{g.quantity:24}{orders}  {g.verdict}")
        pairs = zip(g.sizes, g.seconds, strict=True)
        lines.append("    ms: " + "  ".join(f"{size}: {1000 * s:.3g}" for size, s in pairs))
    return "\n".join(lines)


def plot(found: list[Growth], file: Path) -> None:
    """Draw seconds against sizes, one quantity a panel; dashed lines grow as expected."""
    quantities = list(dict.fromkeys(g.quantity for g in found))
    figure = kit.new_figure(16, 8)
    for number, quantity in enumerate(quantities, 1):
        axes = figure.add_subplot(2, 4, number, xscale="log", yscale="log")
        here = [g for g in found if g.quantity == quantity]
        for g in here:
            label = f"{g.work}: {g.order:.2f}"
            (line,) = axes.plot(g.sizes, g.seconds, marker="o", label=label)
            ideal = [g.seconds[-1] * (size / g.sizes[-1]) ** g.expected for size in g.sizes]
            axes.plot(g.sizes, ideal, color=line.get_color(), linestyle="--", alpha=0.5)
        ticks = sorted({size for g in here for size in g.sizes})
        axes.set_xticks(ticks, ticks)
        axes.minorticks_off()
        axes.set(xlabel=quantity, ylabel="CPU seconds")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(file, dpi=110)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure how cost grows with each size.")
    parser.add_argument("--rounds", type=int, default=5, help="timed runs of each (default: 5)")
    parser.add_argument("--sizes", type=int, metavar="N", help="only the N smallest of each")
    parser.add_argument("--json", type=Path, metavar="FILE", help="instead of OUT/growth.json")
    parser.add_argument("--out", type=Path, default=Path("logs/benchmark_growth"), metavar="DIR")
    args = parser.parse_args()
    if args.rounds < 1 or (args.sizes is not None and args.sizes < 2):
        parser.error("--rounds must be at least 1, and --sizes at least 2")
    return args


def main() -> None:
    args = parse_args()
    cli.check_writable(args.json, args.out)
    found = list(grow(args))
    print(table(found))
    file = args.json or args.out / "growth.json"
    save_json([asdict(growth) for growth in found], file)
    plot(found, args.out / "growth.png")
    print(f"wrote {file} and {args.out / 'growth.png'}")


if __name__ == "__main__":
    cli.run(main)
