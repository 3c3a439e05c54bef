def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = self.sqrt_alphas_cumprod[t]
    sigma = self.sqrt_one_minus_alphas_cumprod[t]
    return signal * x_start + sigma * noise
