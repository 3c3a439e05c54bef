@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    mean = self._extract(self.sqrt_recip_alphas, t, x.shape) * (
        x
        - self._extract(self.betas / self.sqrt_one_minus_alphas_cumprod, t, x.shape)
        * self.model(x, label, t)
    )
    log_variance = torch.log(self.posterior_variance.clamp(min=1e-20))
    nonzero = (t > 0).to(x.dtype).reshape(-1, *[1] * (x.ndim - 1))
    sigma = torch.exp(0.5 * self._extract(log_variance, t, x.shape))
    return mean + nonzero * sigma * torch.randn_like(x)
