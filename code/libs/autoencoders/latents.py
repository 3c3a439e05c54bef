"""A trained autoencoder as the latent space of a diffusion model: zero mean, unit scale, frozen."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ..utils import UserError
from .kl import DiagonalGaussian, KLAutoencoder

SMALLEST_STD = 1e-6


class FirstStage(nn.Module):
    """An autoencoder with the interface of TAESD: images in [0, 1], latents of about unit scale.

    `encoder` maps images [B, C, H, W] in [0, 1] to the posterior's mean, standardized, which is
    [B, channels, H/factor, W/factor]; `decoder` maps such latents to images, about in [0, 1]. They
    hold the autoencoder's own modules, which are frozen.

    Latents are shifted and scaled in each channel by itself. A diffusion model starts from N(0, I)
    and adds the same noise to all channels, so a channel with a smaller scale than the others would
    drown first, and one with a mean would leave a trace of it at the last step. Until `measure` is
    called, the mean is 0 and the standard deviation 1 / `scale`.

    Args:
        autoencoder: what this wraps.
        scale: a factor for all channels, such as Stable Diffusion's 0.18215.
    """

    def __init__(self, autoencoder: KLAutoencoder, scale: float = 1.0):
        super().__init__()
        self.factor = autoencoder.factor
        self.channels = autoencoder.latent_channels
        standardize = Standardize(self.channels)
        standardize.std.fill_(1 / scale)
        self.encoder = LatentEncoder(autoencoder, standardize)
        self.decoder = LatentDecoder(autoencoder, standardize)
        self.requires_grad_(False)
        self.eval()

    def encode(self, images: Tensor) -> DiagonalGaussian:
        """As `KLAutoencoder.encode`: the posterior of raw latents, given images in [-1, 1]."""
        return DiagonalGaussian(self.encoder.quant_conv(self.encoder.encoder(images)))

    def decode(self, z: Tensor) -> Tensor:
        """As `KLAutoencoder.decode`: images, about in [-1, 1], of raw latents."""
        return self.decoder.decoder(self.decoder.post_quant_conv(z))

    @torch.no_grad()
    def measure(self, images_batches: Iterable[Tensor]) -> None:
        """Set mean and standard deviation of each channel from data.

        They are those of the posterior's mean, not of samples: the mean is what `encoder` returns
        and what a diffusion model learns. Samples add the posterior's variance, which is tiny under
        the usual weights of the KL term, and they would make the result depend on chance.

        Args:
            images_batches: images [B, C, H, W] in [0, 1], on any device.

        Raises:
            UserError: there are no images, or a channel is constant or not finite.
        """
        standardize = self.encoder.standardize
        device = standardize.mean.device
        count = 0
        total = total_of_squares = torch.zeros(self.channels, dtype=torch.float64)
        for images in images_batches:
            latents = self.encoder.posterior(images.to(device)).mode()
            latents = latents.cpu().double()  # not every device has float64
            count += latents.numel() // self.channels
            total = total + latents.sum(dim=(0, 2, 3))
            total_of_squares = total_of_squares + latents.square().sum(dim=(0, 2, 3))
        if count == 0:
            raise UserError("the scale of the latents cannot be measured: there are no images")
        mean = total / count
        std = (total_of_squares / count - mean**2).clamp(min=0).sqrt()
        for channel, value in enumerate(std.tolist()):
            if not SMALLEST_STD < value < float("inf"):
                raise UserError(
                    f"the autoencoder's latents are of no use to a diffusion model: channel "
                    f"{channel} has the standard deviation {value:.2g}; train the autoencoder "
                    "longer, or with a smaller weight of the KL term"
                )
        standardize.mean.copy_(mean.view(-1, 1, 1))
        standardize.std.copy_(std.view(-1, 1, 1))


class Standardize(nn.Module):
    """Take raw latents [B, C, h, w] to zero mean and unit variance in each channel, and back."""

    def __init__(self, channels: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels, 1, 1))
        self.register_buffer("std", torch.ones(channels, 1, 1))

    def forward(self, z: Tensor) -> Tensor:
        return (z - self.mean) / self.std

    def inverse(self, latents: Tensor) -> Tensor:
        """Standardized latents to raw ones."""
        return latents * self.std + self.mean


class LatentEncoder(nn.Module):
    """Images [B, C, H, W] in [0, 1] to standardized latents; see `FirstStage`."""

    def __init__(self, autoencoder: KLAutoencoder, standardize: Standardize):
        super().__init__()
        self.encoder = autoencoder.encoder
        self.quant_conv = autoencoder.quant_conv
        self.standardize = standardize

    def posterior(self, images: Tensor) -> DiagonalGaussian:
        """The posterior of raw latents, given images in [0, 1]."""
        images = images.to(self.quant_conv.weight.dtype)
        return DiagonalGaussian(self.quant_conv(self.encoder(2 * images - 1)))

    def forward(self, images: Tensor) -> Tensor:
        return self.standardize(self.posterior(images).mode())


class LatentDecoder(nn.Module):
    """Standardized latents to images, about in [0, 1]; see `FirstStage`."""

    def __init__(self, autoencoder: KLAutoencoder, standardize: Standardize):
        super().__init__()
        self.standardize = standardize
        self.post_quant_conv = autoencoder.post_quant_conv
        self.decoder = autoencoder.decoder

    def forward(self, latents: Tensor) -> Tensor:
        z = self.standardize.inverse(latents).to(self.post_quant_conv.weight.dtype)
        return (self.decoder(self.post_quant_conv(z)) + 1) / 2
