"""Time to quality: python benchmarks/record.py configs/mnist_cpu.yaml, or make record

Trains a config from nothing, scores 1,000 samples by LeNet's FID, the grain of their pixels and
the classifier's accuracy, drawn as the config says (`train_cfg.sampler`), once for each seed, and
prints a row for the history in benchmarks/RECORDS.md. The time is that of train.py, from its start
to its exit. Each finished seed is kept in logs/record/: a second call goes on with those that are
missing, unless code or config have changed.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import kit  # noqa: F401

# isort: split

import torch

from libs.config import Config, dump_config, load_config
from libs.metrics import scoring
from libs.metrics.evaluation import Looks, Request, gather_evidence
from libs.models.build import load_model
from libs.models.denoisers import denoiser_of
from libs.runtime import cli
from libs.runtime.hashes import hash_of_files
from libs.runtime.progress import say
from libs.samplers.sampler import Sampler
from libs.utils import ROOT, UserError, save_json

METRICS = ["fid", "grain", "accuracy"]
ABOVE_FLOOR = 1.05  # FID, as a multiple of that of real images
ACCURACY = 0.97
GRAIN = 1.5  # as a multiple of that of real images


@dataclass(frozen=True)
class SeedResult:
    """One run from start to finish.

    Attributes:
        seed: of training and of the samples' noise.
        seconds: of train.py, from its start to its exit.
        images: that training saw, repeats counted.
        evaluations: of the network, for each sample.
        fid, fid_floor: of the samples, and of real test images, by LeNet's features.
        grain, grain_floor: the same of their pixels.
        accuracy: share of the samples that the classifier gives their class.
    """

    seed: int
    seconds: float
    images: int
    evaluations: int
    fid: float
    fid_floor: float
    grain: float
    grain_floor: float
    accuracy: float


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train, score and time a config, for RECORDS.md.")
    parser.add_argument("config", help="such as configs/mnist_cpu.yaml")
    parser.add_argument("--seeds", default="0,1,2", help="default: 0,1,2")
    parser.add_argument("--num", type=int, default=1000, help="samples to score (default: 1000)")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args()
    if args.num < 2:
        parser.error("--num must be at least 2")
    return args


def parse_seeds(text: str) -> list[int]:
    """The seeds of "0,1,2"; UserError for anything else."""
    try:
        return [int(seed) for seed in text.split(",")]
    except ValueError:
        raise UserError(f"--seeds: give numbers such as 0,1,2, not '{text}'") from None


def commit() -> str:
    """The commit of the working tree, with a + where files of it have changed since."""
    options = {"cwd": ROOT, "capture_output": True, "text": True, "check": False}
    try:
        head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], **options).stdout.strip()
        changed = subprocess.run(["git", "status", "--porcelain", "-uno"], **options).stdout.strip()
    except FileNotFoundError:  # no git
        return "unknown"
    return f"{head or 'unknown'}{'+' if changed else ''}"


def machine() -> str:
    """What computes, in words."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{platform.machine()}, {cores} cores, torch {torch.__version__}"


def train(config: Config, seed: int) -> tuple[Path, float]:
    """Run train.py from nothing, as one would by hand; its run folder, and its seconds.

    Raises UserError where it fails.
    """
    folder = config.output_folder
    shutil.rmtree(folder / f"seed_{seed}", ignore_errors=True)  # of a call that was interrupted
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "seed.yaml"
    file.write_text(dump_config(config, folder), encoding="utf-8")
    command = [sys.executable, ROOT / "code/train.py", file, "--output", str(seed)]
    start = time.perf_counter()
    done = subprocess.run([*command, "--set", f"seed={seed}"], cwd=ROOT, check=False)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise UserError(f"training of seed {seed} ended with {done.returncode}: see above")
    return folder / f"seed_{seed}", seconds


def score(checkpoint: Path, seed: int, num: int) -> tuple[int, int, dict[str, scoring.Score]]:
    """Images that a run has seen, evaluations for a sample, and the scores of its samples."""
    trained = load_model(checkpoint, torch.device("cpu"))
    sampler = Sampler.of_run(trained.config.train_cfg)
    evaluations = sampler.evaluations(denoiser_of(trained.model))
    evidence, setup = gather_evidence(Request(checkpoint, METRICS, Looks(), num=num, seed=seed))
    scores = {score.name: score for score in scoring.score(setup.metrics, evidence)}
    return trained.step * trained.config.loader.batch_size, evaluations, scores


def run_seed(config: Config, seed: int, num: int) -> SeedResult:
    """Train and score one seed."""
    run, seconds = train(config, seed)
    images, evaluations, scores = score(run, seed, num)
    fid, grain = scores["FID"], scores["grain"]
    accuracy = scores["conditional accuracy"].samples
    numbers = fid.samples, fid.real, grain.samples, grain.real, accuracy
    return SeedResult(seed, seconds, images, evaluations, *numbers)


def finished(
    seeds: Sequence[int],
    key: dict[str, str],
    folder: Path,
    make: Callable[[int], SeedResult],
) -> list[SeedResult]:
    """The results of all seeds: those of an earlier call with the same key, and new ones.

    Args:
        seeds: to have results of.
        key: what a result depends on.
        folder: where they are kept.
        make: makes the one of a seed.
    """
    results = []
    for seed in seeds:
        kept = folder / f"seed_{seed}.json"
        found = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
        if found.get("key") == key:
            results.append(SeedResult(**found["result"]))
            say(f"seed {seed}: kept from an earlier call")
            continue
        results.append(make(seed))
        save_json({"key": key, "result": asdict(results[-1])}, kept)
    return results


def spread(values: Sequence[float], digits: int) -> str:
    """The median, and in brackets the smallest and the largest value."""
    middle = f"{statistics.median(values):.{digits}f}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def missed(results: Sequence[SeedResult]) -> list[str]:
    """What the bar of RECORDS.md asks for and a seed does not reach, in words."""
    failing = {
        f"FID at most {ABOVE_FLOOR:g} of the floor": [
            r.seed for r in results if r.fid > ABOVE_FLOOR * r.fid_floor
        ],
        f"accuracy at least {ACCURACY:g}": [r.seed for r in results if r.accuracy < ACCURACY],
        f"grain at most {GRAIN:g} times that of real images": [
            r.seed for r in results if r.grain > GRAIN * r.grain_floor
        ],
    }
    return [
        f"{what}: not by seed {', '.join(map(str, seeds))}"
        for what, seeds in failing.items()
        if seeds
    ]


def row(name: str, results: Sequence[SeedResult]) -> str:
    """A row of the table in RECORDS.md."""
    first = results[0]
    cells = [
        f"`{commit()}`",
        f"`{name}`",
        spread([r.seconds / 60 for r in results], 1),
        f"{first.images:,}",
        str(first.evaluations),
        spread([r.fid for r in results], 1),
        f"{first.fid_floor:.1f}",
        spread([r.accuracy for r in results], 3),
        f"{spread([r.grain for r in results], 3)}; {first.grain_floor:.3f}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    args = parse_args()
    seeds = parse_seeds(args.seeds)
    config = load_config(args.config, args.overrides)
    if not config.model.conditional or config.model.context == "tokens":
        raise UserError(f"{args.config} has no classes, by which samples are judged")
    name = Path(args.config).stem
    folder: Path = config.output_folder / "record" / name
    config.output_folder = folder
    text = dump_config(config, ROOT)
    key = {
        "code": hash_of_files((ROOT / "code").rglob("*.py")),
        "config": text,
        "samples": str(args.num),
        "machine": machine(),
    }
    results = finished(seeds, key, folder, lambda seed: run_seed(config, seed, args.num))
    print(f"{machine()}; {args.num} samples\n{row(name, results)}")
    for line in missed(results) or ["the bar is reached by all seeds"]:
        print(line)


if __name__ == "__main__":
    cli.run(main)
