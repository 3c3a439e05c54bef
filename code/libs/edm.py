"""EDM: diffusion over noise levels sigma instead of time steps, in pixels or latents.

Paper: Karras, Aittala, Aila and Laine 2022, "Elucidating the Design Space of Diffusion-Based
Generative Models"; equations, algorithms and Table 1 (column "Ours") are theirs.

Noise is added without scaling images down: x = y + n, for a clean image y and n ~ N(0, sigma^2 I).
Since their sigma(t) is t itself, t is written sigma here.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from .latent_space import make_space
from .unet import UNet


@dataclass(frozen=True)
class Heun:
    """How `sample_heun` walks from noise to data. With `s_churn` 0 it adds no noise on the way.

    Args:
        sigma_min, sigma_max: the last noise level before 0, and the first one.
        rho: how much shorter the steps are near sigma_min; 1 for equal steps.
        s_churn: how much noise is added in all steps together.
        s_min, s_max: the range of noise levels at which it is added.
        s_noise: its standard deviation; slightly above 1 makes up for lost detail.
    """

    sigma_min: float = 0.002
    sigma_max: float = 80.0
    rho: float = 7.0
    s_churn: float = 0.0
    s_min: float = 0.0
    s_max: float = math.inf
    s_noise: float = 1.0

    def sigmas(self, steps: int) -> list[float]:
        """The noise levels sigma_0 > ... > sigma_N = 0 between N = `steps` steps (eq. 5)."""
        first, last = self.sigma_max ** (1 / self.rho), self.sigma_min ** (1 / self.rho)
        gap = (last - first) / max(1, steps - 1)  # a single step leads from sigma_max to 0
        return [(first + i * gap) ** self.rho for i in range(steps)] + [0.0]

    def gamma(self, sigma: float, steps: int) -> float:
        """The fraction by which churn raises a noise level (gamma_i in Algorithm 2)."""
        churns = self.s_min <= sigma <= self.s_max
        return min(self.s_churn / steps, math.sqrt(2) - 1) if churns else 0.0


class EDM(nn.Module):
    """A diffusion model conditioned on class labels.

    Args:
        img_shape: shape of an image, (C, H, W).
        dim, context_dim, num_classes, dim_mults, attn_levels: see `UNet`.
        use_vae: diffuse the latents of a VAE instead of pixels.
        vae_encoder_weights, vae_decoder_weights: files with the VAE's weights; None leaves it
            untrained, for a checkpoint that is loaded afterwards.
        sigma_data: standard deviation of what is diffused.
        p_mean, p_std: mean and standard deviation of ln(sigma) in training.
        steps, heun: how images are sampled by default.
        network: makes the network, called with the arguments of `UNet`.
        vae: an autoencoder to use instead of TAESD, see `latent_space.make_space`.

    Attributes:
        img_shape: shape (C, H, W) of the images, or with `use_vae` of their latents.
        sigma_data: as given, float32 []; part of the state_dict, since it may have been measured.

    Raises:
        ValueError: the image size cannot be halved as often as the network and the VAE do.
    """

    def __init__(
        self,
        img_shape: Sequence[int] = (3, 32, 32),
        dim: int = 64,
        context_dim: int = 64,
        num_classes: int = 10,
        dim_mults: Sequence[int] = (1, 2, 4),
        attn_levels: Sequence[int] = (0, 1),
        use_vae: bool = False,
        vae_encoder_weights: str | None = None,
        vae_decoder_weights: str | None = None,
        *,
        sigma_data: float = 0.5,
        p_mean: float = -1.2,
        p_std: float = 1.2,
        steps: int = 18,
        heun: Heun = Heun(),
        network: Callable[..., nn.Module] = UNet,
        vae: nn.Module | None = None,
    ):
        super().__init__()
        self.use_vae = use_vae
        self.vae, self.img_shape = make_space(
            img_shape, len(dim_mults), use_vae, vae_encoder_weights, vae_decoder_weights, vae
        )
        self.p_mean, self.p_std = p_mean, p_std
        self.steps, self.heun = steps, heun
        self.register_buffer("sigma_data", torch.tensor(sigma_data))
        self.model = network(
            dim=dim,
            context_dim=context_dim,
            num_classes=num_classes,
            in_channels=self.img_shape[0],
            dim_mults=dim_mults,
            attn_levels=attn_levels,
        )

    def denoise(self, x: Tensor, label: Tensor, sigma: Tensor) -> Tensor:
        """The denoiser D(x; sigma): an estimate of the clean images in x (eq. 7).

        Args:
            x: noisy images or latents, [B, C, H, W].
            label: class indices, LongTensor [B].
            sigma: noise level of each image, [B], above 0.

        Returns:
            [B, C, H, W]
        """
        # TODO bonus denoise: Compute c_skip, c_out, c_in and c_noise (Table 1) from sigma and
        # self.sigma_data, and combine x with the network's answer F = self.model(c_in * x, label,
        # c_noise) (eq. 7). The network takes c_noise as [B]; the other three must broadcast over
        # images.
        # BEGIN SOLUTION bonus_edm
        c_noise = sigma.log() / 4
        sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
        c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
        c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
        c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
        return c_skip * x + c_out * self.model(c_in * x, label, c_noise)
        # END SOLUTION

    def draw_sigma(self, number: int, generator: torch.Generator) -> Tensor:
        """Draw noise levels to train on, ln(sigma) ~ N(P_mean, P_std^2) (Table 1), [number]."""
        normal = torch.randn(number, generator=generator, device=generator.device)
        return (self.p_mean + self.p_std * normal).exp()

    def compute_loss(
        self, x_start: Tensor, label: Tensor, sigma: Tensor, noise: Tensor | None = None
    ) -> Tensor:
        """Training loss: how well noisy images are denoised, weighted by noise level (eq. 8).

        Args:
            x_start: images, [B, C, H, W], in [-1, 1]; with `use_vae` in [0, 1].
            label: class indices, LongTensor [B].
            sigma: noise levels, [B], above 0.
            noise: Gaussian noise of variance 1, [B, *self.img_shape]; drawn here if None.

        Returns:
            The mean weighted squared error, a scalar.
        """
        y = x_start
        if self.use_vae:
            with torch.no_grad():
                y = self.vae.encoder(x_start)
        if noise is None:
            noise = torch.randn_like(y)
        # TODO bonus compute_loss: Add noise of the level sigma to y, denoise with self.denoise, and
        # return the mean of the squared errors, those of each image weighted by lambda(sigma)
        # (eq. 8, Table 1).
        # BEGIN SOLUTION bonus_edm
        level = sigma[:, None, None, None]
        weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
        denoised = self.denoise(y + level * noise, label, sigma)
        return (weight * (denoised - y) ** 2).mean()
        # END SOLUTION

    def postprocess(self, imgs: Tensor) -> Tensor:
        """Map images to [0, 1]: a pixel model works in [-1, 1], a VAE decodes to [0, 1]."""
        if not self.use_vae:
            imgs = (imgs + 1) / 2
        return imgs.clamp(0, 1)


def heun_step(
    denoise: Callable[[Tensor, float], Tensor], x: Tensor, sigma: float, sigma_next: float
) -> Tensor:
    """One step along the probability flow, dx / dsigma = (x - D(x; sigma)) / sigma (eq. 1, 3).

    Args:
        denoise: (x, sigma) -> D(x; sigma), [B, C, H, W].
        x: noisy images at noise level `sigma`, [B, C, H, W].
        sigma: where the step begins, above 0.
        sigma_next: where it ends, at least 0.

    Returns:
        Images at noise level `sigma_next`, [B, C, H, W]
    """
    # TODO bonus heun_step: Take Euler's step from sigma to sigma_next; unless sigma_next is 0,
    # correct it by the mean of the slopes at both ends (Algorithm 1, lines 4 to 8).
    # BEGIN SOLUTION bonus_edm
    d = (x - denoise(x, sigma)) / sigma
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        d_next = (x_next - denoise(x_next, sigma_next)) / sigma_next
        x_next = x + (sigma_next - sigma) * (d + d_next) / 2
    return x_next
    # END SOLUTION


def sample_heun(
    denoise: Callable[[Tensor, float], Tensor],
    noise: Tensor,
    steps: int,
    heun: Heun = Heun(),
    *,
    round_sigma: Callable[[float], float] = lambda sigma: sigma,
    draw_noise: Callable[[Tensor], Tensor] = torch.randn_like,
    on_step: Callable[[int, Tensor], None] = lambda i, x: None,
) -> Tensor:
    """Walk from noise to data (Algorithm 2; without churn Algorithm 1).

    Args:
        denoise: see `heun_step`; called 2 * steps - 1 times.
        noise: Gaussian noise of variance 1 to start from, [B, C, H, W].
        steps: the number N of steps.
        heun: noise levels and churn.
        round_sigma: returns the nearest noise level that `denoise` knows, for a model that was
            trained on a fixed set of them.
        draw_noise: returns Gaussian noise of the shape of its argument.
        on_step: called as on_step(i, x) with the state after each step i = 0 .. N-1.

    Returns:
        Images, [B, C, H, W]
    """
    sigmas = [*map(round_sigma, heun.sigmas(steps)[:-1]), 0.0]
    x = sigmas[0] * noise
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        gamma = heun.gamma(sigma, steps)
        sigma_hat = round_sigma(sigma + gamma * sigma)
        if gamma > 0:
            x = x + math.sqrt(sigma_hat**2 - sigma**2) * heun.s_noise * draw_noise(x)
        x = heun_step(denoise, x, sigma_hat, sigma_next)
        on_step(i, x)
    return x
