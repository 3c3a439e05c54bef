"""Drawing samples with a model's own p_sample_loop, batch by batch, and watching the chain."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from .ddpm import DDPM
from .progress import progress_bar
from .runtime import Precision, fork_rng


class Film:
    """Records the chain of the first few samples of a batch, x_T ... x_0, as images in [0, 1]."""

    def __init__(self, model: DDPM, num_samples: int = 10, num_frames: int = 60):
        self.model = model
        self.num_samples = num_samples
        self.times = {round(i * model.timesteps / (num_frames - 1)) for i in range(num_frames)}
        self.frames: list[Tensor] = []  # [num_samples, C, H, W] each

    @torch.no_grad()
    def record(self, time: int, x: Tensor) -> None:
        """Take a frame if x, the state at this time, is one to show."""
        if time in self.times and len(self.frames) < len(self.times):
            x = x[: self.num_samples]
            x = self.model.vae.decoder(x) if self.model.use_vae else x
            self.frames.append(self.model.postprocess(x).float().cpu())


@contextmanager
def watch_chain(model: DDPM, on_state: Callable[[int, Tensor], None]) -> Iterator[None]:
    """Within this context call on_state(time, x) for x_T and for the result of each p_sample."""
    p_sample = model.p_sample
    seen = 0

    @functools.wraps(p_sample)
    def watched(x: Tensor, *args, **kwargs) -> Tensor:
        nonlocal seen
        if seen % model.timesteps == 0:
            on_state(model.timesteps, x)
        seen += 1
        x = p_sample(x, *args, **kwargs)
        on_state(model.timesteps - 1 - (seen - 1) % model.timesteps, x)
        return x

    model.p_sample = watched  # shadows the method on this instance
    try:
        yield
    finally:
        del model.p_sample


def draw_samples(
    model: DDPM,
    labels: Tensor,
    precision: Precision,
    seed: int = 0,
    batch_size: int = 100,
    film: Film | None = None,
    show_progress: bool = True,
) -> Iterator[Tensor]:
    """Draw one image for each label with the model's p_sample_loop.

    The same seed and batch size give the same images, and torch's random state stays as it was.

    Yields:
        Images in [0, 1] on the CPU, [batch_size, C, H, W], the last batch maybe smaller.
    """
    batches = labels.to(precision.device).split(batch_size)
    steps = model.timesteps * len(batches)
    with progress_bar(steps, "sampling", "step", enabled=show_progress) as bar:
        for number, batch in enumerate(batches):

            def on_state(time: int, x: Tensor, first: bool = number == 0) -> None:
                if film is not None and first:
                    film.record(time, x)
                bar.update(int(time < model.timesteps))

            with (
                watch_chain(model, on_state),
                fork_rng(seed + number, precision.device),
                precision.autocast(),
            ):
                images = model.p_sample_loop(batch)
            yield images.float().cpu()
