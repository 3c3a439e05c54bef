@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    b = self.betas[t].double()[:, None, None, None]
    alpha_bar = (1 - self.betas.double()).cumprod(0)[t][:, None, None, None]
    eps = self.model(x, label, t).double()
    x_prev = (x.double() - b / (1 - alpha_bar).sqrt() * eps) / (1 - b).sqrt()
    if t_index > 0:
        x_prev += self.posterior_variance[t_index].sqrt() * torch.randn_like(x_prev)
    return x_prev.type_as(x)
