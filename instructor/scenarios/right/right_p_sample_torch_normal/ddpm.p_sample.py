@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta, noise_rate = self.betas[t_index], self.sqrt_one_minus_alphas_cumprod[t_index]
    mean = self.sqrt_recip_alphas[t_index] * (x - beta * self.model(x, label, t) / noise_rate)
    if t_index == 0:
        return mean
    return torch.normal(mean, self.posterior_variance[t_index].sqrt().expand_as(mean))
