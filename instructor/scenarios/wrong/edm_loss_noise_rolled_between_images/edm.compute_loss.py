def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
        noise = torch.stack([noise[0].roll(i, dims=-1) for i in range(len(y))])
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - y) ** 2).mean()
