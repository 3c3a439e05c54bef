@torch.no_grad()
def p_sample_loop(self, labels):
    img = torch.randn((labels.shape[0], *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        img = self.p_sample(img, labels, torch.full_like(labels, i), i)
    if self.use_vae:
        img = torch.cat([self.vae.decoder(latent[None]) for latent in img])
    return self.postprocess(img)
