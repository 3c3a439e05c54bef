def compute_loss(self, x_start, label, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start=x_start, t=t, noise=noise)
    return F.l1_loss(self.model(x_noisy, label, t), noise)
