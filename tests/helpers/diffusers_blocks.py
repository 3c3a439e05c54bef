"""Diffusers' blocks with the weights of ours, to compare with."""

import pytest
from torch import nn

from libs.blocks import Downsample, ResBlock, SpatialTransformer, Upsample

RES_BLOCK_NAMES = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}


def copy_weights(source: nn.Module, target: nn.Module, names: dict[str, str] | None = None):
    """Load the source's weights into the target, strictly, in its dtype; `names` renames them."""
    weights = source.state_dict()
    for ours, theirs in (names or {}).items():
        weights = {
            theirs + name[len(ours) :] if name.startswith(ours + ".") else name: p
            for name, p in weights.items()
        }
    target.to(next(source.parameters()).dtype).load_state_dict(weights)
    return target


def diffusers_res_block(block: ResBlock) -> nn.Module:
    """Diffusers' residual block with the weights of ours."""
    resnet = pytest.importorskip("diffusers.models.resnet")
    twin = resnet.ResnetBlock2D(
        in_channels=block.in_layers[2].in_channels,
        out_channels=block.in_layers[2].out_channels,
        temb_channels=block.emb_layers[1].in_features,
        groups=block.in_layers[0].num_groups,
        eps=1e-5,
    )
    return copy_weights(block, twin, RES_BLOCK_NAMES)


def diffusers_transformer(transformer: SpatialTransformer, context_dim: int, heads: int):
    """Diffusers' transformer with the weights of ours, as a function of image and context."""
    transformer_2d = pytest.importorskip("diffusers.models.transformers.transformer_2d")
    attention = pytest.importorskip("diffusers.models.attention")
    dim = transformer.proj_in.in_channels
    twin = transformer_2d.Transformer2DModel(
        num_attention_heads=heads,
        attention_head_dim=dim // heads,
        in_channels=dim,
        norm_num_groups=transformer.norm.num_groups,
        cross_attention_dim=context_dim,
        attention_bias=transformer.transformer_blocks[0].attn1.to_q.bias is not None,
        activation_fn="geglu",
        use_linear_projection=False,
    )
    hidden = transformer.transformer_blocks[0].ff.net[2].in_features
    if hidden != 4 * dim:
        twin.transformer_blocks[0].ff = attention.FeedForward(
            dim, inner_dim=hidden, activation_fn="geglu"
        )
    copy_weights(transformer, twin)
    return lambda x, context: twin(x, encoder_hidden_states=context).sample


def diffusers_upsample(up: Upsample) -> nn.Module:
    """Diffusers' upsampling with the weights of ours."""
    upsampling = pytest.importorskip("diffusers.models.upsampling")
    twin = upsampling.Upsample2D(
        up.conv.in_channels, use_conv=True, out_channels=up.conv.out_channels
    )
    return copy_weights(up, twin)


def diffusers_downsample(down: Downsample) -> nn.Module:
    """Diffusers' downsampling with the weights of ours."""
    downsampling = pytest.importorskip("diffusers.models.downsampling")
    twin = downsampling.Downsample2D(
        down.op.in_channels, True, out_channels=down.op.out_channels, padding=1, name="op"
    )
    return copy_weights(down, twin, {"op": "conv"})
