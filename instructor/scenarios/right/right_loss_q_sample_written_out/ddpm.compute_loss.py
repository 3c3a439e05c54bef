def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    alpha_bar = torch.cumprod(1 - self.betas, dim=0)[t].view(-1, 1, 1, 1)
    x_t = alpha_bar.sqrt() * x_start + (1 - alpha_bar).sqrt() * noise
    return ((self.model(x_t, label, t) - noise) ** 2).mean()
