@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    recip = self._extract(self.sqrt_recip_alphas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sigma = self._extract(self.posterior_variance, t, x.shape).sqrt()
    mean = recip * (x - beta / rate * self.model(x, label, t))
    if t_index == 0:
        return mean
    return torch.distributions.Normal(mean, sigma.expand_as(mean)).sample()
