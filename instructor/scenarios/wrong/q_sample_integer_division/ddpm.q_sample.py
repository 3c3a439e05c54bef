def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    fraction = t // self.timesteps  # position in the schedule, 0 to 1
    t = (fraction * self.timesteps).long()
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal * x_start + sigma * noise
