def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn(x_start.shape)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal * x_start + rate * noise
