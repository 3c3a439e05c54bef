"""Whether x_t is the mix of image and noise that the schedule says."""

import math

import torch
from torch import Tensor

from ..models.denoisers import denoiser_of, for_model
from .findings import Finding
from .oracle import EXACT, normal
from .patient import Patient

MOST_TIMES, MOST_NUMBERS = 100, 2**22  # of one image each


def diffusion(patient: Patient) -> list[Finding]:
    """Compare x_t with the mix that the schedule says, to the last digits.

    All times of a short chain are looked at, for a mix that is one step late is hardly another one.
    """
    name = for_model(patient.model, {"DDPM": "q_sample", "FM": "interpolate", "EDM": None})
    if name is None:
        return []
    size = math.prod(patient.model.img_shape)
    times = _many_times(patient, min(MOST_TIMES, max(8, MOST_NUMBERS // size)))
    t = times.repeat_interleave(max(1, math.ceil(32 / size)))
    x_start, noise = normal(patient.model, len(t), 0), normal(patient.model, len(t), 1)
    x_t = getattr(patient.model, name)(x_start.clone(), t, noise.clone())
    parts = [part.reshape(len(times), -1).cpu().double() for part in (x_start, noise, x_t)]
    columns, seen = torch.stack(parts[:2], dim=2), parts[2][:, :, None]
    squares = columns.mT @ columns
    mix = torch.linalg.solve(squares, columns.mT @ seen)
    rest = (seen - columns @ mix)[:, :, 0].square().mean(dim=1).sqrt()
    wanted = torch.stack(denoiser_of(patient.model).rates(times), dim=1).cpu().double()
    off = torch.cat([mix[:, :, 0] - wanted, rest[:, None]], dim=1).abs().amax(dim=1)
    off = off.nan_to_num(nan=math.inf)
    worst = int(off.argmax())
    if off[worst] < EXACT:
        return []
    (a, b), left = mix[worst, :, 0].tolist(), rest[worst].item()
    end = patient.model.timesteps if times.dtype == torch.long else 1
    with_rest = "" if left < EXACT else f", and {left:.3f} parts of something else"
    sentence = (
        f"x_t at t = {times[worst].item():.4g} of {end} has {a:.4f} parts of the image and {b:.4f} "
        f"of the noise{with_rest}; by the schedule these are {wanted[worst, 0]:.4f} and "
        f"{wanted[worst, 1]:.4f}."
    )
    return [Finding("diffusion", sentence)]


def _many_times(patient: Patient, number: int) -> Tensor:
    """Times from the first to the last, in mixed order, [number or all that there are]."""
    share = torch.linspace(0, 1, number, device=patient.device)
    if for_model(patient.model, {"DDPM": True, "FM": False}):
        share = (share * (patient.model.timesteps - 1)).round().long().unique()
    mixed = torch.randperm(len(share), generator=torch.Generator().manual_seed(0))
    return share[mixed.to(share.device)]
