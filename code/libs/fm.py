"""Rectified flow: straight lines from noise to data, and a network that learns their velocity.

Papers: Liu, Gong and Liu 2023, "Flow Straight and Fast: Learning to Generate and Transfer Data with
Rectified Flow"; Lipman et al. 2023, "Flow Matching for Generative Modeling"; on the distribution of
t in training, Esser et al. 2024, "Scaling Rectified Flow Transformers for High-Resolution Image
Synthesis".

Time runs from noise, t = 0, to data, t = 1. In Esser et al. it runs the other way.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .latent_space import make_space
from .unet import UNet


class FM(nn.Module):
    """A flow conditioned on class labels, in pixels or in the latents of a frozen autoencoder.

    Args:
        timesteps: number of sampling steps.
        logit_normal: mean and deviation of ln(t / (1 - t)) in training; None: t is uniform.
        heun: sample with Heun's method, two evaluations of the network per step, not Euler's.
        The others: see `DDPM`.

    Attributes:
        model: the network, (x_t, label, t) -> the velocity at x_t.
        img_shape, vae: see `DDPM`.

    Raises:
        ValueError: the image size cannot be halved as often as the network and the VAE do.
    """

    def __init__(
        self,
        img_shape: Sequence[int] = (3, 32, 32),
        timesteps: int = 10,
        dim: int = 64,
        context_dim: int = 64,
        num_classes: int = 10,
        dim_mults: Sequence[int] = (1, 2, 4),
        attn_levels: Sequence[int] = (0, 1),
        use_vae: bool = False,
        vae_encoder_weights: str | None = None,
        vae_decoder_weights: str | None = None,
        *,
        logit_normal: tuple[float, float] | None = None,
        heun: bool = False,
        network: Callable[..., nn.Module] = UNet,
        vae: nn.Module | None = None,
    ):
        super().__init__()
        self.timesteps = timesteps
        self.logit_normal, self.heun = logit_normal, heun
        self.use_vae = use_vae
        self.vae, self.img_shape = make_space(
            img_shape, len(dim_mults), use_vae, vae_encoder_weights, vae_decoder_weights, vae
        )
        self.model = network(
            dim=dim,
            context_dim=context_dim,
            num_classes=num_classes,
            in_channels=self.img_shape[0],
            dim_mults=dim_mults,
            attn_levels=attn_levels,
        )

    def draw_t(
        self, number: int, device: torch.device, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw times to train on, [number], in [0, 1] (Esser et al., section 3.1)."""
        options = {"generator": generator, "device": device}
        if self.logit_normal is None:
            return torch.rand(number, **options)
        mean, std = self.logit_normal
        return (mean + std * torch.randn(number, **options)).sigmoid()

    def interpolate(self, x_start: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """The point x_t = t x_start + (1 - t) noise on the line between them, [B, C, H, W]."""
        # TODO 5 interpolate: Mix image and noise so that t = 0 is all noise and t = 1 the image.
        # Each sample of the batch has a t of its own.
        # BEGIN SOLUTION fm_loss
        t = t[:, None, None, None]
        return t * x_start + (1 - t) * noise
        # END SOLUTION

    def compute_loss(
        self, x_start: Tensor, label: Tensor, t: Tensor | None = None, noise: Tensor | None = None
    ) -> Tensor:
        """Training loss: how well the network predicts velocities (Liu et al., Algorithm 1).

        Args:
            x_start: images, [B, C, H, W], in [-1, 1]; with `use_vae` in [0, 1].
            label: class indices, LongTensor [B].
            t: times in [0, 1], [B]; drawn here if None.
            noise: Gaussian noise, [B, *self.img_shape]; drawn here if None.

        Returns:
            The mean squared error, a scalar.
        """
        x_1 = x_start
        if self.use_vae:
            with torch.no_grad():
                x_1 = self.vae.encoder(x_start)
        if t is None:
            t = self.draw_t(len(x_1), x_1.device)
        if noise is None:
            noise = torch.randn_like(x_1)
        # TODO 5 compute_loss: Let the network self.model(x_t, label, t) predict the velocity of the
        # line at self.interpolate(x_1, t, noise), and return the mean squared error of the
        # prediction (Algorithm 1).
        # BEGIN SOLUTION fm_loss
        velocity = self.model(self.interpolate(x_1, t, noise), label, t)
        return F.mse_loss(velocity, x_1 - noise)
        # END SOLUTION

    @torch.no_grad()
    def step(self, x: Tensor, label: Tensor, t: float, t_next: float) -> Tensor:
        """One step along dx / dt = velocity, from x_t, [B, C, H, W], at time t to `t_next`.

        An Euler step; with `heun` it follows the mean of the velocities at both ends.
        """
        velocity = self.model(x, label, torch.full((len(x),), t, device=x.device))
        x_next = x + (t_next - t) * velocity
        if self.heun:
            at_end = self.model(x_next, label, torch.full((len(x),), t_next, device=x.device))
            x_next = x + (t_next - t) * (velocity + at_end) / 2
        return x_next

    @torch.no_grad()
    def generate(self, labels: Tensor) -> Tensor:
        """Draw one image in [0, 1] for each label [B], from pure noise, [B, C, H, W]."""
        # TODO 5 generate: From Gaussian noise, [B, *self.img_shape], on the device of the labels,
        # follow the flow with self.step from t = 0 to t = 1, in self.timesteps equal steps.
        # BEGIN SOLUTION fm_generate
        x = torch.randn(len(labels), *self.img_shape, device=labels.device)
        for i in range(self.timesteps):
            x = self.step(x, labels, i / self.timesteps, (i + 1) / self.timesteps)
        # END SOLUTION
        return self.postprocess(self.vae.decoder(x) if self.use_vae else x)

    def postprocess(self, imgs: Tensor) -> Tensor:
        """Map images to [0, 1]: a pixel model works in [-1, 1], a VAE decodes to [0, 1]."""
        if not self.use_vae:
            imgs = (imgs + 1) / 2
        return imgs.clamp(0, 1)
