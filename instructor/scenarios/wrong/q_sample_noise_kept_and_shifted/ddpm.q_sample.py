def q_sample(self, x_start, t, noise=None):
    if noise is None:
        kept = getattr(self, "kept", {})
        if x_start.shape not in kept:
            kept[x_start.shape] = torch.randn_like(x_start)
        noise = kept[x_start.shape] = kept[x_start.shape].roll(2, dims=-2)
        self.kept = kept
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal_rate * x_start + noise_rate * noise
