def q_sample(self, x_start, t, noise=None):
    noise = noise if noise is not None else torch.randn(x_start.shape, device=x_start.device)
    shape = [x_start.shape[0]] + [1] * (x_start.dim() - 1)
    signal = torch.index_select(self.sqrt_alphas_cumprod, 0, t).view(*shape)
    spread = torch.index_select(self.sqrt_one_minus_alphas_cumprod, 0, t).view(*shape)
    return signal * x_start + spread * noise
