"""Watching a chain while it is drawn, and recording it as a film."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..models.denoisers import DENOISERS, for_model
from ..runtime.visualize import POINT
from ..utils import check_result, first_argument

MOST_POINTS = 5000  # of the plane in a film
OnState = Callable[[int, Tensor], None]  # steps left, state [B, C, H, W]


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
        """Take a frame if x, the state with `left` of the steps to go, is one to show."""
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
