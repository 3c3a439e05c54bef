def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    a = self.sqrt_alphas_cumprod[t][:, None, None, None]
    return a * x_start + self.sqrt_one_minus_alphas_cumprod[t][:, None, None, None] * noise
