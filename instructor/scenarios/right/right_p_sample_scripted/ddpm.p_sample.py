@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta, rate = self.betas[t_index], self.sqrt_one_minus_alphas_cumprod[t_index]
    sigma = self.posterior_variance[t_index].sqrt()
    sigma = torch.where(t[0] == 0, torch.zeros_like(sigma), sigma)
    return mix(x, self.model(x, label, t), beta, rate, sigma)
