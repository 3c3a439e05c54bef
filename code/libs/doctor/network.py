"""What a trained network knows: its error by tenths of the noise level, beside healthy runs'.

The yardstick is the best linear denoiser of the data, which needs their mean and covariance alone
(Wiener): with the covariance's eigenvalues l it leaves an error of mean(l sigma^2 / (alpha^2 l +
sigma^2)). A network that has learned something is better than that where there is much noise.
"""

import copy
import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..models.denoisers import denoiser_of, for_model
from ..runtime.progress import counted
from ..runtime.streams import EVAL_STREAM, generator_for
from .patient import LOOKED_AT, Patient

TENTHS = 10
MOST_CLASSES = 20  # whose pairs all come up a few times


@dataclass(frozen=True)
class Level:
    """A tenth of the noise levels, from little noise to much.

    Attributes:
        noise: sigma / alpha.
        ratio: the network's squared error of x_0, in errors of the best linear denoiser.
        of_noise: correlation of the noise that the network sees with the true one.
        of_image: ... with the image.
    """

    noise: float
    ratio: float
    of_noise: float
    of_image: float


def tenths(patient: Patient) -> Tensor:
    """The middles of ten equal shares of the times that are trained on, the faintest first."""
    model, middles = patient.model, (torch.arange(TENTHS, device=patient.device) + 0.5) / TENTHS
    table: Mapping[str, Callable[[], Tensor]] = {
        "DDPM": lambda: (middles * model.timesteps).long(),
        "FM": lambda: 1 - middles,
        "EDM": lambda: (model.p_mean + model.p_std * torch.special.ndtri(middles)).exp(),
    }
    return for_model(model, table)()


@torch.no_grad()
def levels(patient: Patient, model: nn.Module | None = None) -> list[Level]:
    """The network's errors at ten noise levels; of other weights where a model is given."""
    denoiser = denoiser_of(patient.model) if model is None else denoiser_of(model)
    x_start, found = patient.x_start[:LOOKED_AT], []
    label, eigenvalues = patient.condition(len(x_start)), patient.eigenvalues
    noise = _noise_like(x_start)
    for time in counted(tenths(patient).split(1), TENTHS, "looking the run over", "noise level"):
        alpha, sigma = (rate.item() for rate in denoiser.rates(time))
        x = alpha * x_start + sigma * noise
        guess = denoiser.denoised(x, label, time.expand(len(x)))
        error = (guess - x_start).square().mean().item()
        floor = (eigenvalues * sigma**2 / (alpha**2 * eigenvalues + sigma**2)).mean().item()
        seen = (x - alpha * guess) / sigma
        found.append(
            Level(
                sigma / alpha,
                error / max(floor, 1e-12),
                _correlation(seen, noise),
                _correlation(seen, x_start - x_start.mean(dim=0)),
            )
        )
    return found


def _correlation(one: Tensor, other: Tensor) -> float:
    one, other = one - one.mean(), other - other.mean()
    length = one.norm() * other.norm()
    return ((one * other).sum() / length).item() if length > 0 else 0.0


def _noise_like(x: Tensor) -> Tensor:
    generator = generator_for(EVAL_STREAM, device=x.device)
    return torch.randn(x.shape, generator=generator, device=x.device)


@dataclass(frozen=True)
class LabelUse:
    """What right labels are worth to a network where there is much noise.

    Attributes:
        gain: how much larger the errors are with wrong labels; 1: not at all.
        stretch: how long the way from the answer for a wrong label to that for the right one would
            have to be to come nearest to the images, in its own lengths, at the noise level where
            that is least. A network that has learned what its labels say needs 1. One whose labels
            were wrong in part has learned to believe less than they say.
        pair: the two classes whose answers differ least.
        apart: the mean square of that difference, in those of a pair in the middle; 1 where there
            are more than MOST_CLASSES.
    """

    gain: float
    stretch: float
    pair: tuple[int, int]
    apart: float


@torch.no_grad()
def label_use(patient: Patient) -> LabelUse:
    """Ask a network with right labels and with wrong ones, each other class as often."""
    x_start = patient.x_start[: 4 * LOOKED_AT]
    label = patient.condition(len(x_start))
    number = min(patient.config.model.num_classes, int(patient.labels.max()) + 1)
    wrong = (
        label + 1 + torch.arange(len(label), device=label.device) % max(1, number - 1)
    ) % number
    denoiser, times, noise = denoiser_of(patient.model), tenths(patient), _noise_like(x_start)
    right = other = 0.0
    stretches, ways = [], torch.zeros(len(label), device=label.device)
    for time in counted(times[5:8].split(1), 3, "trying other labels", "noise level"):
        alpha, sigma = (rate.item() for rate in denoiser.rates(time))
        x, t = alpha * x_start + sigma * noise, time.expand(len(x_start))
        with_right, with_wrong = (denoiser.denoised(x, c, t) for c in (label, wrong))
        right += (with_right - x_start).square().mean().item()
        other += (with_wrong - x_start).square().mean().item()
        way, whole = with_right - with_wrong, x_start - with_wrong
        stretches.append((whole * way).sum().item() / max(way.square().sum().item(), 1e-12))
        length = way.flatten(1).square().sum(dim=1)
        ways += length / length.median().clamp(min=1e-12)
    pair, apart = _closest(label, wrong, ways, number)
    return LabelUse(other / max(right, 1e-12), min(stretches), pair, apart)


def _closest(
    label: Tensor, wrong: Tensor, ways: Tensor, number: int
) -> tuple[tuple[int, int], float]:
    """The pair of classes with the least mean of `ways`, [N], and that in the middle one's."""
    if not 2 < number <= MOST_CLASSES:
        return (0, 1), 1.0
    total, count = torch.zeros(2, number * number, dtype=torch.float64)
    pairs = (torch.minimum(label, wrong) * number + torch.maximum(label, wrong)).cpu()
    total.index_add_(0, pairs, ways.cpu().double())
    count.index_add_(0, pairs, torch.ones_like(total[pairs]))
    means = total / count  # NaN for those that did not come up
    least = int(means.nan_to_num(nan=math.inf).argmin())
    middle = max(means.nanmedian().item(), 1e-12)
    return (least // number, least % number), means[least].item() / middle


@torch.no_grad()
def time_change(patient: Patient) -> float:
    """How much the network's answer changes, relative to itself, with the time of another image."""
    x_start = patient.x_start[: 6 * TENTHS]
    times = tenths(patient).repeat(math.ceil(len(x_start) / TENTHS))[: len(x_start)]
    denoiser = denoiser_of(patient.model)
    alpha, sigma = denoiser.image_rates(times)
    x = alpha * x_start + sigma * _noise_like(x_start)
    calls: list[tuple[Tensor, ...]] = []
    hook = patient.model.model.register_forward_pre_hook(lambda module, args: calls.append(args))
    try:
        denoiser.denoised(x, patient.condition(len(x)), times)
    finally:
        hook.remove()
    raw = {"raw": True} if hasattr(patient.model.model, "prediction") else {}
    x_in, label, time = calls[0]
    answer = patient.model.model(x_in, label, time, **raw)
    other = patient.model.model(x_in, label, time.roll(TENTHS // 2), **raw)
    return ((other - answer).norm() / answer.norm().clamp(min=1e-12)).item()


def behind(patient: Patient, averaged: list[Level]) -> float:
    """The averaged weights' errors in those of the current ones, in the middle of ten levels."""
    model = copy.deepcopy(patient.model)
    model.load_state_dict(patient.current, strict=False)
    current = levels(patient, model)
    return statistics.median(
        a.ratio / max(b.ratio, 1e-12) for a, b in zip(averaged, current, strict=True)
    )


def moved(patient: Patient) -> float:
    """How far the current weights are from the first ones, in lengths of these; 1 if not known."""
    first, now = patient.first, patient.current
    names = [n for n in first if n.startswith("model.") and first[n].dim() > 1 and n in now]
    way = sum((now[n].cpu() - first[n]).square().sum().item() for n in names)
    length = sum(first[n].square().sum().item() for n in names)
    return math.sqrt(way / length) if length else 1.0
