"""The UNet's variants: each computes what its paper says, matters, and leaves old models alone."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from helpers.models import make_model, randomize
from libs import config as configs
from libs.blocks import Attention, Downsample, ResBlock, SpatialTransformer, Upsample
from libs.ddpm import DDPM
from libs.models.adaln import AdaLNBlock
from libs.models.build import CONTRACT, build_model, load_model
from libs.models.variants import (
    LinearAttention,
    TransformerMiddle,
    VariantUNet,
    null_label,
)
from libs.runtime import checkpoint
from libs.samplers.guidance import Guided
from libs.unet import UNet
from libs.utils import UserError

SMALL = {"dim": 8, "context_dim": 6, "num_classes": 3, "dim_mults": [1, 2], "attn_levels": [0]}
SIZE = {"img_shape": [1, 8, 12], "timesteps": 10}
TRANSFORMER = {"bottleneck": "transformer", "bottleneck_depth": 2, "bottleneck_heads": 4}
OPTIONS = [
    {"resblocks_per_level": 2},
    {"dropout": 0.5},
    {"attention": "linear"},
    {"resample": "max"},
    {"resample": "avg"},
    TRANSFORMER,
    {"space_to_depth": 2},
]
EVERYTHING = {"resblocks_per_level": 2, "dropout": 0.1, "attention": "linear", "resample": "avg"}
EVERYTHING |= {**TRANSFORMER, "adagn": True}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def make(**options) -> DDPM:
    """A small model with random weights everywhere, the zero-initialised ones too."""
    model = make_model(**{**SMALL, **SIZE, **options})
    randomize(model.model)
    return model


def make_inputs(model: DDPM, batch: int = 4):
    """Noisy images, labels and time steps."""
    labels, times = torch.arange(batch) % 3, 2 * torch.arange(batch)
    return torch.randn(batch, *model.img_shape), labels, times


# The blocks


def test_linear_attention_is_an_average_with_these_weights():
    """Each token gets the values averaged by softmax(q) softmax(k)^T, whose rows sum to one."""
    attention = randomize(LinearAttention(Attention(8, None, 2, qkv_bias=True))).double()
    x = torch.randn(3, 5, 8).double()
    q, k, v = (layer(x) for layer in (attention.to_q, attention.to_k, attention.to_v))
    heads = []
    for head in (slice(0, 4), slice(4, 8)):
        weights = q[..., head].softmax(dim=2) @ k[..., head].softmax(dim=1).mT
        torch.testing.assert_close(weights.sum(dim=-1), torch.ones(3, 5).double())
        heads.append(weights @ v[..., head])
    torch.testing.assert_close(attention(x), attention.to_out(torch.cat(heads, dim=-1)))


def test_adaln_block_is_that_of_the_paper():
    """Norm, shift and scale, torch's own attention or an MLP, a gate: Peebles & Xie's figure 3."""
    block = randomize(AdaLNBlock(8, 6, num_heads=2)).double()
    x, emb = torch.randn(3, 5, 8).double(), torch.randn(3, 6).double()
    theirs = nn.MultiheadAttention(8, 2, batch_first=True).double()
    parts = block.attn.to_q, block.attn.to_k, block.attn.to_v
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        theirs.out_proj.load_state_dict(block.attn.to_out[0].state_dict())

    a, b, c, d, e, f = block.emb_layers[1](F.silu(emb)).reshape(3, 6, 1, 8).unbind(dim=1)
    h = F.layer_norm(x, (8,), eps=1e-6) * (1 + b) + a
    middle = x + c * theirs(h, h, h)[0]
    h = F.layer_norm(middle, (8,), eps=1e-6) * (1 + e) + d
    first, _, second = block.mlp
    expected = middle + f * second(F.gelu(first(h)))
    torch.testing.assert_close(block(x, emb), expected)


def test_fresh_transformer_only_adds_the_positions():
    """The gates start at zero, so that the middle passes on what it gets, and where it is."""
    middle = TransformerMiddle(8, 16, 6, (2, 3), depth=3, num_heads=2)
    x = torch.randn(2, 8, 2, 3)
    added = middle(x, torch.randn(2, 16), torch.randn(2, 1, 6)) - x
    positions = middle.positions.reshape(1, 2, 3, 8).permute(0, 3, 1, 2)  # row by row
    torch.testing.assert_close(added, positions.expand_as(x), atol=1e-6, rtol=0)
    assert middle.positions.detach().std() > 0


def test_positions_tell_the_tokens_apart():
    """With equal positions a shuffled image gives a shuffled answer, with learned ones not."""
    middle = randomize(TransformerMiddle(8, 16, 6, (2, 3), depth=2, num_heads=2))
    x, conditions = torch.randn(2, 8, 2, 3), (torch.randn(2, 16), torch.randn(2, 1, 6))
    order = torch.tensor([3, 1, 5, 0, 4, 2])

    def shuffled(image):
        return image.flatten(2)[..., order].reshape(image.shape)

    assert not torch.allclose(
        middle(shuffled(x), *conditions), shuffled(middle(x, *conditions)), atol=1e-3
    )
    middle.positions.data[:] = middle.positions.data[:, :1]
    torch.testing.assert_close(
        middle(shuffled(x), *conditions), shuffled(middle(x, *conditions)), atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize(("kind", "pooled"), [("max", torch.amax), ("avg", torch.mean)])
def test_pooling_takes_each_two_by_two_pixels(kind, pooled):
    """What the next level of the encoder gets is the largest or the mean of four pixels."""
    unet = make(resample=kind).model
    seen = []
    unet.encoder[0][1].register_forward_hook(lambda *call: seen.append(call[2]))
    unet.encoder[1][0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    unet(torch.randn(2, 1, 8, 12), torch.tensor([0, 1]), torch.tensor([3, 4]))
    torch.testing.assert_close(
        seen[1], pooled(seen[0].reshape(2, 8, 4, 2, 6, 2), dim=(3, 5)), atol=1e-6, rtol=1e-6
    )


def test_residual_blocks_stand_one_after_the_other():
    """Level by level the chain ends in the level's channels; one block is a plain ResBlock."""
    unet = make(resblocks_per_level=3).model
    assert all(isinstance(level[0], ResBlock) for level in make().model.encoder)
    for level in [*unet.encoder, *unet.decoder]:
        blocks = level[0].blocks
        assert [type(block) for block in blocks] == 3 * [ResBlock]
        widths = [block.in_layers[2] for block in blocks]
        assert len({conv.out_channels for conv in widths}) == 1
        x = torch.randn(2, widths[0].in_channels, 4, 4)
        t_emb = torch.randn(2, 32)
        expected = blocks[2](blocks[1](blocks[0](x, t_emb), t_emb), t_emb)
        assert torch.equal(level[0](x, t_emb), expected)


def test_dropout_drops_this_share_in_training_only():
    """Before its last convolution a block loses a share of its features, and none in use."""
    block = make(dropout=0.25).model.encoder[0][0]
    lost = []
    block.out_layers[-1].register_forward_pre_hook(lambda _, args: lost.append(args[0] == 0))
    x, t_emb = torch.randn(4, 8, 16, 16), torch.randn(4, 32)
    block(x, t_emb)
    block.eval()(x, t_emb)
    assert lost[0].float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert not lost[1].any()


# In the network


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_option_matters_and_reaches_every_parameter(options):
    """The training output or the parameters are others, and all parameters get a gradient."""
    plain, other = make(), make(**options)
    inputs = make_inputs(plain)
    shapes = [{n: p.shape for n, p in m.named_parameters()} for m in (plain, other)]
    if shapes[0] == shapes[1]:
        other.load_state_dict(plain.state_dict())
        assert (plain.model(*inputs) - other.model(*inputs)).abs().max() > 1e-3

    other.model.eval()(*inputs).pow(2).mean().backward()
    # Attention to one token is constant, and a bias of the keys adds the same to all logits (the
    # softmax over tokens passes over it as well).
    constant = ("norm2", "attn2.to_q", "attn2.to_k", "to_k.bias")
    for name, p in other.model.named_parameters():
        assert p.grad is not None, name
        if not any(part in name for part in constant):
            assert p.grad.abs().max() > 0, name


def test_dropout_is_off_in_use():
    """With the same weights, a model in use answers as if there were no dropout."""
    plain, other = make(), make(dropout=0.5)
    other.load_state_dict(plain.state_dict())
    inputs = make_inputs(plain)
    assert torch.equal(plain.eval().model(*inputs), other.eval().model(*inputs))


@pytest.mark.parametrize("options", [{}, {"adagn": True}], ids=str)
def test_class_and_time_reach_the_transformer_in_the_middle(options):
    """Where nothing else knows the class, it steers the middle's blocks; so does the time."""
    model = make(**{**TRANSFORMER, **options, "attn_levels": ()}).eval()
    if options:  # leave the way through the middle alone
        model.model.label_to_time.weight.data.zero_()
    x, label, time = make_inputs(model)
    before = model.model(x, label, time)
    assert not torch.allclose(before, model.model(x, (label + 1) % 3, time), atol=1e-3)
    middle = model.model.mid_transformer
    conditions = torch.randn(4, 16, 4, 6), torch.randn(4, 32), torch.randn(4, 1, 6)
    later = conditions[0], conditions[1] + 1, conditions[2]
    assert not torch.allclose(middle(*conditions), middle(*later), atol=1e-3)


@pytest.mark.parametrize(
    ("prediction", "use_vae"), [("eps", False), ("v", False), ("x0", False), ("eps", True)]
)
def test_all_together(prediction, use_vae):
    """All options at once in any model: half precision, channels last, guidance, sampling."""
    size = {"img_shape": [3, 32, 16]} if use_vae else {}
    model = make(
        **EVERYTHING, **size, prediction=prediction, use_vae=use_vae, label_dropout=0.1, timesteps=3
    )
    inputs = make_inputs(model)
    inputs = (*inputs[:2], inputs[2] % 3)
    plain = model.eval().model(*inputs)
    assert plain.shape == inputs[0].shape
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        half = model.to(memory_format=torch.channels_last).model(*inputs).float()
    assert (half - plain).norm() < 0.1 * plain.norm()
    guided = Guided(model.model, 2.0, null_label(model))(*inputs)
    null = model.model(inputs[0], torch.full((4,), 3), inputs[2])
    torch.testing.assert_close(guided, 2 * plain - null, atol=1e-3, rtol=1e-3)

    model.train()
    images = torch.rand(2, *size.get("img_shape", model.img_shape))
    model.compute_loss(images, *(a[:2] for a in inputs[1:])).backward()
    drawn = model.eval().p_sample_loop(torch.tensor([0, 2]))
    assert drawn.shape == images.shape
    assert drawn.isfinite().all()


def test_other_sizes_are_refused_by_the_positions_alone():
    """A transformer in the middle knows one size, which the error names; other models take any."""
    label, time = torch.tensor([0]), torch.tensor([1])
    with pytest.raises(ValueError, match=r"4x8, .* learned for 4x6"):
        make(**TRANSFORMER).model(torch.randn(1, 1, 8, 16), label, time)
    assert make().model(torch.randn(1, 1, 8, 16), label, time).shape == (1, 1, 8, 16)


def test_space_to_depth_is_a_network_of_blocks():
    """Each block of 2x2 pixels is one place of an ordinary UNet with four times the channels."""
    network = randomize(VariantUNet(**SMALL, in_channels=3, space_to_depth=2))
    plain = randomize(VariantUNet(**SMALL, in_channels=12))
    plain.load_state_dict(network.state_dict())
    x, label, time = torch.randn(2, 3, 8, 12), torch.tensor([0, 2]), torch.tensor([1, 5])
    blocks = torch.cat([x[:, [c], i::2, j::2] for c in range(3) for i in (0, 1) for j in (0, 1)], 1)
    found = network(x, label, time)
    assert found.shape == x.shape
    expected = plain(blocks, label, time)
    for c, i, j in ((0, 0, 0), (1, 0, 1), (2, 1, 1)):
        torch.testing.assert_close(found[:, c, i::2, j::2], expected[:, 4 * c + 2 * i + j])


def test_space_to_depth_needs_blocks_that_can_be_halved():
    """A size that does not fit is refused when the model is built, with the number to divide by."""
    with pytest.raises(UserError, match=r"8x12 .* space_to_depth 4 .* divisible by 8"):
        make(space_to_depth=4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"attention": "linaer"}, "attention 'linaer': choose full, linear"),
        ({"resample": "min"}, "resample 'min': choose conv, max, avg"),
        ({"bottleneck": "mlp"}, "bottleneck 'mlp': choose conv, transformer"),
        ({**TRANSFORMER, "bottleneck_size": None}, "needs bottleneck_size"),
        (
            {**TRANSFORMER, "bottleneck_size": (2, 2), "bottleneck_heads": 3},
            r"16 channels.*3 \(bott",
        ),
    ],
)
def test_wrong_options_are_refused(options, words):
    """The error names the option and what there is."""
    with pytest.raises(ValueError, match=words):
        VariantUNet(**SMALL, **options)


# The chain's variance


def test_variance_type_sets_the_noise_of_each_step():
    """The chain's noise has the posterior's variance, or beta, at the same mean (section 3.2)."""
    small, large = make(), make(variance_type="fixed_large")
    large.load_state_dict(small.state_dict())
    alpha_bar = (1 - small.betas.double()).cumprod(dim=0)
    for i in (1, 9):
        x, t = torch.randn(2, 1, 8, 12), torch.full((2,), i)
        steps = []
        for model in (small, large):
            torch.manual_seed(1)
            steps.append(model.eval().p_sample(x, torch.tensor([0, 1]), t, i))
        torch.manual_seed(1)
        noise = torch.randn_like(x)
        beta = small.betas[i].double()
        posterior = beta * (1 - alpha_bar[i - 1]) / (1 - alpha_bar[i])
        expected = (beta.sqrt() - posterior.sqrt()).float() * noise
        torch.testing.assert_close(steps[1] - steps[0], expected, atol=1e-5, rtol=1e-3)


# What was there before


def test_names_of_the_weights_are_those_of_earlier_checkpoints():
    """By default a network has exactly these parts, under these names."""
    unet = UNet(8, 6, 3, dim_mults=(1, 2), attn_levels=(1,))
    parts = {
        "encoder.0.0": ResBlock(8, 32, 8),
        "encoder.0.2": Downsample(8),
        "encoder.1.0": ResBlock(8, 32, 16),
        "encoder.1.1": SpatialTransformer(16, 6),
        "mid_res_block1": ResBlock(16, 32, 16),
        "mid_attn": SpatialTransformer(16, 6),
        "mid_res_block2": ResBlock(16, 32, 16),
        "decoder.0.0": ResBlock(32, 32, 8),
        "decoder.0.1": SpatialTransformer(8, 6),
        "decoder.0.2": Upsample(8),
        "decoder.1.0": ResBlock(16, 32, 8),
    }
    ends = ("conv_in", "time_embd", "label_embd", "final_conv")
    parts |= {name: getattr(unet, name) for name in ends}
    expected = {
        f"{name}.{key}": value.shape
        for name, part in parts.items()
        for key, value in part.state_dict().items()
    }
    assert {key: value.shape for key, value in unet.state_dict().items()} == expected
    assert {"encoder.1.1.transformer_blocks.0.attn1.to_q.weight"} <= expected.keys()
    assert isinstance(unet.mid_attn.transformer_blocks[0].attn1, Attention)
    assert not isinstance(unet.mid_attn.transformer_blocks[0].attn1, LinearAttention)


def test_checkpoint_from_before_the_options_loads(tmp_path):
    """A file whose config knows none of these keys gives the same model as ever."""
    config = configs.Config(model=configs.ModelConfig(**SMALL, **SIZE))
    model = build_model(config)
    randomize(model.model)
    values = configs.to_dict(config, tmp_path)
    newer = set(values["model"]) - {*CONTRACT, "adagn", "conditional"}
    assert {*EVERYTHING, "variance_type"} - {"adagn"} <= newer
    for key in newer:
        del values["model"][key]
    average = {name: p.detach() for name, p in model.named_parameters()}
    state = {"config": values, "classes": list("abc"), "step": 5, "model": model.state_dict()}
    state["ema"] = {"updates": 5, "average": average}
    checkpoint.save(state, tmp_path / "old.pth")
    loaded = load_model(tmp_path / "old.pth", torch.device("cpu")).model
    inputs = make_inputs(model)
    assert torch.equal(loaded.model(*inputs), model.eval().model(*inputs))


def test_a_config_without_options_builds_the_plain_network():
    """So a team's own unet.py, which takes the contract's arguments alone, is enough for it."""
    assert type(build_model(configs.Config()).model) is UNet


def test_options_reach_the_network_from_the_config():
    """A config's keys build the network that they name."""
    section = configs.ModelConfig(**SMALL, **SIZE, **EVERYTHING)
    unet = build_model(configs.Config(model=section)).model
    assert isinstance(unet.encoder[0][2], nn.AvgPool2d)
    assert len(unet.encoder[0][0].blocks) == 2
    assert unet.encoder[0][0].blocks[0].out_layers[2].p == 0.1
    assert isinstance(unet.encoder[0][1].transformer_blocks[0].attn1, LinearAttention)
    assert unet.mid_transformer.size == (4, 6)
    assert [block.attn.num_heads for block in unet.mid_transformer.blocks] == [4, 4]
