def q_sample(self, x_start, t, noise=None):
    noise = torch.randn_like(x_start) if noise is None else noise
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape).cuda()
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape).cuda()
    return signal_rate * x_start.cuda() + noise_rate * noise.cuda()
