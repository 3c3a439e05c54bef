"""The optimizer and the average of the weights: against torch and a plain loop."""

import copy

import pytest
import torch
from torch import nn

from libs.config import TrainConfig
from libs.training.ema import EMA
from libs.training.optim import make_optimizer


@pytest.fixture
def model():
    """A small network with one frozen layer."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    model[0].requires_grad_(False)
    return model


def test_optimizer_leaves_out_frozen_parameters(model):
    """AdamW gets the config's numbers, and no parameter that is frozen."""
    config = TrainConfig(lr=0.02, betas=[0.8, 0.95], weight_decay=0.3)
    (group,) = make_optimizer(model, config).param_groups
    assert [id(p) for p in group["params"]] == [id(p) for p in model[1].parameters()]
    assert (group["lr"], tuple(group["betas"]), group["weight_decay"]) == (0.02, (0.8, 0.95), 0.3)


def test_optimizer_steps_like_adamw(model):
    """The fused optimizer makes the steps of torch's plain AdamW."""
    config, twin = TrainConfig(lr=0.02), copy.deepcopy(model)
    reference = torch.optim.AdamW(
        twin[1].parameters(), lr=0.02, betas=(0.9, 0.999), weight_decay=0.01, fused=False
    )
    for net, optimizer in ((model, make_optimizer(model, config)), (twin, reference)):
        for step in range(3):
            optimizer.zero_grad()
            net(torch.full((1, 3), 0.5 + step)).square().sum().backward()
            optimizer.step()
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)


def randomise(model: nn.Module) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()


@pytest.mark.parametrize("decay", [0.999, 0.3, 0.0])
def test_ema_against_plain_loop(model, decay):
    """The average follows min(decay, (1 + n) / (10 + n)), as a float64 loop computes it."""
    ema = EMA(model, decay)
    expected = {k: p.double().clone() for k, p in model.named_parameters() if p.requires_grad}
    for n in range(1, 31):
        randomise(model)
        ema.update()
        d = min(decay, (1 + n) / (10 + n))
        for key, value in expected.items():
            value.mul_(d).add_(model.get_parameter(key).detach().double(), alpha=1 - d)
    assert ema.average.keys() == expected.keys() == {"1.weight", "1.bias"}
    for key, value in expected.items():
        assert torch.allclose(ema.average[key].double(), value, rtol=1e-5, atol=1e-6)


def test_ema_applied_swaps_and_restores(model):
    """Within `applied` the model has the averaged weights, afterwards its own, bit for bit."""
    ema = EMA(model)
    randomise(model)
    ema.update()
    before, average = copy.deepcopy(model.state_dict()), copy.deepcopy(ema.average)

    def check_restored():
        assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
        assert all(torch.equal(v, average[k]) for k, v in ema.average.items())

    with ema.applied():
        for key, value in average.items():
            assert torch.equal(model.get_parameter(key), value)
        assert torch.equal(model[0].weight, before["0.weight"])
    check_restored()
    with pytest.raises(KeyError), ema.applied():
        raise KeyError
    check_restored()


def test_ema_keeps_parameters_in_place(model):
    """The swap keeps the parameters' memory, which optimizers and compiled models point to."""
    ema = EMA(model)
    addresses = [p.data_ptr() for p in model.parameters()]
    with ema.applied():
        assert [p.data_ptr() for p in model.parameters()] == addresses
    assert [p.data_ptr() for p in model.parameters()] == addresses


def test_ema_state_round_trip(model, tmp_path):
    """An average restored from a checkpoint goes on exactly as the one that was saved."""
    first = EMA(model, 0.9)
    for _ in range(3):
        randomise(model)
        first.update()
    torch.save(first.state_dict(), tmp_path / "ema.pt")
    second = EMA(model, 0.9)
    second.load_state_dict(torch.load(tmp_path / "ema.pt", weights_only=True))
    randomise(model)
    first.update()
    second.update()
    assert first.updates == second.updates == 4
    for key, value in first.average.items():
        assert torch.equal(second.average[key], value)
