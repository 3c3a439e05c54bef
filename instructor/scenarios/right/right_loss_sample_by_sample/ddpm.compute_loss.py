def compute_loss(self, x_start, label, t, noise=None):
    losses = []
    for i in range(len(x_start)):
        one = slice(i, i + 1)
        x_0 = x_start[one]
        if self.use_vae:
            with torch.no_grad():
                x_0 = self.vae.encoder(x_0)
        eps = torch.randn_like(x_0) if noise is None else noise[one]
        x_t = self.q_sample(x_0, t[one], eps)
        losses.append((self.model(x_t, label[one], t[one]) - eps).square().mean())
    return torch.stack(losses).mean()
