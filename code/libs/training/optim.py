"""The optimizer and the learning rate as a function of the step."""

import math

import torch
from torch import nn

from ..config import TrainConfig
from . import muon


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Fused AdamW over the parameters that are trained; a frozen autoencoder is none of them.

    Or Muon over them, which has AdamW for those that are no matrices.
    """
    if config.optimizer == "muon":
        beta1, beta2 = config.betas
        return muon.Muon(*muon.split(model), config.lr, (beta1, beta2), config.weight_decay)
    parameters = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.AdamW(
        parameters,
        lr=config.lr,
        betas=tuple(config.betas),
        weight_decay=config.weight_decay,
        fused=True,
    )


def learning_rate(config: TrainConfig, step: int, steps_per_epoch: int) -> float:
    """The learning rate of a step, counted from 0.

    A linear warm-up over `warmup_steps` or `warmup_epochs` comes first. Then "constant"; "cosine"
    down to 0 at the last epoch's end; "multistep", times `lr_gamma` at the start of each epoch in
    `lr_milestones`; or "onecycle" (Smith and Topin 2018): a cosine up from lr / 25 over the first
    30% of the run, and a cosine down to lr / 250,000, with no other warm-up.
    """
    total = config.epochs * steps_per_epoch
    if config.lr_schedule == "onecycle":
        return config.lr * _one_cycle(step, total)
    warmup = config.warmup_steps or round(config.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return config.lr * (step + 1) / (warmup + 1)
    if config.lr_schedule == "cosine":
        done = (step - warmup) / max(1, total - warmup)
        return config.lr * _cosine(1, 0, min(1, done))
    if config.lr_schedule == "multistep":
        passed = sum(step >= epoch * steps_per_epoch for epoch in config.lr_milestones)
        return config.lr * config.lr_gamma**passed
    return config.lr


def _one_cycle(step: int, total: int, peak_at: float = 0.3) -> float:
    peak, last = peak_at * total - 1, total - 1
    if step <= peak:
        return _cosine(1 / 25, 1, step / peak)
    return _cosine(1, 1 / 250_000, min(1, (step - peak) / (last - peak)))


def _cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2
