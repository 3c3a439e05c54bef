def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    noise = noise if noise is not None else torch.randn(y.shape).to(y.device)
    s, d = sigma[:, None, None, None], self.sigma_data
    denoised = self.denoise(y + noise * s, label, sigma)
    root = torch.sqrt(s**2 + d**2) / (s * d)
    return torch.nn.functional.mse_loss(root * (denoised - y), torch.zeros_like(y))
