"""Blocks of the UNet beyond Stable Diffusion 1.x's, for those options of `UNet` that ask for them.

Feature maps are [B, C, H, W], tokens [B, N, C].
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from .blocks import Attention, Downsample, LabelEmbedding, ResBlock, zero_init


class ResBlocks(nn.Module):
    """Residual blocks one after the other, behind the call of a single one."""

    def __init__(self, blocks: Sequence[ResBlock]):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor, t_emb: Tensor) -> Tensor:
        """Map x [B, C, H, W] and t_emb [B, time_emb_dim] to [B, C of the last block, H, W]."""
        for block in self.blocks:
            x = block(x, t_emb)
        return x


class LinearAttention(Attention):
    """Attention whose cost grows with the number of tokens, not with its square.

    All tokens read the same summary, head_dim x head_dim numbers: softmax(q) (softmax(k)^T v), with
    one softmax over the features of q and one over the tokens of k (Shen et al. 2018, "Efficient
    Attention", section 3; with another feature map Katharopoulos et al. 2020). The parameters are
    those of `Attention`.
    """

    def _attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        summary = k.softmax(dim=-2).transpose(-2, -1) @ v  # [B, heads, head_dim, head_dim]
        return q.softmax(dim=-1) @ summary


class AdaLNBlock(nn.Module):
    """Self-attention and a two-layer MLP, both steered by time and class (adaLN-Zero).

    An embedding shifts and scales what each of the two gets, and gates what it adds. The gates are
    zero at first, so the block starts as the identity (Peebles & Xie 2023, section 3.2).
    """

    def __init__(self, dim: int, emb_dim: int, num_heads: int, mlp_ratio: float = 4.0):
        super().__init__()
        hidden = int(dim * mlp_ratio)
        self.norm1 = nn.LayerNorm(dim, eps=1e-6, elementwise_affine=False)
        self.attn = Attention(dim, None, num_heads, qkv_bias=True)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6, elementwise_affine=False)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))
        self.emb_layers = nn.Sequential(nn.SiLU(), zero_init(nn.Linear(emb_dim, 6 * dim)))

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """Map x [B, N, dim] and emb [B, emb_dim] to [B, N, dim]."""
        steering = self.emb_layers(emb)[:, None, :]  # [B, 1, 6 * dim]
        shift1, scale1, gate1, shift2, scale2, gate2 = steering.chunk(6, dim=-1)
        x = x + gate1 * self.attn(self.norm1(x) * (1 + scale1) + shift1)
        return x + gate2 * self.mlp(self.norm2(x) * (1 + scale2) + shift2)


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
    """Texts in the place of classes: a label is the number of a prompt.

    Nothing here is learned, and nothing is part of the state_dict: the tokens are a frozen text
    encoder's (Rombach et al. 2022, section 3.3). `set_prompts` says which prompts are numbered.
    """

    null_label = 0  # of the empty prompt, or of what to guide away from

    def __init__(self, num_classes: int, context_dim: int):
        super().__init__()  # num_classes is of LabelEmbedding, which this stands in for
        self.register_buffer("contexts", torch.zeros(0, 1, context_dim), persistent=False)

    def set_prompts(self, contexts: Tensor) -> None:
        """Number the contexts [N, tokens, context_dim]; that of `null_label` stands for no prompt.

        Raises:
            ValueError: their size is not context_dim.
        """
        if contexts.shape[2] != self.contexts.shape[2]:
            raise ValueError(
                f"the contexts have {contexts.shape[2]} entries a token, the network reads "
                f"{self.contexts.shape[2]} (context_dim)"
            )
        self.contexts = contexts.to(self.contexts)

    def forward(self, label: Tensor) -> Tensor:
        """Contexts [B, tokens, context_dim] of prompt numbers [B]; contexts pass as they are."""
        return label if label.is_floating_point() else self.contexts[label]


def null_label(num_classes: int, label_dropout: float, options: Mapping[str, object]) -> int | None:
    """The label that stands for no class or no prompt; None for a model that never meets it.

    Args:
        num_classes: classes 0 .. num_classes - 1 are real ones.
        label_dropout: share of the labels that training replaces.
        options: keyword arguments of `UNet`.
    """
    if not label_dropout:
        return None
    return PromptTable.null_label if options.get("context") == "tokens" else num_classes


CONTEXTS = {"class": LabelEmbedding, "tokens": PromptTable}
# Pooling needs no convolution of its own: the residual block that follows sets the channels.
ATTENTIONS = {"full": Attention, "linear": LinearAttention}
DOWNSAMPLERS = {
    "conv": Downsample,
    "max": lambda dim: nn.MaxPool2d(2),
    "avg": lambda dim: nn.AvgPool2d(2),
}


def sized(options: dict[str, object], img_shape: Sequence[int], levels: Sequence[int]) -> dict:
    """UNet's options with the size (height, width) of a transformer in the middle, if there is one.

    Args:
        options: keyword arguments of `UNet`.
        img_shape: shape of the UNet's input, (C, H, W).
        levels: the UNet's `dim_mults`; between two levels height and width halve.
    """
    if options.get("bottleneck") != "transformer":
        return options
    return options | {"bottleneck_size": [n >> (len(levels) - 1) for n in img_shape[1:]]}
