def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        x_start = self.vae.encoder(x_start).detach()
    if noise is None:
        noise = torch.randn(x_start.shape, device=x_start.device)
    error = self.model(self.q_sample(x_start=x_start, t=t, noise=noise), label, t) - noise
    return error.pow(2).mean()
