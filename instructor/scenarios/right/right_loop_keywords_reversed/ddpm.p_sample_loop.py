@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.empty((len(labels), *self.img_shape), device=labels.device).normal_()
    t_index = self.timesteps
    while t_index:
        t_index -= 1
        t = labels.new_full(labels.shape, t_index)
        x = self.p_sample(t_index=t_index, t=t, label=labels, x=x)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)
