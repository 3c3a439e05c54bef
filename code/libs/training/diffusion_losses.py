"""The losses of a diffusion model's training as forward passes."""

import torch
from torch import Tensor, nn

from ..autoencoders.losses import ReconstructionLoss
from ..config import Config
from ..ddpm import DDPM
from ..edm import EDM
from ..models.targets import training_loss
from ..utils import UserError, check_result, place_of, results_checked


class TrainingLoss(nn.Module):
    """The loss as a forward pass.

    It is the model's own compute_loss, unless the config asks for what that does not know.
    """

    def __init__(self, ddpm: DDPM | EDM, config: Config):
        super().__init__()
        self.ddpm = ddpm
        self.cached_latents = config.dataset.latent_cache
        self.compute_loss = ddpm.compute_loss
        if (config.model.prediction, config.train_cfg.loss) != ("eps", "mse"):
            self.compute_loss = lambda *batch: training_loss(ddpm, *batch, config.train_cfg.loss)

    def forward(self, x: Tensor, label: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """The loss of images in [0, 1], or of cached latents, [B, C, H, W].

        An EDM gets its noise levels as `t`.
        """
        if not self.ddpm.use_vae:
            return self._checked(2 * x - 1, label, t, noise)
        self.ddpm.use_vae = not self.cached_latents  # cached latents are encoded already
        try:
            return self._checked(x, label, t, noise)
        finally:
            self.ddpm.use_vae = True

    def _checked(self, *batch: Tensor) -> Tensor:
        """The loss; a UserError that names a student's function where there is none."""
        is_edm = isinstance(self.ddpm, EDM)
        step = ("denoise", "images without noise") if is_edm else ("q_sample", "x_t")
        with results_checked(self.ddpm, *step):
            loss = self.compute_loss(*batch)
        if getattr(loss, "shape", None) != (1,):  # which is as good as a scalar
            check_result(loss, self.compute_loss, "the loss, a scalar tensor", ())
        if torch.is_grad_enabled() and not loss.requires_grad:
            raise UserError(
                f"{place_of(self.compute_loss)} returned a loss that depends on no weight of the "
                "network: was it detached, or computed in torch.no_grad()?"
            )
        return loss


class JointLoss(nn.Module):
    """The diffusion model's loss, and its autoencoder's beside it.

    The diffusion loss does not reach the autoencoder: latents that are easy to denoise are poor
    ones, and it would make them so (Leng et al. 2025, REPA-E, section 3).
    """

    NAMES = ("diffusion", *ReconstructionLoss.NAMES)

    def __init__(self, diffusion: TrainingLoss, autoencoder: ReconstructionLoss, weight: float):
        super().__init__()
        self.diffusion, self.autoencoder, self.weight = diffusion, autoencoder, weight

    def forward(
        self, x: Tensor, label: Tensor, t: Tensor, noise: Tensor, latent_noise: Tensor
    ) -> Tensor:
        """The loss of images [B, C, H, W] in [0, 1], and the numbers of NAMES, [7]."""
        diffusion = self.diffusion(x, label, t, noise)
        loss, *parts = self.autoencoder(2 * x - 1, latent_noise)
        return torch.stack([diffusion + self.weight * loss, diffusion, *parts])
