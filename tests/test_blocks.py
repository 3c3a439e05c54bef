"""Our building blocks equal those of diffusers, an independent implementation, weight for weight.

Blocks are compared in float64 after randomising all weights: some are zero at the start, which
would hide a wrong branch.
"""

import pytest
import torch
from torch import nn

from helpers.diffusers_blocks import (
    diffusers_downsample,
    diffusers_res_block,
    diffusers_transformer,
    diffusers_upsample,
)
from helpers.models import randomize
from libs.blocks import (
    Attention,
    Downsample,
    LabelEmbedding,
    ResBlock,
    SinusoidalPE,
    SpatialTransformer,
    Upsample,
)

# Diffusers warns about its own imports.
pytestmark = pytest.mark.filterwarnings("ignore:.*Transformer2DModelOutput:FutureWarning")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def draw(*shape: int) -> torch.Tensor:
    """Noise in float64; small, so that the epsilons of the norms matter."""
    return 0.01 * torch.randn(shape, dtype=torch.float64)


def assert_equal(actual: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("channels_in", "channels_out", "groups"), [(8, None, 4), (8, 8, 2), (6, 12, 3), (12, 4, 2)]
)
def test_res_block_equals_diffusers(channels_in, channels_out, groups):
    """A ResBlock is Stable Diffusion's, with and without a change of channels."""
    block = randomize(ResBlock(channels_in, 10, channels_out, groups=groups).double())
    x, t_emb = draw(2, channels_in, 5, 3), torch.randn(2, 10, dtype=torch.float64)

    assert_equal(block(x, t_emb), diffusers_res_block(block)(x, t_emb))


def test_res_block_without_change_of_channels_has_a_plain_skip():
    """Where channels stay, the residual connection has no weights, as in the checkpoints."""
    assert not list(ResBlock(8, 10).skip_connection.parameters())
    assert ResBlock(8, 10, 12).skip_connection.kernel_size == (1, 1)


def test_residual_branches_start_as_the_identity():
    """A fresh ResBlock and a fresh transformer leave the image as it is."""
    x = torch.randn(2, 8, 4, 4)

    assert torch.equal(ResBlock(8, 10)(x, torch.randn(2, 10)), x)
    assert torch.equal(SpatialTransformer(8, 6)(x, torch.randn(2, 1, 6)), x)


@pytest.mark.parametrize("qkv_bias", [False, True])
@pytest.mark.parametrize(("dim", "heads", "groups", "tokens"), [(8, 4, 4, 1), (12, 2, 3, 7)])
def test_spatial_transformer_equals_diffusers(dim, heads, groups, tokens, qkv_bias):
    """A SpatialTransformer is Stable Diffusion's, for one token and for many."""
    ours = SpatialTransformer(dim, 6, num_heads=heads, qkv_bias=qkv_bias, groups=groups)
    randomize(ours.double())
    x, context = draw(2, dim, 3, 5), torch.randn(2, tokens, 6, dtype=torch.float64)

    expected = diffusers_transformer(ours, context_dim=6, heads=heads)(x, context)
    assert_equal(ours(x, context), expected)


def test_mlp_ratio_sets_the_hidden_width():
    """mlp_ratio is the feed-forward's hidden width over its dim."""
    ours = randomize(SpatialTransformer(8, 6, mlp_ratio=1.5).double())
    x, context = draw(2, 8, 3, 5), torch.randn(2, 2, 6, dtype=torch.float64)

    assert ours.transformer_blocks[0].ff.net[2].in_features == 12
    assert_equal(ours(x, context), diffusers_transformer(ours, 6, heads=4)(x, context))


def test_qkv_bias_is_honoured():
    """qkv_bias gives q, k and v a bias; the output projection always has one."""
    for qkv_bias in (False, True):
        block = SpatialTransformer(8, 6, qkv_bias=qkv_bias).transformer_blocks[0]
        for attention in (block.attn1, block.attn2):
            linears = (attention.to_q, attention.to_k, attention.to_v)
            assert [layer.bias is not None for layer in linears] == [qkv_bias] * 3
            assert attention.to_out[0].bias is not None


def test_norm_layer_is_honoured():
    """norm_layer replaces the three norms within the transformer block."""

    class Doubling(nn.Module):
        def __init__(self, dim: int):
            super().__init__()

        def forward(self, x):
            return 2 * x

    block = SpatialTransformer(8, 6, norm_layer=Doubling).transformer_blocks[0]
    assert [type(norm) for norm in (block.norm1, block.norm2, block.norm3)] == [Doubling] * 3

    default_block = SpatialTransformer(8, 6).transformer_blocks[0]
    assert type(default_block.norm1) is nn.LayerNorm
    assert default_block.norm1.eps == 1e-5


def test_flat_context_counts_as_one_token():
    """A context [B, C] gives the same result as [B, 1, C]."""
    transformer = randomize(SpatialTransformer(8, 6).double())
    x, context = draw(3, 8, 2, 4), torch.randn(3, 6, dtype=torch.float64)

    assert_equal(transformer(x, context), transformer(x, context[:, None, :]))


def test_attention_equals_the_explicit_formula():
    """Attention is softmax(q k^T / sqrt(head_dim)) v, head by head."""
    attention = randomize(Attention(8, 6, num_heads=2, qkv_bias=True).double())
    x, context = (torch.randn(1, n, d, dtype=torch.float64) for n, d in ((5, 8), (3, 6)))

    q, k, v = attention.to_q(x)[0], attention.to_k(context)[0], attention.to_v(context)[0]
    heads = [
        (q[:, s] @ k[:, s].T / 4**0.5).softmax(dim=-1) @ v[:, s] for s in (slice(0, 4), slice(4, 8))
    ]
    assert_equal(attention(x, context)[0], attention.to_out[0](torch.cat(heads, dim=1)))


@pytest.mark.parametrize(("dim", "dim_out"), [(4, None), (4, 6)])
def test_upsample_equals_diffusers(dim, dim_out):
    """Upsample doubles both sides: nearest neighbour, then a 3x3 convolution."""
    up = randomize(Upsample(dim, dim_out).double())
    x = torch.randn(2, dim, 3, 5, dtype=torch.float64)

    assert up(x).shape == (2, dim_out or dim, 6, 10)
    assert_equal(up(x), diffusers_upsample(up)(x))


@pytest.mark.parametrize(("dim", "dim_out"), [(4, None), (4, 6)])
def test_downsample_equals_diffusers(dim, dim_out):
    """Downsample halves both sides with a strided 3x3 convolution, padded by one all around."""
    down = randomize(Downsample(dim, dim_out).double())
    x = torch.randn(2, dim, 6, 4, dtype=torch.float64)

    assert down(x).shape == (2, dim_out or dim, 3, 2)
    assert_equal(down(x), diffusers_downsample(down)(x))


@pytest.mark.parametrize("dim", [2, 9, 16, 64])
def test_sinusoidal_encoding_equals_diffusers(dim):
    """The time encoding is [cos, sin] with period 10,000; an odd dim ends with a zero."""
    embeddings = pytest.importorskip("diffusers.models.embeddings")
    time = torch.tensor([0, 1, 7, 499, 999])

    expected = embeddings.get_timestep_embedding(
        time, dim, flip_sin_to_cos=True, downscale_freq_shift=0
    )
    torch.testing.assert_close(SinusoidalPE(dim)(time), expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(SinusoidalPE(dim)(time.float()), expected, rtol=0, atol=1e-6)


def test_sinusoidal_encoding_by_hand():
    """For dim 4 the frequencies are 1 and 1/100, cosines first."""
    t = torch.tensor([0.0, 3.0])
    expected = torch.stack([t.cos(), (t / 100).cos(), t.sin(), (t / 100).sin()], dim=1)

    torch.testing.assert_close(SinusoidalPE(4)(t), expected)


def test_label_embedding_is_one_token_per_label():
    """Labels [B] become contexts [B, 1, C], equal for equal labels, different for others."""
    context = LabelEmbedding(3, 6)(torch.tensor([2, 0, 2, 1]))

    assert context.shape == (4, 1, 6)
    torch.testing.assert_close(context[0], context[2])
    assert len({tuple(row) for row in context[[0, 1, 3], 0].tolist()}) == 3
