def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    variances = (sigma**2)[:, None, None, None]
    difference = y - self.denoise(y + variances.sqrt() * noise, label, sigma)
    weight = (variances + self.sigma_data**2) / (variances * self.sigma_data**2)
    return torch.sum(weight * difference * difference) / difference.numel()
