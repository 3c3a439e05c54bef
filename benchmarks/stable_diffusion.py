"""Stable Diffusion's cost here and in diffusers: python benchmarks/stable_diffusion.py --size 512

Both draw the same number of pictures with guided DDIM from random weights of the same size, which
cost as much as trained ones. Each draw has a process of its own, ours and theirs in turn, whose
first step is not counted. Prints medians of time, of the processor's time, which other programs
disturb less, and of peak memory with their ratios, and writes stable_diffusion.json to --out.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import kit  # noqa: F401

# isort: split

import torch

from libs.autoencoders.kl import KLAutoencoder
from libs.autoencoders.latents import FirstStage
from libs.config import load_config
from libs.runtime import cli
from libs.runtime.device import DTYPES, Precision, pick_device
from libs.samplers.sampler import Sampler
from libs.settings.stable_diffusion import StableDiffusionConfig
from libs.stable_diffusion import StableDiffusionUNet
from libs.text.encoder import TextEncoder, load_tokenizer, make_text_model
from libs.text_to_image.draw import Job, draw
from libs.text_to_image.files import StableDiffusion
from libs.text_to_image.flags import DEFAULT
from libs.utils import save_json

PROMPT, NEGATIVE = "a red bus in front of a church", "blurry"
SIDES = ("ours", "diffusers")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare our pipeline with diffusers'.")
    parser.add_argument("--sd-config", default=DEFAULT, metavar="FILE", help=f"default: {DEFAULT}")
    parser.add_argument("--vocabulary", type=Path, metavar="DIR", help="folder with CLIP's")
    parser.add_argument("--size", type=int, default=512, help="pixels (default: 512)")
    parser.add_argument("--steps", type=int, default=30, help="default: 30")
    parser.add_argument("--num", type=int, default=1, help="pictures in a batch (default: 1)")
    parser.add_argument("--repeats", type=int, default=3, help="draws of each side (default: 3)")
    parser.add_argument("--dtype", default="auto", help="auto, fp32, bf16 or fp16")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:0")
    parser.add_argument("--out", type=Path, default=Path("logs/benchmark_stable_diffusion"))
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)  # of a process of its own
    return parser.parse_args()


def make_ours(
    config: StableDiffusionConfig, args: argparse.Namespace, precision: Precision
) -> Callable[[int], None]:
    """A function that draws with our pipeline in a number of steps."""
    vae = vars(config.vae) | {"z_channels": config.unet.in_channels}
    scale = vae.pop("scale_factor")
    dtype, device = DTYPES[precision.name], precision.device
    model = StableDiffusion(
        StableDiffusionUNet(**vars(config.unet)).to(device, dtype).eval(),
        FirstStage(KLAutoencoder(**vae).to(device, dtype), scale).to(device),
        TextEncoder(load_tokenizer(config.vocabulary), make_text_model()).to(device, dtype),
    )

    def run(steps: int) -> None:
        sampler = Sampler("ddim", steps, spacing="leading", guidance=7.5)
        job = Job([PROMPT], NEGATIVE, args.num, 0, args.size, args.size, sampler)
        list(draw(model, config, job, batch_size=args.num))

    return run


def make_theirs(
    config: StableDiffusionConfig, args: argparse.Namespace, precision: Precision
) -> Callable[[int], None]:
    """The same with diffusers, which also decodes one picture at a time."""
    import diffusers

    unet, vae = config.unet, config.vae
    attends = [i in unet.attn_levels for i in range(len(unet.dim_mults))]
    levels = len(vae.ch_mult)
    dtype, device = DTYPES[precision.name], precision.device
    ends = {"beta_start": config.schedule.beta_start, "beta_end": config.schedule.beta_end}
    last = {"clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1}
    pipeline = diffusers.StableDiffusionPipeline(
        diffusers.AutoencoderKL(
            block_out_channels=[vae.ch * mult for mult in vae.ch_mult],
            layers_per_block=vae.num_res_blocks,
            latent_channels=unet.in_channels,
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
        ),
        make_text_model(),
        load_tokenizer(config.vocabulary),
        diffusers.UNet2DConditionModel(
            block_out_channels=[unet.dim * mult for mult in unet.dim_mults],
            layers_per_block=unet.res_blocks,
            cross_attention_dim=unet.context_dim,
            attention_head_dim=unet.num_heads,  # diffusers means the number of heads
            down_block_types=["CrossAttnDownBlock2D" if a else "DownBlock2D" for a in attends],
            up_block_types=["CrossAttnUpBlock2D" if a else "UpBlock2D" for a in attends[::-1]],
        ),
        diffusers.DDIMScheduler(beta_schedule="scaled_linear", **ends, **last),
        None,
        None,
        requires_safety_checker=False,
    ).to(device, dtype)
    pipeline.tokenizer.model_max_length = 77
    pipeline.vae.enable_slicing()
    pipeline.set_progress_bar_config(disable=True)

    def run(steps: int) -> None:
        size = {"height": args.size, "width": args.size, "num_images_per_prompt": args.num}
        pipeline(PROMPT, negative_prompt=NEGATIVE, num_inference_steps=steps, **size)

    return run


def measure(args: argparse.Namespace) -> dict[str, float]:
    """Time of one draw, and the peak of the memory: the GPU's, or that of the whole process."""
    config = load_config(args.sd_config, kind=StableDiffusionConfig)
    config.vocabulary = args.vocabulary or config.vocabulary
    device = pick_device([args.device])
    precision = Precision.pick(args.dtype, device)
    make = make_ours if args.side == "ours" else make_theirs
    with torch.no_grad():
        run = make(config, args, precision)
        run(1)
        begin, begin_cpu = time.perf_counter(), time.process_time()
        run(args.steps)  # ends with pictures on the CPU
        seconds, cpu_seconds = time.perf_counter() - begin, time.process_time() - begin_cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated()
    return {"seconds": seconds, "CPU seconds": cpu_seconds, "GiB": peak / 2**30}


def main() -> None:
    args = parse_args()
    if args.side:
        print(json.dumps(measure(args)))
        return
    cli.check_writable(None, args.out)
    measured = {side: [] for side in SIDES}
    for _ in range(args.repeats):
        for side in SIDES:
            command = [sys.executable, *sys.argv, "--side", side]
            output = subprocess.run(
                command, check=True, stdout=subprocess.PIPE, encoding="utf-8"
            ).stdout
            measured[side].append(json.loads(output.splitlines()[-1]))
            print(side, measured[side][-1], flush=True)
    print(f"\n| | {' | '.join(SIDES)} | ratio |\n| --- | --- | --- | --- |")
    for name in measured["ours"][0]:
        ours, theirs = (statistics.median(run[name] for run in measured[side]) for side in SIDES)
        print(f"| {name} | {ours:.2f} | {theirs:.2f} | {ours / theirs:.2f} |")
    settings = {name: str(value) for name, value in vars(args).items()}
    save_json({"settings": settings, "measured": measured}, args.out / "stable_diffusion.json")


if __name__ == "__main__":
    cli.run(main)
