@torch.no_grad()
def p_sample_loop(self, labels):
    device = labels.device
    imgs = torch.randn((len(labels), *self.img_shape), device=device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((len(labels),), i, device=device, dtype=torch.long)
        imgs = self.p_sample(imgs, labels, t, i)
        if i > 0:
            imgs = imgs + self.posterior_variance[i] * torch.randn_like(imgs)
    if self.use_vae:
        imgs = self.vae.decoder(imgs)
    return self.postprocess(imgs)
