"""What an autoencoder is trained on: pixels, LPIPS, the KL term, and a discriminator's judgement.

The losses are those of Stable Diffusion's first stage (Rombach et al. 2022, appendix G; Esser et
al. 2021, VQGAN).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import LpipsConfig
from ..runtime.processes import Processes
from ..runtime.progress import say
from ..settings.autoencoder import Stage
from .discriminator import (
    PatchDiscriminator,
    adaptive_weight,
    hinge_discriminator_loss,
    hinge_generator_loss,
)
from .kl import KLAutoencoder
from .perceptual import PerceptualLoss, perceptual_loss

DISTANCES = {"l1": F.l1_loss, "mse": F.mse_loss}


class ReconstructionLoss(nn.Module):
    """The autoencoder's loss as a forward pass.

    Args:
        autoencoder: the network.
        stage: which losses, and their weights.
        perceptual: LPIPS, or None.
        discriminator: judges reconstructions while `adversarial` is set; no part of this module.
    """

    NAMES = ("reconstruction", "kl", "perceptual", "adversarial", "adversarial_weight")

    def __init__(
        self,
        autoencoder: KLAutoencoder,
        stage: Stage,
        perceptual: PerceptualLoss | None,
        discriminator: PatchDiscriminator | None = None,
    ):
        super().__init__()
        self.autoencoder, self.stage, self.perceptual = autoencoder, stage, perceptual
        self.outside = (discriminator,)  # in a tuple, or it would become a part of this module
        self.adversarial = False
        self.reconstructions: list[Tensor] = []  # of this step, for the discriminator

    def forward(self, images: Tensor, noise: Tensor) -> Tensor:
        """The loss, and the numbers of NAMES, [6].

        Args:
            images: [B, C, H, W] in [-1, 1].
            noise: for the latents, of their shape.
        """
        posterior = self.autoencoder.encode(images)
        decoded = self.autoencoder.decode(posterior.sample(noise)).float()
        pixels = DISTANCES[self.stage.reconstruction](decoded, images)
        # For each value of an image, so that weights mean the same for images of any size
        kl = posterior.kl().mean() / images[0].numel()
        zero = torch.zeros_like(pixels)
        perceptual = zero
        if self.perceptual is not None and self.stage.lpips_weight > 0:
            perceptual = self.perceptual(decoded, images).mean()
        reconstruction = pixels + self.stage.lpips_weight * perceptual
        adversarial = weight = zero
        if self.adversarial:
            adversarial = hinge_generator_loss(self.outside[0](decoded).float())
            weight = zero + self.stage.disc_weight
            if torch.is_grad_enabled():
                last_layer = self.autoencoder.last_layer
                weight = weight * adaptive_weight(reconstruction, adversarial, last_layer)
            self.reconstructions.append(decoded.detach())
        loss = reconstruction + self.stage.kl_weight * kl + weight * adversarial
        return torch.stack([loss, pixels, kl, perceptual, adversarial, weight])


class DiscriminatorLoss(nn.Module):
    """The discriminator's hinge loss as a forward pass."""

    def __init__(self, discriminator: PatchDiscriminator):
        super().__init__()
        self.discriminator = discriminator

    def forward(self, images: Tensor, reconstructions: Tensor) -> Tensor:
        """The loss, from images and their reconstructions in [-1, 1], both [B, C, H, W]."""
        scores = self.discriminator(images), self.discriminator(reconstructions)
        return hinge_discriminator_loss(*(score.float() for score in scores))


def find_perceptual(
    config: LpipsConfig, weight: float, key: str, processes: Processes
) -> nn.Module | None:
    """LPIPS, or None where it has no weight or cannot be had, which the first process says.

    Raises UserError where only some machines have it.
    """
    if weight == 0:
        return None
    loss, reason = perceptual_loss(config.network, config.weights, key=f"{key}.weights")
    if reason and processes.is_main:
        say(reason)
    has_it = {"LPIPS": "there" if loss is not None else "missing"}
    processes.must_agree(has_it, "install it on all machines, or set its weight in the loss to 0")
    return loss
