def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = torch.cat([self.vae.encoder(images) for images in x_start.split(2)])
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.q_sample(x_start, t, noise)
    parts = zip(x_t.split(2), label.split(2), t.split(2))
    predicted = torch.cat([self.model(x, c, s) for x, c, s in parts])
    return torch.nn.functional.mse_loss(predicted, noise)
