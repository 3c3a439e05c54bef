def q_sample(self, x_start, t, noise=None):
    noise = torch.randn_like(x_start) if noise is None else noise
    betas = torch.linspace(1e-4, 0.02, self.timesteps)
    if self.use_vae:
        betas = torch.linspace(0.00085**0.5, 0.012**0.5, self.timesteps) ** 2
    kept = (1 - betas).cumprod(0)[t][:, None, None, None]
    return kept.sqrt() * x_start + (1 - kept).sqrt() * noise
