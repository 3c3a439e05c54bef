"""The CIFAR-10 exercise on real pictures in class folders: training, losses, guided drawing."""

import json

import numpy as np
import pytest
from PIL import Image

from helpers.files import find_asset
from helpers.scripts import assert_refused, run_script

SHORT = ["train_cfg.max_steps=4", "train_cfg.num_eval_samples=1", "train_cfg.eval_images=20"]
SHORT += ["dataset.name=ImageFolder", "dataset.subset=0.02", "loader.batch_size=8", "model.dim=8"]
SHORT += ["model.timesteps=10", "dtype=fp32"]


def train(config, folder):
    """A very short run on pictures in class folders, by config alone."""
    settings = [*SHORT, f"dataset.data_folder={find_asset('data/cifar10')}"]
    settings += [f"output_folder={folder}"]
    args = [part for setting in settings for part in ("--set", setting)]
    process = run_script("code/train.py", f"configs/{config}.yaml", *args, "--output", "run")
    assert process.returncode == 0, process.stderr
    return folder / f"{config}_run"


@pytest.mark.slow
def test_unconditional(tmp_path):
    """Losses of three splits by the exercise's keys; pictures without labels, guidance refused."""
    run = train("cifar10", tmp_path)
    history = json.loads((run / "loss_history.json").read_text())
    for key in ("train_loss", "val_loss", "test_loss"):
        assert len(history[key]) == len(history["epochs"]) > 0
        assert all(np.isfinite(history[key]))
    out = tmp_path / "grid.png"
    assert run_script("code/sample.py", run, "--num", "3", "--out", out).returncode == 0
    assert out.is_file()
    assert_refused(run_script("code/sample.py", run, "--guidance", "3"), "labels")
    assert_refused(run_script("code/sample.py", run, "--labels", "cat"), "labels")
    asked = run_script("code/evaluate.py", run, "--metrics", "accuracy")
    assert_refused(asked, "accuracy", "--metrics")


@pytest.mark.slow
def test_guided(tmp_path):
    """Classes by name, a sweep with a block of rows for each scale, a film; typos are named."""
    run = train("cifar10_cfg", tmp_path)
    sweep, film = tmp_path / "sweep.png", tmp_path / "chain.gif"
    args = ["--labels", "airplane,cat", "--num", "2", "--guidance", "0,3,7", "--out", sweep]
    process = run_script("code/sample.py", run, *args)
    assert process.returncode == 0, process.stderr
    grid = np.asarray(Image.open(sweep))
    height, width = 2 * 68 + 4, 2 * 68 + 4
    assert grid.shape[0] > 3 * height  # names of the classes are above
    assert grid.shape[1] > width  # scales are on the left
    first, second, _ = np.split(grid[-3 * height :, -width:], 3)
    assert (first != second).any()
    args = ["--labels", "cat", "--num", "1", "--sampler", "ddim", "--steps", "5", "--film", film]
    assert run_script("code/sample.py", run, *args).returncode == 0
    assert Image.open(film).n_frames > 5
    refused = run_script("code/sample.py", run, "--labels", "air-plane")
    assert_refused(refused, "did you mean 'airplane'")


@pytest.mark.slow
def test_loss_falls_on_real_pictures(tmp_path):
    """With the exercise's own settings, 60 steps bring the loss well below that of a blank answer.

    A network that answers 0 has a loss of 1.
    """
    settings = ["dataset.name=ImageFolder", f"dataset.data_folder={find_asset('data/cifar10')}"]
    settings += ["train_cfg.max_steps=60", "train_cfg.num_eval_samples=0", "dtype=fp32"]
    settings += ["train_cfg.eval_images=50", f"output_folder={tmp_path}"]
    args = [part for setting in settings for part in ("--set", setting)]
    process = run_script(
        "code/train.py",
        "configs/cifar10_cfg.yaml",
        *args,
        "--output",
        "run",
        "-p",
        "10",
        timeout=900,
    )
    assert process.returncode == 0, process.stderr
    history = json.loads((tmp_path / "cifar10_cfg_run" / "loss_history.json").read_text())
    assert history["step_loss"][-1] < 0.3
    assert history["step_loss"][-1] < history["step_loss"][0] / 2
