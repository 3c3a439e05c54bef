import math

import torch
import torch.nn.functional as F
from torch import nn


class SinusoidalPE(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def forward(self, time):
        half = self.dim // 2
        freqs = torch.exp(-math.log(10000) * torch.arange(half, device=time.device) / (half - 1))
        args = time[:, None].float() * freqs[None]
        return torch.cat([args.sin(), args.cos()], dim=-1)


class LabelEmbedding(nn.Module):
    def __init__(self, num_classes, embed_dim):
        super().__init__()
        self.table = nn.Embedding(num_classes, embed_dim)
        self.fc1 = nn.Linear(embed_dim, embed_dim)
        self.fc2 = nn.Linear(embed_dim, embed_dim)

    def forward(self, label):
        return self.fc2(F.gelu(self.fc1(self.table(label))))  # B x C


class Upsample(nn.Module):
    def __init__(self, dim, dim_out=None):
        super().__init__()
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.conv = nn.Conv2d(dim, dim if dim_out is None else dim_out, 3, padding=1)

    def forward(self, x):
        return self.conv(self.up(x))


class Downsample(nn.Module):
    def __init__(self, dim, dim_out=None):
        super().__init__()
        self.conv = nn.Conv2d(dim, dim if dim_out is None else dim_out, 4, 2, 1)

    def forward(self, x):
        return self.conv(x)


class ResBlock(nn.Module):
    def __init__(self, in_channel, time_emb_dim, out_channel=None, groups=4):
        super().__init__()
        out_channel = in_channel if out_channel is None else out_channel
        self.time_mlp = nn.Linear(time_emb_dim, out_channel)
        self.norm1 = nn.GroupNorm(groups, in_channel)
        self.conv1 = nn.Conv2d(in_channel, out_channel, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, out_channel)
        self.conv2 = nn.Conv2d(out_channel, out_channel, 3, padding=1)
        if in_channel != out_channel:
            self.shortcut = nn.Conv2d(in_channel, out_channel, 1)
        else:
            self.shortcut = None

    def forward(self, x, t_emb):
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.time_mlp(F.silu(t_emb)).unsqueeze(-1).unsqueeze(-1)
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (x if self.shortcut is None else self.shortcut(x))


class Attention(nn.Module):
    def __init__(self, dim, kv_dim, num_heads=4, qkv_bias=True):
        super().__init__()
        self.num_heads = num_heads
        self.scale = (dim // num_heads) ** -0.5
        self.q = nn.Linear(dim, dim, bias=qkv_bias)
        self.kv = nn.Linear(kv_dim, 2 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x, context):
        B, N, C = x.shape
        M = context.shape[1]
        q = self.q(x).reshape(B, N, self.num_heads, -1).permute(0, 2, 1, 3)
        kv = self.kv(context).reshape(B, M, 2, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        k, v = kv[0], kv[1]
        attn = (torch.einsum("bhnd,bhmd->bhnm", q, k) * self.scale).softmax(dim=-1)
        out = torch.einsum("bhnm,bhmd->bhnd", attn, v).permute(0, 2, 1, 3).reshape(B, N, C)
        return self.proj(out)


class SpatialTransformer(nn.Module):
    def __init__(self, dim, context_dim, num_heads=4, mlp_ratio=4.0, qkv_bias=True,
                 norm_layer=nn.LayerNorm, groups=4):
        super().__init__()
        self.norm = nn.GroupNorm(groups, dim)
        self.proj_in = nn.Conv2d(dim, dim, 1)
        self.norm1, self.norm2, self.norm3 = norm_layer(dim), norm_layer(dim), norm_layer(dim)
        self.self_attn = Attention(dim, dim, num_heads, qkv_bias)
        self.cross_attn = Attention(dim, context_dim, num_heads, qkv_bias)
        hidden = int(dim * mlp_ratio)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))
        self.proj_out = nn.Conv2d(dim, dim, 1)

    def forward(self, x, context):
        B, C, H, W = x.shape
        h = self.proj_in(self.norm(x)).flatten(2).transpose(1, 2)  # B x HW x C
        n = self.norm1(h)
        h = h + self.self_attn(n, n)
        h = h + self.cross_attn(self.norm2(h), context)
        h = h + self.mlp(self.norm3(h))
        h = h.transpose(1, 2).reshape(B, C, H, W)
        return x + self.proj_out(h)
