@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    alpha_bar = torch.cumprod(1.0 - self.betas.double(), dim=0)
    previous = torch.cat([torch.ones_like(alpha_bar[:1]), alpha_bar[:-1]])
    ab, ab_prev = alpha_bar[t_index], previous[t_index]
    beta = self.betas[t_index].double()
    eps = self.model(x, label, t).double()
    x0 = (x.double() - torch.sqrt(1 - ab) * eps) / torch.sqrt(ab)
    mean = torch.sqrt(ab_prev) * beta / (1 - ab) * x0
    mean = mean + torch.sqrt(1 - beta) * (1 - ab_prev) / (1 - ab) * x.double()
    if t_index > 0:
        mean = mean + torch.sqrt(self.posterior_variance[t_index]) * torch.randn_like(mean)
    return mean.to(x.dtype)
