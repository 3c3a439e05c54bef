"""Stable Diffusion at work, behind `sample.py --sd`: prompts to pictures, or pictures to others."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torchvision.transforms import functional as transforms

from ..config import load_config
from ..runtime.device import DTYPES, Precision, pick_device
from ..runtime.outputs import Outputs
from ..runtime.pictures import BadPicture, opened
from ..runtime.progress import progress_bar
from ..runtime.streams import SAMPLE_STREAM, generator_for
from ..runtime.visualize import captioned_grid
from ..samplers.flags import SamplerFlags
from ..samplers.guidance import parse_scale
from ..samplers.sampler import Sampler
from ..schedules import make_betas, time_grid
from ..settings.stable_diffusion import StableDiffusionConfig
from ..stable_diffusion import guided_eps, sample_guided
from ..utils import UserError, check_result, default, did_you_mean, slug, unused
from .files import StableDiffusion, load_stable_diffusion
from .flags import DEFAULT, Request

SAMPLERS = ("ddim", "dpm++")
ALIASES = {"dpmpp": "dpm++"}  # easier to type
STRENGTH = 0.6


@dataclass(frozen=True)
class Job:
    """What to draw.

    Args:
        prompts: one or several.
        negative: what the pictures are to avoid; may be empty.
        num: pictures of each prompt, and again where it is named again.
        seed: number k of each prompt follows from (seed, k) alone, on every device.
        height, width: in pixels.
        sampler: ddim or dpm++, its steps, their spacing and the scale of guidance.
        init_image: a picture to start from, [3, height, width] in [0, 1].
        strength: how much of the chain to run on it.
    """

    prompts: Sequence[str]
    negative: str
    num: int
    seed: int
    height: int
    width: int
    sampler: Sampler
    init_image: Tensor | None = None
    strength: float = 1.0


@torch.no_grad()
def draw(
    model: StableDiffusion, config: StableDiffusionConfig, job: Job, batch_size: int = 4
) -> Iterator[Tensor]:
    """Draw pictures, row by row, each row one of every prompt.

    The states are float32 in any precision of the networks; pictures are decoded one at a time,
    which needs a small part of a batch's memory.

    Yields:
        Images in [0, 1] on the CPU, [3, height, width].

    Raises:
        UserError: the chain has fewer steps, or this edition does not have the sampler.
    """
    unet, vae = model.unet, model.vae
    weight = unet.conv_in.weight
    alphas_cumprod = _alphas_cumprod(config)
    times = chain_times(config, job.sampler)
    times = times[-max(1, int(len(times) * job.strength)) :]  # the last ones, with less noise

    def network(x: Tensor, context: Tensor, time: Tensor) -> Tensor:
        return unet(x.to(weight.dtype), context, time)

    negative, *contexts = model.text_encoder.encode([job.negative, *job.prompts])
    size = unet.conv_in.in_channels, job.height // vae.factor, job.width // vae.factor
    start = None
    if job.init_image is not None:
        start = vae.encoder(job.init_image[None].to(weight.device)).float()
    prompts = list(job.prompts) * job.num
    numbers = range(len(prompts))
    count_of = [prompts[:number].count(prompts[number]) for number in numbers]
    batches = [numbers[i : i + batch_size] for i in numbers[::batch_size]]
    with progress_bar(len(times) * len(batches), "sampling", "step") as bar:
        for batch in batches:
            columns = [number % len(job.prompts) for number in batch]
            noise = [starting_noise(size, job.seed, count_of[number]) for number in batch]
            x = torch.stack(noise).to(weight.device)
            if start is not None:
                alpha_bar = alphas_cumprod[times[0]].item()
                x = math.sqrt(alpha_bar) * start + math.sqrt(1 - alpha_bar) * x
            x = _walk(
                network,
                x,
                torch.stack([contexts[column] for column in columns]),
                negative.expand(len(batch), -1, -1),
                alphas_cumprod,
                times,
                job.sampler,
                lambda i, x: bar.update(),
            )
            for latent in x.split(1):
                yield vae.decoder(latent).float().clamp(0, 1)[0].cpu()


def _walk(
    network: Callable[[Tensor, Tensor, Tensor], Tensor],
    x: Tensor,
    context: Tensor,
    negative: Tensor,
    alphas_cumprod: Tensor,
    times: Sequence[int],
    sampler: Sampler,
    on_step: Callable[[int, Tensor], None],
) -> Tensor:
    """From noise to latents with the chosen sampler; arguments as of `sample_guided`."""
    scale = sampler.guidance
    if sampler.name == "ddim":
        found = sample_guided(
            network, x, context, negative, alphas_cumprod, times, scale, on_step=on_step
        )
        return check_result(found, sample_guided, "latents", x.shape)

    def eps_model(x: Tensor, t: Tensor) -> Tensor:
        eps = guided_eps(network, x, t, context, negative, scale)
        return check_result(eps, guided_eps, "the noise", x.shape)

    last = alphas_cumprod[0].item()
    return sampler.function()(
        eps_model, x, alphas_cumprod, times, final_alpha_bar=last, on_step=on_step
    )


def starting_noise(size: tuple[int, ...], seed: int, number: int) -> Tensor:
    """Noise of unit variance, made on the CPU, so that it is the same for every device."""
    return torch.randn(size, generator=generator_for(seed, SAMPLE_STREAM, number))


def _alphas_cumprod(config: StableDiffusionConfig) -> Tensor:
    schedule = config.schedule
    ends = schedule.beta_start, schedule.beta_end
    betas = make_betas(schedule.beta_schedule, schedule.timesteps, *ends)
    return (1 - betas).cumprod(dim=0)


def chain_times(config: StableDiffusionConfig, sampler: Sampler) -> list[int]:
    """The time steps of the chain, from noise to picture; raises UserError for too many."""
    options = {"offset": config.sampling.offset, "alphas_cumprod": _alphas_cumprod(config)}
    return time_grid(config.schedule.timesteps, sampler.steps, sampler.spacing, **options)


# From flags to a grid


def run(request: Request) -> None:
    """Draw what the flags of sample.py ask for, and write it."""
    config = load_config(default(request.sd_config, DEFAULT), kind=StableDiffusionConfig)
    job = job_from(request, config)
    device = pick_device([request.device])
    dtype = default(request.dtype, config.dtype)
    if dtype not in (*DTYPES, "auto"):
        raise UserError(f"--dtype: {dtype} is none of auto, {', '.join(DTYPES)}")
    precision = Precision.pick(dtype, device)
    outputs = _outputs(request)
    vocabulary = Path(request.vocabulary) if request.vocabulary else None
    path = Path(request.sd)
    model = load_stable_diffusion(path, config, device, DTYPES[precision.name], vocabulary)
    print(f"sampler: {job.sampler}", flush=True)
    batches = (image[None] for image in draw(model, config, job, request.batch_size))
    images = outputs.take(batches)
    captions = list(job.prompts) * job.num
    grid = captioned_grid(images[0], captions, len(job.prompts)) if images else None
    outputs.finish(grid)


def _outputs(request: Request) -> Outputs:
    """Where the pictures go: by default a grid named after the prompt, in the current folder."""
    prompts = list(dict.fromkeys(request.prompt))
    names = [slug(f"{prompts.index(prompt) + 1:02d} {prompt}") for prompt in request.prompt]
    out = request.out
    if not (out or request.out_dir):
        more = f"-and-{len(prompts) - 1}-more" if len(prompts) > 1 else ""
        name = f"{slug(prompts[0]) or 'picture'}{more}-seed-{request.seed}.png"
        out = str(unused(Path(name)))
    return Outputs(names, request.num, out, None, request.out_dir, request.force)


def job_from(request: Request, config: StableDiffusionConfig) -> Job:
    """The job that flags describe, with the config's settings for flags that were not given.

    Raises:
        UserError: flags are missing, wrong, or for other models.
    """
    if not request.prompt:
        raise UserError("--sd draws texts: add --prompt TEXT, maybe several times")
    others = {"checkpoint": request.checkpoint, "--labels": request.labels, "--film": request.film}
    for flag, value in (others | {"--eta": request.sampler.eta}).items():
        if value is not None:
            raise UserError(f"{flag}: Stable Diffusion has no use for it; leave it out")
    for flag in request.sampler.of_heun():
        raise UserError(f"{flag}: only heun has it; leave it out")
    sampler = _sampler(request.sampler, config)
    chain_times(config, sampler)
    sampler.function()
    width, height = _size(default(request.size, str(config.sampling.size)), config)
    if request.init_image is None and request.strength is not None:
        raise UserError("--strength: it belongs to a picture to start from; add --from FILE")
    strength = default(request.strength, STRENGTH)
    if not 0 < strength <= 1:
        raise UserError(f"--strength: a number above 0 and at most 1, not {strength:g}")
    return Job(
        prompts=request.prompt,
        negative=default(request.negative, config.sampling.negative),
        num=request.num,
        seed=request.seed,
        height=height,
        width=width,
        sampler=sampler,
        init_image=request.init_image and load_picture(Path(request.init_image), height, width),
        strength=strength if request.init_image else 1.0,
    )


def load_picture(path: Path, height: int, width: int) -> Tensor:
    """A picture as [3, height, width] in [0, 1]: made to cover this size, then cut in the middle.

    Raises UserError where the file is missing, or is not a picture.
    """
    try:
        with opened(path) as image:
            picture = image.convert("RGB")
    except BadPicture as why:
        raise UserError(f"--from: {path} cannot be used: {why}") from None
    factor = max(width / picture.width, height / picture.height)
    covering = [math.ceil(picture.height * factor), math.ceil(picture.width * factor)]
    picture = transforms.resize(picture, covering, antialias=True)
    return transforms.to_tensor(transforms.center_crop(picture, [height, width]))


def _sampler(flags: SamplerFlags, config: StableDiffusionConfig) -> Sampler:
    """The sampler that the flags name."""
    defaults = config.sampling
    name = default(flags.sampler, defaults.sampler)
    name = ALIASES.get(name, name)
    if name not in SAMPLERS:
        hint = did_you_mean(name, SAMPLERS) or f"; choose from {', '.join(SAMPLERS)}"
        raise UserError(f"--sampler: Stable Diffusion is not drawn with '{name}'{hint}")
    scale = defaults.guidance if flags.guidance is None else parse_scale(flags.guidance)
    steps, spacing = default(flags.steps, defaults.steps), default(flags.spacing, defaults.spacing)
    return Sampler(name, steps, spacing=spacing, guidance=scale)


def _size(text: str, config: StableDiffusionConfig) -> tuple[int, int]:
    """Width and height from "512" or "768x512"."""
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdigit() for side in sides):
        raise UserError(f"--size: give pixels, as 512, or width and height, as 768x512, not {text}")
    for side in sides:
        config.check_size(int(side), "--size")
    return int(sides[0]), int(sides[-1])
