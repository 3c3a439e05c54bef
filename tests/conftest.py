"""Shared by all tests: where real data lies, and how to run a script as a user does."""

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from autograder.sandbox.sandbox import Sandbox

from helpers.files import ROOT
from helpers.scripts import call_script
from libs.runtime import cli

cli.keep_freed_memory()


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """What collection imports stays: Python need not look through it for garbage again and again,
    which takes a tenth of all tests' time. What is imported later is looked through rarely."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(700, 10, 100)
        gc.enable()


@pytest.fixture(autouse=True)
def _curves_where_asked_for(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    """Runs in this process plot their losses, over time and over noise levels, in tests marked
    `curve` only: each plot takes as long as ten training steps."""
    run_log = sys.modules.get("libs.training.run_log")
    if run_log is not None and request.node.get_closest_marker("curve") is None:
        monkeypatch.setattr(run_log, "save_training_curve", lambda *args: None)
        learner = sys.modules.get("libs.training.diffusion_learner")
        if learner is not None:
            monkeypatch.setattr(learner.DiffusionLearner, "noise_levels", lambda self: None)


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished tiny run on the digits."""
    folder = tmp_path_factory.mktemp("trained")
    settings = ["model.dim=8", "model.timesteps=10", "train_cfg.num_eval_samples=1"]
    settings += ["train_cfg.max_steps=12", f"output_folder={folder}"]
    overrides = [part for s in settings for part in ("--set", s)]
    process = call_script("code/train.py", "configs/digits.yaml", "--output", "run", *overrides)
    assert process.returncode == 0, process.stderr
    assert "0.1" in process.stdout
    return folder / "digits_run"


@pytest.fixture(scope="session")
def captioned_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of one step on captioned pictures, in a run folder with its pictures."""
    from helpers.captioned import build_trainer, write_pictures

    place = tmp_path_factory.mktemp("run")
    write_pictures(place / "data" / "train")
    keys = "train_cfg.max_steps=1", "train_cfg.num_eval_samples=1"
    return build_trainer(place / "data", place, *keys).fit()


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """A warm sandbox for all submissions of this process: it has imported torch."""
    with Sandbox(trusted=True) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def starter() -> dict[str, bytes]:
    """What students get, as {path: content}."""
    from instructor.cutting.cutter import build
    from instructor.cutting.files import tracked_files

    return build(ROOT, tracked_files())


@pytest.fixture
def team(tmp_path: Path) -> Path:
    """The folder of a small complete submission, with a copy of zip_submission.py."""
    from helpers.packing import submission

    return submission(tmp_path / "home work")


@pytest.fixture
def digits_args(tmp_path: Path) -> list[str]:
    """Arguments of a tiny digits run whose output goes to a temporary folder."""
    settings = {
        "output_folder": tmp_path / "logs",
        "model.dim": 8,
        "model.timesteps": 10,
        "train_cfg.num_eval_samples": 0,
    }
    return ["code/train.py", "configs/digits.yaml"] + [
        part for key, value in settings.items() for part in ("--set", f"{key}={value}")
    ]
