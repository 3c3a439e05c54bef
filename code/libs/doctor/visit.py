"""The doctor's visit to a checkpoint, and what is said of it in the end."""

from pathlib import Path

import torch

from ..config import from_dict
from ..datasets import load_splits, spread_evenly
from ..models.build import build_model, first_weights
from ..runtime import checkpoint
from ..runtime.device import Precision
from ..samplers.draw import draw_samples
from ..samplers.sampler import Sampler
from ..utils import shown
from ..weights import load_strictly
from .checkup import LEAST_STEPS, Report, check_up
from .patient import Patient, looked_at

OF_EACH, CLASSES = 8, 4  # samples


def patient_of(path: Path, device: torch.device) -> Patient:
    """A checkpoint, or a run folder's newest one, with its data and a few samples.

    Raises UserError where the checkpoint or the data cannot be read.
    """
    state = checkpoint.read(path, device)
    file = state["path"]
    config = from_dict(state["config"], file.parent, source=str(file))
    model = build_model(config, pretrained=False).to(device)
    load_strictly(model, state["model"] | state["ema"]["average"], file)
    model.eval()
    images, labels = looked_at(load_splits(config.dataset, config.model.img_shape).train)
    history = state.get("history", {})
    patient = Patient(
        model,
        config,
        images,
        labels,
        step=state["step"],
        current={name: state["model"][name] for name in state["ema"]["average"]},
        first=first_weights(config),
        losses=history.get("epoch_loss", []),
    )
    if config.model.context == "class":
        drawn = spread_evenly(CLASSES, len(state["classes"])).repeat(OF_EACH)
        precision, sampler = Precision.pick(config.dtype, device), Sampler.of_run(config.train_cfg)
        batches = draw_samples(model, drawn, precision, sampler=sampler, batch_size=len(drawn))
        patient.samples, patient.sample_labels = torch.cat(list(batches)), drawn
    return patient


def visit(path: Path, device: torch.device) -> str:
    """What is off with a run, in words, with a table of its errors by noise level."""
    patient = patient_of(path, device)
    return told(patient, check_up(patient), shown(checkpoint.read(path)["path"]))


def told(patient: Patient, report: Report, name: str) -> str:
    """A report as a text of several lines."""
    lines = [f"{name}, after {patient.step:,} steps"]
    if report.levels:
        lines += ["", "noise / signal   error, in those of a linear denoiser   healthy runs"]
        for level, band in zip(report.levels, report.band, strict=True):
            most = band.most_at(level.noise)
            mark, healthy = "", f"{band.least:.2f} to {most:.2f}"
            if level.ratio > most:
                mark = "  above"
            lines.append(f"{level.noise:14.3g}   {level.ratio:38.2f}   {healthy}{mark}")
    elif patient.step >= LEAST_STEPS:
        lines += [
            "What a network distilled into one evaluation knows of fainter noise is not judged."
        ]
    else:
        lines += [f"Too early to judge what the network knows: that takes {LEAST_STEPS} steps."]
    lines.append("")
    if not report.findings:
        return "\n".join([*lines, "Nothing is off."])
    return "\n".join([*lines, *(f"- {finding}" for finding in report.findings)])
