import math

import torch
import torch.nn as nn
import torch.nn.functional as F

from libs.utils import default


class SinusoidalPE(nn.Module):
    def __init__(self, dim):
        super().__init__()
        half = dim // 2
        freqs = torch.exp(-math.log(10000) * torch.arange(half) / half)
        self.register_buffer("freqs", freqs, persistent=False)

    def forward(self, time):
        angles = time.float().unsqueeze(1) * self.freqs
        return torch.cat([torch.cos(angles), torch.sin(angles)], dim=1)


class LabelEmbedding(nn.Module):
    def __init__(self, num_classes, embed_dim):
        super().__init__()
        self.embed = nn.Embedding(num_classes, embed_dim)
        self.mlp = nn.Sequential(
            nn.Linear(embed_dim, embed_dim), nn.SiLU(), nn.Linear(embed_dim, embed_dim)
        )

    def forward(self, label):
        return self.mlp(self.embed(label))


class ResBlock(nn.Module):
    def __init__(self, in_channel, time_emb_dim, out_channel=None, groups=4):
        super().__init__()
        out_channel = default(out_channel, in_channel)
        self.block1 = nn.Sequential(
            nn.GroupNorm(groups, in_channel), nn.SiLU(),
            nn.Conv2d(in_channel, out_channel, 3, padding=1),
        )
        self.t_proj = nn.Sequential(nn.SiLU(), nn.Linear(time_emb_dim, out_channel))
        self.block2 = nn.Sequential(
            nn.GroupNorm(groups, out_channel), nn.SiLU(),
            nn.Conv2d(out_channel, out_channel, 3, padding=1),
        )
        self.res = (
            nn.Conv2d(in_channel, out_channel, 1) if in_channel != out_channel else nn.Identity()
        )

    def forward(self, x, t_emb):
        h = self.block1(x) + self.t_proj(t_emb)[..., None, None]
        return self.block2(h) + self.res(x)


class Attention(nn.Module):
    def __init__(self, dim, context_dim, num_heads, qkv_bias):
        super().__init__()
        self.heads = num_heads
        self.q = nn.Linear(dim, dim, bias=qkv_bias)
        self.k = nn.Linear(context_dim, dim, bias=qkv_bias)
        self.v = nn.Linear(context_dim, dim, bias=qkv_bias)
        self.out = nn.Linear(dim, dim)

    def forward(self, x, context):
        q, k, v = (
            layer(y).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer, y in ((self.q, x), (self.k, context), (self.v, context))
        )
        y = F.scaled_dot_product_attention(q, k, v)
        return self.out(y.transpose(1, 2).flatten(2))


class SpatialTransformer(nn.Module):
    def __init__(self, dim, context_dim, num_heads=4, mlp_ratio=4.0, qkv_bias=True,
                 norm_layer=nn.LayerNorm, groups=4):
        super().__init__()
        self.norm = nn.GroupNorm(groups, dim)
        self.proj_in = nn.Linear(dim, dim)
        self.norms = nn.ModuleList([norm_layer(dim) for _ in range(3)])
        self.self_attn = Attention(dim, dim, num_heads, qkv_bias)
        self.cross_attn = Attention(dim, context_dim, num_heads, qkv_bias)
        hidden = int(mlp_ratio * dim)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))
        self.proj_out = nn.Linear(dim, dim)

    def forward(self, x, context):
        h, w = x.shape[-2:]
        y = self.proj_in(self.norm(x).flatten(2).mT)
        z = self.norms[0](y)
        y = y + self.self_attn(z, z)
        y = y + self.cross_attn(self.norms[1](y), context)
        y = y + self.mlp(self.norms[2](y))
        return x + self.proj_out(y).mT.unflatten(2, (h, w))


class Upsample(nn.Module):
    def __init__(self, dim, dim_out=None):
        super().__init__()
        self.conv = nn.ConvTranspose2d(dim, default(dim_out, dim), 4, stride=2, padding=1)

    def forward(self, x):
        return self.conv(x)


class Downsample(nn.Module):
    def __init__(self, dim, dim_out=None):
        super().__init__()
        self.conv = nn.Conv2d(4 * dim, default(dim_out, dim), 1)

    def forward(self, x):
        return self.conv(F.pixel_unshuffle(x, 2))
