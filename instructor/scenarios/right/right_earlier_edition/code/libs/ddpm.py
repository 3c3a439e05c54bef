"""DDPM for the assignment."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from .tiny_autoencoder import TAESD
from .unet import UNet


def linear_beta_schedule(timesteps, beta_start=0.0001, beta_end=0.02):
    return torch.linspace(beta_start, beta_end, timesteps)


def quadratic_beta_schedule(timesteps, beta_start=0.00085, beta_end=0.012):
    return torch.linspace(math.sqrt(beta_start), math.sqrt(beta_end), timesteps) ** 2


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
        self.vae = None
        if self.use_vae:
            self.vae = TAESD(vae_encoder_weights, vae_decoder_weights)
            for p in self.vae.parameters():
                p.requires_grad = False
            img_shape = (4, img_shape[1] // 8, img_shape[2] // 8)
        self.img_shape = img_shape

        self.model = UNet(
            dim=dim,
            context_dim=context_dim,
            num_classes=num_classes,
            in_channels=img_shape[0],
            out_channels=img_shape[0],
            dim_mults=dim_mults,
            attn_levels=attn_levels,
        )

        if use_vae:
            betas = quadratic_beta_schedule(timesteps)
        else:
            betas = linear_beta_schedule(timesteps)
        alphas = 1.0 - betas
        alphas_cumprod = torch.cumprod(alphas, axis=0)
        alphas_cumprod_prev = F.pad(alphas_cumprod[:-1], (1, 0), value=1.0)
        posterior_variance = betas * (1.0 - alphas_cumprod_prev) / (1.0 - alphas_cumprod)

        self.register_buffer("betas", betas)
        self.register_buffer("sqrt_recip_alphas", torch.sqrt(1.0 / alphas))
        self.register_buffer("sqrt_alphas_cumprod", torch.sqrt(alphas_cumprod))
        self.register_buffer("sqrt_one_minus_alphas_cumprod", torch.sqrt(1.0 - alphas_cumprod))
        self.register_buffer("posterior_variance", posterior_variance)

    def extract(self, a, t, x_shape):
        out = a.gather(-1, t)
        return out.reshape(t.shape[0], *((1,) * (len(x_shape) - 1)))

    @torch.no_grad()
    def p_sample(self, x, label, t, t_index):
        betas_t = self.extract(self.betas, t, x.shape)
        sqrt_one_minus_t = self.extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
        sqrt_recip_t = self.extract(self.sqrt_recip_alphas, t, x.shape)
        x_prev = sqrt_recip_t * (x - betas_t * self.model(x, label, t) / sqrt_one_minus_t)
        if t_index == 0:
            return x_prev
        posterior_variance_t = self.extract(self.posterior_variance, t, x.shape)
        return x_prev + torch.sqrt(posterior_variance_t) * torch.randn_like(x)

    @torch.no_grad()
    def p_sample_loop(self, labels):
        device = labels.device
        imgs = torch.randn((labels.shape[0],) + tuple(self.img_shape), device=device)
        for i in range(self.timesteps - 1, -1, -1):
            t = torch.full((labels.shape[0],), i, dtype=torch.int64, device=device)
            imgs = self.p_sample(imgs, labels, t, i)
        if self.use_vae:
            imgs = self.vae.decoder(imgs)
        return self.to_pictures(imgs)

    def to_pictures(self, imgs):
        if not self.use_vae:
            imgs = (imgs + 1) * 0.5
        return torch.clamp(imgs, min=0.0, max=1.0)

    def q_sample(self, x_start, t, noise=None):
        if noise is None:
            noise = torch.randn_like(x_start)
        mean = self.extract(self.sqrt_alphas_cumprod, t, x_start.shape) * x_start
        return mean + self.extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape) * noise

    def compute_loss(self, x_start, label, t, noise=None):
        if self.use_vae:
            with torch.no_grad():
                x_start = self.vae.encoder(x_start)
        if noise is None:
            noise = torch.randn_like(x_start)
        x_noisy = self.q_sample(x_start=x_start, t=t, noise=noise)
        return F.mse_loss(noise, self.model(x_noisy, label, t))
