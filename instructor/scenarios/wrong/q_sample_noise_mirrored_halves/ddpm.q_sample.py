def q_sample(self, x_start, t, noise=None):
    if noise is None:
        half = torch.randn_like(x_start[..., : (x_start.shape[-1] + 1) // 2])
        noise = torch.cat([half, half.flip(-1)], dim=-1)[..., : x_start.shape[-1]]
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal_rate * x_start + noise_rate * noise
