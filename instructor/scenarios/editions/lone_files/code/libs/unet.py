"""The denoising network: a UNet conditioned on the time step and on a class label or a text."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .blocks import (
    ResBlock,
    SinusoidalPE,
    SpatialTransformer,
    Upsample,
    zero_init,
)
from .utils import choose, default
from .variants import ATTENTIONS, CONTEXTS, DOWNSAMPLERS, ResBlocks, TransformerMiddle


class UNet(nn.Module):
    """UNet eps_theta(x, c, t) after Rombach et al. 2022, with one residual block a level.

    Level i works with `dim * dim_mults[i]` channels; between two levels height and width halve, so
    both must be divisible by 2 ** (len(dim_mults) - 1). Time enters every residual block, the class
    enters the transformers, which stand at the levels of `attn_levels` and in the middle.

    Args:
        dim: number of channels that `dim_mults` multiplies.
        context_dim: size of the class embedding, or of a text's tokens.
        num_classes: number of classes; for texts it means nothing.
        in_channels: channels of the input.
        out_channels: channels of the output; those of the input by default.
        dim_mults: one multiplier a level, finest level first.
        attn_levels: levels with a transformer, 0 is the finest.
        init_dim: channels after the first convolution; `dim` by default.
        num_groups: groups of each GroupNorm; 4 by default.
        num_heads: heads of each attention; 4 by default.
        conditional: False for a network that passes over the labels.
        adagn: time and class scale and shift the features inside the residual blocks.
        resblocks_per_level: residual blocks at each level of encoder and decoder.
        dropout: share of the features that the residual blocks drop in training.
        attention: of the transformers to themselves, "full" or "linear".
        resample: how the encoder halves, "conv" or by pooling, "max" or "avg".
        bottleneck: what stands in the middle: "conv", a transformer between two residual blocks, or
            "transformer", `bottleneck_depth` blocks of `bottleneck_heads` heads over feature maps
            of one size only, `bottleneck_size` (height, width).
        context: what a label is, a "class" that the network learns to embed, or a text as "tokens",
            see `variants.PromptTable`.

    Raises:
        ValueError: the channels of a level are not divisible by `num_groups` and `num_heads`, or an
            option is not one of those above.
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
        *,
        conditional: bool = True,
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
    ):
        super().__init__()
        out_channels = default(out_channels, in_channels)
        init_dim = default(init_dim, dim)
        groups = default(num_groups, 4)
        heads = default(num_heads, 4)
        time_dim = 4 * dim
        dims = [init_dim, *(dim * mult for mult in dim_mults)]
        for channels in dims:
            if channels % groups or channels % heads:
                raise ValueError(
                    f"dim {dim} with dim_mults {list(dim_mults)} gives {channels} channels, which "
                    f"must be divisible by {groups} (num_groups) and {heads} (num_heads)"
                )
        levels = range(len(dim_mults))
        deepest = len(dim_mults) - 1
        self_attention = choose("attention", attention, ATTENTIONS)
        downsample = choose("resample", resample, DOWNSAMPLERS)

        def res_block(dim_in: int, dim_out: int) -> ResBlock:
            return ResBlock(dim_in, time_dim, dim_out, groups, adagn=adagn, dropout=dropout)

        def res_blocks(dim_in: int, dim_out: int) -> ResBlock | ResBlocks:
            first = res_block(dim_in, dim_out)
            more = [res_block(dim_out, dim_out) for _ in range(resblocks_per_level - 1)]
            return ResBlocks([first, *more]) if more else first

        def transformer(channels: int) -> SpatialTransformer:
            return SpatialTransformer(
                channels, context_dim, heads, groups=groups, self_attention=self_attention
            )

        self.conv_in = nn.Conv2d(in_channels, init_dim, 3, padding=1)
        self.time_embd = nn.Sequential(
            SinusoidalPE(dim), nn.Linear(dim, time_dim), nn.SiLU(), nn.Linear(time_dim, time_dim)
        )
        self.conditional = conditional
        embedding = choose("context", context, CONTEXTS)
        self.label_embd = embedding(num_classes if conditional else 1, context_dim)
        self.label_to_time = nn.Linear(context_dim, time_dim) if adagn else None

        self.encoder = nn.ModuleList()
        for i in levels:
            attn = transformer(dims[i + 1]) if i in attn_levels else None
            down = downsample(dims[i + 1]) if i < deepest else None
            self.encoder.append(nn.ModuleList([res_blocks(dims[i], dims[i + 1]), attn, down]))

        self.mid_transformer = None
        if choose("bottleneck", bottleneck, {"conv": False, "transformer": True}):
            sizes = bottleneck_size, bottleneck_depth, bottleneck_heads
            self.mid_transformer = TransformerMiddle(dims[-1], time_dim, context_dim, *sizes)
        else:
            self.mid_res_block1 = res_block(dims[-1], dims[-1])
            self.mid_attn = transformer(dims[-1])
            self.mid_res_block2 = res_block(dims[-1], dims[-1])

        self.decoder = nn.ModuleList()
        for i in reversed(levels):
            attn = transformer(dims[i]) if i in attn_levels else None
            up = Upsample(dims[i]) if i > 0 else None
            # Twice the channels come in: the decoder's own and those of the encoder's output.
            self.decoder.append(nn.ModuleList([res_blocks(2 * dims[i + 1], dims[i]), attn, up]))

        self.final_conv = nn.Sequential(
            nn.GroupNorm(groups, init_dim),
            nn.SiLU(),
            zero_init(nn.Conv2d(init_dim, out_channels, 3, padding=1)),
        )

    def forward(self, x: Tensor, label: Tensor, time: Tensor) -> Tensor:
        """Predict the noise in x.

        Args:
            x: noisy images or latents, [B, in_channels, H, W].
            label: class indices, LongTensor [B]; for texts the numbers of prompts, or their tokens
                [B, tokens, context_dim].
            time: time steps 0 .. T-1, LongTensor [B].

        Returns:
            [B, out_channels, H, W]
        """
        if not self.conditional:
            label = torch.zeros_like(label)
        t_emb = self.time_embd(time)  # [B, 4 * dim]
        context = self.label_embd(label)  # [B, 1, context_dim]; more tokens for texts
        if self.label_to_time is not None:
            t_emb = t_emb + self.label_to_time(context.mean(dim=1))
        x = self.conv_in(x)

        skips = []
        for res_block, transformer, downsample in self.encoder:
            x = res_block(x, t_emb)
            if transformer is not None:
                x = transformer(x, context)
            skips.append(x)
            if downsample is not None:
                x = downsample(x)

        if self.mid_transformer is None:
            x = self.mid_res_block1(x, t_emb)
            x = self.mid_attn(x, context)
            x = self.mid_res_block2(x, t_emb)
        else:
            x = self.mid_transformer(x, t_emb, context)

        # TODO: Complete the decoder. Walk through self.decoder as the loop above walks through
        # self.encoder. Each level first joins x with the encoder's output of the same resolution
        # along the channels, cat([x, skip]); the output stored last is the first to be used.
        for res_block, transformer, upsample in self.decoder:
            x = torch.cat([x, skips.pop()], dim=1)
            x = res_block(x, t_emb)
            if transformer is not None:
                x = transformer(x, context)
            if upsample is not None:
                x = upsample(x)

        return self.final_conv(x)
