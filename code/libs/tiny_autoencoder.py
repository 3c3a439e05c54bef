"""The Tiny AutoEncoder for Stable Diffusion (TAESD): 8x smaller latents with 2.4M parameters.

Our own implementation of the architecture published at https://github.com/madebyollin/taesd (MIT);
it loads the official weights. Images are in [0, 1]. Latents have 4 channels and about unit scale,
so that no latent factor is needed.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from .utils import UserError
from .weights import load_strictly, read_file

WIDTH = 64
LATENT_CHANNELS = 4


class Block(nn.Module):
    """Three 3x3 convolutions with a residual connection; keeps the shape [B, 64, H, W]."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(
            conv(WIDTH, WIDTH), nn.ReLU(), conv(WIDTH, WIDTH), nn.ReLU(), conv(WIDTH, WIDTH)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.conv(x) + x)


class SoftClamp(nn.Module):
    """Keep latents within (-3, 3) smoothly: 3 tanh(x / 3)."""

    def forward(self, x: Tensor) -> Tensor:
        return 3 * torch.tanh(x / 3)


def conv(channels_in: int, channels_out: int, **kwargs) -> nn.Conv2d:
    """A 3x3 convolution that keeps height and width."""
    return nn.Conv2d(channels_in, channels_out, 3, padding=1, **kwargs)


def make_encoder() -> nn.Sequential:
    """Images [B, 3, H, W] in [0, 1] to latents [B, 4, H/8, W/8]."""
    layers = [conv(3, WIDTH), Block()]
    for _ in range(3):
        layers += [conv(WIDTH, WIDTH, stride=2, bias=False), Block(), Block(), Block()]
    return nn.Sequential(*layers, conv(WIDTH, LATENT_CHANNELS))


def make_decoder() -> nn.Sequential:
    """Latents [B, 4, h, w] to images [B, 3, 8h, 8w] in [0, 1], up to a small overshoot."""
    layers = [SoftClamp(), conv(LATENT_CHANNELS, WIDTH), nn.ReLU()]
    for _ in range(3):
        layers += [Block(), Block(), Block(), nn.Upsample(scale_factor=2)]
        layers += [conv(WIDTH, WIDTH, bias=False)]
    return nn.Sequential(*layers, Block(), conv(WIDTH, 3))


class TAESD(nn.Module):
    """The autoencoder: `encoder` maps images to latents, `decoder` maps them back.

    Latents are `factor` times smaller than images, and have `channels` channels.

    Args:
        encoder_path, decoder_path: weights, `.pth` or `.safetensors`; None keeps random ones.

    Raises:
        UserError: a file is missing, unreadable, or does not hold exactly the expected tensors.
    """

    factor = 8
    channels = LATENT_CHANNELS

    def __init__(
        self, encoder_path: str | Path | None = None, decoder_path: str | Path | None = None
    ):
        super().__init__()
        self.encoder = make_encoder()
        self.decoder = make_decoder()
        if encoder_path is not None:
            load_weights(self.encoder, encoder_path)
        if decoder_path is not None:
            load_weights(self.decoder, decoder_path)


def load_weights(module: nn.Module, path: str | Path) -> None:
    """Load a file of tensors into a module, strictly: every name and shape must match."""
    path = Path(path)
    if not path.is_file():
        raise UserError(
            f"the autoencoder's weights {path} are missing: "
            "run `sh ./download_dataset.sh taesd`, or correct the path in the config"
        )
    load_strictly(module, read_file(path), path)
