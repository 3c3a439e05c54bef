def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + noise.mul_(level), label, sigma)
    return (weight * (denoised - y) ** 2).mean()
