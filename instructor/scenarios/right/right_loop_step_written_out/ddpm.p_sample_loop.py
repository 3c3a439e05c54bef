@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full_like(labels, i)
        eps = self.model(x, labels, t)
        x = x - self.betas[i] / self.sqrt_one_minus_alphas_cumprod[i] * eps
        x = x * self.sqrt_recip_alphas[i]
        if i > 0:
            x = x + self.posterior_variance[i].sqrt() * torch.randn_like(x)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)
