"""Quality against cost of all samplers: python benchmarks/samplers.py logs/RUN/model_final.pth

Draws with every sampler at each number of steps, with the full chain of a DDPM and with the model's
own, which does not clip. Each draw is scored by the Fréchet distance of LeNet features to training
images and by the grain of its pixels, each beside its floor for real images, and by the share of
samples that a classifier gives their class. Prints a table, and writes samplers.json and
samplers.png to --out.
"""

import argparse
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import kit

# isort: split

import torch
from torch import Tensor

from libs.config import Config
from libs.metrics import scoring
from libs.metrics.evidence import Evidence, RealImages, Score
from libs.metrics.networks import Looks, load_networks
from libs.models.build import load_model
from libs.models.denoisers import Denoiser, denoiser_of
from libs.runtime import cli
from libs.runtime.cache import Store
from libs.runtime.device import Precision, pick_device
from libs.runtime.progress import say
from libs.samplers.draw import draw_samples
from libs.samplers.sampler import Sampler
from libs.utils import UserError, save_json

FASTER = {  # DDIM with eta = 1 would be ddpm again
    "ddim": Sampler("ddim"),
    "dpm++": Sampler("dpm++"),
    "dpm++ sde": Sampler("dpm++", eta=1),
    "dpm++ sde, log_snr": Sampler("dpm++", eta=1, spacing="log_snr"),
    "deis, cosine": Sampler("deis", spacing="cosine"),
    "deis sde, cosine": Sampler("deis", eta=1, spacing="cosine"),
    "ddpm": Sampler("ddpm"),
    "heun": Sampler("heun"),
}


@dataclass
class Result:
    """What one sampler costs and gives: FID and accuracy by LeNet, and grain.

    Floors are those of held-out real images; accuracy is None without labels.
    """

    sampler: str
    evaluations: int  # of the network, for each sample
    seconds: float  # for all samples
    fid: float
    floor: float | None  # of fid
    grain: float
    grain_floor: float | None
    accuracy: float | None


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare the samplers on a trained model.")
    parser.add_argument("checkpoint", type=Path, help="a .pth file, or a run folder")
    parser.add_argument("--num", type=int, default=1000, help="samples of each (default: 1000)")
    parser.add_argument("--steps", default="5,10,20,50", help="default: 5,10,20,50")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch-size", type=int, default=250, help="samples drawn at once")
    parser.add_argument("--out", type=Path, default=Path("logs/benchmark_samplers"), metavar="DIR")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:0 or mps")
    args = parser.parse_args()
    if args.batch_size < 1 or args.num < 2:
        parser.error("--batch-size must be at least 1, and --num at least 2")
    return args


def plan(steps: str, denoiser: Denoiser) -> list[tuple[str, Sampler]]:
    """Names and samplers to compare, the full chains last; UserError for impossible steps."""
    try:
        numbers = [int(number) for number in steps.split(",")]
    except ValueError:
        raise UserError(f"--steps: give numbers such as 5,10,20, not '{steps}'") from None
    for number in numbers:
        denoiser.times(number, Sampler.spacing)
    samplers = [
        (name, replace(sampler, steps=number))
        for name, sampler in FASTER.items()
        for number in numbers
    ]
    full = [("ddpm", Sampler("ddpm"))] if denoiser.steps is None else []
    return [*samplers, *full, ("own", Sampler())]


def compare(args: argparse.Namespace) -> list[Result]:
    """Draw and score with each sampler in turn."""
    device = pick_device([args.device])
    trained = load_model(args.checkpoint, device)
    model, config = trained.model, trained.config
    denoiser = denoiser_of(model)
    samplers = plan(args.steps, denoiser)
    precision = Precision.pick(config.dtype, device)
    judge = Judge(config, device)
    labels = torch.arange(args.num) % len(trained.classes)
    # The first call of a network on a device is slow
    for _ in draw_samples(model, labels[:2], precision, sampler=Sampler("ddim", 1)):
        pass

    results = []
    for number, (name, sampler) in enumerate(samplers, 1):
        start = time.perf_counter()
        options = args.seed, args.batch_size
        images = torch.cat(list(draw_samples(model, labels, precision, *options, sampler=sampler)))
        seconds = time.perf_counter() - start
        scores = judge.score(images, labels)
        fid, grain = scores["FID"], scores["grain"]
        accuracy = scores["conditional accuracy"].samples if judge.conditional else None
        numbers = fid.samples, fid.real, grain.samples, grain.real, accuracy
        results.append(Result(name, sampler.evaluations(denoiser), seconds, *numbers))
        say(f"{number} of {len(samplers)}: {sampler}: FID {fid.samples:.2f}, {seconds:.1f} s")
    return results


class Judge:
    """Scores samples as evaluate.py does, by a LeNet fitted on the run's data."""

    def __init__(self, config: Config, device: torch.device):
        store = Store(config.output_folder / "feature_cache")
        self.conditional = config.model.conditional
        self.names = ["fid", "grain", *(["accuracy"] if self.conditional else [])]
        self.real = RealImages.load(config)
        shape = config.model.img_shape
        self.networks = load_networks(Looks(), self.names, self.real, shape, device, store)

    def score(self, images: Tensor, labels: Tensor) -> dict[str, Score]:
        """The scores by name of images [N, C, H, W] in [0, 1] and their labels [N]."""
        samples = images.mul(255).round().to(torch.uint8)
        evidence = Evidence(samples, labels, None, self.real, self.conditional, self.networks)
        return {score.name: score for score in scoring.score(self.names, evidence)}


def table(results: list[Result]) -> str:
    """The results as text, one per line, with those of real images below."""
    header = f"{'sampler':20}{'evaluations':>12}{'seconds':>10}{'LeNet FID':>11}{'grain':>8}"
    lines = [f"{header}{'accuracy':>10}"]
    for r in results:
        accuracy = "-" if r.accuracy is None else f"{r.accuracy:.3f}"
        cost = f"{r.sampler:20}{r.evaluations:12}{r.seconds:10.1f}"
        lines.append(f"{cost}{r.fid:11.2f}{r.grain:8.3f}{accuracy:>10}")
    real = results[0]
    if real.floor is not None:
        lines.append(f"{'real images':42}{real.floor:11.2f}{real.grain_floor:8.3f}")
    return "\n".join(lines)


def plot(results: list[Result], file: Path) -> None:
    """Draw the FID against network evaluations and seconds, and the grain against evaluations."""
    figure = kit.new_figure(13, 4)
    from matplotlib.ticker import LogLocator

    panels = figure.subplots(1, 3)
    shown = (("evaluations", "fid", "floor"), ("seconds", "fid", "floor"))
    shown += (("evaluations", "grain", "grain_floor"),)
    for axes, (cost, score, floor) in zip(panels, shown, strict=True):
        for name in dict.fromkeys(r.sampler for r in results):
            line = sorted(
                (getattr(r, cost), getattr(r, score)) for r in results if r.sampler == name
            )
            axes.plot(*zip(*line, strict=True), marker="o", label=name)
        real = getattr(results[0], floor)
        if real is not None:
            axes.axhline(real, color="0.6", linestyle="--", label="real images")
        label = "LeNet FID" if score == "fid" else "grain"
        axes.set(xlabel=cost, ylabel=label, xscale="log", yscale="log")
        axes.grid(alpha=0.3)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter("")
    panels[0].legend(fontsize="small")
    figure.savefig(file, dpi=130)


def main() -> None:
    args = parse_args()
    cli.check_writable(None, args.out)
    results = compare(args)
    print(table(results))
    save_json([asdict(result) for result in results], args.out / "samplers.json")
    plot(results, args.out / "samplers.png")
    print(f"wrote samplers.json and samplers.png to {args.out}")


if __name__ == "__main__":
    cli.run(main)
