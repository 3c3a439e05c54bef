@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    noise = torch.randn_like(x)
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        x = x - self.betas[t_index] / self.sqrt_one_minus_alphas_cumprod[t_index] * self.model(
            x, labels, t
        )
        x = self.sqrt_recip_alphas[t_index] * x
        if t_index > 0:
            x = x + self.posterior_variance[t_index].sqrt() * noise
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)
