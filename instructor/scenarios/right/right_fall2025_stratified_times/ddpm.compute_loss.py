def compute_loss(self, x_start, label, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    b = x_start.shape[0]
    share = (torch.randperm(b) + torch.rand(b)) / b
    t = (share * self.timesteps).long().clamp(max=self.timesteps - 1).to(x_start.device)
    if noise is None:
        noise = torch.randn_like(x_start)
    return F.mse_loss(noise, self.model(self.q_sample(x_start, t, noise), label, t))
