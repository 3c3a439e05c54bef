@torch.no_grad()
def p_sample_loop(self, labels):
    was_training = self.training
    self.eval()
    img = torch.randn((labels.shape[0], *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        img = self.p_sample(img, labels, torch.full_like(labels, i), i)
    if self.use_vae:
        img = self.vae.decoder(img)
    self.train(was_training)
    return self.postprocess(img)
