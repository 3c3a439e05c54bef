"""Exporting a model: the files load again to the same images, and the card says what is known."""

import importlib.util
import json
import os
import re

import pytest
import torch

from helpers.files import ROOT
from helpers.scripts import assert_refused, call_script
from libs.models import export
from libs.models.build import load_model

SCORES = {
    "samples": 40,
    "checkpoint": "logs/digits_run/model_final.pth",
    "sampler": "own, all steps",
    "held_out": "test",
    "scores": {
        "grain": {"samples": 1.25, "real": None},
        "accuracy": {"samples": 0.5, "real": 0.97},
    },
}


@pytest.fixture(scope="module")
def exported(run_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "model"
    scores = folder.parent / "scores.json"
    scores.write_text(json.dumps(SCORES), encoding="utf-8")
    process = call_script("code/export.py", run_folder, "--out", folder, "--scores", scores)
    assert process.returncode == 0, process.stderr
    assert process.stdout.count("wrote ") == 3
    return folder


def test_card_loads_the_model(exported, run_folder, monkeypatch):
    """The card's own Python gives a model with the averaged weights of the checkpoint."""
    card = (exported / "README.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", card, re.S)[1]
    scope = {}
    monkeypatch.chdir(ROOT)
    exec(compile(code, "card", "exec"), scope)
    wanted = load_model(run_folder, torch.device("cpu")).model.state_dict()
    found = scope["model"].state_dict()
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert not scope["model"].training


def test_card_says_data_scores_and_licence(exported):
    """The model card has data, training steps, scores and the licence of the data."""
    card = (exported / "README.md").read_text(encoding="utf-8")
    assert "on Digits of\n1x8x8" in card
    assert "trained for 12 steps" in card
    assert "| accuracy | 0.5 | 0.97 |" in card
    assert "| grain | 1.25 | - |" in card
    assert "CC BY 4.0" in card
    assert "0, 1, 2, 3, 4, 5, 6, 7, 8, 9" in card


def test_without_the_package_weights_are_a_pth(run_folder, tmp_path, monkeypatch):
    """Without safetensors the weights are still exported, as a .pth file."""
    find_spec = importlib.util.find_spec
    hidden = lambda name: None if name == "safetensors" else find_spec(name)  # noqa: E731
    monkeypatch.setattr(export.importlib.util, "find_spec", hidden)
    trained = load_model(run_folder, torch.device("cpu"))
    files = export.export(trained, tmp_path)
    assert [file.name for file in files] == ["model.pth", "config.yaml", "README.md"]
    found = torch.load(tmp_path / "model.pth", weights_only=True)
    assert all(torch.equal(found[n], t) for n, t in trained.model.state_dict().items())
    assert "None were given" in (tmp_path / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("content", ["{}", "[1]", '{"scores": {"a": 1}}', "no json"])
def test_other_scores_are_refused_before_anything_is_written(run_folder, tmp_path, content):
    """A file that holds no scores is refused before a file is written."""
    scores = tmp_path / "scores.json"
    scores.write_text(content, encoding="utf-8")
    process = call_script(
        "code/export.py", run_folder, "--out", tmp_path / "out", "--scores", scores
    )
    assert process.returncode == 2
    assert "--scores" in process.stderr
    assert not (tmp_path / "out").exists()


def test_files_that_exist_stay_unless_forced(run_folder, tmp_path):
    """A README of somebody's own, or a run's config.yaml, is not overwritten by a slip."""
    note = tmp_path / "README.md"
    note.write_text("mine", encoding="utf-8")
    assert_refused(call_script("code/export.py", run_folder, "--out", tmp_path), "--force")
    assert [note] == list(tmp_path.iterdir())
    assert note.read_text(encoding="utf-8") == "mine"
    process = call_script("code/export.py", run_folder, "--out", tmp_path, "--force")
    assert process.returncode == 0, process.stderr
    assert note.read_text(encoding="utf-8").startswith("# ")


def test_folder_that_cannot_be_made_is_named(run_folder, tmp_path):
    """An output folder that cannot be created is one sentence with its path."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    process = call_script("code/export.py", run_folder, "--out", tmp_path / "file" / "out")
    assert process.returncode == 2
    assert os.fspath(tmp_path / "file") in process.stderr
    assert "Traceback" not in process.stderr
