@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    if self.use_vae:
        c, h, w = self.img_shape
        img = self.vae.encoder(torch.randn((b, 3, 8 * h, 8 * w), device=labels.device))
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)
