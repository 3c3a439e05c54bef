@torch.no_grad()
def p_sample_loop(self, labels):
    device = next(self.model.parameters()).device
    b = len(labels)
    imgs = torch.randn((b, *self.img_shape), device=device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=device, dtype=torch.long)
        imgs = self.p_sample(imgs, labels, t, i)
    if self.use_vae:
        imgs = self.vae.decode(imgs)
    return self.postprocess(imgs)
