@torch.no_grad()
def p_sample_loop(self, labels):
    b = len(labels)
    steps = torch.arange(self.timesteps, device=labels.device).flip(0)
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for t in steps[:, None].repeat(1, b):
        img = self.p_sample(img, labels, t, t[0].item())
    images = self.vae.decoder(img) if self.use_vae else img
    return self.postprocess(images)
