@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    alphas_cumprod = torch.cumprod(1.0 - self.betas, dim=0)
    alphas_cumprod_prev = F.pad(alphas_cumprod[:-1], (1, 0), value=1.0)
    a_bar = self._extract(alphas_cumprod, t, x.shape)
    a_bar_prev = self._extract(alphas_cumprod_prev, t, x.shape)
    beta = self._extract(self.betas, t, x.shape)
    eps = self.model(x, label, t)
    x0 = (x - (1.0 - a_bar).sqrt() * eps) / a_bar.sqrt()
    x0 = x0.clamp(-1.0, 1.0)
    c0 = a_bar_prev.sqrt() * beta / (1.0 - a_bar)
    ct = (1.0 - beta).sqrt() * (1.0 - a_bar_prev) / (1.0 - a_bar)
    mean = c0 * x0 + ct * x
    if t_index == 0:
        return mean
    sigma = self._extract(self.posterior_variance, t, x.shape).sqrt()
    return mean + sigma * torch.randn_like(x)
