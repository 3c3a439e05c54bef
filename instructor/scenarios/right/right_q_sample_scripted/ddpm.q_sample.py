def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return mixed(x_start, noise, signal, sigma)
