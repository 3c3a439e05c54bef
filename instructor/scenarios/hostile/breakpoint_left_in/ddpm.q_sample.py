def q_sample(self, x_start, t, noise=None):
    noise = torch.randn_like(x_start) if noise is None else noise
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    breakpoint()
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal_rate * x_start + noise_rate * noise
