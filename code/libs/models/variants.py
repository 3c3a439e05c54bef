"""Networks beyond the plain `UNet`: other blocks, and `VariantUNet`, which is built from them.

Feature maps are [B, C, H, W], tokens [B, N, C].
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks import Attention, Downsample, LabelEmbedding, ResBlock, SpatialTransformer
from ..unet import UNet
from ..utils import choose, default
from .adaln import AdaLNBlock


class AdaGNResBlock(ResBlock):
    """A residual block whose embedding scales and shifts the normalised features.

    FiLM, Perez et al. 2018; as adaptive group normalization in Dhariwal & Nichol 2021, section 4.3.
    """

    emb_per_channel = 2

    def forward(self, x: Tensor, t_emb: Tensor) -> Tensor:
        """As `ResBlock.forward`."""
        h = self.in_layers(x)
        scale, shift = self.emb_layers(t_emb)[:, :, None, None].chunk(2, dim=1)
        norm, *rest = self.out_layers
        h = norm(h) * (1 + scale) + shift
        for layer in rest:
            h = layer(h)
        return self.skip_connection(x) + h


class ResBlocks(nn.Module):
    """Several residual blocks in a row, called like a single one."""

    def __init__(self, blocks: Sequence[ResBlock]):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor, t_emb: Tensor) -> Tensor:
        """Map x [B, C, H, W] and t_emb [B, time_emb_dim] to [B, C of the last block, H, W]."""
        for block in self.blocks:
            x = block(x, t_emb)
        return x


class OtherAttention(Attention):
    """Another kind of attention, which replaces an existing one.

    Args:
        attention: the one whose layers are reused.
    """

    def __init__(self, attention: Attention):
        nn.Module.__init__(self)
        self.num_heads = attention.num_heads
        for name, layer in attention.named_children():
            setattr(self, name, layer)


class LinearAttention(OtherAttention):
    """Attention whose cost grows with the number of tokens, not with its square.

    All tokens read the same summary, head_dim x head_dim numbers: softmax(q) (softmax(k)^T v), with
    one softmax over the features of q and one over the tokens of k (Shen et al. 2018, "Efficient
    Attention", section 3; with another feature map Katharopoulos et al. 2020).
    """

    def _attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        summary = k.softmax(dim=-2).transpose(-2, -1) @ v  # [B, heads, head_dim, head_dim]
        return q.softmax(dim=-1) @ summary


class TransformerMiddle(nn.Module):
    """A transformer over the pixels of the deepest level, with learned positions.

    Args:
        dim: channels.
        time_emb_dim, context_dim: sizes of the embeddings of time and class.
        size: (height, width) of the feature map; the positions are learned for this size alone.
        depth: number of blocks.
        num_heads: heads of each attention.

    Raises:
        ValueError: there is no size, or the heads do not divide the channels.
    """

    def __init__(
        self,
        dim: int,
        time_emb_dim: int,
        context_dim: int,
        size: Sequence[int] | None,
        depth: int = 4,
        num_heads: int = 8,
    ):
        super().__init__()
        if size is None:
            raise ValueError("bottleneck 'transformer' needs bottleneck_size, (height, width)")
        if dim % num_heads:
            raise ValueError(
                f"the {dim} channels of the middle must be divisible by {num_heads} "
                "(bottleneck_heads)"
            )
        self.size = tuple(size)
        self.positions = nn.Parameter(0.02 * torch.randn(1, size[0] * size[1], dim))
        self.label_to_time = nn.Linear(context_dim, time_emb_dim)
        self.blocks = nn.ModuleList(
            [AdaLNBlock(dim, time_emb_dim, num_heads) for _ in range(depth)]
        )

    def forward(self, x: Tensor, t_emb: Tensor, context: Tensor) -> Tensor:
        """Map x [B, dim, *size] to the same shape.

        Args:
            t_emb: embedding of the time step, [B, time_emb_dim].
            context: embedding of the class, [B, tokens, context_dim].

        Raises:
            ValueError: x has another size than the positions were learned for.
        """
        if x.shape[2:] != self.size:
            raise ValueError(
                f"the middle of the network is {x.shape[2]}x{x.shape[3]}, but its positions were "
                f"learned for {self.size[0]}x{self.size[1]}: give it images of its own size"
            )
        emb = t_emb + self.label_to_time(context.mean(dim=1))
        tokens = x.flatten(2).transpose(1, 2) + self.positions  # [B, H * W, dim]
        for block in self.blocks:
            tokens = block(tokens, emb)
        return tokens.transpose(1, 2).reshape(x.shape)


class PromptTable(nn.Module):
    """Texts instead of classes: a label is the number of a prompt.

    Nothing here is learned, and nothing is part of the state_dict: the tokens are a frozen text
    encoder's (Rombach et al. 2022, section 3.3). `set_prompts` says which prompts are numbered.
    """

    contexts: Tensor  # [N, tokens, context_dim]
    null_label = 0  # of the empty prompt, or of what to guide away from

    def __init__(self, context_dim: int):
        super().__init__()
        self.register_buffer("contexts", torch.zeros(0, 1, context_dim), persistent=False)

    def set_prompts(self, contexts: Tensor) -> None:
        """Number the contexts [N, tokens, context_dim]; number `null_label` is the empty prompt.

        Raises:
            ValueError: their size is not context_dim.
        """
        if contexts.shape[2] != self.contexts.shape[2]:
            raise ValueError(
                f"the contexts have {contexts.shape[2]} entries per token, the network reads "
                f"{self.contexts.shape[2]} (context_dim)"
            )
        self.contexts = contexts.to(self.contexts)

    def forward(self, label: Tensor) -> Tensor:
        """Contexts [B, tokens, context_dim] of prompt numbers [B]; contexts pass as they are."""
        return label if label.is_floating_point() else self.contexts[label]


# Pooling needs no convolution: the residual block that follows sets the channels.
DOWNSAMPLERS = {
    "conv": Downsample,
    "max": lambda dim: nn.MaxPool2d(2),
    "avg": lambda dim: nn.AvgPool2d(2),
}


class VariantUNet(UNet):
    """The UNet with other blocks: every option of a config's section `model` for the network.

    Args:
        arguments: those of `UNet`.
        conditional: False for a network that ignores the labels.
        null_class: learn one more label, `null_label`, which means no class; for guidance.
        adagn: time and class scale and shift the features inside the residual blocks.
        resblocks_per_level: residual blocks at each level of encoder and decoder.
        dropout: share of the features that the residual blocks drop in training.
        attention: of the transformers to themselves, "full" or "linear".
        resample: how the encoder halves, "conv" or by pooling, "max" or "avg".
        bottleneck: what is in the middle: "conv", a transformer between two residual blocks, or
            "transformer", `bottleneck_depth` blocks of `bottleneck_heads` heads over feature maps
            of one size only, `bottleneck_size` (height, width).
        context: what a label is, a "class" that the network learns to embed, or a text as "tokens",
            see `PromptTable`.
        space_to_depth: work on blocks of so many pixels a side, whose pixels become channels; the
            output is put together again. Fewer, wider feature maps use a processor better.

    Attributes:
        null_label: the label that means no class or no prompt; None without `null_class`.

    Raises:
        ValueError: an option is not one of those above, or as for `UNet`.
    """

    def __init__(
        self,
        *arguments: Any,
        conditional: bool = True,
        null_class: bool = False,
        adagn: bool = False,
        resblocks_per_level: int = 1,
        dropout: float = 0.0,
        attention: str = "full",
        resample: str = "conv",
        bottleneck: str = "conv",
        bottleneck_depth: int = 4,
        bottleneck_heads: int = 8,
        bottleneck_size: Sequence[int] | None = None,
        context: str = "class",
        space_to_depth: int = 1,
        **named: Any,
    ):
        # What the methods need that UNet.__init__ calls
        self.conditional, self.null_class = conditional, null_class
        self.adagn, self.resblocks_per_level, self.dropout = adagn, resblocks_per_level, dropout
        self.linear = choose("attention", attention, {"full": False, "linear": True})
        self.downsampler = choose("resample", resample, DOWNSAMPLERS)
        self.transformer_middle = choose(
            "bottleneck", bottleneck, {"conv": False, "transformer": True}
        )
        self.middle_sizes = bottleneck_size, bottleneck_depth, bottleneck_heads
        self.reads_tokens = choose("context", context, {"class": False, "tokens": True})
        self.space_to_depth = space_to_depth
        if space_to_depth > 1:
            channels = named.get("in_channels", 3)
            named["out_channels"] = space_to_depth**2 * default(named.get("out_channels"), channels)
            named["in_channels"] = space_to_depth**2 * channels
        super().__init__(*arguments, **named)

    def make_label_embedding(self, num_classes: int) -> None:
        self.null_label = None
        if self.null_class:
            self.null_label = PromptTable.null_label if self.reads_tokens else num_classes
        if self.reads_tokens:
            self.label_embd = PromptTable(self.context_dim)
        else:
            number = num_classes + self.null_class if self.conditional else 1
            self.label_embd = LabelEmbedding(number, self.context_dim)
        if self.adagn:
            self.label_to_time = nn.Linear(self.context_dim, self.time_dim)

    def make_res_block(self, dim_in: int, dim_out: int) -> nn.Module:
        first = self._one_res_block(dim_in, dim_out)
        more = [self._one_res_block(dim_out, dim_out) for _ in range(self.resblocks_per_level - 1)]
        return ResBlocks([first, *more]) if more else first

    def _one_res_block(self, dim_in: int, dim_out: int) -> ResBlock:
        kind = AdaGNResBlock if self.adagn else ResBlock
        block = kind(dim_in, self.time_dim, dim_out, self.num_groups)
        block.out_layers[2].p = self.dropout
        return block

    def make_transformer(self, channels: int) -> SpatialTransformer:
        transformer = super().make_transformer(channels)
        if self.linear:
            for block in transformer.transformer_blocks:
                block.attn1 = LinearAttention(block.attn1)
        return transformer

    def make_downsample(self, channels: int) -> nn.Module:
        return self.downsampler(channels)

    def make_middle(self, channels: int) -> None:
        if self.transformer_middle:
            self.mid_transformer = TransformerMiddle(
                channels, self.time_dim, self.context_dim, *self.middle_sizes
            )
        else:
            self.mid_res_block1 = self._one_res_block(channels, channels)
            self.mid_attn = self.make_transformer(channels)
            self.mid_res_block2 = self._one_res_block(channels, channels)

    def embed(self, label: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
        """As `UNet.embed`; for texts, `label` holds the numbers of prompts [B], or their tokens
        [B, tokens, context_dim], and the second embedding has those tokens.
        """
        t_emb, context = super().embed(label if self.conditional else torch.zeros_like(label), time)
        if self.adagn:
            t_emb = t_emb + self.label_to_time(context.mean(dim=1))
        return t_emb, context

    def middle(self, x: Tensor, t_emb: Tensor, context: Tensor) -> Tensor:
        if self.transformer_middle:
            return self.mid_transformer(x, t_emb, context)
        return super().middle(x, t_emb, context)

    def forward(self, x: Tensor, label: Tensor, time: Tensor) -> Tensor:
        """As `UNet.forward`, for x whose height and width `space_to_depth` divides, too."""
        if self.space_to_depth == 1:
            return super().forward(x, label, time)
        x = F.pixel_unshuffle(x, self.space_to_depth)
        return F.pixel_shuffle(super().forward(x, label, time), self.space_to_depth)


def null_label(model: nn.Module) -> int | None:
    """The label that means no class, or no prompt, to a diffusion model's network.

    None for a model that never met one, which nothing can guide.
    """
    return getattr(model.model, "null_label", None)
