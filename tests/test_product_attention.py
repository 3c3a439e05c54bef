"""Attention in bfloat16 on a CPU (libs/runtime/attention.py), beside its formula in float64."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from libs.blocks import SpatialTransformer
from libs.runtime import attention
from libs.runtime.attention import ProductAttention, attend
from libs.runtime.device import Precision

BF16 = Precision("bf16", torch.device("cpu"))
ROUNDING = 0.015  # a result's relative error: bfloat16 has 8 bits, and several numbers are rounded


@pytest.fixture(autouse=True)
def any_size(monkeypatch):
    """These tests are small."""
    monkeypatch.setattr(attention, "FEW", 0)


def made(*shape: int) -> Tensor:
    """Random numbers in bfloat16, with the axes in memory as Attention leaves them."""
    batch, heads, tokens, dim = shape
    numbers = torch.randn(batch, tokens, heads, dim)
    return numbers.to(torch.bfloat16).transpose(1, 2).requires_grad_()


def by_formula(q: Tensor, k: Tensor, v: Tensor, gradient: Tensor) -> list[Tensor]:
    """softmax(q k^T / sqrt(d)) v in float64, and the gradients of q, k and v."""
    q, k, v = (x.detach().double().requires_grad_() for x in (q, k, v))
    result = (q @ k.transpose(2, 3) / q.shape[3] ** 0.5).softmax(dim=3) @ v
    return [result, *torch.autograd.grad(result, (q, k, v), gradient.double())]


def far(found: Tensor, expected: Tensor) -> float:
    """The relative distance."""
    return ((found.double() - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("cached", [1, 5000, 1 << 20])
@pytest.mark.parametrize(
    ("batch", "heads", "n", "m", "dim"),
    [(3, 2, 20, 20, 16), (2, 4, 33, 7, 8), (1, 1, 5, 40, 32), (5, 3, 1, 2, 4)],
)
def test_it_is_the_formula(monkeypatch, cached, batch, heads, n, m, dim):
    """Results and gradients, for heads one by one, some at a time, and all together."""
    torch.manual_seed(0)
    monkeypatch.setattr(attention, "CACHED", cached)
    q, k, v = made(batch, heads, n, dim), made(batch, heads, m, dim), made(batch, heads, m, dim)
    gradient = torch.randn(batch, heads, n, dim).to(torch.bfloat16)
    found = attend(q, k, v)
    assert found.dtype == torch.bfloat16
    assert found.shape == q.shape
    grads = torch.autograd.grad(found, (q, k, v), gradient)
    for ours, right in zip([found, *grads], by_formula(q, k, v, gradient), strict=True):
        assert ours.shape == right.shape
        assert far(ours, right) < ROUNDING


def test_weights_that_are_nearly_one():
    """Large scores: a token attends to one other alone, whatever all keys have in common."""
    torch.manual_seed(0)
    q, k = (2.5 * F.one_hot(torch.arange(16), 16).expand(2, 2, 16, 16) for _ in range(2))
    v, common = made(2, 2, 16, 16), 3 * torch.randn(16)
    q, k = (x.to(torch.bfloat16).requires_grad_() for x in (4 * q, 4 * k + common))
    gradient = torch.randn(2, 2, 16, 16).to(torch.bfloat16)
    found = attend(q, k, v)
    grads = torch.autograd.grad(found, (q, k, v), gradient)
    right = by_formula(q, k, v, gradient)
    assert far(found, right[0]) < ROUNDING
    assert far(grads[2], right[3]) < ROUNDING


def test_one_token_is_passed_on():
    """The softmax of one score is 1: every query gets the value itself, and q does not matter."""
    q, k, v = made(3, 2, 10, 8), made(3, 2, 1, 8), made(3, 2, 1, 8)
    found = attend(q, k, v)
    assert torch.equal(found, v.expand_as(q))
    of_q, of_k, of_v = torch.autograd.grad(found.float().sum(), (q, k, v))
    assert not of_q.any()
    assert not of_k.any()
    assert torch.equal(of_v, torch.full_like(v, 10))


@pytest.mark.parametrize(
    "change",
    [
        lambda q, k, v: (q.float(), k.float(), v.float()),
        lambda q, k, v: (40 * q, 40 * k, v),  # exp of these scores overflows
        lambda q, k, v: (q[0], k[0], v[0]),
        lambda q, k, v: (q, k, torch.cat([v, v], dim=3)),
    ],
    ids=["fp32", "large scores", "3 axes", "another size of v"],
)
def test_other_calls_go_to_pytorch(change):
    """What is not covered gets PyTorch's own answer, to the last bit."""
    torch.manual_seed(0)
    given = [x.detach() for x in change(*(made(2, 2, 12, 8) for _ in range(3)))]
    assert attend(*given) is None
    with ProductAttention():
        found = F.scaled_dot_product_attention(*given)
    assert torch.equal(found, F.scaled_dot_product_attention(*given))


def test_masks_are_kept():
    """A call with a mask, or a causal one, is PyTorch's."""
    q, k, v = (made(2, 2, 12, 8).detach() for _ in range(3))
    mask = torch.rand(12, 12) > 0.3
    for options in ({"attn_mask": mask}, {"is_causal": True}, {"scale": 0.1}):
        with ProductAttention():
            found = F.scaled_dot_product_attention(q, k, v, **options)
        assert torch.equal(found, F.scaled_dot_product_attention(q, k, v, **options))


def test_derivatives_forward():
    """Where the fused function is switched off for MeanFlow's derivative, so is this one."""
    q, k, v = (made(2, 2, 12, 8).detach() for _ in range(3))
    rates = tuple(torch.randn_like(x) for x in (q, k, v))
    results = []
    for context in (ProductAttention, torch.no_grad):
        with context(), sdpa_kernel(SDPBackend.MATH):
            results.append(torch.func.jvp(F.scaled_dot_product_attention, (q, k, v), rates))
    for ours, right in zip(*map(itertools.chain, results), strict=True):
        assert torch.equal(ours, right)


def test_precision_switches_it_on(monkeypatch):
    """Networks use it in bf16 on a CPU, not in fp32, and not after the context."""
    calls = []
    monkeypatch.setattr(attention, "attend", lambda *qkv: calls.append(1) or attend(*qkv))
    torch.manual_seed(0)
    block, x, context = SpatialTransformer(16, 8), torch.randn(2, 16, 6, 6), torch.randn(2, 1, 8)
    torch.nn.init.normal_(block.proj_out.weight, std=0.1)
    with Precision("fp32", BF16.device).autocast():
        right = block(x, context)
    assert not calls
    with BF16.autocast():
        found = block(x, context)
    assert len(calls) == 2
    assert far(found, right) < ROUNDING
    found.float().square().mean().backward()
    missing = [name for name, p in block.named_parameters() if p.grad is None]
    assert not missing
    with pytest.raises(KeyError), BF16.autocast():
        raise KeyError
    block(x, context)
    assert len(calls) == 2


def test_a_compiled_network_keeps_pytorchs_attention(monkeypatch):
    """A mode of Python inside a compiled network would have it compiled again and again."""
    calls, compiled = [], []
    monkeypatch.setattr(attention, "attend", lambda *qkv: calls.append(1) or attend(*qkv))
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compiled.append(self))
    precision = Precision("bf16", BF16.device)
    block = SpatialTransformer(16, 8)
    precision.compile(block)
    with precision.autocast():
        block(torch.randn(2, 16, 6, 6), torch.randn(2, 1, 8))
    assert compiled == [block]
    assert not calls
