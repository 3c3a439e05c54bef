def compute_loss(self, x_start, label, sigma, noise=None):
    y = self.vae.encoder(x_start).detach() if self.use_vae else x_start
    noise = torch.randn_like(y) if noise is None else noise
    noisy = torch.addcmul(y, sigma.view(-1, 1, 1, 1).expand_as(y), noise)
    errors = (self.denoise(x=noisy, label=label, sigma=sigma) - y).pow(2).flatten(1).mean(1)
    return (errors * (1 / sigma**2 + 1 / self.sigma_data**2)).mean()
