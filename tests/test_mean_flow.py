"""MeanFlow: mean velocities against their closed form on Gaussians, its loss against differences,
and what a network of one evaluation draws."""

import pytest
import torch
from torch import nn

from helpers.files import ROOT
from helpers.resume import assert_resumes_exactly
from libs.config import load_config
from libs.fm import FM
from libs.models.build import build_model, load_model
from libs.models.flows import DATA_STD, ResidualUNet
from libs.models.mean_flow import SMALLEST, ImageMeanUNet, MeanFlow, MeanUNet, ResidualMeanUNet
from libs.runtime.device import Precision
from libs.samplers.draw import draw_samples
from libs.samplers.sampler import Sampler
from libs.training.objectives import objective_of
from libs.utils import UserError

CPU = torch.device("cpu")
FP32 = Precision("fp32", CPU)
SMALL = {"dim": 8, "context_dim": 8, "num_classes": 4, "dim_mults": (1, 2), "attn_levels": ()}
MEAN_FLOW = ["fm.mean_share=0.5", "train_cfg.channels_last=false"]
PAIRS = torch.tensor([[0.0, 1.0], [0.2, 0.7], [0.5, 0.5], [0.3, 1.0]], dtype=torch.float64)
MEAN = torch.tensor([0.7, -0.4, 0.1], dtype=torch.float64)[:, None, None]
STD = torch.tensor([0.9, 0.5, 0.2], dtype=torch.float64)[:, None, None]


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def spread(t):
    """The deviation of x_t, whose data is N(MEAN, STD^2)."""
    return (t**2 * STD**2 + (1 - t) ** 2).sqrt()


def velocity(x, t):
    """That of the flow at x_t, [N, 3, 1, 1], for times [N, 1, 1, 1]."""
    return MEAN + (x - t * MEAN) * (t * STD**2 - (1 - t)) / spread(t) ** 2


class Exact(nn.Module):
    """The mean velocity of the flow to N(MEAN, STD^2), whose paths keep their place among all."""

    def forward(self, x, label, time):
        start, end = time[:, :1, None, None], time[:, 1:, None, None]
        x_end = end * MEAN + (x - start * MEAN) * spread(end) / spread(start)
        return (x_end - x) / (end - start)


class Encoding(nn.Module):
    """Of times [B] in double precision, which the model's own does not have."""

    def forward(self, time):
        return torch.stack([f(k * time) for k in (1, 2, 3, 4) for f in (torch.sin, torch.cos)], 1)


def make(network=MeanUNet, **options) -> MeanFlow:
    """A tiny MeanFlow in float64 whose network's output depends on all of its input."""
    torch.manual_seed(0)
    flow = MeanFlow((1, 8, 8), **SMALL, network=network, **options).double().eval()
    for parameter in flow.model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    flow.model.time_embd[0] = flow.model.interval_embd[0] = Encoding()
    return flow


# Gaussian data: everything in closed form


def test_the_identity_holds_for_exact_mean_velocities():
    """v + (s - t) du/dt along the path is u itself (Geng et al., eq. 6)."""
    flow = MeanFlow((3, 8, 8), **SMALL, network=MeanUNet)
    flow.model = Exact()
    pairs = PAIRS[[0, 1, 3]]
    t = pairs[:, :1, None, None]
    x = t * MEAN + spread(t) * normal(3, 3, 1, 1)
    v = velocity(x, t)
    change = flow._change(x, torch.zeros(3, dtype=torch.long), pairs, v)
    length = (pairs[:, 1] - pairs[:, 0])[:, None, None, None]
    expected = Exact()(x, None, pairs)
    torch.testing.assert_close(v + length * change, expected, rtol=0, atol=1e-9)
    assert (change.abs() > 1e-3).any()  # the paths bend


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_any_number_of_steps_leads_along_the_flow(steps):
    """With exact mean velocities one evaluation is as good as many: noise keeps its place."""
    flow = MeanFlow((3, 8, 8), steps, **SMALL, network=MeanUNet)
    flow.model = Exact()
    x = noise = normal(5, 3, 1, 1)
    for i in range(steps):
        x = flow.step(x, torch.zeros(5), i / steps, (i + 1) / steps)
    torch.testing.assert_close(x, MEAN + STD * noise, rtol=0, atol=1e-6)


def test_the_linear_guess_is_exact_for_gaussians():
    """A residual network that adds nothing gives the (mean) velocity of data N(0, DATA_STD^2)."""
    sizes = {**SMALL, "in_channels": 3}
    x, label = normal(4, 3, 8, 8, dtype=torch.float32), torch.arange(4)
    t, s = PAIRS.float()[:, :, None, None, None].unbind(dim=1)
    at_t, at_s = ((u**2 * DATA_STD**2 + (1 - u) ** 2).sqrt() for u in (t, s))
    guess = ResidualMeanUNet(**sizes)(x, label, PAIRS.float())
    expected = (x * at_s / at_t - x) / (s - t)
    moves = [0, 1, 3]
    torch.testing.assert_close(guess[moves], expected[moves], rtol=1e-5, atol=1e-5)
    expected = x * (t * DATA_STD**2 - (1 - t)) / at_t**2
    plain = ResidualUNet(**sizes)(x, label, PAIRS[:, 0].float())
    torch.testing.assert_close(plain, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(guess[2], expected[2], rtol=1e-5, atol=1e-5)


# The loss


@pytest.mark.parametrize("network", [MeanUNet, ImageMeanUNet, ResidualMeanUNet])
def test_loss_against_differences(network):
    """The target's derivative along the line is that of central differences, without gradient."""
    flow, h = make(network), 1e-5
    x_1, noise, label = normal(4, 1, 8, 8), normal(4, 1, 8, 8, seed=1), torch.arange(4)
    pairs = PAIRS.clamp(0.05, 0.9)
    start, end = pairs[:, 0], pairs[:, 1]

    def u(t):
        return flow.model(flow.interpolate(x_1, t, noise), label, torch.stack([t, end], dim=1))

    with torch.no_grad():
        change = (u(start + h) - u(start - h)) / (2 * h)
        target = x_1 - noise + (end - start)[:, None, None, None] * change
    errors = (u(start) - target).square().mean(dim=(1, 2, 3))
    expected = (errors / (errors.detach() + SMALLEST)).mean()
    loss = flow.compute_loss(x_1, label, pairs, noise)
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-8)
    weights = list(flow.model.parameters())
    ours, theirs = (torch.autograd.grad(one, weights) for one in (loss, expected))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-7)


def test_times_that_are_one_give_the_loss_of_a_flow():
    """For times [B] the loss is FM's, and the network's answer is that for pairs of equal times."""
    flow = make()
    x_1, noise, label = normal(4, 1, 8, 8), normal(4, 1, 8, 8, seed=1), torch.arange(4)
    t = PAIRS[:, 0]
    loss = FM.compute_loss(flow, x_1, label, t, noise)
    torch.testing.assert_close(flow.compute_loss(x_1, label, t, noise), loss)
    pairs = flow.model(x_1, label, torch.stack([t, t], dim=1))
    torch.testing.assert_close(flow.model(x_1, label, t), pairs)
    assert (pairs - flow.model(x_1, label, PAIRS)).abs().max() > 1e-3


def test_what_is_left_out_is_drawn():
    """Pairs are in order, a share of them apart, each time as logit-normal as the flow says."""
    flow = MeanFlow((1, 8, 8), **SMALL, network=MeanUNet, mean_share=0.3, logit_normal=(0.0, 1.0))
    pairs = flow.draw_times(20_000, CPU, torch.Generator().manual_seed(0))
    assert pairs.shape == (20_000, 2)
    assert (pairs[:, 0] <= pairs[:, 1]).all()
    apart = pairs[:, 0] < pairs[:, 1]
    assert apart.float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert pairs[apart].mean().item() == pytest.approx(0.5, abs=0.02)
    loss = flow.compute_loss(torch.rand(8, 1, 8, 8), torch.zeros(8, dtype=torch.long))
    loss.backward()
    assert flow.model.final_conv[2].weight.grad.abs().max() > 0


# Config, training, drawing


def test_config_becomes_the_model():
    """Each prediction has its network; the trainer draws pairs, its evaluation single times."""
    for prediction, kind in {
        "velocity": MeanUNet,
        "image": ImageMeanUNet,
        "residual": ResidualMeanUNet,
    }.items():
        settings = [*MEAN_FLOW, f"fm.prediction={prediction}"]
        config = load_config(str(ROOT / "configs/digits_fm.yaml"), settings)
        model = build_model(config)
        assert type(model.model) is kind
        assert model.mean_share == 0.5
        objective, generator = objective_of(model, config), torch.Generator().manual_seed(0)
        assert objective.draw_times(6, generator, training=True).shape == (6, 2)
        assert objective.draw_times(6, generator, training=False).shape == (6,)
        assert objective.drawn.endswith("mean velocities for 50% of them")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("fm.solver=heun", "leave out 'fm.solver: heun'"),
        ("train_cfg.channels_last=true", "needs 'train_cfg.channels_last: false'"),
        ("fm.mean_share=1.5", "'fm.mean_share' must be at least 0 and at most 1"),
    ],
)
def test_config_mistakes(override, words):
    """Heun's steps are for plain velocities, and the loss needs an order of memory."""
    with pytest.raises(UserError, match=words):
        load_config(str(ROOT / "configs/digits_fm.yaml"), [*MEAN_FLOW, override])


def test_a_transformer_takes_one_time():
    """A network that cannot take two times is refused by name."""
    with pytest.raises(UserError, match="needs a network that takes two times"):
        load_config(str(ROOT / "configs/digits_dit.yaml"), MEAN_FLOW)


def test_all_samplers_draw():
    """`own` takes one evaluation a step; others see the velocity, at single times."""
    flow = MeanFlow((1, 8, 8), 1, **SMALL, network=MeanUNet).eval()
    asked = []
    flow.model.register_forward_hook(lambda module, given, _: asked.append(given[2]))
    for sampler in (Sampler(), Sampler("ddim", 2)):
        (images,) = draw_samples(flow, torch.tensor([0, 3]), FP32, sampler=sampler)
        assert images.shape == (2, 1, 8, 8)
    assert [tuple(t.shape) for t in asked] == [(2, 2), (2,), (2,)]
    assert asked[0].tolist() == [[0, 1], [0, 1]]


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_training_goes_on_where_it_was_saved(tmp_path, optimizer):
    """A run of digits_few that was stopped ends with the weights of one that was not."""
    small = ["dataset.subset=0.1", "dataset.test_split=null", "model.dim=8", "loader.batch_size=32"]
    small += ["train_cfg.num_eval_samples=1", f"train_cfg.optimizer={optimizer}"]
    assert_resumes_exactly("digits_few", tmp_path, *small, f"output_folder={tmp_path}", steps=2)
    assert type(load_model(tmp_path / "run", CPU).model) is MeanFlow
