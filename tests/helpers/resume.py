"""Trainers of the kit's configs, and runs of them that are stopped and resumed."""

from pathlib import Path

import torch

from helpers.files import ROOT
from libs.config import load_config
from libs.runtime import checkpoint
from libs.runtime.device import Precision
from libs.runtime.processes import Processes
from libs.training.diffusion_learner import DiffusionLearner
from libs.training.trainer import Trainer


def make_trainer(name: str, folder: Path, *overrides: str, state=None) -> Trainer:
    """A trainer of configs/NAME.yaml in folder/run, on the CPU in single precision."""
    config = load_config(str(ROOT / "configs" / f"{name}.yaml"), overrides)
    fp32, alone = Precision("fp32", torch.device("cpu")), Processes()
    learner = DiffusionLearner(config, fp32, alone)
    return Trainer(learner, config, folder / "run", fp32, alone, state=state)


def assert_resumes_exactly(name: str, folder: Path, *overrides: str, steps: int = 3) -> None:
    """N steps, resume, N steps: weights, their averages and losses as without the stop."""
    stop, end = (f"train_cfg.max_steps={number}" for number in (steps, 2 * steps))
    straight = make_trainer(name, folder, *overrides, end)
    straight.fit()
    make_trainer(name, folder, *overrides, stop).fit()
    state = checkpoint.read(folder / "run" / "model_final.pth")
    resumed = make_trainer(name, folder, *overrides, end, state=state)
    resumed.fit()
    for one, two in (
        [run.learner.model.state_dict() for run in (straight, resumed)],
        [run.learner.updater.ema.average for run in (straight, resumed)],
    ):
        assert one.keys() == two.keys()
        assert all(torch.equal(one[key], two[key]) for key in one)
    assert straight.epoch_losses == resumed.epoch_losses
