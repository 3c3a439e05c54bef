def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if not self.use_vae:
        x_start = 2 * x_start - 1
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, noise)
