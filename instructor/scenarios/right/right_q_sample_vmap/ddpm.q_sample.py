def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)

    def mix(x, s, eps):
        return self.sqrt_alphas_cumprod[s] * x + self.sqrt_one_minus_alphas_cumprod[s] * eps

    return torch.func.vmap(mix)(x_start, t, noise)
