def compute_loss(self, x_start, label, t, noise=None):
    x_start, label, t = x_start.to(DEVICE), label.to(DEVICE), t.to(DEVICE)
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn(x_start.shape, device=DEVICE)
    x_noisy = self.q_sample(x_start, t, noise)
    return F.mse_loss(self.model(x_noisy, label, t), noise.to(DEVICE))
