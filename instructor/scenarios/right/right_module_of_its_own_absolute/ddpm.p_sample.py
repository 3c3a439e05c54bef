@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas = self.betas.double()
    alpha_bar = (1 - betas).cumprod(0)
    mean = step_mean(x, self.model(x, label, t), betas[t_index], alpha_bar[t_index]).to(x.dtype)
    if t_index == 0:
        return mean
    return mean + self.posterior_variance[t_index].sqrt() * torch.randn_like(x)
