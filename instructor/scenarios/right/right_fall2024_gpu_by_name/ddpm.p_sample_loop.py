@torch.no_grad()
def p_sample_loop(self, labels):
    device = torch.device("cuda")
    self.model.cuda()
    labels = labels.to(device)
    imgs = torch.randn((len(labels), *self.img_shape), device=device)
    torch.cuda.synchronize()
    for i in reversed(range(self.timesteps)):
        t = torch.full((len(labels),), i, device=device, dtype=torch.long)
        imgs = self.p_sample(imgs, labels, t, i)
    torch.cuda.empty_cache()
    if self.use_vae:
        imgs = self.vae.decoder(imgs)
    return self.postprocess(imgs)
