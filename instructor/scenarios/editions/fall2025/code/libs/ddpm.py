import torch
import torch.nn as nn
import torch.nn.functional as F

from libs.tiny_autoencoder import TAESD
from libs.unet import UNet


def linear_beta_schedule(timesteps, beta_start=0.0001, beta_end=0.02):
    return torch.linspace(beta_start, beta_end, timesteps)


def quadratic_beta_schedule(timesteps, beta_start=0.00085, beta_end=0.012):
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
        if use_vae:
            assert vae_encoder_weights is not None and vae_decoder_weights is not None
            self.vae = TAESD(vae_encoder_weights, vae_decoder_weights)
            for p in self.vae.parameters():
                p.requires_grad_(False)
            img_shape = (4, img_shape[1] // 8, img_shape[2] // 8)
        self.img_shape = tuple(img_shape)

        self.model = UNet(
            dim=dim,
            context_dim=context_dim,
            num_classes=num_classes,
            in_channels=self.img_shape[0],
            dim_mults=dim_mults,
            attn_levels=attn_levels,
        )

        schedule = quadratic_beta_schedule if use_vae else linear_beta_schedule
        self.betas = schedule(timesteps)
        alphas = 1.0 - self.betas
        alphas_cumprod = alphas.cumprod(0)
        alphas_cumprod_prev = F.pad(alphas_cumprod[:-1], (1, 0), value=1.0)
        self.sqrt_recip_alphas = alphas.rsqrt()
        self.sqrt_alphas_cumprod = alphas_cumprod.sqrt()
        self.sqrt_one_minus_alphas_cumprod = (1.0 - alphas_cumprod).sqrt()
        self.posterior_variance = self.betas * (1.0 - alphas_cumprod_prev) / (1.0 - alphas_cumprod)

    def _extract(self, a, t, x_shape):
        out = a.gather(-1, t.cpu())
        return out.reshape(t.shape[0], *((1,) * (len(x_shape) - 1))).to(t.device)

    def q_sample(self, x_start, t, noise=None):
        if noise is None:
            noise = torch.randn_like(x_start)
        signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
        sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
        return signal * x_start + sigma * noise

    def compute_loss(self, x_start, label, noise=None):
        if self.use_vae:
            with torch.no_grad():
                x_start = self.vae.encoder(x_start)
        t = torch.randint(0, self.timesteps, (x_start.shape[0],), device=x_start.device).long()
        if noise is None:
            noise = torch.randn_like(x_start)
        x_t = self.q_sample(x_start, t, noise)
        return F.mse_loss(self.model(x_t, label, t), noise)

    @torch.no_grad()
    def p_sample(self, x, label, t, t_index):
        beta = self._extract(self.betas, t, x.shape)
        recip = self._extract(self.sqrt_recip_alphas, t, x.shape)
        sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
        mean = recip * (x - beta / sigma * self.model(x, label, t))
        if t_index == 0:
            return mean
        variance = self._extract(self.posterior_variance, t, x.shape)
        return mean + variance.sqrt() * torch.randn_like(x)

    @torch.no_grad()
    def generate(self, labels):
        device = next(self.model.parameters()).device
        imgs = torch.randn((len(labels), *self.img_shape), device=device)
        for i in reversed(range(0, self.timesteps)):
            t = torch.full((len(labels),), i, device=device, dtype=torch.long)
            imgs = self.p_sample(imgs, labels, t, i)
        if self.use_vae:
            imgs = self.vae.decoder(imgs)
        return self.postprocess(imgs)

    def postprocess(self, imgs):
        if not self.use_vae:
            imgs = (imgs + 1) / 2
        return imgs.clamp(0.0, 1.0)
