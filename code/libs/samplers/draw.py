"""Drawing: images of a model by a sampler, the same in batches of any size."""

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..edm import heun_step, sample_heun
from ..models.denoisers import DENOISERS, Denoiser, denoiser_of, for_model
from ..runtime.device import Precision
from ..runtime.progress import progress_bar
from ..runtime.streams import SAMPLE_STREAM, fork_rng, generator_for
from ..runtime.visualize import POINT
from ..settings.checks import HAVE_ETA
from ..utils import check_result, first_argument
from .guidance import guided
from .sampler import Sampler

OWN = Sampler()
MOST_POINTS = 5000  # of the plane in a film
OnState = Callable[[int, Tensor], None]  # steps left, state [B, C, H, W]


def spread_evenly(number: int, total: int) -> Tensor:
    """So many of the classes 0 .. total - 1, at most all of them, int64."""
    number = min(number, total)
    return torch.arange(number) * total // number


class Film:
    """Records the chain of the first few samples of a batch, x_T ... x_0, as images in [0, 1]."""

    def __init__(self, model: nn.Module, num_samples: int = 10, num_frames: int = 60):
        self.model = model
        is_point = tuple(model.img_shape) == POINT  # which are drawn all into one picture
        self.num_samples = MOST_POINTS if is_point else num_samples
        self.num_frames = num_frames
        self.frames: list[Tensor] = []  # [num_samples, C, H, W] each

    @torch.no_grad()
    def record(self, left: int, steps: int, x: Tensor) -> None:
        """Take a frame if x, the state with so many of the steps left, is one to show."""
        shown = {round(i * steps / (self.num_frames - 1)) for i in range(self.num_frames)}
        if left in shown and len(self.frames) < len(shown):
            x = x[: self.num_samples]
            x = self.model.vae.decoder(x) if self.model.use_vae else x
            self.frames.append(self.model.postprocess(x).float().cpu())


@contextmanager
def watch_chain(model: nn.Module, on_state: OnState) -> Iterator[None]:
    """Within this context call on_state(steps left, x) before the model's own loop and in it.

    For a DDPM these are x_T and the result of each p_sample.
    """
    kind = for_model(model, DENOISERS)
    step = getattr(model, kind.loop_step)
    seen = 0

    @functools.wraps(step)
    def watched(*args, **kwargs) -> Tensor:
        nonlocal seen
        __tracebackhide__ = True  # for cli.py, too
        x = first_argument(step, args, kwargs)
        if seen % model.timesteps == 0:
            on_state(model.timesteps, x)
        seen += 1
        shape = getattr(x, "shape", None)
        x = check_result(step(*args, **kwargs), step, kind.loop_gives, shape)
        on_state(model.timesteps - 1 - (seen - 1) % model.timesteps, x)
        return x

    setattr(model, kind.loop_step, watched)  # shadows the method on this instance
    try:
        yield
    finally:
        delattr(model, kind.loop_step)


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
        raise ValueError(f"first = {first} is no multiple of the batch size {batch_size}")
    batches = labels.to(precision.device).split(batch_size)
    steps = sampler.num_steps(denoiser)
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
            yield images.float().cpu()


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
        """Pass on a state as large as the data, whatever its noise level, so that it can be seen"""
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
