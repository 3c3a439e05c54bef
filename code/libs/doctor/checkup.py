"""Looking a run over: the model's own functions, its data, its network, its samples."""

import math
import statistics
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..models.denoisers import denoiser_of
from ..runtime.streams import fork_rng
from ..utils import UserError
from . import network
from .bands import BAND, Band
from .chain import chain
from .findings import Finding, in_order
from .forward import diffusion
from .losses import loss
from .network import Level
from .patient import Patient

UNFIT = (UserError, RuntimeError, TypeError, ValueError, AttributeError, IndexError)  # to be asked
LEAST_STEPS = 100  # before that a network may not know anything yet
MOST_LEFT = 0.25  # of the image at the last time step
SIGNAL_TIMES = "timesteps, beta_start and beta_end"
LEAST_SPREAD = 0.35  # of samples of a class, in spreads of the data
LEAST_IMAGES = 10
LEAST_GAIN, LEAST_CHANGE = 1.005, 0.005  # of labels and times
MOST_STRETCH = 1.3  # of what a label changes
SOME_GAIN, LEAST_APART = 1.02, 0.015  # of two classes, where labels are worth something
LEAST_MOVE, MOST_MOVE = 0.03, 2.0
MOST_BEHIND = 1.5
MOST_ABOVE = 3  # tenths above the band are too many
# Tenths of the faintest noise, which a network of mean velocities learns last: it draws in one step
LEARNED_LAST = 3


@dataclass
class Report:
    """What a checkup found.

    Attributes:
        findings: what is off, what explains the others first.
        levels: of a network that has trained a little; else empty.
        band: what healthy runs have at these levels.
        label_use: of a trained network with classes; None where it was not measured.
        numbers: others that were measured, by name.
    """

    findings: list[Finding] = field(default_factory=list)
    levels: list[Level] = field(default_factory=list)
    band: list[Band] = field(default_factory=list)
    label_use: network.LabelUse | None = None
    numbers: dict[str, float] = field(default_factory=dict)


def check_up(patient: Patient) -> Report:
    """All that is off with a run; random states and weights stay as they were."""
    report = Report(probe(patient))
    report.findings += _schedule(patient) + _data(patient)
    if patient.step >= LEAST_STEPS:
        if patient.config.fm.teacher is None:  # a distilled network knows pure noise alone
            report.levels, report.band = network.levels(patient), BAND
            report.findings += _network(patient, report)
        report.findings += _samples(patient, report)
    report.findings = in_order(report.findings)
    return report


def probe(patient: Patient) -> list[Finding]:
    """What is off in the model's own functions, around a network that knows the answer.

    Nothing is trained, and torch's random state stays as it was.
    """
    found: list[Finding] = []
    for test in (diffusion, loss, chain):
        if test is loss and found:  # of x_t, which is known to be wrong
            continue
        try:
            with torch.no_grad(), fork_rng(0, patient.device):
                found += test(patient)
        except UNFIT:  # training itself says what is wrong with it, or that it is to be written
            continue
    return found


def _schedule(patient: Patient) -> list[Finding]:
    """A chain starts from pure noise: at the last time nothing may be left of the image."""
    first = denoiser_of(patient.model).times(None, "trailing")[:1].to(patient.device)
    alpha, sigma = denoiser_of(patient.model).rates(first)
    left = (alpha / (alpha**2 + sigma**2).sqrt()).item()
    if left <= MOST_LEFT:
        return []
    sentence = (
        f"At the last time step {left:.0%} of the image are left in x_T, and samples start without "
        f"any ({SIGNAL_TIMES} are the keys)."
    )
    return [Finding("schedule", sentence)]


def _data(patient: Patient) -> list[Finding]:
    """Pixels in [-1, 1], latents of about unit scale, and more than a few of them."""
    x, found = patient.x_start, []
    low, high, spread = x.min().item(), x.max().item(), x.std().item()
    is_latent = patient.are_latents or patient.model.use_vae
    fits = 0.3 < spread < 3 if is_latent else low > -1.01 and high < 1.01 and high - low > 1
    if not fits:
        wanted = "a standard deviation of about 1" if is_latent else "-1 to 1"
        sentence = (
            f"What is diffused goes from {low:.2g} to {high:.2g}, with a standard deviation of "
            f"{spread:.2g}; it should have {wanted}."
        )
        found.append(Finding("scale", sentence))
    different = len(x.flatten(1).unique(dim=0))
    if different < LEAST_IMAGES:
        sentence = f"There are only {different} different training images."
        found.append(Finding("few", sentence))
    return found


def _network(patient: Patient, report: Report) -> list[Finding]:
    levels, numbers = report.levels, report.numbers
    if patient.current:
        numbers["behind"] = network.behind(patient, levels)
        if numbers["behind"] > MOST_BEHIND:  # all else would be measured with these weights
            sentence = (
                f"The averaged weights, which draw, have {numbers['behind']:.1f} times the error "
                "of the current ones: they are still near their start."
            )
            return [Finding("ema", sentence)]
    pairs = enumerate(zip(levels, BAND, strict=True))
    above = [i for i, (level, band) in pairs if not level.ratio <= band.most_at(level.noise)]
    if patient.config.fm.mean_share:
        above = [i for i in above if i >= LEARNED_LAST]
    numbers["moved"] = network.moved(patient)
    if len(above) < MOST_ABOVE:
        blind = _blindness(patient, report)
        if blind or not patient.is_over or report.label_use is None:
            return blind  # while it trains it may still learn what labels say
        return half_believed(report.label_use)
    cause = _why_poor(patient, report, above)
    if cause.kind != "unlearned":
        return [cause]
    return [*_blindness(patient, report), *([cause] if patient.is_over else [])]


def _blindness(patient: Patient, report: Report) -> list[Finding]:
    """Whether the network looks at the time, and at the label."""
    numbers, found = report.numbers, []
    numbers["change by time"] = network.time_change(patient)
    if numbers["change by time"] < LEAST_CHANGE:
        sentence = (
            f"With the time of another image the network's answer changes by "
            f"{numbers['change by time']:.1%}: it hardly looks at the time."
        )
        found.append(Finding("time", sentence))
    if patient.has_classes:
        use = report.label_use = network.label_use(patient)
        numbers |= {"gain by label": use.gain, "stretch": use.stretch, "closest": use.apart}
        if use.gain < LEAST_GAIN:
            sentence = (
                f"With wrong labels the network's error is {use.gain:.3f} times that with the "
                "right ones: it hardly looks at the label."
            )
            found.append(Finding("label", sentence))
    return found


def half_believed(use: network.LabelUse) -> list[Finding]:
    """Whether the network has learned less from labels than they say."""
    if use.gain > SOME_GAIN and use.apart < LEAST_APART:
        sentence = (
            f"The network's answers for the classes {use.pair[0]} and {use.pair[1]} differ by "
            f"{use.apart:.1%} of what those for other classes do, in squares."
        )
        return [Finding("label", sentence)]
    if use.stretch > MOST_STRETCH:
        sentence = (
            f"What a label changes in the network's answer would have to be {use.stretch:.2f} "
            "times as much to fit the images best: it believes labels less than they say."
        )
        return [Finding("label", sentence)]
    return []


def _why_poor(patient: Patient, report: Report, above: list[int]) -> Finding:
    """The likely cause of errors above those of healthy runs."""
    moved, finite = report.numbers["moved"], [x for x in patient.losses if x is not None]
    worst = max(level.ratio for level in report.levels)
    seen = (
        f"In {len(above)} of 10 tenths of the noise level the error is above that of healthy runs"
    )
    if moved < LEAST_MOVE:
        sentence = (
            f"{seen}, and the weights have moved by {moved:.1%} of their length: hardly at all."
        )
        return Finding("rate_low", sentence)
    if moved > MOST_MOVE or len(finite) < len(patient.losses) or not math.isfinite(worst):
        sentence = f"{seen}, and the weights are {moved:.1f} times their first length away."
        return Finding("rate_high", sentence)
    noise = statistics.mean(level.of_noise for level in report.levels)
    image = statistics.mean(level.of_image for level in report.levels)
    sentence = (
        f"{seen}. What the network takes for noise has a correlation of {noise:.2f} with the noise "
        f"and of {image:.2f} with the image."
    )
    return Finding("unlearned", sentence)


def _samples(patient: Patient, report: Report) -> list[Finding]:
    """Samples of one class differ from each other about as training images do."""
    if patient.samples is None or patient.sample_labels is None:
        return []
    ours = _spread(patient.samples, patient.sample_labels)
    images = patient.images
    if patient.are_latents or ours is None:
        return []
    theirs = _spread(images, patient.labels if patient.has_classes else 0 * patient.labels)
    if theirs is None:
        return []
    report.numbers["spread"] = ours / max(theirs, 1e-12)
    if report.numbers["spread"] >= LEAST_SPREAD:
        return []
    sentence = (
        f"Samples of one class differ from each other by {report.numbers['spread']:.0%} of what "
        "training images do."
    )
    return [Finding("alike", sentence)]


def _spread(images: Tensor, labels: Tensor) -> float | None:
    """The standard deviation of images around the mean of their class; None for single ones."""
    squares, count = 0.0, 0
    for label in labels.unique():
        of_class = images[labels == label]
        if len(of_class) > 1:
            centred = of_class - of_class.mean(dim=0)
            squares += centred.square().sum().item()
            count += (len(of_class) - 1) * centred[0].numel()
    return math.sqrt(squares / count) if count else None
