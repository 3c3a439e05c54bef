@torch.no_grad()
def generate(self, labels):
    imgs = torch.randn((len(labels), *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((len(labels),), i, device=labels.device, dtype=torch.long)
        mean, variance = self.p_sample(imgs, labels, t, i)
        imgs = mean + variance.sqrt() * torch.randn_like(mean)
    if self.use_vae:
        imgs = self.vae.decoder(imgs)
    return self.postprocess(imgs)
