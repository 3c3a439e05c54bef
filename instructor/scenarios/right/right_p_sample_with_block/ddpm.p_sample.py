@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    with torch.no_grad():
        i = int(t[0])
        z = torch.randn_like(x) if i != 0 else 0.0
        eps_theta = self.model(x, label, t)
        coefficient = self.betas[i] / self.sqrt_one_minus_alphas_cumprod[i]
        sigma = self.posterior_variance[i] ** 0.5
        return self.sqrt_recip_alphas[i] * (x - coefficient * eps_theta) + sigma * z
