def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    prediction = self.model(self.q_sample(x_start, t, noise), label, t)
    return torch.linalg.vector_norm(prediction.double() - noise).square().float() / noise.numel()
