@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(self.timesteps)):
        x = self.p_sample(x, labels, labels.fill_(t_index), t_index)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)
