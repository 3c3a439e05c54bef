"""What an autoencoder is trained on: pixels, LPIPS, the KL term, and a discriminator's judgement.

The losses are those of Stable Diffusion's first stage (Rombach et al. 2022, appendix G; Esser et
al. 2021, VQGAN).
"""

from collections.abc import Callable
from typing import NamedTuple

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
from .perceptual import PerceptualLoss, perceptual_loss

DISTANCES = {"l1": F.l1_loss, "mse": F.mse_loss}


class LossResult(NamedTuple):
    """The result of a loss module that returns more than its loss.

    Attributes:
        loss: a scalar.
        parts: other numbers, such as its terms, [n].
        outputs: what the network made of this batch, for a network that learns next; or None.
    """

    loss: Tensor
    parts: Tensor
    outputs: Tensor | None = None


class ReconstructionLoss(nn.Module):
    """The autoencoder's loss as a forward pass.

    Args:
        autoencoder: the network, a KLAutoencoder, or a FirstStage if there is no discriminator.
        stage: which losses, and their weights.
        perceptual: LPIPS, or None.
        judge: images in [-1, 1] -> a discriminator's scores; None before it takes part.
    """

    NAMES = ("reconstruction", "kl", "perceptual", "adversarial", "adversarial_weight")

    def __init__(
        self,
        autoencoder: nn.Module,
        stage: Stage,
        perceptual: PerceptualLoss | None,
        judge: Callable[[Tensor], Tensor] | None = None,
    ):
        super().__init__()
        self.autoencoder, self.stage, self.perceptual = autoencoder, stage, perceptual
        self.judge = judge

    def forward(self, images: Tensor, noise: Tensor) -> LossResult:
        """The loss, the numbers of NAMES, and with a judge the reconstructions.

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
        if self.judge is not None:
            adversarial = hinge_generator_loss(self.judge(decoded).float())
            weight = zero + self.stage.disc_weight
            if torch.is_grad_enabled():
                last_layer = self.autoencoder.last_layer
                weight = weight * adaptive_weight(reconstruction, adversarial, last_layer)
        loss = reconstruction + self.stage.kl_weight * kl + weight * adversarial
        parts = torch.stack([pixels, kl, perceptual, adversarial, weight]).detach()
        return LossResult(loss, parts, None if self.judge is None else decoded.detach())


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
    """LPIPS, or None if its weight is 0 or it is not available, which the first process reports.

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
