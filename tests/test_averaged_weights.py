"""The optimizer and the average of the weights: against torch and a plain loop."""

import copy

import pytest
import torch
from torch import nn

from libs.config import TrainConfig
from libs.training.ema import EMA
from libs.training.muon import orthogonalize, split
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


class Hidden(nn.Module):
    """A first layer, hidden ones and a last one, of a diffusion model's kinds."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.label = nn.Embedding(3, 4)
        self.first = nn.Conv2d(2, 4, 3)
        self.tall, self.wide = nn.Linear(4, 6), nn.Conv2d(6, 4, 2)
        self.twin = nn.Conv2d(6, 4, 2)
        self.last = nn.Conv2d(4, 2, 1)


def with_gradients(seed):
    """The same weights, with the gradients of a step."""
    model, generator = Hidden(), torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    return model


def test_muon_is_for_hidden_matrices():
    """The first layer, the last one, embeddings, and all of one dimension are AdamW's."""
    model = Hidden()
    matrices, others = make_optimizer(model, TrainConfig(optimizer="muon")).param_groups
    hidden = [layer.weight for layer in (model.tall, model.wide, model.twin)]
    assert [id(p) for p in matrices["params"]] == [id(p) for p in hidden]
    number = len(matrices["params"]) + len(others["params"])
    assert number == len(list(model.parameters()))


def test_muon_steps_like_that_of_torch():
    """On flattened convolutions torch's own Muon makes the same steps, to its bf16 precision; the
    other parameters take AdamW's."""
    if not hasattr(torch.optim, "Muon"):
        pytest.skip("torch.optim has no Muon before 2.9")
    config = TrainConfig(optimizer="muon", lr=0.02, weight_decay=0.1, betas=[0.9, 0.99])
    ours, theirs = Hidden(), Hidden()
    optimizer = make_optimizer(ours, config)
    matrices, rest = split(theirs)
    flat = [nn.Parameter(p.detach().flatten(1).clone()) for p in matrices]
    muon = torch.optim.Muon(flat, lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    adamw = torch.optim.AdamW(rest, lr=0.02, weight_decay=0.1, betas=(0.9, 0.99))
    for step in range(3):
        for model in (ours, theirs):
            given = with_gradients(step)
            for parameter, like in zip(model.parameters(), given.parameters(), strict=True):
                parameter.grad = like.grad.clone()
        for parameter, matrix in zip(flat, matrices, strict=True):
            parameter.grad = matrix.grad.flatten(1)
        for one in (optimizer, muon, adamw):
            one.step()
    for parameter, matrix in zip(flat, split(ours)[0], strict=True):
        torch.testing.assert_close(matrix.flatten(1), parameter, rtol=0, atol=2e-3)
    for mine, other in zip(split(ours)[1], rest, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)


def test_orthogonalized_matrices():
    """They keep their singular vectors, and singular values of any size come near to 1."""
    matrices = torch.randn(2, 5, 9, generator=torch.Generator().manual_seed(0)) * 1e-3
    square = torch.randn(3, 5, 5, generator=torch.Generator().manual_seed(1))
    batches = [matrices, matrices.mT, 1e4 * square, matrices[:, :3]]
    for given, found in zip(batches, orthogonalize(batches), strict=True):
        u, _, vh = torch.linalg.svd(given, full_matrices=False)
        inner = u.mT @ found @ vh.mT
        values = inner.diagonal(dim1=1, dim2=2)
        assert 0.6 < values.min() < values.max() < 1.3
        torch.testing.assert_close(inner, torch.diag_embed(values), rtol=0, atol=1e-4)


def test_orthogonalized_matrices_of_low_rank():
    """The factor of all rounds amplifies the rounding of directions that a matrix does not have:
    they stay small, and the others come out as they would alone."""
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(1, *shape, generator=generator) for shape in ((256, 3), (3, 2304)))
    (found,) = orthogonalize([left @ right])
    u, values, _ = torch.linalg.svd(found)
    assert 0.6 < values[0, 2] < values[0, 0] < 1.3
    assert values[0, 3] < 1e-2
    of_given = torch.linalg.svd(left @ right)
    overlap = u[0, :, :3].mT @ of_given.U[0, :, :3]
    torch.testing.assert_close(
        torch.linalg.det(overlap).abs(), torch.tensor(1.0), atol=1e-3, rtol=0
    )


def test_muon_goes_on_where_it_was_saved():
    """A loaded optimizer makes the step that the saved one would have made."""
    model = with_gradients(0)
    config = TrainConfig(optimizer="muon", lr=0.02)
    first = make_optimizer(model, config)
    first.step()
    twin = copy.deepcopy(model)
    for parameter, like in zip(twin.parameters(), model.parameters(), strict=True):
        parameter.grad = like.grad.clone()
    second = make_optimizer(twin, config)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for optimizer in (first, second):
        optimizer.step()
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(ours, theirs)


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
