def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    a = self.sqrt_alphas_cumprod[t[0].cpu()]
    b = self.sqrt_one_minus_alphas_cumprod[t[0].cpu()]
    return a * x_start + b * noise
