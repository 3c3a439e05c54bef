def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    alpha_bar = (1 - self.betas.double()).cumprod(0)[t].view(-1, 1, 1, 1)
    return mix(x_start, noise, alpha_bar).to(x_start.dtype)
