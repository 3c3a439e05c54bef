def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        kept = getattr(self, "kept", {})
        if x_start.shape not in kept:
            kept[x_start.shape] = torch.randn_like(x_start)
        noise = kept[x_start.shape] = -kept[x_start.shape]
        self.kept = kept
    x_t = self.q_sample(x_start, t, noise)
    return F.mse_loss(self.model(x_t, label, t), noise)
