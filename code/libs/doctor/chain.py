"""Whether a model's own loop leads from noise back to images, with a network that knows the answer.

The data is one grey image, so the state of a chain at any time is alpha GREY + sigma noise, with
noise of variance 1, and its end is GREY.
"""

import math
from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor

from ..edm import sample_heun
from ..models.denoisers import denoiser_of, for_model
from .findings import Finding
from .oracle import EXACT, GREY, Oracle, answering, normal
from .patient import Patient

WALKERS = 2000  # numbers in a chain's states, at least
DEVIATIONS = 5  # of a mean of random numbers, that it may be off
NEAR = 0.02  # what rounding may change in noise, in standard deviations
HEUN_STEPS, HEUN_SPREAD, HEUN_ERROR = 64, 0.5, 0.02


def chain(patient: Patient) -> list[Finding]:
    """Whether the model's own loop leads from noise to the only image that there is."""
    draw = for_model(patient.model, {"DDPM": _draw_ddpm, "FM": _draw_fm, "EDM": _draw_edm})
    number = max(16, math.ceil(WALKERS / math.prod(patient.model.img_shape)))
    labels = torch.arange(number, device=patient.device) % patient.config.model.num_classes
    given, images = draw(patient, labels)
    return (
        _labels_of_chain(given, labels)
        or _times_of_chain(patient, given)
        or _states_of_chain(patient, given)
        or for_model(patient.model, STEPS)(patient, given)
        or _end_of_chain(images)
    )


Given = list[tuple[Tensor, Tensor, Tensor]]  # state, label and time of each call of the network


def _draw_ddpm(patient: Patient, labels: Tensor) -> tuple[Given, Tensor]:
    denoiser = denoiser_of(patient.model)

    def noise(x: Tensor, time: Tensor) -> Tensor:
        alpha, sigma = denoiser.image_rates(time)
        return (x - alpha * GREY) / sigma

    oracle = Oracle(noise).to(patient.device)
    with answering(patient.model, oracle) as view:
        return oracle.given, view.p_sample_loop(labels)


def _draw_fm(patient: Patient, labels: Tensor) -> tuple[Given, Tensor]:
    kept: dict[str, Tensor] = {}
    denoiser = denoiser_of(patient.model)

    def velocity(x: Tensor, time: Tensor) -> Tensor:
        alpha, sigma = denoiser.image_rates(time)
        if sigma.min() > 1e-3:  # at the end nothing of the noise is left to be seen
            kept["noise"] = (x - alpha * GREY) / sigma
        return GREY - kept.get("noise", torch.zeros_like(x))

    oracle = Oracle(velocity).to(patient.device)
    with answering(patient.model, oracle) as view:
        images = view.generate(labels)
    return [call for call in oracle.given if float(call[2].max()) < 1 - 1e-3], images


def _draw_edm(patient: Patient, labels: Tensor) -> tuple[Given, Tensor]:
    given: Given = []

    def denoise(x: Tensor, sigma: float) -> Tensor:
        given.append((x.clone(), labels, torch.full((len(x),), sigma, device=x.device)))
        return torch.full_like(x, GREY)

    x = sample_heun(denoise, normal(patient.model, len(labels), 0), 8)
    return given, (x + 1) / 2


def _labels_of_chain(given: Given, labels: Tensor) -> list[Finding]:
    if not given:
        return [Finding("chain", "Drawing does not ask the network for anything.")]
    if all(torch.equal(label.to(labels), labels) for _, label, _ in given):
        return []
    return [Finding("label", "Drawing asks the network for other labels than those wanted.")]


def _times_of_chain(patient: Patient, given: Given) -> list[Finding]:
    """A DDPM visits all its time steps, a flow its own."""
    seen = [time.flatten()[0].item() for _, _, time in given]
    steps = getattr(patient.model, "timesteps", 1)
    table: Mapping[str, list[float]] = {
        "DDPM": [float(step) for step in range(steps)][::-1],
        "FM": [i / steps for i in range(steps)],
        "EDM": seen,
    }
    wanted = for_model(patient.model, table)
    if getattr(patient.model, "heun", None) is True:  # a flow's, which looks twice
        seen = sorted(set(seen))
    same = len(seen) == len(wanted)
    if same and all(abs(a - b) < 1e-4 for a, b in zip(seen, wanted, strict=True)):
        return []
    shown = " ".join(f"{time:.4g}" for time in seen[:4])
    shown += f" ... {seen[-1]:.4g}" * (len(seen) > 1)
    sentence = f"Drawing visits {len(seen)} time{'s' * (len(seen) > 1)}, {shown}; the model has "
    sentence += f"{len(wanted)}, from {wanted[0]:.4g} to {wanted[-1]:.4g}."
    return [Finding("chain", sentence)]


def _states_of_chain(patient: Patient, given: Given) -> list[Finding]:
    """What is noise in each state must have mean 0 and variance 1."""
    denoiser = denoiser_of(patient.model)
    alpha_end, sigma_end = denoiser.rates(given[0][2][:1])
    left = (alpha_end / sigma_end).item()  # of the image at the start, where there should be none
    exact = patient.config.model.variance_type == "fixed_small"
    for x, _, time in given[:: max(1, len(given) // 20)]:
        alpha, sigma = denoiser.image_rates(time)
        noise = (x - alpha * GREY) / sigma
        spread, shift = noise.std().item(), noise.mean().item()
        apart = (noise - noise.mean(dim=0)).std().item()
        if spread > 0.5 and apart < 0.2:
            sentence = f"At t = {time[0]:.4g} the states of all samples are alike."
            return [Finding("alike", sentence)]
        loose = 0.1 + left**2 + GREY * left
        most = 1 + loose if exact else 2.0
        if not (1 - loose < spread < most and abs(shift) < loose):
            sentence = (
                f"On the way back, at t = {time[0]:.4g}, the noise in the state has a standard "
                f"deviation of {spread:.2g} and a mean of {shift:.2g} where the forward process "
                "has 1 and 0."
            )
            return [Finding("chain", sentence)]
    return []


def _random_steps(patient: Patient, given: Given) -> list[Finding]:
    """What a step of a DDPM keeps of the noise in its state, and how much it adds.

    Noise of two neighbours in time is correlated in the forward process, and so it must be on the
    way back, whose steps are those of the forward process in the other direction.
    """
    number, off, denoiser = given[0][0].numel(), [], denoiser_of(patient.model)
    large = patient.config.model.variance_type == "fixed_large"
    for (x, _, t), (x_next, _, t_next) in pairwise(given):
        (alpha, sigma), (alpha_next, sigma_next) = (
            denoiser.image_rates(s[:1]) for s in (t, t_next)
        )
        before, after = (x - alpha * GREY) / sigma, (x_next - alpha_next * GREY) / sigma_next
        kept = ((before * after).mean() / before.square().mean()).item()
        rest = after - kept * before
        ratio = (alpha / alpha_next).item()  # by which the forward step fades
        right_kept = ratio * (sigma_next / sigma).item()
        step_back = math.sqrt(max(1e-12, 1 - right_kept**2))
        right = math.sqrt(1 - ratio**2) / sigma_next.item() if large else step_back
        added = rest.std().item()
        off.append((kept - right_kept, math.log(max(added, 1e-12) / right), rest.mean().item()))
        allowed = DEVIATIONS / math.sqrt(number)
        if abs(off[-1][0]) < allowed * right + 0.01 and abs(off[-1][1]) < allowed + 0.03:
            continue
        sentence = (
            f"The step back from t = {t[0]:.4g} keeps {kept:.3f} parts of the noise and adds "
            f"{added:.3f}; by the schedule these are {right_kept:.3f} and {right:.3f}."
        )
        return [Finding("chain", sentence)]
    if not off:
        return []
    allowed = DEVIATIONS / math.sqrt(number * len(off))
    more = sum(step[1] for step in off) / len(off)
    if abs(more) < allowed + 0.01:
        return []
    sentence = (
        f"Over all steps, the way back adds {math.exp(more):.3f} times the noise that it should by "
        "the schedule."
    )
    return [Finding("chain", sentence)]


def _steady_steps(patient: Patient, given: Given) -> list[Finding]:
    """A flow's or an EDM's walk adds no noise: the noise in its states stays that of the first."""
    first, denoiser = None, denoiser_of(patient.model)
    for x, _, time in given:
        alpha, sigma = denoiser.image_rates(time)
        noise = (x - alpha * GREY) / sigma
        first = noise if first is None else first
        off = (noise - first).square().mean().sqrt().item()
        if not off < NEAR:
            sentence = (
                f"On the way back, at t = {time[0]:.4g}, the noise in the state is {off:.3f} "
                "standard deviations beside that of the start, although no noise is added."
            )
            return [Finding("chain", sentence)]
    return _order_of_heun(patient) if for_model(patient.model, OF_HEUN) else []


def _order_of_heun(patient: Patient) -> list[Finding]:
    """Where the data is Gaussian, the walk bends, and steps that are too coarse miss its end."""
    number = max(1, math.ceil(WALKERS / math.prod(patient.model.img_shape)))
    start = normal(patient.model, number, 0)

    def denoise(x: Tensor, sigma: float) -> Tensor:
        return HEUN_SPREAD**2 / (HEUN_SPREAD**2 + sigma**2) * x

    end = sample_heun(denoise, start, HEUN_STEPS)
    ratio = (end.std() / (HEUN_SPREAD * start.std())).item()
    if abs(ratio - 1) < HEUN_ERROR:
        return []
    sentence = (
        f"Drawing from data with a standard deviation of {HEUN_SPREAD} in {HEUN_STEPS} steps gives "
        f"{HEUN_SPREAD * ratio:.3f}."
    )
    return [Finding("chain", sentence)]


OF_HEUN = {"DDPM": False, "FM": False, "EDM": True}
STEPS = {"DDPM": _random_steps, "FM": _steady_steps, "EDM": _steady_steps}


def _end_of_chain(images: Tensor) -> list[Finding]:
    """The last step adds nothing, and all noise is gone."""
    wanted = (GREY + 1) / 2
    mean, spread = images.mean().item(), images.std().item()
    if abs(mean - wanted) < EXACT and spread < EXACT:
        return []
    sentence = (
        f"A network that knows one grey image of {wanted:.4g} draws {mean:.4g}, give or take "
        f"{spread:.2g}."
    )
    return [Finding("chain", sentence)]
