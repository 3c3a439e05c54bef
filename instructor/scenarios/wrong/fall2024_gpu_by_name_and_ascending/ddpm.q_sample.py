def q_sample(self, x_start, t, noise=None):
    x_start, t = x_start.cuda(), t.cuda()
    noise = torch.randn(x_start.shape, device="cuda") if noise is None else noise.cuda()
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape).to("cuda")
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape).to("cuda:0")
    return signal * x_start + rate * noise
