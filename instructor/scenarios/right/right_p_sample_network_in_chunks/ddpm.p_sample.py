@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    recip = self._extract(self.sqrt_recip_alphas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sigma = self._extract(self.posterior_variance, t, x.shape).sqrt()
    chunks = zip(x.split(4), label.split(4), t.split(4), strict=True)
    eps = torch.cat([self.model(*chunk) for chunk in chunks])
    mean = recip * (x - beta / rate * eps)
    if t_index == 0:
        return mean
    return mean + sigma * torch.randn_like(x)
