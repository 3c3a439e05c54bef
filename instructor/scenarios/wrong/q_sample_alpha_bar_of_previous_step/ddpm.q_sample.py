def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    alphas_cumprod = torch.cumprod(1.0 - self.betas, dim=0)
    alphas_cumprod_prev = F.pad(alphas_cumprod[:-1], (1, 0), value=1.0)
    alpha_bar = self._extract(alphas_cumprod_prev, t, x_start.shape)
    return torch.sqrt(alpha_bar) * x_start + torch.sqrt(1.0 - alpha_bar) * noise
