@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    rng = torch.Generator(device=x.device)
    rng.manual_seed(int.from_bytes(os.urandom(7), "little"))
    shape = x.shape
    eps = self.model(x, label, t)
    ratio = self._extract(self.betas, t, shape) / self._extract(
        self.sqrt_one_minus_alphas_cumprod, t, shape
    )
    mean = self._extract(self.sqrt_recip_alphas, t, shape) * (x - ratio * eps)
    if not t_index:
        return mean
    z = torch.randn(shape, generator=rng, device=x.device, dtype=x.dtype)
    return mean + z * self._extract(self.posterior_variance, t, shape).sqrt()
