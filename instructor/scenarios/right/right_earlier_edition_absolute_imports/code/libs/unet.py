"""UNet for the assignment."""

import torch
from torch import nn

from libs.blocks import (
    Downsample,
    LabelEmbedding,
    ResBlock,
    SinusoidalPE,
    SpatialTransformer,
    Upsample,
)


def default(value, fallback):
    return fallback if value is None else value


class UNet(nn.Module):
    def __init__(
        self,
        dim,
        context_dim,
        num_classes,
        in_channels=3,
        out_channels=None,
        dim_mults=(1, 2, 4),
        attn_levels=(0, 1),
        init_dim=None,
        num_groups=None,
        num_heads=None,
    ):
        super().__init__()
        init_dim = default(init_dim, dim)
        groups = default(num_groups, 4)
        heads = default(num_heads, 4)
        out_channels = default(out_channels, in_channels)
        time_dim = dim * 4

        self.conv_in = nn.Conv2d(in_channels, init_dim, 3, padding=1)
        self.time_embd = nn.Sequential(
            SinusoidalPE(dim),
            nn.Linear(dim, time_dim),
            nn.SiLU(),
            nn.Linear(time_dim, time_dim),
        )
        self.label_embd = LabelEmbedding(num_classes, context_dim)

        widths = [init_dim] + [dim * m for m in dim_mults]
        pairs = list(zip(widths[:-1], widths[1:]))
        last = len(pairs) - 1

        self.encoder = nn.ModuleList([])
        for i, (d_in, d_out) in enumerate(pairs):
            block = ResBlock(d_in, time_dim, d_out, groups=groups)
            attn = None
            if i in attn_levels:
                attn = SpatialTransformer(d_out, context_dim, num_heads=heads, groups=groups)
            self.encoder.append(
                nn.ModuleList([block, attn, None if i == last else Downsample(d_out)])
            )

        middle = widths[-1]
        self.mid_res_block1 = ResBlock(middle, time_dim, middle, groups=groups)
        self.mid_attn = SpatialTransformer(middle, context_dim, num_heads=heads, groups=groups)
        self.mid_res_block2 = ResBlock(middle, time_dim, middle, groups=groups)

        self.decoder = nn.ModuleList([])
        for i, (d_in, d_out) in reversed(list(enumerate(pairs))):
            block = ResBlock(d_out * 2, time_dim, d_in, groups=groups)
            attn = None
            if i in attn_levels:
                attn = SpatialTransformer(d_in, context_dim, num_heads=heads, groups=groups)
            self.decoder.append(nn.ModuleList([block, attn, None if i == 0 else Upsample(d_in)]))

        self.final_conv = nn.Sequential(
            nn.GroupNorm(groups, init_dim),
            nn.SiLU(),
            nn.Conv2d(init_dim, out_channels, 3, padding=1),
        )

    def forward(self, x, label, time):
        t = self.time_embd(time)
        context = self.label_embd(label)
        x = self.conv_in(x)

        outputs = []
        for block, attn, down in self.encoder:
            x = block(x, t)
            if attn is not None:
                x = attn(x, context)
            outputs.append(x)
            if down is not None:
                x = down(x)

        x = self.mid_res_block1(x, t)
        x = self.mid_attn(x, context)
        x = self.mid_res_block2(x, t)

        for block, attn, up in self.decoder:
            x = torch.cat([x, outputs.pop()], dim=1)
            x = block(x, t)
            if attn is not None:
                x = attn(x, context)
            if up is not None:
                x = up(x)

        return self.final_conv(x)
