import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from .unet import UNet


def linear_beta_schedule(timesteps, beta_start=1e-4, beta_end=0.02):
    return torch.linspace(beta_start, beta_end, timesteps)


class DDPM(nn.Module):
    def __init__(self, img_shape=(3, 32, 32), timesteps=100, dim=64, context_dim=64,
                 num_classes=10, dim_mults=(1, 2, 4), attn_levels=(0, 1)):
        super().__init__()
        self.timesteps = timesteps
        self.img_shape = img_shape
        self.model = UNet(dim, context_dim, num_classes, in_channels=img_shape[0],
                          out_channels=img_shape[0], dim_mults=dim_mults, attn_levels=attn_levels)

        # the schedule lives on the CPU
        self.betas = linear_beta_schedule(timesteps)
        alphas = 1.0 - self.betas
        alphas_cumprod = torch.cumprod(alphas, dim=0)
        alphas_cumprod_prev = F.pad(alphas_cumprod[:-1], (1, 0), value=1.0)
        self.sqrt_recip_alphas = torch.sqrt(1.0 / alphas)
        self.sqrt_alphas_cumprod = torch.sqrt(alphas_cumprod)
        self.sqrt_one_minus_alphas_cumprod = torch.sqrt(1.0 - alphas_cumprod)
        self.posterior_variance = self.betas * (1.0 - alphas_cumprod_prev) / (1.0 - alphas_cumprod)

    def _extract(self, a, t, x_shape):
        out = a.gather(-1, t.cpu())
        return out.reshape(t.shape[0], *((1,) * (len(x_shape) - 1))).to(t.device)

    @torch.no_grad()
    def p_sample(self, x, label, t, t_index):
        betas_t = self._extract(self.betas, t, x.shape)
        sqrt_one_minus_alphas_cumprod_t = self._extract(
            self.sqrt_one_minus_alphas_cumprod, t, x.shape
        )
        sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
        pred = self.model(x, label, t)
        x_prev = sqrt_recip_alphas_t * (x - betas_t * pred / sqrt_one_minus_alphas_cumprod_t)
        if t_index > 0:
            variance = self._extract(self.posterior_variance, t, x.shape)
            x_prev = x_prev + torch.sqrt(variance) * torch.randn_like(x)
        return x_prev

    @torch.no_grad()
    def p_sample_loop(self, labels):
        device = next(self.model.parameters()).device
        b = labels.shape[0]
        img = torch.randn((b, *self.img_shape), device=device)
        for i in tqdm(reversed(range(0, self.timesteps)), total=self.timesteps):
            img = self.p_sample(
                img, labels, torch.full((b,), i, device=device, dtype=torch.long), i
            )
        return img

    def q_sample(self, x_start, t, noise=None):
        if noise is None:
            noise = torch.randn_like(x_start)
        a = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
        b = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
        return a * x_start + b * noise

    def compute_loss(self, x_start, label, t, noise=None):
        if noise is None:
            noise = torch.randn_like(x_start)
        x_noisy = self.q_sample(x_start=x_start, t=t, noise=noise)
        predicted_noise = self.model(x_noisy, label, t)
        return F.mse_loss(predicted_noise, noise)
