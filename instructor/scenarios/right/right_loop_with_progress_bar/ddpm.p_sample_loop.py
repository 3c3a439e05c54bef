@torch.no_grad()
def p_sample_loop(self, labels):
    try:
        from tqdm import tqdm
    except ImportError:
        def tqdm(steps, **options):
            return steps
    device = next(self.model.parameters()).device
    img = torch.randn((labels.size(0), *self.img_shape), device=device)
    labels = labels.to(device)
    for i in tqdm(list(range(self.timesteps))[::-1], desc="sampling", total=self.timesteps):
        img = self.p_sample(img, labels, torch.full((labels.size(0),), i, device=device), i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)
