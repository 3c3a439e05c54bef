def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    alpha_bar = torch.cumprod(1 - self.betas.cpu(), dim=0)[t.cpu()][:, None, None, None]
    return alpha_bar.sqrt() * x_start + (1 - alpha_bar).sqrt() * noise
