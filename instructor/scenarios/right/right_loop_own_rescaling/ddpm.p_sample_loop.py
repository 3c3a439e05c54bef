@torch.no_grad()
def p_sample_loop(self, labels):
    img = torch.randn((labels.shape[0], *self.img_shape), device=labels.device)
    for i in reversed(range(0, self.timesteps)):
        img = self.p_sample(img, labels, torch.full_like(labels, i), i)
    if self.use_vae:
        return torch.clamp(self.vae.decoder(img), min=0.0, max=1.0)
    return torch.clamp(img * 0.5 + 0.5, min=0.0, max=1.0)
