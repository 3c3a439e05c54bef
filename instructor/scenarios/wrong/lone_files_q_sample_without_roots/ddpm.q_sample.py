def q_sample(self, x_start: Tensor, t: Tensor, noise: Tensor | None = None) -> Tensor:
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape) ** 2
    return signal * x_start + (1 - signal) * noise
