"""What a model's own functions do around a network that knows the answer: nothing is trained.

All data is one image, a grey of `GREY`, or Gaussian noise, so that every answer is known: the state
of a chain at any time is alpha GREY + sigma noise, with noise of variance 1, and its end is GREY.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..edm import sample_heun
from ..models.denoisers import denoiser_of, for_model
from ..models.targets import draws_time, prediction_of
from ..runtime.streams import EVAL_STREAM, fork_rng, generator_for
from ..utils import UserError
from .findings import Finding
from .patient import Patient, answering

GREY = 0.2
TIMES, VALUES = 8, 512  # times looked at, and at least so many numbers at each
WALKERS = 2000  # numbers in a chain's states, at least
NEAR = 0.03  # what random numbers may change
OFF_BY = 0.5
UNFIT = (UserError, RuntimeError, TypeError, ValueError, AttributeError, IndexError)


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


def probe(patient: Patient) -> list[Finding]:
    """What is off in the model's own functions; torch's random state stays as it was."""
    found: list[Finding] = []
    for test in (_diffusion, _loss, _chain):
        if test is _loss and found:  # of x_t, which is known to be wrong
            continue
        try:
            with torch.no_grad(), fork_rng(0, patient.device):
                found += test(patient)
        except UNFIT:  # training itself says what is wrong with it, or that it is to be written
            continue
    return found


# The forward process


def _diffusion(patient: Patient) -> list[Finding]:
    """Whether x_t is the mix of image and noise that the schedule says."""
    name = for_model(patient.model, {"DDPM": "q_sample", "FM": "interpolate", "EDM": None})
    if name is None:
        return []
    times = _times(patient)
    number = max(1, math.ceil(VALUES / math.prod(patient.model.img_shape)))
    t = times.repeat_interleave(number)
    x_start, noise = _normal(patient, len(t), 0), _normal(patient, len(t), 1)
    order = {"q_sample": (x_start.clone(), t, noise.clone())}
    x_t = getattr(patient.model, name)(*order.get(name, (x_start.clone(), t, noise.clone())))
    alpha, sigma = denoiser_of(patient.model).rates(times)
    for i, time in enumerate(times.tolist()):
        part = slice(i * number, (i + 1) * number)
        a, b, rest = _mix(x_t[part], x_start[part], noise[part])
        wanted = alpha[i].item(), sigma[i].item()
        if max(abs(a - wanted[0]), abs(b - wanted[1]), rest) > NEAR or not math.isfinite(a):
            with_rest = f", and {rest:.2f} parts of something else" if rest > NEAR else ""
            sentence = (
                f"x_t at t = {time:.4g} of {_end(patient)} has {a:.2f} parts of the image and "
                f"{b:.2f} of the noise{with_rest}; by the schedule these are {wanted[0]:.2f} and "
                f"{wanted[1]:.2f}."
            )
            return [Finding("diffusion", sentence)]
    return []


def _mix(x: Tensor, *parts: Tensor) -> list[float]:
    """How much of each part is in x, by least squares, and the rest's standard deviation."""
    columns = torch.stack([part.flatten() for part in parts], dim=1).double().cpu()
    x = x.flatten().double().cpu()
    found = torch.linalg.lstsq(columns, x[:, None], driver="gelsd").solution[:, 0]
    return [*found.tolist(), (x - columns @ found).std().item()]


# The loss


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
    alpha, sigma = _rates(patient, time)
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


def _loss(patient: Patient) -> list[Finding]:
    """What a network must answer for a loss of 0, and what the loss gives it to see."""
    if for_model(patient.model, {"DDPM": False, "FM": False, "EDM": True}):
        return _loss_of_edm(patient)
    model, times = patient.model, _times(patient)
    number = max(1, math.ceil(VALUES / math.prod(model.img_shape)))
    t = times.repeat_interleave(number)
    x_start, noise = _normal(patient, len(t), 0), _normal(patient, len(t), 1)
    label = torch.arange(len(t), device=patient.device) % patient.config.model.num_classes
    answers = _answers(patient, x_start, noise, t)
    if answers is None:
        return []

    def loss_of(answer: Tensor) -> tuple[float, Oracle]:
        oracle = Oracle(lambda x, time: answer).to(patient.device)
        with answering(model, oracle) as view:
            given = () if draws_time(view.compute_loss) else (t,)
            return float(view.compute_loss(x_start.clone(), label, *given, noise.clone())), oracle

    called, right = next(iter(answers.items()))
    loss, oracle = loss_of(right)
    seen = _seen_by_network(patient, oracle, x_start, noise, label, t)
    if seen:
        return seen
    off = loss_of(right + OFF_BY)[0]
    if abs(loss) < 1e-3 and abs(off / OFF_BY**2 - 1) < 0.1:
        return []
    others = {name: loss_of(answer)[0] for name, answer in answers.items() if name != called}
    best = min(others, key=lambda name: others[name])
    sentence = f"A network that answers with {called} gets a loss of {loss:.2g}"
    if others[best] < min(0.5 * loss, loss - 1e-3):
        sentence += f", one that answers with {best} one of {others[best]:.2g}."
    else:
        sentence += f", one that is {OFF_BY} beside it everywhere one of {off:.2g}."
    return [Finding("loss", sentence)]


def _seen_by_network(
    patient: Patient, oracle: Oracle, x_start: Tensor, noise: Tensor, label: Tensor, t: Tensor
) -> list[Finding]:
    """Whether the loss gives the network x_t, the labels and the times."""
    if not oracle.given:
        return [Finding("loss", "The loss does not ask the network for anything.")]
    x, given_label, given_time = oracle.given[0]
    if not torch.equal(given_label.to(label), label):
        return [Finding("label", "The network gets other labels in training than the images have.")]
    if draws_time(patient.model.compute_loss):
        t = given_time
    if not torch.allclose(given_time.float(), t.float(), atol=1e-4):
        pair = given_time.flatten()[-1].item(), t[-1].item()
        sentence = (
            "The network gets other times in training than its images have: {:.4g} for {:.4g}."
        )
        return [Finding("time", sentence.format(*pair))]
    alpha, sigma = _rates(patient, t)
    a, b, c, rest = _mix(x, alpha * x_start, sigma * noise, torch.ones_like(x))
    if max(abs(a - 1), abs(b - 1), abs(c), rest) < NEAR:
        return []
    if abs(b - 1) < NEAR and max(abs(a - 1), abs(c)) > NEAR:
        sentence = (
            f"The loss diffuses {a:.2f} times the images{f' {c:+.2f}' if abs(c) > 0.005 else ''}, "
            "not the images that it is given."
        )
        return [Finding("scale", sentence)]
    sentence = (
        f"In training the network does not see x_t: {a:.2f} times its image part and {b:.2f} times "
        f"its noise part, and {rest:.2f} parts of something else."
    )
    return [Finding("diffusion", sentence)]


def _loss_of_edm(patient: Patient) -> list[Finding]:
    """An EDM's denoiser that knows the images must have no loss."""
    model, sigma = patient.model, _times(patient)
    y, noise = _normal(patient, len(sigma), 0), _normal(patient, len(sigma), 1)
    label = torch.zeros(len(sigma), dtype=torch.long, device=patient.device)
    with answering(model, model.model) as view:
        view.denoise = lambda x, label, sigma: y
        loss = float(view.compute_loss(y.clone(), label, sigma, noise))
    if abs(loss) < 1e-3:
        return []
    sentence = f"A denoiser that answers with the true images gets a loss of {loss:.2g}."
    return [Finding("loss", sentence)]


# The way back


def _chain(patient: Patient) -> list[Finding]:
    """Whether the model's own loop leads from noise to the only image that there is."""
    draw = for_model(patient.model, {"DDPM": _draw_ddpm, "FM": _draw_fm, "EDM": _draw_edm})
    number = max(16, math.ceil(WALKERS / math.prod(patient.model.img_shape)))
    labels = torch.arange(number, device=patient.device) % patient.config.model.num_classes
    given, images = draw(patient, labels)
    return (
        _labels_of_chain(given, labels)
        or _times_of_chain(patient, given)
        or _states_of_chain(patient, given)
        or _end_of_chain(images)
    )


Given = list[tuple[Tensor, Tensor, Tensor]]  # state, label and time of each call of the network


def _draw_ddpm(patient: Patient, labels: Tensor) -> tuple[Given, Tensor]:
    def noise(x: Tensor, time: Tensor) -> Tensor:
        alpha, sigma = _rates(patient, time)
        return (x - alpha * GREY) / sigma

    oracle = Oracle(noise).to(patient.device)
    with answering(patient.model, oracle) as view:
        return oracle.given, view.p_sample_loop(labels)


def _draw_fm(patient: Patient, labels: Tensor) -> tuple[Given, Tensor]:
    kept: dict[str, Tensor] = {}

    def velocity(x: Tensor, time: Tensor) -> Tensor:
        alpha, sigma = _rates(patient, time)
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

    x = sample_heun(denoise, _normal(patient, len(labels), 0), 8)
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
    alpha_end, sigma_end = denoiser_of(patient.model).rates(given[0][2][:1])
    left = (alpha_end / sigma_end).item()  # of the image at the start, where there should be none
    exact = patient.config.model.variance_type == "fixed_small"
    for x, _, time in given[:: max(1, len(given) // 20)]:
        alpha, sigma = _rates(patient, time)
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


def _end_of_chain(images: Tensor) -> list[Finding]:
    wanted = (GREY + 1) / 2
    mean, spread = images.mean().item(), images.std().item()
    if abs(mean - wanted) < 0.02 and spread < 0.02:
        return []
    sentence = (
        f"A network that knows one grey image of {wanted:.2f} draws {mean:.2f}, give or take "
        f"{spread:.2f}."
    )
    return [Finding("chain", sentence)]


# What these have in common


def _times(patient: Patient) -> Tensor:
    """A few times of the model over its whole range, mixed, [TIMES]."""
    share = torch.linspace(0.05, 0.95, TIMES, device=patient.device)[
        torch.arange(TIMES) * 3 % TIMES
    ]
    table: Mapping[str, Any] = {
        "DDPM": lambda: (share * patient.model.timesteps).long(),
        "FM": lambda: share,
        "EDM": lambda: 0.05 + share,
    }
    return for_model(patient.model, table)()


def _rates(patient: Patient, time: Tensor) -> tuple[Tensor, Tensor]:
    """alpha and sigma at times [B], [B, 1, 1, 1] each."""
    alpha, sigma = denoiser_of(patient.model).rates(time)
    return alpha[:, None, None, None], sigma[:, None, None, None]


def _end(patient: Patient) -> str:
    return (
        f"{getattr(patient.model, 'timesteps', 1)}" if _times(patient).dtype == torch.long else "1"
    )


def _normal(patient: Patient, number: int, key: int) -> Tensor:
    """Noise of variance 1, [number, C, H, W], the same every time."""
    generator = generator_for(EVAL_STREAM, key, device=patient.device)
    options = {"generator": generator, "device": patient.device}
    return torch.randn(number, *patient.model.img_shape, **options)
