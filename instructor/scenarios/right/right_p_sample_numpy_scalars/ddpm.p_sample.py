@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = np.float64(self.betas[t_index].item())
    rate = np.float64(self.sqrt_one_minus_alphas_cumprod[t_index].item())
    sigma = np.sqrt(np.float64(self.posterior_variance[t_index].item())) * np.float64(t_index > 0)
    eps = self.model(x, label, t)
    mean = (x - float(beta / rate) * eps) * float(1 / np.sqrt(1 - beta))
    return mean.add(torch.empty_like(x).normal_(), alpha=float(sigma))
