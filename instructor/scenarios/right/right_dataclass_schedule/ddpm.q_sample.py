def q_sample(self, x_start, t, noise=None):
    noising = Noising.of(self.betas)
    return noising(x_start, torch.randn_like(x_start) if noise is None else noise, t)
