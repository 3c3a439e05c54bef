"""Drawing: images of a model by a sampler, the same in batches of any size."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..edm import heun_step, sample_heun
from ..models.denoisers import DENOISERS, Denoiser, denoiser_of, for_model
from ..runtime.device import Precision
from ..runtime.memory import free_memory, memory_taken
from ..runtime.processes import Processes
from ..runtime.progress import progress_bar, say
from ..runtime.streams import SAMPLE_STREAM, fork_rng, generator_for
from ..settings.checks import HAVE_ETA
from ..utils import check_result
from .film import Film, OnState, watch_chain
from .guidance import guided
from .sampler import Sampler

OWN = Sampler()
MOST = {"cuda": 500, "cpu": 100, "mps": 100}  # more at once is hardly faster
SHARE = 0.7  # of the free memory; the rest is for what is measured too low, and for others
TRIAL = 4  # images whose memory is measured on a GPU


def draw_samples(
    model: nn.Module,
    labels: Tensor,
    precision: Precision,
    seed: int = 0,
    batch_size: int = 100,
    film: Film | None = None,
    show_progress: bool = True,
    sampler: Sampler = OWN,
    first: int = 0,
) -> Iterator[Tensor]:
    """Draw one image for each label, counted from number `first`.

    The random numbers of image i follow from (seed, i), so that it is the same in a batch of any
    size and in any process. The model's own loop draws for a whole batch: there the images follow
    from (seed, number of the batch), and `first` must be a multiple of the batch size. torch's
    random state stays as it was.

    Yields:
        Images in [0, 1] on the CPU, [batch_size, C, H, W], the last batch maybe smaller.

    Raises:
        UserError: the sampler takes steps that the model does not have.
    """
    sampler, denoiser = sampler.resolved(model), denoiser_of(model)
    if sampler.name == "own" and first % batch_size:
        raise ValueError(f"first = {first} is not a multiple of the batch size {batch_size}")
    batches = labels.to(precision.device).split(batch_size)
    steps, broken = sampler.num_steps(denoiser), 0
    with progress_bar(steps * len(batches), "sampling", "step", enabled=show_progress) as bar:
        for number, batch in enumerate(batches):

            def on_state(left: int, x: Tensor, filmed: bool = number == 0) -> None:
                if film is not None and filmed:
                    film.record(left, steps, x)
                bar.update(int(left < steps))

            begin = first + number * batch_size
            with guided(model, sampler.guidance):
                if sampler.name == "own":
                    images = _own_chain(
                        model, batch, precision, seed + begin // batch_size, on_state
                    )
                else:
                    generators = [
                        generator_for(seed, SAMPLE_STREAM, i, device=precision.device)
                        for i in range(begin, begin + len(batch))
                    ]
                    images = _chain(denoiser, batch, precision, sampler, generators, on_state)
            images = images.float().cpu()
            broken += int((~images.isfinite()).flatten(1).any(dim=1).sum())
            yield images
    if broken:
        say(f"{broken} of {len(labels)} samples hold NaN or infinite numbers, which show as black")


def _own_chain(
    model: nn.Module, labels: Tensor, precision: Precision, seed: int, on_state: OnState
) -> Tensor:
    """Images [B, C, H, W] in [0, 1] from the model's own loop."""
    loop = getattr(model, for_model(model, DENOISERS).loop)
    with watch_chain(model, on_state), fork_rng(seed, precision.device), precision.autocast():
        images = loop(labels)
    shape = ("C", "H", "W") if model.use_vae else model.img_shape
    return check_result(images, loop, "images", (len(labels), *shape))


@torch.no_grad()
def _chain(
    denoiser: Denoiser,
    labels: Tensor,
    precision: Precision,
    sampler: Sampler,
    generators: list[torch.Generator],
    on_state: OnState,
) -> Tensor:
    """Images [B, C, H, W] in [0, 1] from a sampler, the states in float32."""
    model = denoiser.model

    def draw_noise(x: Tensor) -> Tensor:
        return torch.stack(
            [torch.randn(x.shape[1:], generator=g, device=g.device) for g in generators]
        )

    noise = draw_noise(torch.empty(len(labels), *model.img_shape))
    walk = _walk_down_sigma if sampler.name == "heun" else _walk_back_in_time
    x = walk(denoiser, labels, precision, sampler, noise, draw_noise, on_state)
    if model.use_vae:
        with precision.autocast():
            x = model.vae.decoder(x)
    return model.postprocess(x)


def _walk_back_in_time(
    denoiser: Denoiser,
    labels: Tensor,
    precision: Precision,
    sampler: Sampler,
    x: Tensor,
    draw_noise: Callable[[Tensor], Tensor],
    on_state: OnState,
) -> Tensor:
    """From noise to x_0 by a sampler of DDPM's form."""
    chain, shape = denoiser.chain(sampler.steps, sampler.spacing), x.shape
    function = sampler.function()
    on_state(len(chain.times), x)

    def eps_model(x: Tensor, t: Tensor) -> Tensor:
        with precision.autocast():
            return chain.eps_model(x, labels, t)

    def on_step(i: int, x: Tensor) -> None:
        check_result(x, function, "the state after a step", shape, did="gave on_step")
        on_state(len(chain.times) - 1 - i, x)

    x = function(
        eps_model,
        x,
        chain.alphas_cumprod,
        chain.times,
        clip_x0=not denoiser.model.use_vae,  # only pixels have known bounds
        draw_noise=draw_noise,
        on_step=on_step,
        **({"eta": sampler.eta} if sampler.name in HAVE_ETA else {}),
    )
    return check_result(x, function, "x_0", shape)


def _walk_down_sigma(
    denoiser: Denoiser,
    labels: Tensor,
    precision: Precision,
    sampler: Sampler,
    noise: Tensor,
    draw_noise: Callable[[Tensor], Tensor],
    on_state: OnState,
) -> Tensor:
    """From noise to x_0 by Heun's method."""
    steps, data_std = sampler.steps, denoiser.data_std
    sigmas = [*map(denoiser.round_sigma, sampler.heun.sigmas(steps)[:-1]), 0.0]

    def denoise(x: Tensor, sigma: float) -> Tensor:
        with precision.autocast():
            return denoiser.denoised_at(x, labels, sigma)

    def show(i: int, x: Tensor) -> None:
        """Pass on a state scaled to the size of the data, so that it can be seen."""
        on_state(steps - i, x * (data_std / math.hypot(data_std, sigmas[i])))

    show(0, sigmas[0] * noise)
    return sample_heun(
        denoise,
        noise,
        steps,
        sampler.heun,
        round_sigma=denoiser.round_sigma,
        draw_noise=draw_noise,
        on_step=lambda i, x: show(i + 1, check_result(x, heun_step, "images", noise.shape)),
    )


def draw_together(
    model: nn.Module,
    labels: Tensor,
    precision: Precision,
    sampler: Sampler,
    seed: int,
    batch_size: int,
    processes: Processes,
) -> Tensor:
    """One image for each label, uint8 [N, C, H, W], in the main process; empty in all others.

    Each process draws whole batches, so that their number does not change the images.
    """
    share = math.ceil(math.ceil(len(labels) / batch_size) / processes.world) * batch_size
    first = processes.rank * share
    mine = labels[first : first + share]
    batches: Iterable[Tensor] = []
    if len(mine):
        batches = draw_samples(
            model,
            mine,
            precision,
            seed,
            batch_size,
            show_progress=processes.is_main,
            sampler=sampler,
            first=first,
        )
    images = [batch.mul(255).round().to(torch.uint8) for batch in batches]
    return gather(images, share, processes, precision.device)[: len(labels)]


def gather(images: list[Tensor], share: int, processes: Processes, device: torch.device) -> Tensor:
    """Join the images of all processes in the main one, each of which but the last has `share`."""
    if processes.world == 1:
        return torch.cat(images)
    shape = processes.same(tuple(images[0].shape[1:]) if images else None)
    padded = torch.zeros(share, *shape, dtype=torch.uint8, device=device)
    if images:
        mine = torch.cat(images)
        padded[: len(mine)] = mine.to(device)
    parts = [torch.empty_like(padded) for _ in range(processes.world)]
    dist.all_gather(parts, padded)
    return torch.cat(parts).cpu() if processes.is_main else torch.empty(0)


def fitting_batch_size(
    model: nn.Module, sampler: Sampler, precision: Precision, of_own: int
) -> int:
    """How many images to draw at once: the device's `MOST`, halved until they fit into memory.

    Args:
        of_own: what to return for the model's own loop, whose images follow from the batch they
            are drawn in, see `draw_samples`.
    """
    sampler = sampler.resolved(model)
    if sampler.name == "own":
        return of_own
    size, free = MOST[precision.device.type], free_memory(precision.device)
    if free is not None:
        each = memory_of_image(model, sampler, precision)
        while size > 1 and size * each > SHARE * free:
            size //= 2
    return size


def memory_of_image(model: nn.Module, sampler: Sampler, precision: Precision) -> int:
    """Bytes for each image that is drawn at once with a sampler: those of one step."""
    step = replace(sampler, steps=1, spacing=Sampler.spacing)
    trial = TRIAL if precision.device.type == "cuda" else 1
    labels = torch.zeros(trial, dtype=torch.long)

    def draw() -> None:
        for _ in draw_samples(model, labels, precision, sampler=step, show_progress=False):
            pass

    return memory_taken(draw, precision.device) // trial
