def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    predicted = self.model(self.q_sample(x_start, t, noise), label, t)
    return torch.square(noise - predicted).flatten(start_dim=1).mean(dim=1).mean(dim=0)
