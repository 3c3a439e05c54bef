"""Evaluations against FID: benchmarks/evaluations.py asks the network as often as it says."""

import argparse
from pathlib import Path

import pytest

import evaluations
from libs.config import Config
from libs.ddpm import DDPM
from libs.fm import FM
from libs.metrics.scoring import Score
from libs.models.build import TrainedModel
from libs.models.mean_flow import MeanFlow, MeanUNet
from libs.utils import UserError

SMALL = {"dim": 8, "context_dim": 8, "num_classes": 2, "dim_mults": (1, 2), "attn_levels": ()}


class Judge:
    """Scores that say how many images there were."""

    conditional = True

    def score(self, images, labels):
        number = float(len(images))
        names = ("FID", "grain", "conditional accuracy")
        return {name: Score(name, number, 1.0) for name in names}


@pytest.mark.parametrize(
    ("make", "own"),
    [
        (lambda: DDPM((1, 8, 8), 6, **SMALL), [6]),
        (lambda: FM((1, 8, 8), 9, **SMALL), [1, 2, 4]),
        (lambda: FM((1, 8, 8), 9, **SMALL, heun=True), [2, 4]),
        (lambda: MeanFlow((1, 8, 8), 1, **SMALL, network=MeanUNet), [1, 2, 4]),
    ],
)
def test_evaluations_are_those_of_the_network(make, own):
    """The number in the table is how often the network was asked, for each kind of model."""
    model, asked = make().eval(), []
    model.model.register_forward_hook(lambda *_: asked.append(1))
    steps = model.timesteps
    trained = TrainedModel(Path("logs/run/model.pth"), model, Config(dtype="fp32"), ["0", "1"], 5)
    args = argparse.Namespace(evaluations="1,2,4", num=2, seed=0)
    points = evaluations.measure(trained, args, Judge())
    assert sum(p.evaluations for p in points) == len(asked)
    assert [p.evaluations for p in points if p.sampler == "own"] == own
    assert [p.evaluations for p in points if p.sampler == "ddim"] == [1, 2, 4]
    assert {(p.run, p.fid, p.floor) for p in points} == {("run", 2.0, 1.0)}
    assert model.timesteps == steps


def test_table_and_picture(tmp_path):
    """A line per draw, and all runs in one picture."""
    points = [
        evaluations.Point(run, sampler, n, 100 / n, 5.0, 0.1, 0.9)
        for run in ("a", "b")
        for sampler in ("ddim", "own")
        for n in (1, 4)
    ]
    lines = evaluations.table(points).splitlines()
    assert len(lines) == 1 + len(points) + 1
    assert lines[2].split() == ["a", "ddim", "4", "25.00", "0.100", "0.900"]
    evaluations.plot(points, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("text", ["one", "0,1", ""])
def test_mistakes(text):
    """Evaluations are numbers from 1."""
    with pytest.raises(UserError, match="--evaluations: give numbers"):
        evaluations.parse_numbers(text)
    assert evaluations.parse_numbers("1,20") == [1, 20]
