"""benchmarks/speed.py measures what it says: the same work on all sides, and its arithmetic."""

import sys
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

import peers
import speed
from libs.runtime.device import Precision
from libs.utils import UserError

CPU = torch.device("cpu")
FP32 = Precision("fp32", CPU)
TINY = ["model.dim=8", "model.context_dim=8"]


def tiny(name: str = "mnist"):
    """A config of small width with its batch."""
    config = speed.shape_config(name, TINY)
    return config, peers.Batch.draw(config, 2, CPU)


@pytest.mark.parametrize("bf16", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_ours_and_the_plain_model_compute_the_same(bf16):
    """Protects: the plain model is ours, so that the ratio of their times means something."""
    config, batch = tiny()
    ours = peers.make_ours(config, batch, FP32, peers.Ideas())
    plain = peers.make_ours(config, batch, FP32, peers.NONE)
    for _ in range(3):  # away from the layers that start as zeros
        ours.train()
    precision = replace(FP32, name="bf16") if bf16 else FP32
    difference = peers.difference(ours.network, plain.network, batch, precision)
    assert difference < (0.03 if bf16 else 1e-5)
    assert (difference > 1e-4) == bf16  # else nothing was compared


def test_a_plain_training_step_changes_the_weights_as_ours_does():
    """Protects: without its ideas a step is still the same step, average of the weights and all."""
    config, batch = tiny()
    ours, plain = (
        peers.make_ours(config, batch, FP32, ideas) for ideas in (peers.Ideas(), peers.NONE)
    )
    before = ours.network.model.conv_in.weight.clone()
    results = [[side.train() for _ in range(2)] for side in (ours, plain)]
    assert results[0][1].loss == pytest.approx(results[1][1].loss, rel=1e-4)
    assert results[0][1].grad_norm == pytest.approx(results[1][1].grad_norm, rel=1e-3)
    assert not torch.equal(ours.network.model.conv_in.weight, before)


def test_the_plain_model_does_not_call_the_fused_attention(monkeypatch):
    """Protects: plain means explicit attention."""
    config, batch = tiny()
    attention, calls = F.scaled_dot_product_attention, []
    monkeypatch.setattr(
        F, "scaled_dot_product_attention", lambda *qkv: calls.append(1) or attention(*qkv)
    )
    peers.make_ours(config, batch, FP32, peers.NONE).train()
    assert not calls
    peers.make_ours(config, batch, FP32, peers.Ideas()).train()
    assert calls


def test_the_table_compares_medians_with_the_reference():
    """Protects: the ratios and shares that the documents quote."""
    sides = {
        "ours": {"train_seconds": [2.0, 1.0, 9.0], "sample_seconds": [1.0]},
        "plain": {"train_seconds": [6.0, 5.0, 18.0], "sample_seconds": [3.0]},
    }
    for found in sides.values():
        found |= {"parameters": 1_500_000, "train_flops": 4 * 10**9}
    result = {"shape": [1, 8, 8], "peak_flops_per_second": 20e9, "contestants": sides}
    lines = speed.table("mnist", result, 10, "ours").splitlines()
    cells = [cell.strip() for cell in lines[-1].split("|")[1:-1]]
    assert cells == [
        *("plain", "1.50M", "4", "1.7 (0.6-2.0)", "3.00", "3%", "3.3 (3.3-3.3)", "3.00")
    ]
    assert "| ours | 1.50M | 4 | 5.0 (1.1-10.0) | 1.00 | 10% |" in lines[-2]


def test_missing_peers_are_named(monkeypatch):
    """Protects: without the optional packages, the error says what to install."""
    config, batch = tiny()
    monkeypatch.setitem(sys.modules, "denoising_diffusion_pytorch", None)
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(UserError, match=r"requirements/bench\.txt"):
        peers.make_ddpm_pytorch(config, batch, FP32, 1000)
    with pytest.raises(UserError, match=r"requirements/bench\.txt"):
        peers.make_diffusers(config, batch, FP32, True)


@pytest.mark.slow
def test_diffusers_peer_trains_and_samples_at_our_widths():
    """Protects: the comparison runs with the pinned diffusers, on the same batch."""
    pytest.importorskip("diffusers")
    config, batch = tiny()
    side = peers.make_diffusers(config, batch, FP32, True)
    widths = [config.model.dim * mult for mult in config.model.dim_mults]
    unet = side.network["unet"]
    assert list(unet.config.block_out_channels) == widths
    before = unet.conv_in.weight.clone()
    side.train()
    assert not torch.equal(unet.conv_in.weight, before)
    assert side.sample().prev_sample.shape == batch.images.shape
