"""eval.py: so many samples of each class against the test images; it goes on where it stopped."""

import re
import types

import numpy as np
import pytest
import scipy.linalg
import torch

from helpers.scripts import assert_refused, call_script
from libs import config, datasets
from libs.metrics import features, lenet, per_class
from libs.metrics.evidence import all_images
from libs.metrics.features import Viewer
from libs.metrics.networks import Looks
from libs.runtime.cache import Store

CONFIG = "configs/digits.yaml"


def call(run_folder, *args):
    return call_script(
        "code/eval.py", CONFIG, run_folder, "--device", "cpu", "--per-class", "6", *args
    )


def evaluate(run_folder, *args) -> str:
    process = call(run_folder, *args)
    assert process.returncode == 0, process.stderr
    return process.stdout


@pytest.fixture
def short(monkeypatch, tmp_path):
    """The digits' config with its caches in a folder of this test, and a classifier that learns
    for a moment."""
    monkeypatch.setattr(lenet, "MIN_STEPS", 1)
    monkeypatch.setattr(lenet, "MIN_EPOCHS", 1)
    load = config.load_config
    output = [f"output_folder={tmp_path}"]
    monkeypatch.setattr(config, "load_config", lambda path: load(path, output))
    return tmp_path


def test_a_call_that_was_stopped_goes_on(run_folder, short, monkeypatch):
    """Batches that were drawn are not drawn again, and the result is that of one call."""
    drawn = []
    draw = per_class.draw_samples

    def counted(model, batch, *args, **options):
        if len(drawn) == 2:
            raise KeyboardInterrupt
        drawn.append(batch.tolist())
        return draw(model, batch, *args, **options)

    monkeypatch.setattr(per_class, "draw_samples", counted)
    assert call(run_folder, "--batch-size", "16").returncode == 130
    monkeypatch.setattr(per_class, "draw_samples", draw)
    first = evaluate(run_folder, "--batch-size", "16")
    stored = sorted(path.name for path in short.rglob("samples-*.pth"))
    assert len(stored) == 4
    assert "32 of 60 samples, kept from an earlier call; --fresh" in first
    assert "60 of 60 samples\n" in first
    fresh = evaluate(run_folder, "--batch-size", "16", "--fresh")
    assert "kept" not in fresh
    assert re.findall("FID .*", fresh) == re.findall("FID .*", first)
    monkeypatch.setattr(per_class, "draw_samples", None)  # a third call draws nothing
    again = evaluate(run_folder, "--batch-size", "16")
    assert re.findall("FID .*", again) == re.findall("FID .*", first)
    assert drawn == [[i // 6 for i in range(16)], [i // 6 for i in range(16, 32)]]
    assert "60 samples, 6 per class, and 299 test images" in first


class SomePixels:
    """A network that sees three pixels."""

    def features_and_logits(self, images):
        return images.flatten(1)[:, [10, 28, 44]], images.flatten(1)

    def state_dict(self):
        return {}


def test_the_distance_is_that_of_the_features(run_folder, short, monkeypatch):
    """FID as scipy computes it, of what the network sees of the samples and of all test images."""
    viewer = Viewer(SomePixels(), torch.device("cpu"), Store(short))
    networks = types.SimpleNamespace(viewer=viewer)
    monkeypatch.setattr(per_class, "load_networks", lambda *args: networks)
    monkeypatch.setattr(features, "hash_of_code", lambda *args: "")
    loaded = config.load_config(CONFIG)
    drawing = per_class.Drawing(6, 60, device="cpu")
    found = per_class.fid_per_class(loaded, run_folder, drawing, Looks())
    (path,) = short.rglob("samples-*.pth")
    samples = torch.load(path)["tensors"]["images"]
    test, _ = all_images(datasets.load_dataset(loaded.dataset, "test", [1, 8, 8]).plain())
    sees = SomePixels().features_and_logits
    x, y = (sees(images.double() / 255)[0].numpy() for images in (samples, test))
    root = scipy.linalg.sqrtm(np.cov(x.T) @ np.cov(y.T)).real
    distance = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(np.cov(x.T) + np.cov(y.T) - 2 * root)
    assert found.samples == pytest.approx(distance, rel=1e-3)
    assert (found.num_samples, found.num_test) == (60, len(test))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("configs/mnist.yaml", "draws images of [1, 8, 8]"),
        ("configs/mnist_edm.yaml", "'model_name: EDM'"),
    ],
)
def test_another_config_is_refused(run_folder, config, words):
    """A checkpoint is not scored with the config of another model."""
    process = call_script("code/eval.py", config, run_folder, "--device", "cpu")
    assert_refused(process, words, "name the config that it was trained with")
