def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    a = self._extract(self.sqrt_alphas_cumprod**2, t, x_start.shape)
    return a * x_start + (1 - a) * noise
