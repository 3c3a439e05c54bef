"""The autoencoder of latent diffusion (KL-regularized), layer for layer Stable Diffusion's.

Paper: Rombach et al. 2022, section 3.1 and appendix G. Sub-modules carry the names of CompVis's
checkpoints (`encoder.down.0.block.0.norm1`, `decoder.mid.attn_1.q`, ...), so that loading one needs
no renaming. Feature maps are [B, C, H, W].
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from ..utils import choose, default

MAX_GROUPS = 32
MIN_CHANNELS = 4  # in a group, as in Stable Diffusion's narrowest layer


class DiagonalGaussian:
    """The posterior q(z|x) of a batch: a normal distribution with independent entries.

    Args:
        moments: means and log variances, [B, 2 * channels, h, w]. Log variances are clamped to
            [-30, 20].
    """

    def __init__(self, moments: Tensor):
        self.mean, logvar = moments.chunk(2, dim=1)
        self.logvar = logvar.clamp(-30, 20)

    def sample(self, noise: Tensor) -> Tensor:
        """Draw latents with the given standard normal noise, all [B, channels, h, w]."""
        return self.mean + (0.5 * self.logvar).exp() * noise

    def mode(self) -> Tensor:
        """The most probable latents, which are the means."""
        return self.mean

    def kl(self) -> Tensor:
        """Divergence from N(0, I) of each image in nats, summed over the latent's entries, [B].

        Kingma & Welling 2014, appendix B.
        """
        mean, logvar = self.mean.float(), self.logvar.float()
        return 0.5 * (mean.square() + logvar.exp() - 1 - logvar).sum(dim=(1, 2, 3))


class KLAutoencoder(nn.Module):
    """Images [B, in_channels, H, W] in [-1, 1] to latents [B, embed_dim, H/f, W/f] and back.

    Level i works with `ch * ch_mult[i]` channels, and between two levels height and width halve, so
    that f = 2 ** (len(ch_mult) - 1). The defaults are Stable Diffusion 1.x's autoencoder, kl-f8.

    Args:
        in_channels: channels of the images.
        ch: number of channels that `ch_mult` multiplies.
        ch_mult: one multiplier per level, finest level first.
        num_res_blocks: residual blocks per level; the decoder has one more.
        z_channels: channels of what the encoder gives, once for the means and once for the log
            variances, and of what the decoder takes.
        embed_dim: channels of the latents in between; by default `z_channels`, as in all published
            files of kl-f4 and kl-f8.
        attention: "full", or "linear" for a cost that grows with the pixels, not their square.
        attn_levels: levels with attention besides the one in the middle, 0 is the finest.
        resample: "conv" halves by strided convolutions, "max" and "avg" by pooling.
        upsample: how the decoder doubles, before a convolution: "nearest", "bilinear", "bicubic".
        tanh: bound the decoder's output to (-1, 1); else it overshoots a little.
        num_groups: groups of each GroupNorm; by default 32, or fewer where `ch` is small.

    Raises:
        ValueError: an argument has none of these values, or `num_groups` does not divide `ch`.
    """

    def __init__(
        self,
        in_channels: int = 3,
        ch: int = 128,
        ch_mult: Sequence[int] = (1, 2, 4, 4),
        num_res_blocks: int = 2,
        z_channels: int = 4,
        *,
        attention: str = "full",
        attn_levels: Sequence[int] = (),
        resample: str = "conv",
        upsample: str = "nearest",
        tanh: bool = False,
        num_groups: int | None = None,
        embed_dim: int | None = None,
    ):
        super().__init__()
        groups = default(num_groups, groups_for(ch))
        if ch % groups:
            raise ValueError(f"ch {ch} is not divisible by {groups}, the groups of each GroupNorm")
        for level in attn_levels:
            if level not in range(len(ch_mult)):
                raise ValueError(
                    f"attn_levels has {level}, but the levels are 0..{len(ch_mult) - 1}"
                )
        attend = choose("attention", attention, {"full": Attention, "linear": LinearAttention})
        choose("upsample", upsample, dict.fromkeys(("nearest", "bilinear", "bicubic")))
        channels = [ch * mult for mult in ch_mult]
        shape = channels, num_res_blocks, groups, attend, attn_levels
        self.encoder = Encoder(in_channels, 2 * z_channels, *shape, resample=resample)
        self.decoder = Decoder(z_channels, in_channels, *shape, upsample=upsample, tanh=tanh)
        embed_dim = default(embed_dim, z_channels)
        self.quant_conv = nn.Conv2d(2 * z_channels, 2 * embed_dim, 1)
        self.post_quant_conv = nn.Conv2d(embed_dim, z_channels, 1)

    @property
    def factor(self) -> int:
        """By how much a latent is smaller than its image, in height and in width."""
        return self.encoder.factor

    @property
    def latent_channels(self) -> int:
        """Channels of the latents."""
        return self.post_quant_conv.in_channels

    @property
    def last_layer(self) -> nn.Parameter:
        """The weight of the last convolution, at which the losses' gradients are compared."""
        return self.decoder.conv_out.weight

    def encode(self, x: Tensor) -> DiagonalGaussian:
        """The posterior of latents [B, embed_dim, H/f, W/f], given images in [-1, 1].

        Raises:
            ValueError: height or width is not divisible by f.
        """
        return DiagonalGaussian(self.quant_conv(self.encoder(x)))

    def decode(self, z: Tensor) -> Tensor:
        """Images [B, in_channels, H, W], about in [-1, 1], of latents."""
        return self.decoder(self.post_quant_conv(z))


class Encoder(nn.Module):
    """Images to the posterior's moments before `quant_conv`, [B, out_channels, H/f, W/f]."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        channels: Sequence[int],
        num_res_blocks: int,
        groups: int,
        attend: type[nn.Module],
        attn_levels: Sequence[int],
        *,
        resample: str,
    ):
        super().__init__()
        self.factor = 2 ** (len(channels) - 1)
        pools = {"max": lambda dim: nn.MaxPool2d(2), "avg": lambda dim: nn.AvgPool2d(2)}
        halve = choose("resample", resample, {"conv": Downsample, **pools})
        self.conv_in = nn.Conv2d(in_channels, channels[0], 3, padding=1)
        self.down = nn.ModuleList()
        dim_in = channels[0]
        for i, dim in enumerate(channels):
            attn = attend if i in attn_levels else None
            level = Level(dim_in, dim, num_res_blocks, groups, attn)
            if i < len(channels) - 1:
                level.downsample = halve(dim)
            self.down.append(level)
            dim_in = dim
        self.mid = Middle(dim_in, groups, attend)
        self.norm_out = normalize(dim_in, groups)
        self.conv_out = nn.Conv2d(dim_in, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        if height % self.factor or width % self.factor:
            raise ValueError(
                f"images of {height}x{width} pixels cannot be encoded: height and width must be "
                f"divisible by {self.factor}"
            )
        x = self.conv_in(x)
        for level in self.down:
            x = level(x)
            if hasattr(level, "downsample"):
                x = level.downsample(x)
        return self.conv_out(F.silu(self.norm_out(self.mid(x))))


class Decoder(nn.Module):
    """Latents after `post_quant_conv` to images, [B, out_channels, f h, f w]."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        channels: Sequence[int],
        num_res_blocks: int,
        groups: int,
        attend: type[nn.Module],
        attn_levels: Sequence[int],
        *,
        upsample: str,
        tanh: bool,
    ):
        super().__init__()
        self.tanh = tanh
        dim_in = channels[-1]
        self.conv_in = nn.Conv2d(in_channels, dim_in, 3, padding=1)
        self.mid = Middle(dim_in, groups, attend)
        levels = []
        for i, dim in reversed(list(enumerate(channels))):
            attn = attend if i in attn_levels else None
            level = Level(dim_in, dim, num_res_blocks + 1, groups, attn)
            if i > 0:
                level.upsample = Upsample(dim, upsample)
            levels.append(level)
            dim_in = dim
        self.up = nn.ModuleList(reversed(levels))  # CompVis counts levels from the finest
        self.norm_out = normalize(dim_in, groups)
        self.conv_out = nn.Conv2d(dim_in, out_channels, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        x = self.mid(self.conv_in(z))
        for level in reversed(self.up):
            x = level(x)
            if hasattr(level, "upsample"):
                x = level.upsample(x)
        x = self.conv_out(F.silu(self.norm_out(x)))
        return x.tanh() if self.tanh else x


class Level(nn.Module):
    """Residual blocks at one resolution, each followed by attention where `attend` is given."""

    def __init__(
        self, dim_in: int, dim: int, num_blocks: int, groups: int, attend: type[nn.Module] | None
    ):
        super().__init__()
        dims = [dim_in, *[dim] * num_blocks]
        self.block = nn.ModuleList(ResBlock(dims[j], dim, groups) for j in range(num_blocks))
        number = num_blocks if attend else 0
        self.attn = nn.ModuleList(attend(dim, groups) for _ in range(number))

    def forward(self, x: Tensor) -> Tensor:
        for j, block in enumerate(self.block):
            x = block(x)
            if self.attn:
                x = self.attn[j](x)
        return x


class Middle(nn.Module):
    """The coarsest resolution: residual block, attention, residual block."""

    def __init__(self, dim: int, groups: int, attend: type[nn.Module]):
        super().__init__()
        self.block_1 = ResBlock(dim, dim, groups)
        self.attn_1 = attend(dim, groups)
        self.block_2 = ResBlock(dim, dim, groups)

    def forward(self, x: Tensor) -> Tensor:
        return self.block_2(self.attn_1(self.block_1(x)))


class ResBlock(nn.Module):
    """Two convolutions with a residual connection, [B, dim_in, H, W] to [B, dim, H, W]."""

    def __init__(self, dim_in: int, dim: int, groups: int):
        super().__init__()
        self.norm1 = normalize(dim_in, groups)
        self.conv1 = nn.Conv2d(dim_in, dim, 3, padding=1)
        self.norm2 = normalize(dim, groups)
        self.conv2 = nn.Conv2d(dim, dim, 3, padding=1)
        if dim_in != dim:
            self.nin_shortcut = nn.Conv2d(dim_in, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x)


class Attention(nn.Module):
    """Self-attention with one head over the pixels of a feature map, [B, dim, H, W]."""

    def __init__(self, dim: int, groups: int):
        super().__init__()
        self.norm = normalize(dim, groups)
        self.q = nn.Conv2d(dim, dim, 1)
        self.k = nn.Conv2d(dim, dim, 1)
        self.v = nn.Conv2d(dim, dim, 1)
        self.proj_out = nn.Conv2d(dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        q, k, v = (layer(h).flatten(2).transpose(1, 2) for layer in (self.q, self.k, self.v))
        out = self.attend(q, k, v)  # [B, H * W, dim]
        return x + self.proj_out(out.transpose(1, 2).reshape(x.shape))

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Mix the values, all [B, H * W, dim]."""
        # With a dimension for the one head, CUDA's fast kernels apply.
        return F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]


class LinearAttention(Attention):
    """Attention whose cost is linear in the number of pixels (Shen et al. 2021, section 3).

    Queries are normalised over their features and keys over the pixels, so that the pixels' values
    can be gathered in one matrix [dim, dim] before the queries read it.
    """

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Mix the values, all [B, H * W, dim]."""
        gathered = k.softmax(dim=1).transpose(1, 2) @ v  # [B, dim, dim]
        return q.softmax(dim=2) @ gathered


class Downsample(nn.Module):
    """Halve height and width with a strided convolution, padded at the right and bottom only."""

    def __init__(self, dim: int):
        super().__init__()
        self.conv = nn.Conv2d(dim, dim, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Double height and width by interpolation, then a convolution."""

    def __init__(self, dim: int, mode: str):
        super().__init__()
        self.mode = mode
        self.conv = nn.Conv2d(dim, dim, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode=self.mode))


def normalize(channels: int, groups: int) -> nn.GroupNorm:
    """Stable Diffusion's GroupNorm."""
    return nn.GroupNorm(groups, channels, eps=1e-6)


def groups_for(ch: int) -> int:
    """32, or the greatest power of two below that divides `ch` into groups of 4 channels or more.

    A group of a single channel loses its mean, so that brightness is learned from the image's
    borders alone: easy at 8x8 pixels, slow at 32x32.
    """
    groups = MAX_GROUPS
    while groups > 1 and (ch % groups or ch // groups < MIN_CHANNELS):
        groups //= 2
    return groups
