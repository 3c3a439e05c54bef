def compute_loss(self, x_start, label, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    t = (torch.rand(len(x_start)) ** 2 * self.timesteps).long()
    if noise is None:
        noise = torch.randn_like(x_start)
    return F.mse_loss(self.model(self.q_sample(x_start, t, noise), label, t), noise)
