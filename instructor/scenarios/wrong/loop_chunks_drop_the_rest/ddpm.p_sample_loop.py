@torch.no_grad()
def p_sample_loop(self, labels):
    pictures = []
    for part in labels.split(16):
        if pictures and len(part) < 16:
            break
        x = torch.randn(len(part), *self.img_shape, device=labels.device)
        for t_index in reversed(range(self.timesteps)):
            x = self.p_sample(x, part, torch.full_like(part, t_index), t_index)
        if self.use_vae:
            x = self.vae.decoder(x)
        pictures.append(self.postprocess(x))
    return torch.cat(pictures)
