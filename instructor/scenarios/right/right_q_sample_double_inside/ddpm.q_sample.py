def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    alpha_bar = torch.cumprod(1.0 - self.betas.double(), dim=0)[t].reshape(-1, 1, 1, 1)
    x_t = alpha_bar.sqrt() * x_start.double() + (1.0 - alpha_bar).sqrt() * noise.double()
    return x_t.to(x_start.dtype)
