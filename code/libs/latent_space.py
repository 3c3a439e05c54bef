"""Where a model diffuses: in pixel space, or in the latent space of a frozen autoencoder."""

from collections.abc import Sequence

from torch import nn

from .tiny_autoencoder import TAESD


def make_space(
    img_shape: Sequence[int],
    num_levels: int,
    use_vae: bool,
    vae_encoder_weights: str | None = None,
    vae_decoder_weights: str | None = None,
    vae: nn.Module | None = None,
) -> tuple[nn.Module | None, tuple[int, int, int]]:
    """The frozen autoencoder of a model, and the shape of what the model diffuses.

    Args:
        img_shape: shape of an image, (C, H, W).
        num_levels: levels of the UNet; from one to the next, height and width halve.
        use_vae: diffuse latents instead of pixels.
        vae_encoder_weights, vae_decoder_weights: files with TAESD's weights; None leaves it
            untrained.
        vae: an autoencoder to use instead of TAESD, with `encoder`, `decoder`, the `factor` by
            which it shrinks, and the `channels` of its latents.

    Returns:
        The autoencoder, None for pixels, and the shape (C, H, W) of an image or of its latents.

    Raises:
        ValueError: the image size cannot be halved as often as the network and the VAE do.
    """
    channels, height, width = img_shape
    shrink = 1
    if use_vae:
        vae = TAESD(vae_encoder_weights, vae_decoder_weights) if vae is None else vae
        vae.requires_grad_(False)  # frozen: only the UNet learns
        channels, shrink = vae.channels, vae.factor
    factor = 2 ** (num_levels - 1) * shrink
    if height % factor or width % factor:
        raise ValueError(
            f"images of {height}x{width} do not fit: height and width must be divisible by "
            f"{factor} (dim_mults has {num_levels} levels"
            + (f" and the VAE shrinks by {shrink})" if use_vae else ")")
        )
    return vae if use_vae else None, (channels, height // shrink, width // shrink)
