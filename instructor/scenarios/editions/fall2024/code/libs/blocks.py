import math

import torch
import torch.nn as nn
import torch.nn.functional as F

from .utils import default


class SinusoidalPE(nn.Module):
    """Sinusoidal embeddings of time steps."""

    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def forward(self, time):
        device = time.device
        half_dim = self.dim // 2
        step = math.log(10000) / (half_dim - 1)
        embeddings = torch.exp(torch.arange(half_dim, device=device) * -step)
        embeddings = time[:, None] * embeddings[None, :]
        return torch.cat((embeddings.sin(), embeddings.cos()), dim=-1)


class LabelEmbedding(nn.Module):
    """Embeds class labels: [B] -> [B, C]."""

    def __init__(self, num_classes, embed_dim):
        super().__init__()
        self.embedding = nn.Embedding(num_classes, embed_dim)
        self.mlp = nn.Sequential(
            nn.Linear(embed_dim, embed_dim), nn.GELU(), nn.Linear(embed_dim, embed_dim)
        )

    def forward(self, label):
        return self.mlp(self.embedding(label))


class ResBlock(nn.Module):
    def __init__(self, in_channel, time_emb_dim, out_channel=None, groups=4):
        super().__init__()
        out_channel = default(out_channel, in_channel)
        self.in_layers = nn.Sequential(
            nn.GroupNorm(groups, in_channel), nn.SiLU(),
            nn.Conv2d(in_channel, out_channel, 3, padding=1),
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(time_emb_dim, out_channel))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(groups, out_channel), nn.SiLU(),
            nn.Conv2d(out_channel, out_channel, 3, padding=1),
        )
        self.skip_connection = (
            nn.Identity() if in_channel == out_channel else nn.Conv2d(in_channel, out_channel, 1)
        )

    def forward(self, x, t_emb):
        h = self.in_layers(x)
        emb = self.emb_layers(t_emb)
        h = h + emb[:, :, None, None]
        h = self.out_layers(h)
        return h + self.skip_connection(x)


class CrossAttention(nn.Module):
    def __init__(self, dim, context_dim=None, num_heads=4, qkv_bias=True):
        super().__init__()
        context_dim = default(context_dim, dim)
        self.num_heads = num_heads
        self.head_dim = dim // num_heads
        self.to_q = nn.Linear(dim, dim, bias=qkv_bias)
        self.to_k = nn.Linear(context_dim, dim, bias=qkv_bias)
        self.to_v = nn.Linear(context_dim, dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)

    def split(self, y):
        return y.view(y.shape[0], -1, self.num_heads, self.head_dim).transpose(1, 2)

    def forward(self, x, context=None):
        context = default(context, x)
        q, k, v = self.split(self.to_q(x)), self.split(self.to_k(context)), self.split(
            self.to_v(context)
        )
        attn = torch.matmul(q, k.transpose(-2, -1)) / math.sqrt(self.head_dim)
        out = torch.matmul(attn.softmax(dim=-1), v)
        out = out.transpose(1, 2).reshape(x.shape)
        return self.proj(out)


class MLP(nn.Module):
    def __init__(self, dim, ratio):
        super().__init__()
        self.fc1 = nn.Linear(dim, int(dim * ratio))
        self.fc2 = nn.Linear(int(dim * ratio), dim)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class SpatialTransformer(nn.Module):
    def __init__(self, dim, context_dim, num_heads=4, mlp_ratio=4.0, qkv_bias=True,
                 norm_layer=nn.LayerNorm, groups=4):
        super().__init__()
        self.norm = nn.GroupNorm(groups, dim)
        self.proj_in = nn.Conv2d(dim, dim, 1)
        self.norm1 = norm_layer(dim)
        self.attn1 = CrossAttention(dim, None, num_heads, qkv_bias)
        self.norm2 = norm_layer(dim)
        self.attn2 = CrossAttention(dim, context_dim, num_heads, qkv_bias)
        self.norm3 = norm_layer(dim)
        self.mlp = MLP(dim, mlp_ratio)
        self.proj_out = nn.Conv2d(dim, dim, 1)

    def forward(self, x, context):
        b, c, h, w = x.shape
        y = self.proj_in(self.norm(x))
        y = y.permute(0, 2, 3, 1).reshape(b, h * w, c)
        y = self.attn1(self.norm1(y)) + y
        y = self.attn2(self.norm2(y), context) + y
        y = self.mlp(self.norm3(y)) + y
        y = y.reshape(b, h, w, c).permute(0, 3, 1, 2)
        return self.proj_out(y) + x


def Upsample(dim, dim_out=None):
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest"),
        nn.Conv2d(dim, default(dim_out, dim), 3, padding=1),
    )


def Downsample(dim, dim_out=None):
    return nn.Conv2d(dim, default(dim_out, dim), 3, stride=2, padding=1)
