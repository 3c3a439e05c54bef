import torch
import torch.nn as nn

from libs.blocks import (
    Downsample,
    LabelEmbedding,
    ResBlock,
    SinusoidalPE,
    SpatialTransformer,
    Upsample,
)
from libs.utils import default


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
        init_dim, out_channels = default(init_dim, dim), default(out_channels, in_channels)
        groups, heads = default(num_groups, 4), default(num_heads, 4)
        time_dim = 4 * dim
        channels = [init_dim] + [dim * mult for mult in dim_mults]
        last = len(dim_mults) - 1

        self.conv_in = nn.Conv2d(in_channels, init_dim, 3, padding=1)
        self.time_embd = nn.Sequential(
            SinusoidalPE(dim), nn.Linear(dim, time_dim), nn.SiLU(), nn.Linear(time_dim, time_dim)
        )
        self.label_embd = LabelEmbedding(num_classes, context_dim)

        def attention(level, width):
            if level not in attn_levels:
                return None
            return SpatialTransformer(width, context_dim, heads, groups=groups)

        self.encoder = nn.ModuleList()
        for i in range(last + 1):
            self.encoder.append(nn.ModuleList([
                ResBlock(channels[i], time_dim, channels[i + 1], groups),
                attention(i, channels[i + 1]),
                Downsample(channels[i + 1]) if i < last else None,
            ]))

        self.mid_res_block1 = ResBlock(channels[-1], time_dim, groups=groups)
        self.mid_attn = SpatialTransformer(channels[-1], context_dim, heads, groups=groups)
        self.mid_res_block2 = ResBlock(channels[-1], time_dim, groups=groups)

        self.decoder = nn.ModuleList()
        for i in range(last, -1, -1):
            self.decoder.append(nn.ModuleList([
                ResBlock(2 * channels[i + 1], time_dim, channels[i], groups),
                attention(i, channels[i]),
                Upsample(channels[i]) if i else None,
            ]))

        self.final_conv = nn.Sequential(
            nn.GroupNorm(groups, init_dim), nn.SiLU(), nn.Conv2d(init_dim, out_channels, 3, padding=1)
        )

    def forward(self, x, label, time):
        t_emb = self.time_embd(time)
        context = self.label_embd(label).unsqueeze(1)
        x = self.conv_in(x)

        skips = []
        for level in self.encoder:
            x = level[0](x, t_emb)
            if level[1] is not None:
                x = level[1](x, context)
            skips.append(x)
            if level[2] is not None:
                x = level[2](x)

        x = self.mid_res_block1(x, t_emb)
        x = self.mid_attn(x, context)
        x = self.mid_res_block2(x, t_emb)

        for level, skip in zip(self.decoder, reversed(skips)):
            x = level[0](torch.cat([x, skip], dim=1), t_emb)
            if level[1] is not None:
                x = level[1](x, context)
            if level[2] is not None:
                x = level[2](x)

        return self.final_conv(x)
