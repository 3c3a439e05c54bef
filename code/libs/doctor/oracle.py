"""A network that knows the answer, and what the probes that use it have in common.

All data is one image, a grey of `GREY`, or Gaussian noise, so that every answer is known.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..runtime.streams import EVAL_STREAM, generator_for

GREY = 0.2
EXACT = 1e-3  # what rounding may change


class Oracle(nn.Module):
    """A network that answers as it is told, and keeps what it was given.

    Args:
        answer: (x, time) -> its answer, [B, C, H, W].

    Of two times, [B, 2], those of a mean velocity, it keeps the first, at which x is.
    """

    def __init__(self, answer: Callable[[Tensor, Tensor], Tensor]):
        super().__init__()
        self.answer = answer
        self.place = nn.Parameter(torch.zeros(0))  # by which models are asked where they are
        self.given: list[tuple[Tensor, Tensor, Tensor]] = []

    def forward(self, x: Tensor, label: Tensor, time: Tensor) -> Tensor:
        time = time if time.ndim == 1 else time[:, 0]
        self.given.append((x.clone(), label.clone(), time.clone()))
        return self.answer(x, time)


@contextmanager
def answering(model: nn.Module, network: nn.Module) -> Iterator[nn.Module]:
    """Within this context: the model with another network, on latents as they are."""
    own = model.model
    model.model = network
    view = copy.copy(model)  # which shares its networks and tables
    view.use_vae = False
    try:
        yield view
    finally:
        model.model = own


def device_of(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def mix(x: Tensor, *parts: Tensor) -> list[float]:
    """How much of each part is in x, by least squares, and the rest's standard deviation."""
    columns = torch.stack([part.flatten() for part in parts], dim=1).cpu().double()
    x = x.flatten().cpu().double()
    found = torch.linalg.lstsq(columns, x[:, None], driver="gelsd").solution[:, 0]
    return [*found.tolist(), (x - columns @ found).std().item()]


def normal(model: nn.Module, number: int, key: int) -> Tensor:
    """Noise of variance 1, [number, C, H, W], the same every time."""
    generator = generator_for(EVAL_STREAM, key, device=device_of(model))
    options = {"generator": generator, "device": device_of(model)}
    return torch.randn(number, *model.img_shape, **options)
