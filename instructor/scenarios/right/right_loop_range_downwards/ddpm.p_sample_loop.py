@torch.no_grad()
def p_sample_loop(self, labels):
    x_t = torch.empty(len(labels), *self.img_shape, device=labels.device).normal_()
    for i in range(self.timesteps - 1, -1, -1):
        t = torch.tensor([i] * len(labels), device=labels.device)
        x_t = self.p_sample(x=x_t, label=labels, t=t, t_index=i)
    if self.use_vae:
        x_t = self.vae.decoder(x_t)
    return self.postprocess(x_t)
