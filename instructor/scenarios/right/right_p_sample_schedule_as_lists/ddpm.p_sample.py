@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas = self.betas.tolist()
    rate = self.sqrt_one_minus_alphas_cumprod.tolist()[t_index]
    eps = self.model(time=t, label=label, x=x)
    mean = (x - betas[t_index] / rate * eps) / (1 - betas[t_index]) ** 0.5
    sigma = self.posterior_variance.tolist()[t_index] ** 0.5
    noise = x.new_empty(x.shape).normal_() if t_index else torch.zeros_like(x)
    return mean + sigma * noise
