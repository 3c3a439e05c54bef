def compute_loss(self, x_start, label, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    b = len(x_start)
    x_t = self.q_sample(x_start, torch.randint(self.timesteps, (b,)), noise)
    return F.mse_loss(self.model(x_t, label, torch.randint(self.timesteps, (b,))), noise)
