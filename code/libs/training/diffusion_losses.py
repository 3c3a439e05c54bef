"""The losses of a diffusion model's training as forward passes."""

import copy

import torch
from torch import Tensor, nn

from ..autoencoders.losses import LossResult, ReconstructionLoss
from ..config import Config
from ..models.targets import draws_time
from ..utils import UserError, check_result, default, place_of, results_checked
from .objectives import objective_of


class TrainingLoss(nn.Module):
    """The loss as a forward pass.

    It is the model's own compute_loss, unless the config asks for more than that can do. Where that
    draws its own times, it does so in training; in evaluation the given ones count.

    Args:
        model: a diffusion model.
        config: of the run.
        of_latents: whether it gets latents of a latent model, not images; None: if they are cached.
    """

    def __init__(self, model: nn.Module, config: Config, of_latents: bool | None = None):
        super().__init__()
        self.model = self.trained = model
        self.in_pixels = not model.use_vae
        if default(of_latents, config.dataset.latent_cache) and model.use_vae:
            self.trained = without_encoder(model)
        self.objective = objective_of(self.trained, config)
        self.draws_time = draws_time(self.objective.compute_loss)

    def forward(self, x: Tensor, label: Tensor, time: Tensor, noise: Tensor) -> Tensor:
        """The loss, a scalar; a UserError that names a student's function where there is none.

        Args:
            x: images in [0, 1], or latents, [B, C, H, W].
            label: class indices, or other conditions that the network takes, [B, ...].
            time: of the model, [B]: time steps, an EDM's noise levels, a flow's times in [0, 1].
            noise: of the shape of what is diffused, [B, C, H, W].
        """
        objective = self.objective
        with results_checked(self.trained, objective.part, objective.part_gives):
            x = 2 * x - 1 if self.in_pixels else x
            if not self.draws_time:
                loss = objective.compute_loss(x, label, time, noise)
            elif self.training:
                loss = objective.compute_loss(x, label, noise)
            else:
                loss = objective.loss_at(x, label, time, noise)
        if getattr(loss, "shape", None) != (1,):  # which is as good as a scalar
            check_result(loss, objective.compute_loss, "the loss, a scalar tensor", ())
        if torch.is_grad_enabled() and not loss.requires_grad:
            raise UserError(
                f"{place_of(objective.compute_loss)} returned a loss that depends on no weight of "
                "the network: was it detached, or computed in torch.no_grad()?"
            )
        return loss


def without_encoder(model: nn.Module) -> nn.Module:
    """The same latent model, weights and all, whose compute_loss takes latents, not images."""
    view = copy.copy(model)  # which shares its networks and tables
    view.use_vae = False
    return view


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
    ) -> LossResult:
        """The loss of images [B, C, H, W] in [0, 1], and the numbers of NAMES."""
        diffusion = self.diffusion(x, label, t, noise)
        found = self.autoencoder(2 * x - 1, latent_noise)
        parts = torch.cat([diffusion.detach().reshape(1), found.parts])
        return LossResult(diffusion + self.weight * found.loss, parts)
