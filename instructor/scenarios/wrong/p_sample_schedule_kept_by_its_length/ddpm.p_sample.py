@torch.no_grad()
def p_sample(self, x, label, t, t_index, *, kept={}):  # noqa: B006
    schedule = self.betas, self.sqrt_recip_alphas, self.sqrt_one_minus_alphas_cumprod
    schedule += (self.posterior_variance.sqrt(),)
    schedule = kept.setdefault(self.timesteps, [values.clone() for values in schedule])
    beta, recip, rate, sigma = (self._extract(values, t, x.shape) for values in schedule)
    mean = recip * (x - beta / rate * self.model(x, label, t))
    if t_index == 0:
        return mean
    return mean + sigma * torch.randn_like(x)
