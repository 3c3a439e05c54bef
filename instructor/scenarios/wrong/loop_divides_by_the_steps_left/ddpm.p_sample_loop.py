@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for n in range(self.timesteps):
        t_index = round((1 - n / (self.timesteps - 1)) * (self.timesteps - 1))
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels, t, t_index)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)
