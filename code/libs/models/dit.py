"""A vision transformer that replaces the UNet.

Paper: Peebles and Xie 2023, "Scalable Diffusion Models with Transformers" (DiT), with adaLN-Zero.
Images or latents are cut into patches, each of which becomes a token. Tokens are [B, N, C].
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..blocks import Attention, SinusoidalPE, zero_init
from ..utils import choose, default
from .adaln import AdaLNBlock, modulate
from .targets import Indirect
from .variants import LinearAttention, OtherAttention, PromptTable

TIME_FEATURES = 256  # of the sinusoidal encoding of time


class QKNormAttention(OtherAttention):
    """Attention with normalised queries and keys, so that its logits cannot grow without bound.

    RMSNorm in each head, before the product (Esser et al. 2024, section 5.3.2).
    """

    def __init__(self, attention: Attention):
        super().__init__(attention)
        head_dim = attention.to_q.out_features // attention.num_heads
        self.norm_q, self.norm_k = nn.RMSNorm(head_dim, 1e-6), nn.RMSNorm(head_dim, 1e-6)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return super()._attend(self.norm_q(q), self.norm_k(k), v)


class QKNormLinearAttention(QKNormAttention, LinearAttention):
    """Linear attention with normalised queries and keys."""


class DiT(nn.Module):
    """A transformer over patches, which takes the place of a `UNet`.

    Time and class are added up and steer each block; positions are fixed sines and cosines, so that
    any size of images will do that the patches divide.

    Args:
        dim: channels of a token.
        context_dim: size of a text's tokens; for classes it means nothing.
        num_classes: number of classes.
        in_channels, out_channels: of images or latents; out_channels is in_channels by default.
        dim_mults, attn_levels: of a UNet; they mean nothing here.
        depth: number of blocks.
        num_heads: heads of each attention.
        patch_size: height and width of a patch.
        mlp_ratio: width of the hidden layer of each block's MLP, in `dim`.
        conditional: False for a network that ignores the labels.
        null_class: learn one more label, `null_label`, which means no class; for guidance.
        attention: "full" or "linear".
        qk_norm: see `QKNormAttention`.
        context: what a label is, a "class", or a text as "tokens", whose mean steers the blocks;
            see `PromptTable`.

    Attributes:
        null_label: the label that means no class or no prompt; None without `null_class`.

    Raises:
        ValueError: dim is not divisible by 4 and by the heads, or an option is not one of those
            above.
    """

    def __init__(
        self,
        dim: int,
        context_dim: int,
        num_classes: int,
        in_channels: int = 3,
        out_channels: int | None = None,
        dim_mults: Sequence[int] = (1,),
        attn_levels: Sequence[int] = (),
        *,
        depth: int = 6,
        num_heads: int = 4,
        patch_size: int = 2,
        mlp_ratio: float = 4.0,
        conditional: bool = True,
        null_class: bool = False,
        attention: str = "full",
        qk_norm: bool = False,
        context: str = "class",
    ):
        super().__init__()
        if dim % 4 or dim % num_heads:
            raise ValueError(
                f"dim {dim} of a DiT must be divisible by 4 and by {num_heads} (heads)"
            )
        linear = choose("attention", attention, {"full": False, "linear": True})
        self.reads_tokens = choose("context", context, {"class": False, "tokens": True})
        self.conditional, self.patch_size = conditional, patch_size
        self.out_channels = default(out_channels, in_channels)

        self.patch_embd = nn.Conv2d(in_channels, dim, patch_size, stride=patch_size)
        self.time_embd = nn.Sequential(
            SinusoidalPE(TIME_FEATURES),
            nn.Linear(TIME_FEATURES, dim),
            nn.SiLU(),
            nn.Linear(dim, dim),
        )
        self.null_label = None
        if self.reads_tokens:
            self.label_embd = PromptTable(context_dim)
            self.context_to_dim = nn.Linear(context_dim, dim)
            self.null_label = PromptTable.null_label if null_class else None
        else:
            self.label_embd = nn.Embedding(num_classes + null_class if conditional else 1, dim)
            self.null_label = num_classes if null_class else None
        self.blocks = nn.ModuleList(
            [AdaLNBlock(dim, dim, num_heads, mlp_ratio, gelu="tanh") for _ in range(depth)]
        )
        for block in self.blocks:
            if qk_norm:
                block.attn = (QKNormLinearAttention if linear else QKNormAttention)(block.attn)
            elif linear:
                block.attn = LinearAttention(block.attn)
        self.final_norm = nn.LayerNorm(dim, eps=1e-6, elementwise_affine=False)
        self.final_emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(dim, 2 * dim))
        self.final_linear = nn.Linear(dim, patch_size**2 * self.out_channels)
        self._initialise()

    def _initialise(self) -> None:
        """As the paper's code does it: all blocks start as the identity, the output as zero.

        Except for the embeddings of time and class, which are small there (0.02): in a short
        training they would not grow in time, and the network would not learn to heed them.
        """
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.xavier_uniform_(self.patch_embd.weight.data.flatten(1))  # as if it were linear
        nn.init.zeros_(self.patch_embd.bias)
        if not self.reads_tokens:
            nn.init.normal_(self.label_embd.weight)
        for layers in (*(block.emb_layers for block in self.blocks), self.final_emb_layers):
            zero_init(layers)
        zero_init(self.final_linear)

    def embed(self, label: Tensor, time: Tensor) -> Tensor:
        """The embedding of time steps and labels [B], [B, dim]."""
        if not self.conditional:
            label = torch.zeros_like(label)
        context = self.label_embd(label)
        if self.reads_tokens:
            context = self.context_to_dim(context.mean(dim=1))
        return self.time_embd(time) + context

    def patchify(self, x: Tensor) -> Tensor:
        """One token per patch of x [B, in_channels, H, W], row by row: [B, rows * columns, dim]."""
        # TODO bonus patchify: self.patch_embd makes a column of channels of each patch; put them in
        # a sequence, the first row of patches first (Peebles and Xie 2023, Figure 4).
        # BEGIN SOLUTION dit
        return self.patch_embd(x).flatten(2).transpose(1, 2)
        # END SOLUTION

    def unpatchify(self, tokens: Tensor, rows: int, columns: int) -> Tensor:
        """Put patches together to images.

        Args:
            tokens: [B, rows * columns, patch_size * patch_size * out_channels], row by row; a
                patch holds its pixels row by row, the channels of each pixel side by side.
            rows, columns: how many patches there are.

        Returns:
            [B, out_channels, rows * patch_size, columns * patch_size]
        """
        size = self.patch_size
        # TODO bonus unpatchify: Unfold the tokens into axes for the rows and columns of patches,
        # the rows and columns of pixels in a patch, and the channels; bring the axes into the order
        # of an image, and join them.
        # BEGIN SOLUTION dit
        patches = tokens.unflatten(2, (size, size, self.out_channels))
        patches = patches.unflatten(1, (rows, columns))  # [B, rows, columns, size, size, C]
        images = patches.permute(0, 5, 1, 3, 2, 4)  # [B, C, rows, size, columns, size]
        return images.flatten(4, 5).flatten(2, 3)
        # END SOLUTION

    def forward(self, x: Tensor, label: Tensor, time: Tensor) -> Tensor:
        """Predict what `UNet.forward` does.

        Args:
            x: noisy images or latents, [B, in_channels, H, W].
            label: class indices, LongTensor [B]; or a text's tokens, [B, tokens, context_dim].
            time: time steps, noise levels or times of any kind, [B].

        Returns:
            [B, out_channels, H, W]

        Raises:
            ValueError: the patches do not divide H or W.
        """
        size = self.patch_size
        if x.shape[2] % size or x.shape[3] % size:
            raise ValueError(
                f"images of {x.shape[2]}x{x.shape[3]} cannot be cut into patches of {size}x{size}"
            )
        # TODO bonus forward: Turn images into tokens with self.patchify, and add their `positions`.
        # Walk through self.blocks, which take the tokens and the embedding of label and time. Then
        # self.final_norm, `modulate` by what self.final_emb_layers makes of the embedding (shift,
        # then scale), self.final_linear, and self.unpatchify (Peebles and Xie 2023, Figure 3).
        # BEGIN SOLUTION dit
        emb = self.embed(label, time)
        rows, columns = x.shape[2] // size, x.shape[3] // size
        tokens = self.patchify(x)
        tokens = tokens + positions(rows, columns, tokens.shape[2], x.device)
        for block in self.blocks:
            tokens = block(tokens, emb)
        shift, scale = self.final_emb_layers(emb).chunk(2, dim=-1)
        tokens = self.final_linear(modulate(self.final_norm(tokens), shift, scale))
        return self.unpatchify(tokens, rows, columns)
        # END SOLUTION


class IndirectDiT(Indirect, DiT):
    """A DiT that predicts v or x_0."""


def positions(rows: int, columns: int, dim: int, device: torch.device) -> Tensor:
    """Sines and cosines of each patch's place, [rows * columns, dim], row by row.

    The first half encodes the column, the second the row (as the paper's code, after Vaswani et al.
    2017, section 3.5).
    """
    steps = torch.arange(dim // 4, device=device, dtype=torch.float32)
    frequencies = 10000 ** (-steps / (dim // 4))
    row, column = torch.meshgrid(
        torch.arange(rows, device=device), torch.arange(columns, device=device), indexing="ij"
    )
    angles = [place.reshape(-1, 1) * frequencies for place in (column, row)]
    return torch.cat([f(a) for a in angles for f in (torch.sin, torch.cos)], dim=1)
