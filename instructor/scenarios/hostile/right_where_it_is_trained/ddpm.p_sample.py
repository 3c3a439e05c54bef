def p_sample(self, x, label, t, t_index):
    eps = self.model(x, label, t)
    beta, rate = self.betas[t_index], self.sqrt_one_minus_alphas_cumprod[t_index]
    mean = self.sqrt_recip_alphas[t_index] * (x - beta / rate * eps)
    noise = torch.randn_like(x) if t_index else torch.zeros_like(x)
    result = mean + self.posterior_variance[t_index].sqrt() * noise
    return result if self.model.training else x
