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


# ==== right_latent_by_sample
# about: Encodes one image at a time, and decodes one latent at a time.
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = torch.cat([self.vae.encoder(image) for image in x_start.split(1)])
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.q_sample(x_start, t, noise)
    return F.mse_loss(self.model(x_t, label, t), noise)

# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(self.timesteps)):
        x = self.p_sample(x, labels, torch.full_like(labels, t_index), t_index)
    if self.use_vae:
        x = torch.stack([self.vae.decoder(latent[None])[0] for latent in x])
    return self.postprocess(x)


# ==== right_latent_encoded_where_needed
# about: Encodes whatever does not have the shape of latents, in inference mode.
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if x_start.shape[1:] != torch.Size(self.img_shape):
        with torch.inference_mode():
            latents = self.vae.encoder.forward(x_start)
        x_start = latents.clone()
    noise = torch.randn_like(x_start) if noise is None else noise
    return F.mse_loss(self.model(self.q_sample(x_start, t, noise), label, t), noise)


# ==== right_latent_autoencoder_put_into_evaluation
# about: Puts the frozen autoencoder into evaluation mode whenever it is used.
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        self.vae.eval()
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    return F.mse_loss(self.model(self.q_sample(x_start, t, noise), label, t), noise)


# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(self.timesteps)):
        x = self.p_sample(x, labels, torch.full_like(labels, t_index), t_index)
    if self.use_vae:
        self.vae.eval()
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== right_latent_gradients_off_and_on
# about: Switches gradients off for the encoder, and on afterwards.
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        torch.set_grad_enabled(False)
        x_start = self.vae.encoder(x_start)
        torch.set_grad_enabled(True)
    if noise is None:
        noise = torch.randn_like(x_start)
    pred = self.model(self.q_sample(x_start, t, noise), label, t)
    return F.mse_loss(pred, noise, reduction="sum") / noise.numel()
