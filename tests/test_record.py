"""The record table: benchmarks/record.py trains, scores and times a config, and keeps each seed."""

import re
import sys
from dataclasses import replace

import pytest

import record
from helpers.files import ROOT
from libs.runtime import cli
from libs.utils import UserError

REACHED = record.SeedResult(0, 60.0, 1000, 10, 10.0, 10.0, 0.003, 0.003, 0.98)


def test_finished_seeds_are_not_trained_again(tmp_path):
    """An interrupted call goes on with what is missing; another config or code starts over."""
    made = []

    def make(seed):
        made.append(seed)
        if seed == 2:
            raise KeyboardInterrupt
        return replace(REACHED, seed=seed)

    with pytest.raises(KeyboardInterrupt):
        record.finished([0, 1, 2], {"code": "a"}, tmp_path, make)
    assert made == [0, 1, 2]
    again = record.finished([0, 1], {"code": "a"}, tmp_path, make)
    assert made == [0, 1, 2]
    assert again == [REACHED, replace(REACHED, seed=1)]
    record.finished([1], {"code": "b"}, tmp_path, make)
    assert made == [0, 1, 2, 1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fid": 10.4, "accuracy": 0.97, "grain": 0.0045}, []),
        ({"fid": 10.6}, ["FID"]),
        ({"accuracy": 0.969, "grain": 0.005}, ["accuracy", "grain"]),
    ],
)
def test_the_bar(change, words):
    """FID within 5% of the floor, accuracy 0.97, grain 1.5 times that of real images."""
    found = record.missed([REACHED, replace(REACHED, seed=7, **change)])
    assert [line.split()[0] for line in found] == words
    assert all(line.endswith("not by seed 7") for line in found)


def test_a_row_has_the_columns_of_the_table():
    """What is printed can be pasted below RECORDS.md's table."""
    text = (ROOT / "benchmarks/RECORDS.md").read_text(encoding="utf-8")
    header = next(line for line in text.splitlines() if line.startswith("| commit |"))
    runs = [replace(REACHED, seconds=s, fid=f) for s, f in ((60, 9.0), (120, 12.0), (90, 10.0))]
    row = record.row("mnist_cpu", runs)
    assert row.count("|") == header.count("|") - 1  # its last column says what has changed
    assert "| 1.5 (1.0-2.0) |" in row
    assert "| 10.0 (9.0-12.0) |" in row


@pytest.mark.parametrize("argv", [["--seeds", "one"], ["--set", "model.conditional=false"]])
def test_mistakes_are_found_before_training(argv, monkeypatch, capsys):
    """Seeds that are no numbers, and a model without classes."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(record, "run_seed", lambda *_: pytest.fail("trained"))
    monkeypatch.setattr(sys, "argv", ["record.py", "configs/digits.yaml", *argv])
    with pytest.raises(SystemExit) as error:
        cli.run(record.main)
    assert error.value.code == 2
    assert re.search("--seeds|classes", capsys.readouterr().err)


@pytest.mark.slow
def test_training_that_fails_says_so(tmp_path, monkeypatch):
    """No row comes out of a run that ended early."""
    from libs.config import load_config

    config = load_config(str(ROOT / "configs/digits.yaml"))
    config.output_folder = tmp_path
    config.model.dim = 7  # which no norm divides into groups
    with pytest.raises(UserError, match="training of seed 3 ended with 2"):
        record.train(config, 3)


@pytest.mark.slow
def test_a_record_from_start_to_finish(tmp_path, monkeypatch, capsys):
    """One command trains, scores and prints; the second one trains nothing."""
    small = "model.dim=8 model.timesteps=5 train_cfg.epochs=1 dataset.subset=0.2 "
    small += f"train_cfg.num_eval_samples=1 output_folder={tmp_path}"
    argv = ["record.py", "configs/digits.yaml", "--seeds", "4", "--num", "100"]
    argv += [part for setting in small.split() for part in ("--set", setting)]
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", argv)
    record.main()
    printed = capsys.readouterr().out
    assert re.search(r"\| `digits` \| \d+\.\d \| \d+ \| 5 \| [\d.]+ \| ", printed)
    assert "accuracy at least 0.97: not by seed 4" in printed
    monkeypatch.setattr(record, "train", lambda *_: pytest.fail("trained"))
    record.main()
    assert capsys.readouterr().out.splitlines()[-1] == printed.splitlines()[-1]
