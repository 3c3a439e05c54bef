@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(
        self.sqrt_one_minus_alphas_cumprod, t, x.shape
    )
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    model_mean = sqrt_recip_alphas_t * (
        x - betas_t * self.model(x, t, label) / sqrt_one_minus_alphas_cumprod_t
    )
    if t_index == 0:
        return model_mean
    posterior_variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return model_mean + torch.sqrt(posterior_variance_t) * noise
