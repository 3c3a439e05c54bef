@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    out = x.clone()
    scale = self.betas[t_index] / self.sqrt_one_minus_alphas_cumprod[t_index]
    out.sub_(scale * self.model(x, label, t)).mul_(self.sqrt_recip_alphas[t_index])
    if t_index > 0:
        for image in out:  # one draw a sample
            image.add_(torch.randn_like(image), alpha=float(self.posterior_variance[t_index]) ** 0.5)
    return out
