"""The denoising network: a UNet conditioned on the time step and on a class label."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .blocks import (
    Downsample,
    LabelEmbedding,
    ResBlock,
    SinusoidalPE,
    SpatialTransformer,
    Upsample,
    zero_init,
)
from .utils import default


class UNet(nn.Module):
    """UNet eps_theta(x, c, t) after Rombach et al. 2022, with one residual block per level.

    Level i works with `dim * dim_mults[i]` channels; between two levels height and width halve, so
    both must be divisible by 2 ** (len(dim_mults) - 1). The time step enters every residual block.
    The class enters the transformers, which are at the levels in `attn_levels` and in the middle.

    Subclasses override the `make_` methods, `embed` and `middle`, see models/variants.py.

    Args:
        dim: base number of channels, which `dim_mults` multiplies.
        context_dim: size of the class embedding.
        num_classes: number of classes.
        in_channels: channels of the input.
        out_channels: channels of the output; those of the input by default.
        dim_mults: one multiplier per level, finest level first.
        attn_levels: levels with a transformer, 0 is the finest.
        init_dim: channels after the first convolution; `dim` by default.
        num_groups: groups of each GroupNorm; 4 by default.
        num_heads: heads of each attention; 4 by default.

    Raises:
        ValueError: `num_groups` or `num_heads` does not divide the channels of a level.
    """

    def __init__(
        self,
        dim: int,
        context_dim: int,
        num_classes: int,
        in_channels: int = 3,
        out_channels: int | None = None,
        dim_mults: Sequence[int] = (1, 2, 4),
        attn_levels: Sequence[int] = (0, 1),
        init_dim: int | None = None,
        num_groups: int | None = None,
        num_heads: int | None = None,
    ):
        super().__init__()
        self.time_dim, self.context_dim = 4 * dim, context_dim
        self.num_groups, self.num_heads = default(num_groups, 4), default(num_heads, 4)
        init_dim = default(init_dim, dim)
        dims = [init_dim, *(dim * mult for mult in dim_mults)]
        for channels in dims:
            if channels % self.num_groups or channels % self.num_heads:
                raise ValueError(
                    f"dim {dim} with dim_mults {list(dim_mults)} gives {channels} channels, which "
                    f"must be divisible by {self.num_groups} (num_groups) and {self.num_heads} "
                    "(num_heads)"
                )
        levels = range(len(dim_mults))

        self.conv_in = nn.Conv2d(in_channels, init_dim, 3, padding=1)
        self.time_embd = nn.Sequential(
            SinusoidalPE(dim),
            nn.Linear(dim, self.time_dim),
            nn.SiLU(),
            nn.Linear(self.time_dim, self.time_dim),
        )
        self.make_label_embedding(num_classes)

        self.encoder = nn.ModuleList()
        for i in levels:
            attn = self.make_transformer(dims[i + 1]) if i in attn_levels else None
            down = self.make_downsample(dims[i + 1]) if i < levels[-1] else None
            res_block = self.make_res_block(dims[i], dims[i + 1])
            self.encoder.append(nn.ModuleList([res_block, attn, down]))

        self.make_middle(dims[-1])

        self.decoder = nn.ModuleList()
        for i in reversed(levels):
            attn = self.make_transformer(dims[i]) if i in attn_levels else None
            up = Upsample(dims[i]) if i > 0 else None
            # The input has twice the channels: the decoder's own and those of the skip connection
            res_block = self.make_res_block(2 * dims[i + 1], dims[i])
            self.decoder.append(nn.ModuleList([res_block, attn, up]))

        self.final_conv = nn.Sequential(
            nn.GroupNorm(self.num_groups, init_dim),
            nn.SiLU(),
            zero_init(nn.Conv2d(init_dim, default(out_channels, in_channels), 3, padding=1)),
        )

    def make_label_embedding(self, num_classes: int) -> None:
        self.label_embd = LabelEmbedding(num_classes, self.context_dim)

    def make_res_block(self, dim_in: int, dim_out: int) -> nn.Module:
        return ResBlock(dim_in, self.time_dim, dim_out, self.num_groups)

    def make_transformer(self, channels: int) -> SpatialTransformer:
        return SpatialTransformer(
            channels, self.context_dim, self.num_heads, groups=self.num_groups
        )

    def make_downsample(self, channels: int) -> nn.Module:
        return Downsample(channels)

    def make_middle(self, channels: int) -> None:
        self.mid_res_block1 = self.make_res_block(channels, channels)
        self.mid_attn = self.make_transformer(channels)
        self.mid_res_block2 = self.make_res_block(channels, channels)

    def embed(self, label: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
        """The embeddings of time steps and labels [B]: [B, 4 * dim] and [B, 1, context_dim]."""
        return self.time_embd(time), self.label_embd(label)

    def middle(self, x: Tensor, t_emb: Tensor, context: Tensor) -> Tensor:
        """The blocks between encoder and decoder, at the coarsest level; keeps the shape of x."""
        x = self.mid_res_block1(x, t_emb)
        x = self.mid_attn(x, context)
        return self.mid_res_block2(x, t_emb)

    def forward(self, x: Tensor, label: Tensor, time: Tensor) -> Tensor:
        """Predict the noise in x.

        Args:
            x: noisy images or latents, [B, in_channels, H, W].
            label: class indices, LongTensor [B].
            time: time steps 0 .. T-1, LongTensor [B].

        Returns:
            [B, out_channels, H, W]
        """
        t_emb, context = self.embed(label, time)
        x = self.conv_in(x)

        skips = []
        for res_block, transformer, downsample in self.encoder:
            x = res_block(x, t_emb)
            if transformer is not None:
                x = transformer(x, context)
            skips.append(x)
            if downsample is not None:
                x = downsample(x)

        x = self.middle(x, t_emb, context)

        # TODO 1 decoder: Walk through self.decoder as the loop above walks through self.encoder.
        # Each level first joins x with the encoder's output of the same resolution along the
        # channels, cat([x, skip]); the output stored last is the first to be used.
        # BEGIN SOLUTION unet
        for res_block, transformer, upsample in self.decoder:
            x = torch.cat([x, skips.pop()], dim=1)
            x = res_block(x, t_emb)
            if transformer is not None:
                x = transformer(x, context)
            if upsample is not None:
                x = upsample(x)
        # END SOLUTION

        return self.final_conv(x)
