import torch
from torch import nn

from .blocks import (
    Downsample, LabelEmbedding, ResBlock, SinusoidalPE, SpatialTransformer, Upsample
)


class UNet(nn.Module):
    def __init__(self, dim, context_dim, num_classes, in_channels=3, out_channels=None,
                 dim_mults=(1, 2, 4), attn_levels=(0, 1), init_dim=None, num_groups=None,
                 num_heads=None):
        super().__init__()
        init_dim = init_dim or dim
        num_groups = num_groups or 4
        num_heads = num_heads or 4
        out_channels = out_channels or in_channels
        dims = [init_dim, *map(lambda m: dim * m, dim_mults)]
        in_out = list(zip(dims[:-1], dims[1:]))
        t_dim = dim * 4

        self.conv_in = nn.Conv2d(in_channels, init_dim, 7, padding=3)
        self.time_embd = nn.Sequential(
            SinusoidalPE(dim), nn.Linear(dim, t_dim), nn.GELU(), nn.Linear(t_dim, t_dim)
        )
        self.label_embd = LabelEmbedding(num_classes, context_dim)

        self.encoder = nn.ModuleList([])
        self.decoder = nn.ModuleList([])
        n_levels = len(in_out)
        for i, (d_in, d_out) in enumerate(in_out):
            has_attn = i in attn_levels
            self.encoder.append(nn.ModuleList([
                ResBlock(d_in, t_dim, d_out, num_groups),
                SpatialTransformer(d_out, context_dim, num_heads, groups=num_groups)
                if has_attn else None,
                Downsample(d_out) if i < n_levels - 1 else None,
            ]))
        mid = dims[-1]
        self.mid_res_block1 = ResBlock(mid, t_dim, mid, num_groups)
        self.mid_attn = SpatialTransformer(mid, context_dim, num_heads, groups=num_groups)
        self.mid_res_block2 = ResBlock(mid, t_dim, mid, num_groups)
        for i, (d_in, d_out) in reversed(list(enumerate(in_out))):
            has_attn = i in attn_levels
            self.decoder.append(nn.ModuleList([
                ResBlock(d_out * 2, t_dim, d_in, num_groups),
                SpatialTransformer(d_in, context_dim, num_heads, groups=num_groups)
                if has_attn else None,
                Upsample(d_in) if i > 0 else None,
            ]))
        self.final_conv = nn.Sequential(
            nn.GroupNorm(num_groups, init_dim), nn.SiLU(), nn.Conv2d(init_dim, out_channels, 1)
        )

    def forward(self, x, label, time):
        t = self.time_embd(time)
        c = self.label_embd(label).unsqueeze(1)  # B x 1 x C

        x = self.conv_in(x)
        feats = []
        for res, attn, down in self.encoder:
            x = res(x, t)
            x = attn(x, c) if attn is not None else x
            feats.append(x)
            x = down(x) if down is not None else x

        x = self.mid_res_block1(x, t)
        x = self.mid_attn(x, c)
        x = self.mid_res_block2(x, t)

        for res, attn, up in self.decoder:
            x = res(torch.cat((x, feats.pop()), dim=1), t)
            x = attn(x, c) if attn is not None else x
            x = up(x) if up is not None else x
        return self.final_conv(x)
