"""Points in the plane to learn diffusion from: small enough to draw, some of them exactly solved.

All are within [-1, 1], which is the range of images that a model sees.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

NUMBER = {"train": 32768, "test": 2048}  # points of each split
SEEDS = {"train": 0, "test": 1}
MODES, RADIUS, SPREAD = 8, 0.7, 0.06  # of the mixture of Gaussians, in a ring


def checkerboard(number: int, generator: torch.Generator) -> Tensor:
    """Evenly on the dark squares of a 4x4 board, [number, 2]."""
    square = torch.randint(8, (number,), generator=generator)
    row, column = square // 2, 2 * (square % 2) + (square // 2) % 2
    inside = torch.rand(number, 2, generator=generator)
    return (torch.stack([column, row], dim=1) + inside) / 2 - 1


def spiral(number: int, generator: torch.Generator) -> Tensor:
    """Along two turns of a spiral, denser towards its middle, [number, 2]."""
    angle = 4 * math.pi * torch.rand(number, generator=generator).sqrt()
    radius = 0.9 * angle / (4 * math.pi)
    line = radius[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)
    return (line + 0.015 * torch.randn(number, 2, generator=generator)).clamp(-1, 1)


def moons(number: int, generator: torch.Generator) -> Tensor:
    """Along two half circles that reach into each other, [number, 2]."""
    angle = math.pi * torch.rand(number, generator=generator)
    upper = torch.rand(number, generator=generator) < 0.5
    x = torch.where(upper, angle.cos() - 0.5, 0.5 - angle.cos())
    y = torch.where(upper, angle.sin() - 0.25, 0.25 - angle.sin())
    points = 0.6 * torch.stack([x, y], dim=1)
    return (points + 0.03 * torch.randn(number, 2, generator=generator)).clamp(-1, 1)


def ring_centres() -> Tensor:
    """The centres of the mixture of Gaussians, [8, 2]."""
    angle = torch.arange(MODES) * 2 * math.pi / MODES
    return RADIUS * torch.stack([angle.cos(), angle.sin()], dim=1)


def gaussians(number: int, generator: torch.Generator) -> Tensor:
    """From a mixture of eight Gaussians in a ring, [number, 2]."""
    centres = ring_centres()[torch.randint(MODES, (number,), generator=generator)]
    return centres + SPREAD * torch.randn(number, 2, generator=generator)


TOYS: dict[str, Callable[[int, torch.Generator], Tensor]] = {  # by the names that configs use
    "Checkerboard": checkerboard,
    "Spiral": spiral,
    "Moons": moons,
    "Gaussians": gaussians,
}


def toy_points(name: str, split: str) -> Tensor:
    """The points of a split, "train" or "test", of one of `TOYS`, the same every time, [N, 2]."""
    return TOYS[name](NUMBER[split], torch.Generator().manual_seed(SEEDS[split]))
