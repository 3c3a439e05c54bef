def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    s, d = sigma[:, None, None, None], self.sigma_data
    root = (s**2 + d**2).sqrt()
    x = y + s * noise
    target = (y - d**2 / root**2 * x) / (s * d / root)
    return (self.model(x / root, label, sigma.log() / 4) - target).square().mean()
