def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    x_t = signal * x_start + sigma * noise
    return x_t / x_t.std(dim=(1, 2, 3), keepdim=True)
