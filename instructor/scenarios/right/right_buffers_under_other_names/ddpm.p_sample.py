@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self.beta_t[t_index]
    eps = self.model(x, label, t)
    mean = (x - beta / self.root_rest[t_index] * eps) / (1 - beta).sqrt()
    return mean + self.sigma[t_index] * torch.randn_like(x) if t_index > 0 else mean
