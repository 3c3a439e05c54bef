"""What a model's loss asks for: the answers that have none, what the network is given for them, and
how much each error counts."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..models.denoisers import denoiser_of, for_model
from ..models.targets import draws_time, prediction_of
from .findings import Finding
from .oracle import EXACT, Oracle, answering, device_of, mix, normal
from .patient import Patient

TIMES, VALUES = 8, 512  # times looked at, and at least so many numbers at each
OFF_BY = 0.5
UNEVEN = 0.02  # how differently errors may count


def loss(patient: Patient) -> list[Finding]:
    """What a network must answer for a loss of 0, and what the loss gives it to see."""
    if for_model(patient.model, {"DDPM": False, "FM": False, "EDM": True}):
        return _loss_of_edm(patient)
    model, times = patient.model, _times_of(patient.model)
    number = max(1, math.ceil(VALUES / math.prod(model.img_shape)))
    t = times.repeat_interleave(number)
    x_start, noise = normal(patient.model, len(t), 0), normal(patient.model, len(t), 1)
    label = torch.arange(len(t), device=patient.device) % patient.config.model.num_classes
    answers = _answers(patient, x_start, noise, t)
    if answers is None:
        return []

    def loss_of(answer: Tensor) -> tuple[Tensor, Oracle]:
        oracle = Oracle(lambda x, time: answer).to(patient.device)
        with answering(model, oracle) as view:
            given = () if draws_time(view.compute_loss) else (t,)
            return view.compute_loss(x_start.clone(), label, *given, noise.clone()), oracle

    called, right = next(iter(answers.items()))
    found, oracle = loss_of(right)
    least = float(found)
    seen = _seen_by_network(patient, oracle, x_start, noise, label, t)
    if seen:
        return seen
    off = float(loss_of(right + OFF_BY)[0])
    if abs(least) < 1e-3 and abs(off / OFF_BY**2 - 1) < 0.1:
        return _uneven(right, lambda answer: loss_of(answer)[0])
    others = {name: float(loss_of(answer)[0]) for name, answer in answers.items() if name != called}
    best = min(others, key=lambda name: others[name])
    sentence = f"A network that answers with {called} gets a loss of {least:.2g}"
    if others[best] < min(0.5 * least, least - 1e-3):
        sentence += f", one that answers with {best} one of {others[best]:.2g}."
    else:
        sentence += f", one that is {OFF_BY} beside it everywhere one of {off:.2g}."
    return [Finding("loss", sentence)]


def _times_of(model: nn.Module) -> Tensor:
    """A few times of the model over its whole range, mixed, [TIMES]; an EDM's are sigmas."""
    share = torch.linspace(0.05, 0.95, TIMES, device=device_of(model))[
        torch.arange(TIMES) * 3 % TIMES
    ]
    table: Mapping[str, Any] = {
        "DDPM": lambda: (share * model.timesteps).long(),
        "FM": lambda: share,
        "EDM": lambda: 0.05 + share,
    }
    return for_model(model, table)()


def _answers(
    patient: Patient, x_start: Tensor, noise: Tensor, time: Tensor
) -> dict[str, Tensor] | None:
    """The right answer of the network and some wrong ones; None where it cannot be said.

    A DDPM that predicts something else, or by another distance, is trained by code of ours.
    """
    if for_model(patient.model, {"DDPM": True, "FM": False, "EDM": False}):
        if (prediction_of(patient.model), patient.config.train_cfg.loss) != ("eps", "mse"):
            return None
        right, called = noise, "the true noise"
    else:
        if patient.config.fm.prediction != "velocity":
            return None
        right, called = x_start - noise, "the true velocity"
    alpha, sigma = denoiser_of(patient.model).image_rates(time)
    return {
        called: right,
        f"{called} of the other sign": -right,
        "the image": x_start,
        "the noise": noise,
        "x_t": alpha * x_start + sigma * noise,
        "x_t minus the image": (alpha - 1) * x_start + sigma * noise,
        "v": alpha * noise - sigma * x_start,
        "nothing, all zeros,": torch.zeros_like(noise),
    }


def _seen_by_network(
    patient: Patient, oracle: Oracle, x_start: Tensor, noise: Tensor, label: Tensor, t: Tensor
) -> list[Finding]:
    """Whether the loss gives the network x_t, the labels and the times."""
    if not oracle.given:
        return [Finding("loss", "The loss does not ask the network for anything.")]
    x, given_label, given_time = oracle.given[0]
    if draws_time(patient.model.compute_loss):
        t = given_time
    asked = _asked_for("network", given_label, label, given_time, t)
    return asked or _mix_seen("network", x, *_parts(patient, x_start, noise, t))


def _parts(patient: Patient, x_start: Tensor, noise: Tensor, t: Tensor) -> list[Tensor]:
    """What x_t is made of, and what a constant added to the images would be in it."""
    alpha, sigma = denoiser_of(patient.model).image_rates(t)
    return [alpha * x_start, sigma * noise, alpha * torch.ones_like(x_start)]


def _asked_for(
    who: str, given_label: Tensor, label: Tensor, given_time: Tensor, time: Tensor
) -> list[Finding]:
    """Whether training asks for the labels and times that its images have."""
    if not torch.equal(given_label.to(label), label):
        return [Finding("label", f"The {who} gets other labels in training than the images have.")]
    if torch.allclose(given_time.float(), time.float(), atol=1e-4):
        return []
    pair = given_time.flatten()[-1].item(), time[-1].item()
    sentence = "The {} gets other times in training than its images have: {:.4g} for {:.4g}."
    return [Finding("time", sentence.format(who, *pair))]


def _mix_seen(who: str, x: Tensor, *parts: Tensor) -> list[Finding]:
    """Whether training shows the sum of the first two parts, those of the image and the noise."""
    a, b, c, rest = mix(x, *parts)
    if max(abs(a - 1), abs(b - 1), abs(c), rest) < EXACT:
        return []
    if abs(b - 1) < EXACT and rest < EXACT:
        sentence = (
            f"The loss diffuses {a:.3f} times the images{f' {c:+.3f}' if abs(c) > EXACT else ''}, "
            "not the images that it is given."
        )
        return [Finding("scale", sentence)]
    sentence = (
        f"In training the {who} does not see x_t: {a:.3f} times its image part and {b:.3f} times "
        f"its noise part, and {rest:.3f} parts of something else."
    )
    return [Finding("diffusion", sentence)]


def _uneven(right: Tensor, loss_of: Callable[[Tensor], Tensor]) -> list[Finding]:
    """Whether an error counts as much at each pixel and in each image: in a mean of squares.

    The slope of such a loss is 2 OFF_BY / N at each of N numbers that are OFF_BY beside `right`.
    """
    answer = (right + OFF_BY).requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(loss_of(answer).reshape(()), answer)
    counts = slope * right.numel() / (2 * OFF_BY)
    least, most = counts.min().item(), counts.max().item()
    if least > 1 - UNEVEN and most < 1 + UNEVEN:
        return []
    sentence = (
        f"In the loss an error counts between {least:.2f} and {most:.2f} times what it does in a "
        "plain mean of squares, depending on the pixel and the image."
    )
    return [Finding("loss", sentence)]


# EDM


def _loss_of_edm(patient: Patient) -> list[Finding]:
    """What an EDM's denoiser sees in training, its loss, and the network within it."""
    model, times = patient.model, _times_of(patient.model)
    number = max(1, math.ceil(VALUES / math.prod(model.img_shape)))
    sigma = times.repeat_interleave(number)
    y, noise = normal(patient.model, len(sigma), 0), normal(patient.model, len(sigma), 1)
    label = torch.arange(len(sigma), device=patient.device) % patient.config.model.num_classes
    given: list[tuple[Tensor, Tensor, Tensor]] = []

    def denoise(x: Tensor, label: Tensor, sigma: Tensor) -> Tensor:
        given.append((x.clone(), label.clone(), sigma.clone()))
        return y

    with answering(model, model.model) as view:
        view.denoise = denoise
        least = float(view.compute_loss(y.clone(), label, sigma, noise))
    if not given:
        return [Finding("loss", "The loss does not ask the denoiser for anything.")]
    x, given_label, given_sigma = given[0]
    found = _asked_for("denoiser", given_label, label, given_sigma, sigma)
    found = found or _mix_seen("denoiser", x, *_parts(patient, y, noise, sigma))
    if found:
        return found
    if not abs(least) < 1e-3:
        sentence = f"A denoiser that answers with the true images gets a loss of {least:.2g}."
        return [Finding("loss", sentence)]
    return _denoiser(patient)


def _denoiser(patient: Patient) -> list[Finding]:
    """What an EDM's network gets and is to answer, and how much its errors count, at a few levels.

    Images and noise have variance 1 and no correlation to the last digits, at each level.
    """
    model, device = patient.model, patient.device
    number = max(8, math.ceil(VALUES / math.prod(model.img_shape)))
    image, noise = _uncorrelated(normal(patient.model, number, 0), normal(patient.model, number, 1))
    y, steps, times = model.sigma_data * image, torch.linspace(-2, 2, 5, device=device), []
    for level in (model.p_mean + model.p_std * steps).exp():
        found, time = _denoiser_at(patient, y, noise, level)
        if found:
            return found
        times.append(time)
    if len(set(times)) < len(times) or not all(map(math.isfinite, times)):
        sentence = "At different noise levels the network of the denoiser gets the same time."
        return [Finding("time", sentence)]
    return []


def _denoiser_at(
    patient: Patient, y: Tensor, noise: Tensor, level: Tensor
) -> tuple[list[Finding], float]:
    """What is off at a noise level [], and the time that the network gets.

    Karras et al. (2022, appendix B.6) derive their coefficients from these conditions: the network
    gets numbers of variance 1, and is to answer with such, which have nothing to do with x as far
    as a line can see; each of its errors counts alike.
    """
    label = torch.arange(len(y), device=y.device) % patient.config.model.num_classes
    sigma, x = level.expand(len(y)), y + level * noise

    def denoised(value: float) -> tuple[Tensor, Oracle]:
        oracle = Oracle(lambda x, time: torch.full_like(x, value)).to(y.device)
        with answering(patient.model, oracle) as view:
            return view.denoise(x.clone(), label, sigma), oracle

    def loss_of(answer: Tensor) -> Tensor:
        with answering(patient.model, Oracle(lambda x, time: answer).to(y.device)) as view:
            return view.compute_loss(y.clone(), label, sigma, noise)

    (zero, oracle), (one, _) = denoised(0.0), denoised(1.0)
    seen, seen_label, time = oracle.given[0]
    if not torch.equal(seen_label.to(label), label):
        return [Finding("label", "The network gets other labels than its denoiser.")], 0.0
    wanted = (y - zero) / (one - zero)
    common = mix(wanted, x, torch.ones_like(x))[0] * x.std().item()
    rest = mix(seen, x, torch.ones_like(x))[2]
    spreads = [numbers.std(unbiased=False).item() for numbers in (seen, wanted)]
    at = f"At sigma = {level:.3g} the network of the denoiser"
    if not rest < UNEVEN:
        sentence = f"{at} is not given x by a factor: {rest:.2f} parts are something else."
    elif not abs(spreads[0] - 1) < UNEVEN:
        sentence = (
            f"{at} is given numbers with a standard deviation of {spreads[0]:.2f}; in EDM it is 1."
        )
    elif not abs(spreads[1] - 1) < UNEVEN:
        sentence = (
            f"{at} is to answer with numbers of a standard deviation of {spreads[1]:.2f}; in EDM "
            "it is 1."
        )
    elif not abs(common) < UNEVEN:
        sentence = (
            f"{at} is to answer with numbers that have a correlation of {common:.2f} with the "
            "noisy image; in EDM they have none."
        )
    else:
        return _uneven(wanted, loss_of), time[0].item()
    return [Finding("denoiser", sentence)], 0.0


def _uncorrelated(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Both with mean 0 and variance 1, and without correlation, in all of their numbers."""
    first = (one - one.mean()) / one.std(unbiased=False)
    second = other - other.mean() - (other * first).mean() * first
    return first, second / second.std(unbiased=False)
