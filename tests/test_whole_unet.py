"""The whole UNet against one assembled from diffusers' blocks, and how its parts are wired.

Diffusers' own UNet has one residual block more at each level of its decoder, so its blocks are
put together here, in the order that the interface states.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from helpers.diffusers_blocks import (
    copy_weights,
    diffusers_downsample,
    diffusers_res_block,
    diffusers_transformer,
    diffusers_upsample,
)
from helpers.models import randomize
from libs.blocks import Downsample, LabelEmbedding, ResBlock, SpatialTransformer, Upsample
from libs.unet import UNet

# Diffusers warns about its own imports.
pytestmark = pytest.mark.filterwarnings("ignore:.*Transformer2DModelOutput:FutureWarning")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def make_unet(**settings) -> UNet:
    """A small UNet with random weights everywhere, the zero-initialised ones too."""
    settings = {"dim": 8, "context_dim": 6, "num_classes": 3, "in_channels": 2, **settings}
    return randomize(UNet(**settings))


def make_inputs(unet: UNet, batch: int = 2, height: int = 8, width: int = 12):
    """Images, labels and time steps for a network."""
    x = torch.randn(batch, unet.conv_in.in_channels, height, width)
    return x, torch.arange(batch) % 3, torch.arange(batch) * 10 + 5


def diffusers_unet(unet: UNet, dim: int, context_dim: int, heads: int, x, label, time):
    """What diffusers' blocks compute with the weights of a UNet."""
    embeddings = pytest.importorskip("diffusers.models.embeddings")

    def attend(transformer, x):
        return diffusers_transformer(transformer, context_dim, heads)(x, context)

    encoding = embeddings.get_timestep_embedding(time, dim, True, downscale_freq_shift=0)
    time_mlp = embeddings.TimestepEmbedding(dim, 4 * dim)
    copy_weights(unet.time_embd, time_mlp, {"1": "linear_1", "3": "linear_2"})
    t_emb = time_mlp(encoding)
    embedding, mlp = unet.label_embd.embedding, unet.label_embd.mlp
    hidden = F.silu(F.linear(embedding.weight[label], mlp[0].weight, mlp[0].bias))
    context = F.linear(hidden, mlp[2].weight, mlp[2].bias)[:, None, :]

    x = F.conv2d(x, unet.conv_in.weight, unet.conv_in.bias, padding=1)
    encoder_outputs = []
    for res_block, transformer, down in unet.encoder:
        x = diffusers_res_block(res_block)(x, t_emb)
        x = attend(transformer, x) if transformer is not None else x
        encoder_outputs.append(x)
        x = diffusers_downsample(down)(x) if down is not None else x

    x = diffusers_res_block(unet.mid_res_block1)(x, t_emb)
    x = attend(unet.mid_attn, x)
    x = diffusers_res_block(unet.mid_res_block2)(x, t_emb)

    for (res_block, transformer, up), skip in zip(
        unet.decoder, reversed(encoder_outputs), strict=True
    ):
        x = diffusers_res_block(res_block)(torch.cat([x, skip], dim=1), t_emb)
        x = attend(transformer, x) if transformer is not None else x
        x = diffusers_upsample(up)(x) if up is not None else x

    norm, _, conv = unet.final_conv
    x = F.silu(F.group_norm(x, norm.num_groups, norm.weight, norm.bias, eps=1e-5))
    return F.conv2d(x, conv.weight, conv.bias, padding=1)


def last_of_level(level: nn.ModuleList) -> nn.Module:
    """The part of an encoder level whose output the decoder gets."""
    return level[0] if level[1] is None else level[1]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"dim_mults": (1, 1), "attn_levels": (), "out_channels": 5},
        {"dim_mults": (2, 1, 3), "attn_levels": (0, 1, 2), "init_dim": 4},
        {"dim_mults": (1,), "attn_levels": (0,), "dim": 12, "num_groups": 3, "num_heads": 2},
    ],
)
def test_unet_equals_the_one_of_diffusers_blocks(settings):
    """The network computes what the interface states, for other widths, levels and heads too."""
    unet = make_unet(**settings)
    inputs = make_inputs(unet)
    with torch.no_grad():
        expected = diffusers_unet(
            unet, settings.get("dim", 8), 6, settings.get("num_heads", 4), *inputs
        )
        actual = unet(*inputs)

    scale = expected.abs().max()
    torch.testing.assert_close(actual / scale, expected / scale, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("batch", "height", "width"), [(1, 4, 4), (3, 8, 4), (2, 4, 16)])
@pytest.mark.parametrize(("in_channels", "out_channels"), [(1, None), (3, 3), (4, 8)])
def test_output_shape(batch, height, width, in_channels, out_channels):
    """Height and width stay, also of non-square images; out_channels defaults to in_channels."""
    unet = make_unet(in_channels=in_channels, out_channels=out_channels)
    output = unet(*make_inputs(unet, batch, height, width))

    assert output.shape == (batch, out_channels or in_channels, height, width)


@pytest.mark.parametrize("attn_levels", [(), (0, 1), (1, 2)])
def test_decoder_takes_the_encoder_outputs_in_reverse(attn_levels):
    """Each decoder level gets cat([x, skip]); the encoder's last output is the first skip."""
    unet = make_unet(attn_levels=attn_levels)
    produced, consumed, decoded = [], [], []
    for level in unet.encoder:
        last_of_level(level).register_forward_hook(lambda *call: produced.append(call[2]))
    unet.mid_res_block2.register_forward_hook(lambda *call: decoded.append(call[2]))
    for res_block, transformer, up in unet.decoder:
        res_block.register_forward_pre_hook(lambda *call: consumed.append(call[1][0]))
        last = up if up is not None else transformer if transformer is not None else res_block
        last.register_forward_hook(lambda *call: decoded.append(call[2]))
    with torch.no_grad():
        unet(*make_inputs(unet))

    assert len(produced) == len(consumed) == 3
    for x, skip, joined in zip(decoded, reversed(produced), consumed, strict=False):
        assert torch.equal(joined, torch.cat([x, skip], dim=1))


@pytest.mark.parametrize("level", [0, 1, 2])
def test_every_skip_influences_the_output(level):
    """Without the skip of any one level the output is another."""

    def drop_skip(module, args):
        x, skip = args[0].chunk(2, dim=1)
        return torch.cat([x, torch.zeros_like(skip)], dim=1), args[1]

    unet = make_unet()
    inputs = make_inputs(unet)
    before = unet(*inputs)
    unet.decoder[level][0].register_forward_pre_hook(drop_skip)

    assert not torch.allclose(unet(*inputs), before, atol=1e-3)


def test_time_changes_the_output():
    """The output depends on the time step."""
    unet = make_unet()
    x, label, time = make_inputs(unet)

    assert not torch.allclose(unet(x, label, time), unet(x, label, time + 1), atol=1e-3)


@pytest.mark.parametrize("attn_levels", [(), (0,), (0, 1, 2)])
def test_label_changes_the_output(attn_levels):
    """The output depends on the class, even if only the middle has a transformer."""
    unet = make_unet(attn_levels=attn_levels)
    x, label, time = make_inputs(unet)

    assert not torch.allclose(unet(x, label, time), unet(x, (label + 1) % 3, time), atol=1e-3)


def test_samples_do_not_mix():
    """Each sample's output depends on its own image, label and time only."""
    unet = make_unet()
    x, label, time = make_inputs(unet, batch=3)
    whole = unet(x, label, time)
    alone = torch.cat([unet(x[[i]], label[[i]], time[[i]]) for i in range(3)])

    torch.testing.assert_close(whole, alone, rtol=1e-4, atol=1e-4)


def test_every_parameter_gets_a_gradient():
    """All parameters take part in the output."""
    unet = make_unet()
    unet(*make_inputs(unet)).pow(2).mean().backward()

    # Attention to a single token is constant: what forms its weights cannot matter. Nor can the
    # bias of the keys, which adds the same to all logits.
    constant = ("norm2", "attn2.to_q", "attn2.to_k", "attn1.to_k.bias")
    for name, p in unet.named_parameters():
        assert p.grad is not None, name
        if not any(part in name for part in constant):
            assert p.grad.abs().max() > 0, name


def test_fresh_network_predicts_zero():
    """The last convolution starts at zero, so training starts from the loss of predicting 0."""
    unet = UNet(dim=8, context_dim=6, num_classes=3)

    assert not unet(*make_inputs(unet)).any()


def test_parameter_count_of_the_mnist_model():
    """The course's MNIST network has 7,458,753 parameters."""
    with torch.device("meta"):
        unet = UNet(dim=64, context_dim=64, num_classes=10, in_channels=1)

    assert sum(p.numel() for p in unet.parameters()) == 7_458_753


@pytest.mark.parametrize("attn_levels", [(), (0, 1), (2,), (0, 1, 2)])
def test_members_of_the_interface(attn_levels):
    """Encoder and decoder are lists of triples, transformers only where attn_levels says."""
    unet = make_unet(attn_levels=attn_levels)

    def kinds(level):
        return [None if part is None else type(part) for part in level]

    def transformer(level):
        return SpatialTransformer if level in attn_levels else None

    downs, ups = (Downsample, Downsample, None), (None, Upsample, Upsample)
    assert [kinds(level) for level in unet.encoder] == [
        [ResBlock, transformer(i), downs[i]] for i in (0, 1, 2)
    ]
    assert [kinds(level) for level in unet.decoder] == [
        [ResBlock, transformer(i), ups[i]] for i in (2, 1, 0)
    ]
    members = {
        "conv_in": nn.Conv2d,
        "time_embd": nn.Sequential,
        "label_embd": LabelEmbedding,
        "encoder": nn.ModuleList,
        "mid_res_block1": ResBlock,
        "mid_attn": SpatialTransformer,
        "mid_res_block2": ResBlock,
        "decoder": nn.ModuleList,
        "final_conv": nn.Sequential,
    }
    assert {name: type(part) for name, part in unet.named_children()} == members


def test_init_dim_sets_the_width_of_both_ends():
    """The first convolution has init_dim channels, as has the input of the last; default dim."""
    for settings, width in (({}, 8), ({"init_dim": 12}, 12)):
        unet = make_unet(**settings)
        assert unet.conv_in.out_channels == width
        assert unet.final_conv[-1].in_channels == width


def test_num_groups_and_num_heads_reach_every_block():
    """All group norms have num_groups groups and all attentions num_heads heads; 4 by default."""
    for settings, groups, heads in (({}, 4, 4), ({"num_groups": 2, "num_heads": 8}, 2, 8)):
        unet = make_unet(**settings)
        norms = [m for m in unet.modules() if isinstance(m, nn.GroupNorm)]
        attentions = [m for m in unet.modules() if hasattr(m, "num_heads")]
        assert norms
        assert attentions
        assert {m.num_groups for m in norms} == {groups}
        assert {m.num_heads for m in attentions} == {heads}
