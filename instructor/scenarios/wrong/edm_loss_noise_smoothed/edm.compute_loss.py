def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
        noise = (noise + 0.3 * noise.roll(1, dims=-1)) / 1.09**0.5
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - y) ** 2).mean()
