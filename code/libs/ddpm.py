"""Denoising diffusion probabilistic models, in pixel space and in the latent space of a VAE.

Papers: Ho, Jain and Abbeel 2020, "Denoising Diffusion Probabilistic Models" (equation numbers below
are theirs); Rombach et al. 2022, "High-Resolution Image Synthesis with Latent Diffusion Models".

Time steps are counted from 0: t = 0 .. T-1 here is t = 1 .. T in the paper.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .latent_space import make_space
from .schedules import linear_betas, quadratic_betas
from .unet import UNet


class DDPM(nn.Module):
    """A diffusion model conditioned on class labels.

    With `use_vae` the diffusion runs on latents of a frozen autoencoder, [4, H/8, W/8] by default.

    Args:
        img_shape: shape of an image, (C, H, W).
        timesteps: length T of the diffusion process.
        dim, context_dim, num_classes, dim_mults, attn_levels: see `UNet`.
        use_vae: diffuse the latents of a VAE instead of pixels.
        vae_encoder_weights, vae_decoder_weights: files with the VAE's weights; None leaves it
            untrained, for a checkpoint that is loaded afterwards.
        betas: the variances beta_t of the forward process, float64 [T]; by default
            `linear_betas` for pixels and `quadratic_betas` for latents.
        network: makes the network, called with the arguments of `UNet`.
        vae: an autoencoder to use instead of TAESD, see `latent_space.make_space`.

    Attributes:
        img_shape: shape (C, H, W) of the images, or with `use_vae` of their latents.
        betas, sqrt_recip_alphas, sqrt_alphas_cumprod, sqrt_one_minus_alphas_cumprod,
            posterior_variance: the schedule, float32 [T] each. They move with the model, but
            are not part of its state_dict.
        model: the network, (x_t, label, t) -> the noise in x_t.
        vae: the autoencoder, with `encoder` and `decoder`; None for pixels.

    Raises:
        ValueError: the image size cannot be halved as often as the network and the VAE do.
    """

    def __init__(
        self,
        img_shape: Sequence[int] = (3, 32, 32),
        timesteps: int = 100,
        dim: int = 64,
        context_dim: int = 64,
        num_classes: int = 10,
        dim_mults: Sequence[int] = (1, 2, 4),
        attn_levels: Sequence[int] = (0, 1),
        use_vae: bool = False,
        vae_encoder_weights: str | None = None,
        vae_decoder_weights: str | None = None,
        *,
        betas: Tensor | None = None,
        network: Callable[..., nn.Module] = UNet,
        vae: nn.Module | None = None,
    ):
        super().__init__()
        self.timesteps = timesteps
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

        if betas is None:
            betas = quadratic_betas(timesteps) if use_vae else linear_betas(timesteps)
        alphas = 1 - betas
        alphas_cumprod = alphas.cumprod(dim=0)
        alphas_cumprod_prev = F.pad(alphas_cumprod[:-1], (1, 0), value=1.0)
        schedule = {
            "betas": betas,
            "sqrt_recip_alphas": (1 / alphas).sqrt(),
            # q(x_t | x_0), eq. 4
            "sqrt_alphas_cumprod": alphas_cumprod.sqrt(),
            "sqrt_one_minus_alphas_cumprod": (1 - alphas_cumprod).sqrt(),
            # q(x_{t-1} | x_t, x_0), eq. 7
            "posterior_variance": betas * (1 - alphas_cumprod_prev) / (1 - alphas_cumprod),
        }
        for name, values in schedule.items():
            self.register_buffer(name, values.float(), persistent=False)

    @staticmethod
    def _extract(a: Tensor, t: Tensor, x_shape: Sequence[int]) -> Tensor:
        """Pick a[t] for each sample and shape it to broadcast over images.

        Args:
            a: one value per time step, [T].
            t: time steps, LongTensor [B].
            x_shape: shape of the images, (B, C, H, W).

        Returns:
            [B, 1, 1, 1]
        """
        return a.gather(0, t).reshape(-1, *(1,) * (len(x_shape) - 1))

    def q_sample(self, x_start: Tensor, t: Tensor, noise: Tensor | None = None) -> Tensor:
        """Forward diffusion: draw x_t given x_0 in one go (eq. 4).

        Args:
            x_start: clean images or latents x_0, [B, C, H, W].
            t: time steps 0 .. T-1, LongTensor [B].
            noise: Gaussian noise, [B, C, H, W]; drawn here if None.

        Returns:
            x_t, [B, C, H, W]
        """
        if noise is None:
            noise = torch.randn_like(x_start)
        # TODO 2 q_sample: Mix x_start and the noise into x_t with eq. 4. self._extract picks the
        # values of the schedule for each sample's own time step.
        # BEGIN SOLUTION q_sample
        signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
        noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
        return signal_rate * x_start + noise_rate * noise
        # END SOLUTION

    def compute_loss(
        self, x_start: Tensor, label: Tensor, t: Tensor, noise: Tensor | None = None
    ) -> Tensor:
        """The simplified training loss: how well the network predicts the noise (eq. 14).

        Args:
            x_start: images, [B, C, H, W], in [-1, 1]; with `use_vae` in [0, 1].
            label: class indices, LongTensor [B].
            t: time steps 0 .. T-1, LongTensor [B].
            noise: Gaussian noise, [B, *self.img_shape]; drawn here if None.

        Returns:
            The mean squared error, a scalar.
        """
        if self.use_vae:
            # TODO 4 encoding: Replace the images by their latents. The encoder self.vae.encoder is
            # frozen: no gradient is needed through it.
            # BEGIN SOLUTION latent
            with torch.no_grad():
                x_start = self.vae.encoder(x_start)
            # END SOLUTION
        if noise is None:
            noise = torch.randn_like(x_start)
        # TODO 2 compute_loss: Diffuse x_start to time t, let the network self.model(x_t, label, t)
        # predict the noise, and return the mean squared error of the prediction (Algorithm 1,
        # eq. 14).
        # BEGIN SOLUTION compute_loss
        x_t = self.q_sample(x_start, t, noise)
        predicted_noise = self.model(x_t, label, t)
        return F.mse_loss(predicted_noise, noise)
        # END SOLUTION

    @torch.no_grad()
    def p_sample(self, x: Tensor, label: Tensor, t: Tensor, t_index: int) -> Tensor:
        """One step of reverse diffusion: draw x_{t-1} given x_t (eq. 11, Algorithm 2).

        Args:
            x: x_t, [B, C, H, W].
            label: class indices, LongTensor [B].
            t: the time step, LongTensor [B], all entries equal to `t_index`.
            t_index: the same time step as an int; the step to x_0, t_index = 0, adds no noise.

        Returns:
            x_{t-1}, [B, C, H, W]
        """
        # TODO 2 p_sample: Compute the mean with eq. 11 from the noise that self.model predicts.
        # Unless this is the last step (t_index = 0), add Gaussian noise of variance
        # self.posterior_variance[t].
        # BEGIN SOLUTION p_sample
        beta = self._extract(self.betas, t, x.shape)
        sqrt_recip_alpha = self._extract(self.sqrt_recip_alphas, t, x.shape)
        sqrt_one_minus_alpha_bar = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
        eps = self.model(x, label, t)
        mean = sqrt_recip_alpha * (x - beta / sqrt_one_minus_alpha_bar * eps)
        if t_index == 0:
            return mean
        variance = self._extract(self.posterior_variance, t, x.shape)
        return mean + variance.sqrt() * torch.randn_like(x)
        # END SOLUTION

    @torch.no_grad()
    def p_sample_loop(self, labels: Tensor) -> Tensor:
        """The full chain: draw one image for each label, from pure noise (Algorithm 2).

        Args:
            labels: class indices, LongTensor [B].

        Returns:
            Images in [0, 1], [B, C, H, W]
        """
        # TODO 2 p_sample_loop: Start from Gaussian noise x_T, [B, *self.img_shape], on the device
        # of the labels, and call self.p_sample for t = T-1, ..., 0.
        # BEGIN SOLUTION p_sample_loop
        x = torch.randn(len(labels), *self.img_shape, device=labels.device)
        for t_index in reversed(range(self.timesteps)):
            t = torch.full_like(labels, t_index)
            x = self.p_sample(x, labels, t, t_index)
        # END SOLUTION
        if self.use_vae:
            # TODO 4 decoding: Turn the latents x into images with self.vae.decoder.
            # BEGIN SOLUTION latent
            x = self.vae.decoder(x)
            # END SOLUTION
        return self.postprocess(x)

    def postprocess(self, imgs: Tensor) -> Tensor:
        """Map images to [0, 1]: a pixel model works in [-1, 1], a VAE decodes to [0, 1]."""
        if not self.use_vae:
            imgs = (imgs + 1) / 2
        return imgs.clamp(0, 1)
