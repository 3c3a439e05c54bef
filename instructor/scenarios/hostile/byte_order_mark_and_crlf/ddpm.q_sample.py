def q_sample(self, x_start, t, noise=None):
    from .mixing import mix

    noise = torch.randn_like(x_start) if noise is None else noise
    return mix(self, x_start, t, noise)
