def q_sample(self, x_start, t, noise=None):
    if noise is None:
        first = torch.randn_like(x_start[0])
        noise = torch.stack([first.roll(3 * i + 1, dims=-1) for i in range(len(x_start))])
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal_rate * x_start + noise_rate * noise
