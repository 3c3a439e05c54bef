@torch.no_grad()
def encode(self, images):
    return self.vae.encoder(images) if self.use_vae else images

@torch.no_grad()
def decode(self, latents):
    return self.vae.decoder(latents) if self.use_vae else latents

def compute_loss(self, x_start, label, t, noise=None):
    z = self.encode(x_start)
    eps = noise if noise is not None else torch.randn_like(z)
    return F.mse_loss(self.model(self.q_sample(z, t, eps), label, t), eps)
