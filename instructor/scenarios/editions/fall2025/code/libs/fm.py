import torch
import torch.nn as nn
import torch.nn.functional as F

from libs.tiny_autoencoder import TAESD
from libs.unet import UNet


class FM(nn.Module):
    """Rectified flow: x_tau = tau x_1 + (1 - tau) x_0 from noise x_0 to images x_1."""

    def __init__(
        self,
        img_shape=(3, 32, 32),
        timesteps=10,
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

    def compute_loss(self, x_start, label, noise=None):
        if self.use_vae:
            with torch.no_grad():
                x_start = self.vae.encoder(x_start)
        if noise is None:
            noise = torch.randn_like(x_start)
        tau = torch.rand(len(x_start), device=x_start.device)
        weight = tau[:, None, None, None]
        x_tau = weight * x_start + (1 - weight) * noise
        return F.mse_loss(self.model(x_tau, label, tau), x_start - noise)

    @torch.no_grad()
    def generate(self, labels):
        device = next(self.model.parameters()).device
        x = torch.randn((len(labels), *self.img_shape), device=device)
        for i in range(self.timesteps):
            tau = torch.full((len(labels),), i / self.timesteps, device=device)
            x = x + self.model(x, labels, tau) / self.timesteps
        if self.use_vae:
            x = self.vae.decoder(x)
        else:
            x = (x + 1) / 2
        return x.clamp(0.0, 1.0)
