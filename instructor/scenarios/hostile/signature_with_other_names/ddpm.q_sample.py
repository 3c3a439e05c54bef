def q_sample(self, x0, step, eps=None):
    eps = torch.randn_like(x0) if eps is None else eps
    signal_rate = self._extract(self.sqrt_alphas_cumprod, step, x0.shape)
    return signal_rate * x0 + self._extract(self.sqrt_one_minus_alphas_cumprod, step, x0.shape) * eps
