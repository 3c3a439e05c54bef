@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    scale = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    recip = self._extract(self.sqrt_recip_alphas, t, x.shape)
    mean = recip * (x - betas_t * self.model(x, label, t) / scale)
    return mean, self._extract(self.posterior_variance, t, x.shape)
