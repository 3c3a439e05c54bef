def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    alpha = self._extract(1.0 - self.betas, t, x_start.shape)
    return torch.sqrt(alpha) * x_start + torch.sqrt(1.0 - alpha) * noise
