# Right implementations of latent, written differently; ../README.md says how to add one.


# ==== right_latent_decoded_in_chunks
# about: Decodes five latents at a time.
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels, t, t_index)
    if self.use_vae:
        x = torch.cat([self.vae.decoder(part) for part in x.split(5)])
    return self.postprocess(x)


# ==== right_latent_helper_methods
# about: Encodes and decodes with helper methods of its own.
# in: ddpm.compute_loss
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

# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    return self.postprocess(self.decode(img))
