"""Evaluations against FID, for several models: python benchmarks/evaluations.py logs/DDPM logs/FM

Draws from each run by DDIM, by DPM-Solver++ for the reverse SDE, by DEIS, and as the model does by
itself: a flow in as many steps, a DDPM in all of its own. Each draw is scored as `evaluate.py`
does, by LeNet and the grain of pixels, all by the LeNet of the first run's data. Prints a table,
and writes evaluations.json and evaluations.png, with all lines in one picture, to --out.
"""

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import kit

# isort: split

import torch
from torch import nn

from libs.models.build import TrainedModel, load_model
from libs.models.denoisers import denoiser_of
from libs.runtime import cli
from libs.runtime.device import Precision, pick_device
from libs.runtime.progress import say
from libs.samplers.draw import draw_samples
from libs.samplers.sampler import Sampler
from libs.utils import UserError, save_json
from samplers import Judge

NAMED = {  # of any model, by what the picture calls them
    "ddim": Sampler("ddim"),
    "dpm++ sde, log_snr": Sampler("dpm++", eta=1, spacing="log_snr"),
    "deis, cosine": Sampler("deis", spacing="cosine"),
}


@dataclass
class Point:
    """What samples of one run by one sampler cost and give; see `samplers.Result`."""

    run: str
    sampler: str
    evaluations: int  # of the network, for each sample
    fid: float
    floor: float | None
    grain: float
    accuracy: float | None


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare models at equal evaluations.")
    parser.add_argument("runs", type=Path, nargs="+", help="run folders, or .pth files")
    parser.add_argument("--evaluations", default="1,2,4,10,20", help="default: 1,2,4,10,20")
    parser.add_argument("--num", type=int, default=1000, help="samples of each (default: 1000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--out", type=Path, default=Path("logs/benchmark_evaluations"), metavar="DIR"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:0 or mps")
    args = parser.parse_args()
    if args.num < 2:
        parser.error("--num must be at least 2")
    return args


def parse_numbers(text: str) -> list[int]:
    """The numbers of "1,2,4", each at least 1; UserError for anything else."""
    try:
        numbers = [int(number) for number in text.split(",")]
    except ValueError:
        numbers = [0]
    if min(numbers) < 1:
        raise UserError(f"--evaluations: give numbers such as 1,2,4, not '{text}'")
    return numbers


def walks(model: nn.Module, numbers: list[int]) -> Iterator[tuple[str, Sampler]]:
    """Samplers of so many evaluations, with names; a flow has as many steps while one is used."""
    denoiser = denoiser_of(model)
    for name, sampler in NAMED.items():
        for number in numbers:
            yield name, Sampler(sampler.name, number, sampler.eta, sampler.spacing)
    if denoiser.loop != "generate":
        yield "own", Sampler()
        return
    steps = model.timesteps
    for number in numbers:
        if number % denoiser.loop_calls == 0:
            model.timesteps = number // denoiser.loop_calls
            yield "own", Sampler()
    model.timesteps = steps


def measure(trained: TrainedModel, args: argparse.Namespace, judge: Judge) -> list[Point]:
    """Draw and score with each sampler in turn."""
    model, points = trained.model, []
    precision = Precision.pick(trained.config.dtype, next(model.parameters()).device)
    labels = torch.arange(args.num) % len(trained.classes)
    for name, sampler in walks(model, parse_numbers(args.evaluations)):
        evaluations = sampler.evaluations(denoiser_of(model))
        drawn = draw_samples(model, labels, precision, args.seed, 250, sampler=sampler)
        scores = judge.score(torch.cat(list(drawn)), labels)
        fid = scores["FID"]
        accuracy = scores["conditional accuracy"].samples if judge.conditional else None
        run = trained.path.parent.name
        numbers = fid.samples, fid.real, scores["grain"].samples, accuracy
        points.append(Point(run, name, evaluations, *numbers))
        say(f"{run}, {name}, {evaluations} evaluations: FID {fid.samples:.2f}")
    return points


def table(points: list[Point]) -> str:
    """The points as text, one per line."""
    width = max(len(p.run) for p in points) + 2
    header = f"{'run':{width}}{'sampler':20}{'evaluations':>12}{'LeNet FID':>11}{'grain':>8}"
    lines = [f"{header}{'accuracy':>10}"]
    for p in points:
        accuracy = "-" if p.accuracy is None else f"{p.accuracy:.3f}"
        cost = f"{p.run:{width}}{p.sampler:20}{p.evaluations:12}"
        lines.append(f"{cost}{p.fid:11.2f}{p.grain:8.3f}{accuracy:>10}")
    if points[0].floor is not None:
        lines.append(f"{'real images':{width + 32}}{points[0].floor:11.2f}")
    return "\n".join(lines)


def plot(points: list[Point], file: Path) -> None:
    """Draw all lines into one picture: FID against evaluations, both logarithmic."""
    figure = kit.new_figure(10, 5)
    from matplotlib.ticker import LogLocator

    axes = figure.subplots()
    runs = list(dict.fromkeys(p.run for p in points))
    samplers = list(dict.fromkeys(p.sampler for p in points))
    for i, run in enumerate(runs):
        for sampler, marker in zip(samplers, "os^v", strict=False):
            line = sorted(
                (p.evaluations, p.fid) for p in points if (p.run, p.sampler) == (run, sampler)
            )
            style = {"color": f"C{i}", "marker": marker, "label": f"{run}, {sampler}"}
            axes.plot(*zip(*line, strict=True), **style)
    if points[0].floor is not None:
        axes.axhline(points[0].floor, color="0.6", linestyle="--", label="real images")
    axes.set(xlabel="evaluations of the network", ylabel="LeNet FID", xscale="log", yscale="log")
    axes.grid(alpha=0.3)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("")
    figure.legend(loc="outside right center", fontsize="small")
    figure.savefig(file, dpi=130)


def main() -> None:
    args = parse_args()
    parse_numbers(args.evaluations)
    cli.check_writable(None, args.out)
    device = pick_device([args.device])
    trained = [load_model(run, device) for run in args.runs]
    judge = Judge(trained[0].config, device)
    points = [point for one in trained for point in measure(one, args, judge)]
    print(table(points))
    save_json([asdict(point) for point in points], args.out / "evaluations.json")
    plot(points, args.out / "evaluations.png")
    print(f"wrote evaluations.json and evaluations.png to {args.out}")


if __name__ == "__main__":
    cli.run(main)
