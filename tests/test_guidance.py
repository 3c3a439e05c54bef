"""Classifier-free guidance: the formula, its ends, and the model it is put into for a while."""

import json
import sys
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from torch import nn

from helpers.scripts import assert_refused
from libs.ddpm import DDPM
from libs.metrics import evaluation, report, scoring
from libs.metrics.evidence import Score
from libs.runtime import cli
from libs.runtime.device import Precision
from libs.samplers.draw import draw_samples
from libs.samplers.guidance import Guided, guided
from libs.samplers.sampler import Sampler

NULL = 3
FP32 = Precision("fp32", torch.device("cpu"))


class Toy(nn.Module):
    """Predicts noise that depends on everything, and counts its calls."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.by_label = nn.Parameter(torch.randn(NULL + 1, 2, 1, 1))
        self.calls = []

    def forward(self, x, label, time):
        self.calls.append((label, time))
        return torch.sin(x * self.by_label[label]) + time.reshape(-1, 1, 1, 1) / 10


@pytest.fixture
def inputs():
    """Noisy images of 3 pixels by 5, labels, and times."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(4, 2, 3, 5, generator=generator)
    return x, torch.tensor([0, 2, 1, 2]), torch.tensor([9, 0, 4, 4])


@pytest.fixture
def model():
    """A tiny model whose last label stands for none."""
    torch.manual_seed(0)
    ddpm = DDPM((1, 8, 8), 6, dim=8, context_dim=8, num_classes=4, attn_levels=()).eval()
    for parameter in ddpm.model.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    ddpm.model.null_label = NULL
    return ddpm


@torch.no_grad()
@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0, 3.0, 7.5])
def test_formula_in_one_call(inputs, scale):
    """eps_uncond + s (eps_cond - eps_uncond), from one call of the network on both halves."""
    x, label, time = inputs
    network = Toy()
    eps = Guided(network, scale, NULL)(x, label, time)
    assert len(network.calls) == 1
    uncond, cond = network(x, torch.full((4,), NULL), time), network(x, label, time)
    torch.testing.assert_close(eps, (1 - scale) * uncond + scale * cond, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_ends_of_the_scale(inputs):
    """s = 0 is the unlabelled prediction, s = 1 the labelled one, to 1e-6."""
    x, label, time = inputs
    network = Toy()
    for scale, labels in ((0.0, torch.full((4,), NULL)), (1.0, label)):
        eps = Guided(network, scale, NULL)(x, label, time)
        torch.testing.assert_close(eps, network(x, labels, time), rtol=0, atol=1e-6)


@torch.no_grad()
def test_differences_are_taken_in_full_precision(inputs):
    """A network in half precision is guided in the precision of x."""
    x, label, time = inputs
    eps = Guided(lambda *args: Toy()(*args).bfloat16(), 7.0, NULL)(x, label, time)
    halves = (Toy()(x, y, time).bfloat16().float() for y in (torch.full((4,), NULL), label))
    uncond, cond = halves
    assert eps.dtype == torch.float32
    torch.testing.assert_close(eps, uncond + 7 * (cond - uncond))


def test_model_is_as_before_afterwards(model):
    """Guidance leaves no trace in the model, not even after an error."""
    network, names = model.model, list(model.state_dict())
    with pytest.raises(RuntimeError, match="mine"), guided(model, 2.0):
        raise RuntimeError("mine")
    assert model.model is network
    assert list(model.state_dict()) == names
    for scale, is_guided in ((None, False), (2.0, True)):
        with guided(model, scale):
            assert isinstance(model.model, Guided) == is_guided


@pytest.mark.parametrize("name", ["own", "ddpm", "ddim", "dpm++"])
def test_samplers_are_guided(model, name):
    """With every sampler s = 1 draws as without guidance, s = 0 as for the label "none"."""

    def draw(labels, guidance=None):
        sampler = Sampler(name, guidance=guidance)
        return torch.cat(list(draw_samples(model, torch.tensor(labels), FP32, sampler=sampler)))

    plain = draw([0, 1, 2])
    torch.testing.assert_close(draw([0, 1, 2], 1.0), plain, rtol=0, atol=1e-4)
    torch.testing.assert_close(draw([0, 1, 2], 0.0), draw([NULL] * 3), rtol=0, atol=1e-4)
    assert (draw([0, 1, 2], 4.0) - plain).abs().max() > 0.01


# benchmarks/guidance.py


@pytest.fixture
def benchmark(monkeypatch):
    """benchmarks/guidance.py, which here scores samples that say nothing."""
    import guidance

    asked = []

    def gather(request):
        asked.append(request.sampler.guidance)
        samples = torch.zeros(2, 3, 16, 16, dtype=torch.uint8)
        captioned = SimpleNamespace(texts=["a red bus", "two cats"])
        return SimpleNamespace(samples=samples, captioned=captioned), SimpleNamespace(floor="")

    def score(names, evidence):
        scale = float(asked[-1])
        return [
            Score("CLIP score", 20 + scale, 31.5),
            Score("CLIP consistency", scale / 100, None),
        ]

    monkeypatch.setattr(evaluation, "gather_evidence", gather)
    monkeypatch.setattr(scoring, "score", score)
    monkeypatch.setattr(report, "table", lambda *_: "")
    return SimpleNamespace(main=guidance.main, asked=asked)


def test_benchmark_draws_each_metric_against_the_scale(benchmark, tmp_path, monkeypatch):
    """A panel per metric, its axes labelled, the scales in order, and a line for real images."""
    figure = pytest.importorskip("matplotlib.figure").Figure
    drawn, save = [], figure.savefig

    def keep(self, *args, **options):
        drawn.append(self)
        save(self, *args, **options)

    monkeypatch.setattr(figure, "savefig", keep)
    argv = ["guidance.py", "x.pth", "--scales", "3,1,7.5", "--out", str(tmp_path / "new")]
    for _ in range(2):  # a later call replaces what the first one wrote
        monkeypatch.setattr(sys, "argv", argv)
        cli.run(benchmark.main)
    score, consistency = drawn[0].axes
    for axes, name in ((score, "CLIP score"), (consistency, "CLIP consistency")):
        assert axes.get_xlabel() == "scale of guidance"
        assert axes.get_ylabel() == name
        points = axes.containers[0].lines[0]
        assert list(points.get_xdata()) == [1, 3, 7.5]
    assert list(score.containers[0].lines[0].get_ydata()) == [21, 23, 27.5]
    floors = [line for line in score.lines if list(line.get_ydata()) == [31.5, 31.5]]
    assert [line.get_label() for line in floors] == ["real images"]
    assert len(score.lines) == len(consistency.lines) + 1
    assert {p.name for p in (tmp_path / "new").iterdir()} == {
        "guidance.json",
        "guidance.png",
        "scales.png",
    }
    found = json.loads((tmp_path / "new" / "guidance.json").read_text())
    assert found["3"]["CLIP score"] == 23
    assert found["real"] == {"CLIP score": 31.5, "CLIP consistency": None}
    width, _ = Image.open(tmp_path / "new" / "guidance.png").size
    assert width > 2 * 68 + 4  # scales are written on the left


def test_benchmark_refuses_a_wrong_scale_before_drawing(benchmark, tmp_path, monkeypatch, capsys):
    """A scale that is not a number is found before the first one is drawn."""
    argv = ["guidance.py", "x.pth", "--scales", "1,much", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", argv)
    with pytest.raises(SystemExit) as end:
        cli.run(benchmark.main)
    assert_refused(
        SimpleNamespace(returncode=end.value.code, stdout="", stderr=capsys.readouterr().err),
        "'much'",
    )
    assert benchmark.asked == []
