@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    eps = self.model(x, label, t)
    x.sub_(beta / rate * eps).mul_(self._extract(self.sqrt_recip_alphas, t, x.shape))
    if t_index > 0:
        variance = self._extract(self.posterior_variance, t, x.shape)
        x.add_(variance.sqrt() * torch.randn_like(x))
    return x
