def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x=x_start)
    if noise is None:
        noise = torch.randn(size=x_start.size(), dtype=x_start.dtype, device=x_start.device)
    x_t = self.q_sample(noise=noise, t=t, x_start=x_start)
    return F.mse_loss(target=noise, input=self.model(time=t, label=label, x=x_t))
