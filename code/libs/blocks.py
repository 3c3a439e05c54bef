"""The building blocks of the UNet, with the inner structure of Stable Diffusion 1.x.

Sub-modules carry the names that Stable Diffusion's checkpoints use (`in_layers`, `attn1`, ...), so
that loading such a checkpoint is a matter of renaming. Feature maps are [B, C, H, W].
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .utils import default


class SinusoidalPE(nn.Module):
    """Sinusoidal encoding of the time step (Vaswani et al. 2017, section 3.5).

    Stable Diffusion's variant: all cosines first, then all sines, with a period of 10,000.
    """

    def __init__(self, dim: int):
        super().__init__()
        self.dim = dim

    def forward(self, time: Tensor) -> Tensor:
        """Encode time steps [B] (integers or floats) as [B, dim]."""
        half = self.dim // 2
        steps = torch.arange(half, device=time.device, dtype=torch.float32)
        frequencies = torch.exp(-math.log(10000) * steps / half)
        angles = time.float()[:, None] * frequencies[None, :]  # [B, dim / 2]
        encoding = torch.cat([angles.cos(), angles.sin()], dim=-1)
        return F.pad(encoding, (0, self.dim % 2))  # an odd dim ends with one zero


class LabelEmbedding(nn.Module):
    """A learned context vector for each class, refined by a small MLP."""

    def __init__(self, num_classes: int, embed_dim: int):
        super().__init__()
        self.embedding = nn.Embedding(num_classes, embed_dim)
        self.mlp = nn.Sequential(
            nn.Linear(embed_dim, embed_dim), nn.SiLU(), nn.Linear(embed_dim, embed_dim)
        )

    def forward(self, label: Tensor) -> Tensor:
        """Embed class indices [B] as contexts of one token, [B, 1, embed_dim]."""
        return self.mlp(self.embedding(label))[:, None, :]


class ResBlock(nn.Module):
    """Two convolutions with a residual connection; the time embedding is added between them."""

    emb_per_channel = 1  # values per channel that the time embedding is mapped to

    def __init__(
        self, in_channel: int, time_emb_dim: int, out_channel: int | None = None, groups: int = 4
    ):
        super().__init__()
        out_channel = default(out_channel, in_channel)
        emb_dim = self.emb_per_channel * out_channel
        self.in_layers = nn.Sequential(
            nn.GroupNorm(groups, in_channel),
            nn.SiLU(),
            nn.Conv2d(in_channel, out_channel, 3, padding=1),
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(time_emb_dim, emb_dim))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(groups, out_channel),
            nn.SiLU(),
            nn.Dropout(0.0),
            zero_init(nn.Conv2d(out_channel, out_channel, 3, padding=1)),
        )
        same = in_channel == out_channel
        self.skip_connection = nn.Identity() if same else nn.Conv2d(in_channel, out_channel, 1)

    def forward(self, x: Tensor, t_emb: Tensor) -> Tensor:
        """Map x [B, in_channel, H, W] and t_emb [B, time_emb_dim] to [B, out_channel, H, W]."""
        emb = self.emb_layers(t_emb)[:, :, None, None]
        return self.skip_connection(x) + self.out_layers(self.in_layers(x) + emb)


class Attention(nn.Module):
    """Multi-head attention: queries from `x`, keys and values from `context` (or from `x`)."""

    def __init__(self, dim: int, context_dim: int | None, num_heads: int, qkv_bias: bool):
        super().__init__()
        context_dim = default(context_dim, dim)
        self.num_heads = num_heads
        self.to_q = nn.Linear(dim, dim, bias=qkv_bias)
        self.to_k = nn.Linear(context_dim, dim, bias=qkv_bias)
        self.to_v = nn.Linear(context_dim, dim, bias=qkv_bias)
        self.to_out = nn.Sequential(nn.Linear(dim, dim), nn.Dropout(0.0))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Map x [B, N, dim] and context [B, M, context_dim] to [B, N, dim]."""
        context = default(context, x)
        q = self._split_heads(self.to_q(x))  # [B, heads, N, head_dim]
        k = self._split_heads(self.to_k(context))  # [B, heads, M, head_dim]
        v = self._split_heads(self.to_v(context))
        out = self._attend(q, k, v)
        return self.to_out(out.transpose(1, 2).flatten(2))

    def _attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v)

    def _split_heads(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.num_heads, -1)).transpose(1, 2)


class GEGLU(nn.Module):
    """A linear layer whose second half gates its first: a * gelu(gate) (Shazeer 2020)."""

    def __init__(self, dim: int, dim_out: int):
        super().__init__()
        self.proj = nn.Linear(dim, 2 * dim_out)

    def forward(self, x: Tensor) -> Tensor:
        """Map [..., dim] to [..., dim_out]."""
        a, gate = self.proj(x).chunk(2, dim=-1)
        return a * F.gelu(gate)


class FeedForward(nn.Module):
    """The transformer's MLP, with GEGLU in the middle."""

    def __init__(self, dim: int, mlp_ratio: float):
        super().__init__()
        hidden = int(dim * mlp_ratio)
        self.net = nn.Sequential(GEGLU(dim, hidden), nn.Dropout(0.0), nn.Linear(hidden, dim))

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, N, dim] to [B, N, dim]."""
        return self.net(x)


class TransformerBlock(nn.Module):
    """Self-attention, cross-attention to the context, feed-forward; each normalised first."""

    def __init__(
        self,
        dim: int,
        context_dim: int,
        num_heads: int,
        mlp_ratio: float,
        qkv_bias: bool,
        norm_layer: type[nn.Module],
    ):
        super().__init__()
        self.norm1 = norm_layer(dim)
        self.attn1 = Attention(dim, None, num_heads, qkv_bias)
        self.norm2 = norm_layer(dim)
        self.attn2 = Attention(dim, context_dim, num_heads, qkv_bias)
        self.norm3 = norm_layer(dim)
        self.ff = FeedForward(dim, mlp_ratio)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Map x [B, N, dim] and context [B, tokens, context_dim] to [B, N, dim]."""
        x = x + self.attn1(self.norm1(x))
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff(self.norm3(x))


class SpatialTransformer(nn.Module):
    """A transformer over the pixels of a feature map, with cross-attention to the context.

    This is where the condition enters the UNet (Rombach et al. 2022, section 3.3).
    """

    def __init__(
        self,
        dim: int,
        context_dim: int,
        num_heads: int = 4,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        norm_layer: type[nn.Module] = nn.LayerNorm,
        groups: int = 4,
    ):
        super().__init__()
        self.context_dim = context_dim
        self.norm = nn.GroupNorm(groups, dim, eps=1e-6)
        self.proj_in = nn.Conv2d(dim, dim, 1)
        block = TransformerBlock(dim, context_dim, num_heads, mlp_ratio, qkv_bias, norm_layer)
        self.transformer_blocks = nn.ModuleList([block])
        self.proj_out = zero_init(nn.Conv2d(dim, dim, 1))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Map x [B, dim, H, W] and context [B, tokens, context_dim] to [B, dim, H, W].

        A context [B, context_dim] counts as one token.
        """
        context = context.reshape(len(x), -1, self.context_dim)
        h = self.proj_in(self.norm(x))
        tokens = h.flatten(2).transpose(1, 2)  # [B, H * W, dim]
        for block in self.transformer_blocks:
            tokens = block(tokens, context)
        h = tokens.transpose(1, 2).reshape(x.shape)
        return x + self.proj_out(h)


class Upsample(nn.Module):
    """Double height and width: nearest neighbour, then a convolution."""

    def __init__(self, dim: int, dim_out: int | None = None):
        super().__init__()
        self.conv = nn.Conv2d(dim, default(dim_out, dim), 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, dim, H, W] to [B, dim_out, 2H, 2W]."""
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Downsample(nn.Module):
    """Halve height and width with a strided convolution."""

    def __init__(self, dim: int, dim_out: int | None = None):
        super().__init__()
        self.op = nn.Conv2d(dim, default(dim_out, dim), 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, dim, H, W] to [B, dim_out, H/2, W/2]."""
        return self.op(x)


def zero_init(module: nn.Module) -> nn.Module:
    """Set all parameters to zero, so that a residual branch starts as the identity."""
    for p in module.parameters():
        nn.init.zeros_(p)
    return module
