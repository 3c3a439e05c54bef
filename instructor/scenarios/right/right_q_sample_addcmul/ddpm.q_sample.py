def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    mean = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape) * x_start
    return torch.addcmul(mean, rate, noise)
