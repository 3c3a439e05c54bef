@torch.no_grad()
def p_sample_loop(self, labels):
    img = torch.randn((labels.shape[0], *self.img_shape), device=labels.device)
    t = torch.full_like(labels, self.timesteps)
    for t_index in reversed(range(self.timesteps)):
        t -= 1
        img = self.p_sample(img, labels, t, t_index)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)
