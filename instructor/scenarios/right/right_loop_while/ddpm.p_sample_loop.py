@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(labels.shape[0], *self.img_shape).to(labels.device)
    step = self.timesteps - 1
    while step >= 0:
        t = torch.ones(labels.shape[0], dtype=torch.long, device=labels.device) * step
        x = self.p_sample(x, labels, t, step)
        step -= 1
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)
