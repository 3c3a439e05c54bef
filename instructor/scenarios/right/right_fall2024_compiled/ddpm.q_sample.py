@torch.compile(mode="reduce-overhead")
def q_sample(self, x_start, t, noise=None):
    noise = torch.randn_like(x_start) if noise is None else noise
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal * x_start + rate * noise
