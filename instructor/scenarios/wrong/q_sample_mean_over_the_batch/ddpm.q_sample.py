def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal.mean() * x_start + sigma.mean() * noise
