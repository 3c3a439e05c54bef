"""Threads and processes on one machine: python benchmarks/processes.py configs/mnist_cpu.yaml

Trains a config for some steps in different ways, in turns: on one core; on all cores, by OpenMP's
threads that wait for work as they do by default, or asleep (OMP_WAIT_POLICY=PASSIVE); and by one
process a core, which exchange gradients by gloo. All have the same batches. With --beside another
program takes a share of every core meanwhile.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import kit  # noqa: F401

# isort: split

from libs.runtime import cli
from libs.runtime.progress import progress_bar
from libs.utils import ROOT, UserError, save_json

LIMIT = 1800  # seconds that one run may take
LAUNCHER = "-m torch.distributed.run --standalone --nproc_per_node"
BUSY = "import os\nwhile os.getppid() == {parent}: sum(range(10000))"


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure threads and processes.")
    parser.add_argument("config", nargs="?", default="configs/mnist_cpu.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="any key")
    parser.add_argument("--steps", type=int, default=60, help="of each run (default: 60)")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    parser.add_argument(
        "--beside", action="store_true", help="beside another program that wants all cores"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers there")
    args = parser.parse_args()
    if args.steps < 2 or args.rounds < 1:
        parser.error("--steps must be at least 2, --rounds at least 1")
    return args


def ways(cores: int) -> dict[str, tuple[int, dict[str, str]]]:
    """Numbers of processes and environments, by what the table calls them."""
    asleep = {"OMP_WAIT_POLICY": "PASSIVE"}
    return {
        "1 process, 1 thread": (1, {"OMP_NUM_THREADS": "1"}),
        f"1 process, {cores} threads": (1, {"OMP_NUM_THREADS": str(cores)}),
        f"1 process, {cores} threads asleep": (1, {"OMP_NUM_THREADS": str(cores), **asleep}),
        f"{cores} processes, 1 thread each": (cores, {"OMP_NUM_THREADS": "1"}),
    }


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Within this context other processes compute, as long as this one lives."""
    command = [sys.executable, "-c", BUSY.format(parent=os.getpid())]
    others = [subprocess.Popen(command) for _ in range(processes)]
    try:
        yield
    finally:
        for process in others:
            process.kill()
            process.wait()


def images_per_second(
    args: argparse.Namespace, processes: int, environment: dict[str, str], folder: str
) -> float:
    """What a training run reports at its end. UserError with what it said if it failed."""
    launcher = [*LAUNCHER.split(), str(processes)] if processes > 1 else []
    command = [sys.executable, *launcher, str(ROOT / "code/train.py"), args.config]
    settings = [*args.set, f"train_cfg.max_steps={args.steps}", "dataset.test_split=null"]
    settings += ["train_cfg.num_eval_samples=0", f"output_folder={folder}"]
    command += [part for setting in settings for part in ("--set", setting)]
    command += ["--device", "cpu", "-p", str(args.steps)]
    inherited = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    environment = {**inherited, **environment}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, encoding="utf-8", timeout=LIMIT
        )
    except subprocess.TimeoutExpired:
        raise UserError(
            f"{args.steps} steps took over {LIMIT // 60} minutes: measure fewer with --steps"
        ) from None
    speeds = re.findall(r"([\d.]+) images/s  ", done.stdout)
    if done.returncode or not speeds:
        raise UserError(f"{' '.join(command)} failed: {done.stderr.strip()[-2000:]}")
    return float(speeds[-1])


def main() -> None:
    args = parse_args()
    cli.check_writable(args.json)
    cores = os.cpu_count() or 1
    if cores == 1:
        raise UserError("this machine has one core: there is nothing to share")
    chosen = ways(cores)
    found: dict[str, list[float]] = {name: [] for name in chosen}
    with (
        busy(cores if args.beside else 0),
        tempfile.TemporaryDirectory() as folder,
        progress_bar(args.rounds * len(chosen), "measuring", "run") as bar,
    ):
        for _ in range(args.rounds):
            for name, (processes, environment) in chosen.items():
                found[name].append(images_per_second(args, processes, environment, folder))
                bar.update()
    base = next(iter(found.values()))
    ratios = {
        name: statistics.median(a / b for a, b in zip(speeds, base, strict=True))
        for name, speeds in found.items()
    }
    print(f"| {args.config} | images/s | / 1 thread |\n| --- | ---: | ---: |")
    for name, speeds in found.items():
        spread = f"{statistics.median(speeds):.0f} ({min(speeds):.0f}-{max(speeds):.0f})"
        print(f"| {name} | {spread} | {ratios[name]:.2f} |")
    if args.json is not None:
        numbers = {"config": args.config, "beside": args.beside, "images_per_second": found}
        save_json(numbers, args.json)


if __name__ == "__main__":
    cli.run(main)
