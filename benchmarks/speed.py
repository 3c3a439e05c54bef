"""Training and sampling speed beside our peers': python benchmarks/speed.py --json speed.json

Each round runs one step of everyone, in turn, so that a slow moment of the machine hits all alike;
the table has medians over the rounds, also of the ratios, and in brackets the slowest and fastest.
Peak is what one large product of matrices reaches in the same rounds, in bf16 or, where that is
faster, in fp32. The peers are described in peers.py.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import kit  # noqa: F401

# isort: split

import torch

import peers
from counting import count_flops
from libs.config import Config, load_config
from libs.runtime import cli
from libs.runtime.device import Precision, pick_device
from libs.runtime.progress import progress_bar
from libs.utils import ROOT, UserError, save_json
from peers import NONE, Batch, Contestant, Ideas

SHAPES = {"mnist": "mnist", "cifar10": "cifar10_cfg", "afhq": "afhq", "mnist_cpu": "mnist_cpu"}
PRODUCTS = {"bf16": torch.bfloat16, "fp32": torch.float32}
SHORTEST = 0.3  # seconds that a measurement takes at least, in as many steps as that needs
IDEAS = {  # added one after the other
    "plain": NONE,
    "+ SDPA attention": Ideas(bf16=False, products=False, channels_last=False, fused=False),
    "+ bf16": Ideas(products=False, channels_last=False, fused=False),
    "+ attention by products": Ideas(channels_last=False, fused=False),
    "+ channels last": Ideas(fused=False),
    "+ fused optimizer": Ideas(),
}
BF16_IDEAS = ("+ bf16", "+ attention by products")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure our speed beside our peers'.")
    parser.add_argument(
        "--shapes", default="mnist,cifar10,afhq", help=f"some of {','.join(SHAPES)} (not the last)"
    )
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--ideas", action="store_true", help="what each of our ideas brings, instead of the peers"
    )
    parser.add_argument(
        "--profile", action="store_true", help="the longest operations of our step, instead"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change the shapes' configs"
    )
    parser.add_argument("--dtype", default="auto", help="of our own steps: auto, fp32 or bf16")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:0")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    if min(args.batch_size, args.rounds) < 1:
        parser.error("--batch-size and --rounds must be at least 1")
    unknown = set(args.shapes.split(",")) - set(SHAPES)
    if unknown:
        parser.error(f"--shapes: choose from {', '.join(SHAPES)}, not {', '.join(sorted(unknown))}")
    return args


def shape_config(name: str, overrides: list[str]) -> Config:
    """The config of a shape; that of a latent model without its autoencoder, for cached latents."""
    config = load_config(ROOT / "configs" / f"{SHAPES[name]}.yaml", overrides)
    if config.model.use_vae:
        _, height, width = config.model.img_shape
        config.model.img_shape = [4, height // 8, width // 8]
        config.model.use_vae = config.dataset.latent_cache = False
        config.model.vae_encoder_weights = config.model.vae_decoder_weights = None
    return config


def as_trained(config: Config) -> Ideas:
    """The ideas that a run of this config has."""
    return Ideas(channels_last=config.train_cfg.channels_last)


def contestants(
    config: Config, batch: Batch, precision: Precision, by_ideas: bool
) -> dict[str, Contestant]:
    """Everyone, ours first; or ours with more and more of its ideas."""
    make = peers.make_ours
    if by_ideas:
        has_bf16 = precision.name == "bf16"
        chosen = {
            name: ideas for name, ideas in IDEAS.items() if has_bf16 or name not in BF16_IDEAS
        }
        return {name: make(config, batch, precision, ideas) for name, ideas in chosen.items()}
    ours = make(config, batch, precision, as_trained(config))
    return {
        "ours": ours,
        "plain": make(config, batch, precision, NONE),
        "diffusers, as its example": peers.make_diffusers(config, batch, precision, True),
        f"diffusers, {precision.name}": peers.make_diffusers(config, batch, precision, False),
        "denoising-diffusion-pytorch": peers.make_ddpm_pytorch(
            config, batch, precision, ours.parameters
        ),
    }


def matrix_product(size: int, dtype: torch.dtype, device: torch.device) -> Callable[[], object]:
    """A product of two square matrices."""
    a, b = torch.randn(2, size, size, device=device).to(dtype)
    return lambda: a @ b


def seconds(step: Callable[[], object], device: torch.device, repeats: int = 1) -> float:
    """The time of one call, as the mean over some in a row."""
    begin = time.perf_counter()
    for _ in range(repeats):
        step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - begin) / repeats


def in_turn(
    steps: dict[tuple[str, str], Callable[[], object]], rounds: int, device: torch.device
) -> dict[tuple[str, str], list[float]]:
    """Seconds of every step in each round."""
    repeats = {}
    for key, step in steps.items():
        step()  # the first call is slow
        repeats[key] = max(1, math.ceil(SHORTEST / seconds(step, device)))
    found = {key: [] for key in steps}
    with progress_bar(rounds * len(steps), "measuring", "step") as bar:
        for _ in range(rounds):
            for key, step in steps.items():
                found[key].append(seconds(step, device, repeats[key]))
                bar.update()
    return found


def measure(name: str, args: argparse.Namespace, precision: Precision) -> dict:
    """All contestants at one shape."""
    config, device = shape_config(name, args.set), precision.device
    batch = Batch.draw(config, args.batch_size, device)
    found = contestants(config, batch, precision, args.ideas)
    reference = list(found)[-1 if args.ideas else 0]
    size = 8192 if device.type == "cuda" else 1024
    steps = {("train", key): contestant.train for key, contestant in found.items()}
    steps |= {("sample", key): contestant.sample for key, contestant in found.items()}
    steps |= {
        ("product", name): matrix_product(size, dtype, device) for name, dtype in PRODUCTS.items()
    }
    times = in_turn(steps, args.rounds, device)
    fastest = min(statistics.median(times["product", name]) for name in PRODUCTS)
    result = {
        "shape": config.model.img_shape,
        "reference": reference,
        "peak_flops_per_second": 2 * size**3 / fastest,
        "contestants": {
            key: {
                "parameters": contestant.parameters,
                "train_flops": count_flops(contestant.train),
                "train_seconds": times["train", key],
                "sample_seconds": times["sample", key],
            }
            for key, contestant in found.items()
        },
    }
    if not args.ideas:
        models = found["ours"].network, found["plain"].network
        result["difference"] = peers.difference(*models, batch, precision)
    if device.type == "cuda":
        result["memory_bytes"] = peak_memory(found[reference])
    return result


def peak_memory(contestant: Contestant) -> int:
    """The GPU's memory during a training step, with what the others hold."""
    torch.cuda.reset_peak_memory_stats()
    contestant.train()
    return torch.cuda.max_memory_allocated()


def table(name: str, result: dict, batch_size: int, reference: str) -> str:
    """One shape's results in Markdown, each beside the reference."""
    rows = [
        f"{name}, {'x'.join(map(str, result['shape']))}, batches of {batch_size}; peak "
        f"{result['peak_flops_per_second'] / 1e9:.0f} GFLOP/s\n",
        f"| | parameters | GFLOP a step | images/s in training | {reference} / this | of peak | "
        f"images/s in a sampling step | {reference} / this |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    of_reference = result["contestants"][reference]
    for key, found in result["contestants"].items():
        cells = [key, f"{found['parameters'] / 1e6:.2f}M", f"{found['train_flops'] / 1e9:.0f}"]
        for part in ("train_seconds", "sample_seconds"):
            times = found[part]
            rates = [batch_size / time for time in (max(times), min(times))]
            median = statistics.median(times)
            cells.append(f"{batch_size / median:.1f} ({rates[0]:.1f}-{rates[1]:.1f})")
            ratios = [time / best for time, best in zip(times, of_reference[part], strict=True)]
            cells.append(f"{statistics.median(ratios):.2f}")
            if part == "train_seconds":
                share = found["train_flops"] / median / result["peak_flops_per_second"]
                cells.append(f"{share:.0%}")
        rows.append(f"| {' | '.join(cells)} |")
    if "difference" in result:
        rows.append(f"\nOur predicted noise differs by {result['difference']:.1e} from plain's.")
    if "memory_bytes" in result:
        rows.append(f"\nMemory {result['memory_bytes'] / 2**30:.2f} GiB.")
    return "\n".join(rows)


def profile(name: str, args: argparse.Namespace, precision: Precision) -> str:
    """The operations that take longest in our training step."""
    config = shape_config(name, args.set)
    batch = Batch.draw(config, args.batch_size, precision.device)
    step = peers.make_ours(config, batch, precision, as_trained(config)).train
    step()
    with torch.profiler.profile() as found:
        step()
    kind = "cuda" if precision.device.type == "cuda" else "cpu"
    order = f"self_{kind}_time_total"
    return found.key_averages().table(sort_by=order, row_limit=15, max_name_column_width=60)


def main() -> None:
    args = parse_args()
    cli.check_writable(args.json)
    precision = Precision.pick(args.dtype, pick_device([args.device]))
    if precision.needs_scaler:
        raise UserError("--dtype: the peers run in fp32 or bf16, choose one of them")
    results = {}
    for name in args.shapes.split(","):
        if args.profile:
            print(profile(name, args, precision))
            continue
        results[name] = measure(name, args, precision)
        reference = results[name]["reference"]
        print(table(name, results[name], args.batch_size, reference), end="\n\n", flush=True)
    if args.json is not None and results:
        save_json({"threads": torch.get_num_threads(), "shapes": results}, args.json)


if __name__ == "__main__":
    cli.run(main)
