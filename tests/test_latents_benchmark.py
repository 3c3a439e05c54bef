"""The benchmark of cached latents: what it measures, on a model and data that are tiny."""

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import latents
from helpers.files import ROOT
from libs.config import load_config
from libs.tiny_autoencoder import TAESD


@pytest.fixture
def flags(tmp_path):
    """Flags for a tiny latent model, its autoencoder with random weights, on 12 image files."""
    torch.manual_seed(0)
    vae = TAESD()
    torch.save(vae.encoder.state_dict(), tmp_path / "encoder.pth")
    torch.save(vae.decoder.state_dict(), tmp_path / "decoder.pth")
    rng = np.random.default_rng(0)
    for i in range(12):
        file = tmp_path / "images" / f"class{i % 2}" / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(file)
    settings = "model.dim=8 model.dim_mults=[1,2] model.attn_levels=[] model.num_classes=2 "
    settings += "model.timesteps=5 model.img_shape=[3,16,16] dataset.resize=20 dtype=fp32 "
    settings += "dataset.name=ImageFolder dataset.latent_variants=2 loader.batch_size=5"
    settings = [*settings.split(), f"dataset.data_folder={tmp_path / 'images'}"]
    settings += [f"output_folder={tmp_path / 'logs'}"]
    settings += [
        f"model.vae_{part}_weights={tmp_path / part}.pth" for part in ("encoder", "decoder")
    ]
    return [part for s in settings for part in ("--set", s)]


@pytest.mark.slow
def test_it_measures_speeds_and_waiting(flags, tmp_path, monkeypatch, capsys):
    """Three ways to train, each timed in all rounds; the gain is that of cached latents."""
    file = tmp_path / "latents.json"
    options = ["--steps", "2", "--rounds", "3", "--device", "cpu", "--json", str(file)]
    monkeypatch.setattr(sys, "argv", ["latents.py", "configs/afhq.yaml", *flags, *options])
    monkeypatch.chdir(ROOT)
    seen = []
    step = latents.DiffusionLearner.step
    monkeypatch.setattr(
        latents.DiffusionLearner,
        "step",
        lambda learner, *args: seen.append(tuple(args[2].shape)) or step(learner, *args),
    )
    with torch.random.fork_rng():
        latents.main()
    found = json.loads(file.read_text())
    files, cached, memory = found["results"]
    digits = load_config("configs/digits.yaml").loader.batch_size
    assert [r["data"] for r in found["results"]] == [
        "ImageFolder, files", "ImageFolder, latents", "Digits, memory"
    ]  # fmt: skip
    assert [r["workers"] for r in found["results"]] == [2, 0, 0]
    assert [r["batch_size"] for r in found["results"]] == [5, 5, digits]
    # A round has a step to warm up, and one for each batch that two workers have ready
    assert seen == 3 * ([(5, 3, 16, 16)] * 7 + [(5, 4, 2, 2)] * 3 + [(digits, 1, 8, 8)] * 3)
    for result in found["results"]:
        speed, waiting = result["images_per_second"], result["waiting"]
        assert 0 < speed["lowest"] <= speed["median"] <= speed["highest"]
        assert 0 <= waiting["lowest"] <= waiting["median"] <= waiting["highest"] < 1
    fast, slow = cached["images_per_second"], files["images_per_second"]
    gain = found["gain"]
    assert fast["lowest"] / slow["highest"] <= gain["lowest"] * (1 + 1e-9)
    assert gain["highest"] <= fast["highest"] / slow["lowest"] * (1 + 1e-9)
    assert gain["lowest"] <= gain["median"] <= gain["highest"]
    table = capsys.readouterr().out
    assert all(result["data"] in table for result in (files, cached, memory))


def test_rounds_go_through_all_epochs():
    """Rounds cut the batches of one epoch after another, and leave none out."""
    batches = latents.Rounds(7, 2, 0, latents.Processes())
    plain = latents.EpochBatches(7, 2, 0, latents.Processes())
    expected = []
    for plain.epoch in range(4):
        expected += list(plain)
    batches.per_round = 4
    assert [*batches, *batches, *batches] == expected
