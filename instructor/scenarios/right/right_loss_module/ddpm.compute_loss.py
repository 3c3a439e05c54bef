def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    noise = torch.randn_like(x_start) if noise is None else noise
    x_t = self.q_sample(x_start, t, noise=noise)
    criterion = nn.MSELoss(reduction="mean")
    return criterion(noise, self.model(x_t, label=label, time=t))
