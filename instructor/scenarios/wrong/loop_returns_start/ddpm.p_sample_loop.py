@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        out = self.p_sample(img if i == self.timesteps - 1 else out, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)
