def compute_loss(self, x_start, label, noise=None):
    if self.use_vae:
        x_start = self.vae.encoder(x_start).detach()
    noise = torch.randn_like(x_start) if noise is None else noise
    t = torch.randint(self.timesteps, (len(x_start),), device=x_start.device)
    alpha_bar = (1 - self.betas.double()).cumprod(0)[t.cpu()].float().view(-1, 1, 1, 1)
    alpha_bar = alpha_bar.to(x_start.device)
    x_t = alpha_bar.sqrt() * x_start + (1 - alpha_bar).sqrt() * noise
    return ((self.model(x_t, label, t) - noise) ** 2).mean()
