@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + 0.5 * torch.sqrt(variance_t) * noise
