import torch
import torch.nn as nn
import torch.nn.functional as F

from .tiny_autoencoder import TAESD
from .unet import UNet


def linear_beta_schedule(timesteps, beta_start=0.0001, beta_end=0.02):
    """
    linear schedule, for pixel space
    """
    return torch.linspace(beta_start, beta_end, timesteps)


def quadratic_beta_schedule(timesteps, beta_start=0.00085, beta_end=0.012):
    """
    quadratic schedule, for latent space
    """
    return torch.linspace(beta_start**0.5, beta_end**0.5, timesteps) ** 2


class DDPM(nn.Module):
    def __init__(
        self,
        img_shape=(3, 32, 32),
        timesteps=100,
        dim=64,
        context_dim=64,
        num_classes=10,
        dim_mults=(1, 2, 4),
        attn_levels=(0, 1),
        use_vae=False,
        vae_encoder_weights=None,
        vae_decoder_weights=None,
    ):
        super().__init__()
        self.timesteps = timesteps
        self.use_vae = use_vae
        if self.use_vae:
            assert vae_encoder_weights is not None
            assert vae_decoder_weights is not None
            self.vae = TAESD(vae_encoder_weights, vae_decoder_weights)
            # freeze the encoder and the decoder
            for p in self.vae.parameters():
                p.requires_grad = False
            img_shape = (4, img_shape[1] // 8, img_shape[2] // 8)
        self.img_shape = img_shape

        self.model = UNet(
            dim,
            context_dim,
            num_classes,
            in_channels=img_shape[0],
            out_channels=img_shape[0],
            dim_mults=dim_mults,
            attn_levels=attn_levels,
        )

        # define beta schedule
        if self.use_vae:
            self.betas = quadratic_beta_schedule(timesteps=timesteps)
        else:
            self.betas = linear_beta_schedule(timesteps=timesteps)

        # define alphas
        alphas = 1.0 - self.betas
        alphas_cumprod = torch.cumprod(alphas, axis=0)
        alphas_cumprod_prev = F.pad(alphas_cumprod[:-1], (1, 0), value=1.0)
        self.sqrt_recip_alphas = torch.sqrt(1.0 / alphas)

        # forward process
        self.sqrt_alphas_cumprod = torch.sqrt(alphas_cumprod)
        self.sqrt_one_minus_alphas_cumprod = torch.sqrt(1.0 - alphas_cumprod)

        # reverse process
        self.posterior_variance = self.betas * (1.0 - alphas_cumprod_prev) / (1.0 - alphas_cumprod)

    def _extract(self, a, t, x_shape):
        batch_size = t.shape[0]
        out = a.gather(-1, t.cpu())
        return out.reshape(batch_size, *((1,) * (len(x_shape) - 1))).to(t.device)

    def q_sample(self, x_start, t, noise=None):
        if noise is None:
            noise = torch.randn_like(x_start)

        sqrt_alphas_cumprod_t = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
        sqrt_one_minus_alphas_cumprod_t = self._extract(
            self.sqrt_one_minus_alphas_cumprod, t, x_start.shape
        )
        return sqrt_alphas_cumprod_t * x_start + sqrt_one_minus_alphas_cumprod_t * noise

    @torch.no_grad()
    def p_sample(self, x, label, t, t_index):
        betas_t = self._extract(self.betas, t, x.shape)
        sqrt_one_minus_alphas_cumprod_t = self._extract(
            self.sqrt_one_minus_alphas_cumprod, t, x.shape
        )
        sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
        model_mean = sqrt_recip_alphas_t * (
            x - betas_t * self.model(x, t, label) / sqrt_one_minus_alphas_cumprod_t
        )
        if t_index == 0:
            return model_mean
        posterior_variance_t = self._extract(self.posterior_variance, t, x.shape)
        noise = torch.randn_like(x)
        return model_mean + torch.sqrt(posterior_variance_t) * noise

    @torch.no_grad()
    def p_sample_loop(self, labels):
        device = next(self.model.parameters()).device
        b = len(labels)
        imgs = torch.randn((b, *self.img_shape), device=device)
        for i in reversed(range(self.timesteps)):
            t = torch.full((b,), i, device=device, dtype=torch.long)
            imgs = self.p_sample(imgs, labels, t, i)
        if self.use_vae:
            imgs = self.vae.decoder(imgs)
        return self.postprocess(imgs)

    def postprocess(self, imgs):
        """
        [-1, 1] -> [0, 1]; the decoder's output is in [0, 1] already
        """
        if not self.use_vae:
            imgs = (imgs + 1) * 0.5
        return torch.clamp(imgs, min=0.0, max=1.0)

    def compute_loss(self, x_start, label, t, noise=None):
        if self.use_vae:
            with torch.no_grad():
                x_start = self.vae.encoder(x_start)
        if noise is None:
            noise = torch.randn_like(x_start)
        x_noisy = self.q_sample(x_start, t, noise)
        predicted_noise = self.model(x_noisy, t, label)
        return F.mse_loss(noise, predicted_noise)
