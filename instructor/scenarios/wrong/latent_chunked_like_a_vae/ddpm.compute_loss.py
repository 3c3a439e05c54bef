def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            mean, logvar = self.vae.encoder(x_start).chunk(2, dim=1)
            x_start = mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, noise)
