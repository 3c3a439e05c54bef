def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    log_bar = torch.log1p(-self.betas.double()).cumsum(0)[t]
    mean_scale = torch.exp(0.5 * log_bar).float()
    std = torch.sqrt(-torch.expm1(log_bar)).float()
    return mean_scale[:, None, None, None] * x_start + std[:, None, None, None] * noise
