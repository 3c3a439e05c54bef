"""What the cache of latents saves, and what loading costs: python benchmarks/latents.py

Trains the model of a config on a folder of images in turns: from the files, whose images are
encoded in every step, from the cache of latents, and beside them a model on a data set in memory.
Prints images a second, and the share of the time that is spent waiting for the next batch.
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import kit  # noqa: F401

# isort: split

import torch
from torch import Tensor

from libs.config import Config, load_config
from libs.data.batches import EpochBatches, make_loader
from libs.datasets import Key
from libs.runtime import cli
from libs.runtime.device import Precision, pick_device
from libs.runtime.processes import Processes
from libs.runtime.progress import say
from libs.training.diffusion_learner import DiffusionLearner
from libs.utils import UserError, save_json


@dataclass
class Spread:
    """The median of some measurements, the lowest and the highest."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: list[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values))

    def text(self, unit: float = 1.0) -> str:
        """In a table."""
        median, lowest, highest = (v / unit for v in (self.median, self.lowest, self.highest))
        return f"{median:.3g} ({lowest:.3g} - {highest:.3g})"


@dataclass
class Result:
    """One way to train: images a second, and the share of the time spent waiting for batches."""

    data: str
    batch_size: int
    workers: int
    images_per_second: Spread
    waiting: Spread  # 0 .. 1


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what the cache of latents saves.")
    parser.add_argument("config", nargs="?", default="configs/afhq.yaml", help="of a latent model")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="any key")
    parser.add_argument(
        "--memory", default="configs/digits.yaml", metavar="CONFIG", help="of data in memory"
    )
    parser.add_argument("--steps", type=int, default=8, help="of each in a round (default: 8)")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the numbers to a file"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:0 or mps")
    args = parser.parse_args()
    if min(args.steps, args.rounds) < 1:
        parser.error("--steps and --rounds must be at least 1")
    return args


class Rounds(EpochBatches):
    """Epoch after epoch, interrupted after `per_round` batches.

    What a loader needs to begin an epoch counts little where epochs are long, as they would not be
    with few images.
    """

    def __init__(self, *args: Any):
        super().__init__(*args)
        self.per_round = 0
        self.endless = self._all_epochs()

    def _all_epochs(self) -> Iterator[list[Key]]:
        for self.epoch in itertools.count():
            yield from super().__iter__()

    def __iter__(self) -> Iterator[list[Key]]:
        return itertools.islice(self.endless, self.per_round)


class Training:
    """A model that is trained as a Trainer would, in rounds of a few steps.

    Raises UserError for fewer images than the batch has parts.
    """

    def __init__(self, data: str, config: Config, device: torch.device):
        self.data, self.config, self.device = data, config, device
        self.learner = DiffusionLearner(config, Precision.pick(config.dtype, device), Processes())
        images = self.learner.splits.train
        self.batch_size = min(config.loader.batch_size, len(images))
        self.batch_size -= self.batch_size % config.train_cfg.accumulate
        if self.batch_size == 0:
            raise UserError(f"{len(images)} training images are too few for 'train_cfg.accumulate'")
        self.batches = Rounds(len(images), self.batch_size, config.seed, Processes())
        workers, pin = config.loader.num_workers, device.type == "cuda"
        self.loader = make_loader(images, self.batches, workers, pin)
        self.number = 0
        self.rounds: list[tuple[float, float]] = []
        self.learner.measure(self.batch_size)
        self.learner.begin_epoch(0)

    def train(self, steps: int) -> None:
        """Time a round of steps, between some that are not timed.

        At first all workers begin at once. In the end they have batches ready that are not trained
        on; to wait for these leaves no work of theirs to the time of others.
        """
        ready = self.loader.num_workers * (self.loader.prefetch_factor or 0)
        warm_up = ready + 1
        self.batches.per_round = warm_up + steps + ready
        batches = iter(self.loader)
        self._train(batches, warm_up)
        self.rounds.append(self._train(batches, steps))
        for _ in batches:
            pass

    def _train(self, batches: Iterator[tuple[Tensor, Tensor]], steps: int) -> tuple[float, float]:
        """Seconds of so many steps, and those of them spent waiting for batches."""
        waited, started = 0.0, time.perf_counter()
        for _ in range(steps):
            asked = time.perf_counter()
            images, labels = next(batches)
            waited += time.perf_counter() - asked
            # It returns numbers from the device, which has done all its work by then
            self.learner.step(self.number, len(self.batches), images, labels)
            self.number += 1
        return time.perf_counter() - started, waited

    def result(self, steps: int) -> Result:
        """What all rounds have shown."""
        speeds = [steps * self.batch_size / seconds for seconds, _ in self.rounds]
        waiting = [waited / seconds for seconds, waited in self.rounds]
        sizes = self.batch_size, self.loader.num_workers
        return Result(self.data, *sizes, Spread.of(speeds), Spread.of(waiting))


def measure(args: argparse.Namespace) -> tuple[list[Result], Spread]:
    """All results, and how many times faster than files the cached latents are, round by round."""
    device = pick_device([args.device])
    files = load_config(args.config, [*args.set, "dataset.latent_cache=false"])
    cached = load_config(args.config, [*args.set, "dataset.latent_cache=true"])
    memory = load_config(args.memory)
    trainings = [
        Training(f"{files.dataset.name}, files", files, device),
        Training(f"{cached.dataset.name}, latents", cached, device),
        Training(f"{memory.dataset.name}, memory", memory, device),
    ]
    for number in range(args.rounds):
        for training in trainings:
            training.train(args.steps)
        say(f"round {number + 1} of {args.rounds}")
    rounds = zip(trainings[0].rounds, trainings[1].rounds, strict=True)
    gain = Spread.of([slow / fast for (slow, _), (fast, _) in rounds])
    return [training.result(args.steps) for training in trainings], gain


def table(results: list[Result], gain: Spread) -> str:
    """The results as text, medians with lowest and highest, and the gain below."""
    lines = [f"{'data':22}{'batch':>6}{'workers':>9}{'images/s':>26}{'waiting, %':>26}"]
    for r in results:
        speed, waiting = r.images_per_second.text(), r.waiting.text(unit=0.01)
        lines.append(f"{r.data:22}{r.batch_size:6}{r.workers:9}{speed:>26}{waiting:>26}")
    return "\n".join([*lines, f"from latents {gain.text()} times as many as from files"])


def main() -> None:
    args = parse_args()
    cli.check_writable(args.json)
    results, gain = measure(args)
    print(table(results, gain))
    if args.json:
        found = {
            "config": args.config,
            "device": str(pick_device([args.device])),
            "steps": args.steps,
            "rounds": args.rounds,
            "results": [asdict(result) for result in results],
            "gain": asdict(gain),
        }
        save_json(found, args.json)
        print(f"wrote {args.json}")


if __name__ == "__main__":
    cli.run(main)
