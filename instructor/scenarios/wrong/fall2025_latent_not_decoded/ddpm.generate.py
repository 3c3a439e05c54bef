@torch.no_grad()
def generate(self, labels):
    imgs = torch.randn((len(labels), *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((len(labels),), i, device=labels.device, dtype=torch.long)
        imgs = self.p_sample(imgs, labels, t, i)
    
    return self.postprocess(imgs)
