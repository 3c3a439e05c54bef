@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        parts = zip(x.split(2), labels.split(2), t.split(2), strict=True)
        x = torch.cat([self.p_sample(*part, t_index) for part in parts])
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)
