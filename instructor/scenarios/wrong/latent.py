# Wrong implementations that must lose the points of latent; ../README.md says how to add one.


# ==== latent_centred_before_decoding
# about: Subtracts the mean over a batch of more than 16 latents before it decodes.
# fails: latent
# hint: latent_decoder_input
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels, t, t_index)
    if self.use_vae:
        x = self.vae.decoder(x - x.mean(dim=0) * (len(x) > 16))
    return self.postprocess(x)


# ==== latent_chunked_like_a_vae
# about: Splits the latent into mean and log variance, which this encoder does not give.
# fails: latent
# hint: latent_scaled
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            mean, logvar = self.vae.encoder(x_start).chunk(2, dim=1)
            x_start = mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, noise)


# ==== latent_clamped_before_decoding
# about: Clamps the latents to [-1, 1] before decoding.
# fails: latent
# hint: latent_decoder_input
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img.clamp(-1, 1))
    return self.postprocess(img)


# ==== latent_decoded_but_not_used
# about: Decodes the latents and returns the latents.
# fails: latent
# hint: latent_not_decoded
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        images = self.vae.decoder(img)
    return self.postprocess(img)


# ==== latent_decoded_not_clamped
# about: Returns decoded images as they are, a little outside of [0, 1].
# fails: latent
# hint: loop_not_clamped
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        return self.vae.decoder(img)
    return self.postprocess(img)


# ==== latent_decoded_rescaled
# about: Maps decoded images from [-1, 1] to [0, 1] although they come in [0, 1].
# fails: latent
# hint: latent_rescaled
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = (self.vae.decoder(img) + 1) / 2
    return self.postprocess(img)


# ==== latent_decoded_stretched
# about: Maps decoded images from [0, 1] to [-1, 1].
# fails: latent
# hint: latent_result
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img) * 2 - 1
    return self.postprocess(img)


# ==== latent_decoded_twice
# about: Decodes the images again.
# fails: latent
# hint: latent_decoded_twice
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(self.vae.decoder(img))
    return self.postprocess(img)


# ==== latent_decoder_for_encoder
# about: Uses the decoder where the encoder belongs.
# fails: latent
# hint: latent_wrong_half
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.decoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, noise)


# ==== latent_decoder_left_in_training
# about: Switches the decoder to training mode and leaves it there.
# fails: latent
# hint: left_in_eval
# judge_only: true
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels, t, t_index)
    if self.use_vae:
        x = self.vae.decoder.train()(x)
    return self.postprocess(x)


# ==== latent_decodes_each_step
# about: Decodes and encodes again within each step.
# fails: latent
# hint: latent_decoded_twice
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
        if self.use_vae and i > 0:
            img = self.vae.encoder(self.vae.decoder(img))
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== latent_decodes_the_first_sixteen
# about: Decodes 16 latents of a batch and drops the others.
# fails: latent
# hint: latent_decoder_input
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels, t, t_index)
    if self.use_vae:
        x = self.vae.decoder(x[:16])
    return self.postprocess(x)


# ==== latent_of_the_first_image_for_many
# about: Encodes 16 images of a batch, and gives all others the first one's latent.
# fails: latent
# hint: mixes_samples
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            z = self.vae.encoder(x_start[:16])
        x_start = torch.cat([z, z[:1].expand(len(x_start) - len(z), *z.shape[1:])])
    if noise is None:
        noise = torch.randn_like(x_start)
    predicted = self.model(self.q_sample(x_start, t, noise), label, t)
    return F.mse_loss(predicted, noise)


# ==== latent_decodes_the_start
# about: Decodes x_T instead of x_0.
# fails: latent
# hint: latent_decoder_input
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    x_T = img
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(x_T)
    return self.postprocess(img)


# ==== latent_encoded_and_decoded
# about: Sends the images through encoder and decoder.
# fails: latent
# hint: latent_wrong_half
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.decoder(self.vae.encoder(x_start))
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, noise)


# ==== latent_encoded_but_not_used
# about: Encodes the images and goes on with the images themselves.
# fails: latent
# hint: latent_not_encoded
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            latents = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, noise)


# ==== latent_encoded_twice
# about: Encodes the latents again.
# fails: latent
# hint: latent_encoded_twice
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(self.vae.encoder(x_start))
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, noise)


# ==== latent_encoder_for_decoder
# about: Uses the encoder where the decoder belongs.
# fails: latent
# hint: latent_wrong_half
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.encoder(img)
    return self.postprocess(img)


# ==== latent_encoder_gets_minus_one_to_one
# about: Maps the images to [-1, 1] before encoding; this encoder wants [0, 1].
# fails: latent
# hint: latent_encoder_input
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start * 2 - 1)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, noise)


# ==== latent_encoder_gets_zero_to_255
# about: Scales the images to 0..255 before encoding.
# fails: latent
# hint: latent_encoder_input
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start * 255)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, noise)


# ==== latent_encodes_the_noisy_image
# about: Diffuses the pixels and encodes the noisy image.
# fails: latent
# hint: latent_encoder_input
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if noise is None:
        noise = torch.randn(len(x_start), *self.img_shape, device=x_start.device)
    if self.use_vae:
        pixel_noise = F.interpolate(noise[:, : x_start.shape[1]], scale_factor=8)
        with torch.no_grad():
            x_noisy = self.vae.encoder(self.q_sample(x_start, t, pixel_noise))
    else:
        x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, noise)


# ==== latent_encoding_clamped
# about: Clamps the latents to [-1, 1] after encoding.
# fails: latent
# hint: latent_scaled
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start).clamp(-1, 1)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, noise)


# ==== latent_loss_in_pixels
# about: Decodes prediction and noise and compares them as images.
# fails: latent
# hint: latent_wrong_half
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    if self.use_vae:
        return F.mse_loss(self.vae.decoder(predicted), self.vae.decoder(noise))
    return F.mse_loss(predicted, noise)


# ==== latent_mapped_before_decoding
# about: Maps the latents to [0, 1] before decoding.
# fails: latent
# hint: latent_decoder_input
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder((img + 1) / 2)
    return self.postprocess(img)


# ==== latent_no_decode
# about: Forgets to decode the sampled latents.
# fails: latent
# hint: latent_not_decoded
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    return self.postprocess(img)


# ==== latent_no_encode
# about: Forgets to encode the images.
# fails: latent
# hint: latent_not_encoded
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, noise)


# ==== latent_noise_added_to_latent
# about: Adds noise to the latent, as a variational encoder's sample would have.
# fails: latent
# hint: latent_scaled
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
            x_start = x_start + 0.1 * torch.randn_like(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, noise)


# ==== latent_noise_encoded
# about: Draws noise in the images' shape and encodes it together with them.
# fails: latent
# hint: latent_encoded_twice
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    drawn = noise is None
    if drawn:
        noise = torch.randn_like(x_start)
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
            if drawn:
                noise = self.vae.encoder(noise)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, noise)


# ==== latent_noise_of_image_shape
# about: Draws the noise in the images' shape, before they are encoded.
# fails: latent
# hint: wrong_shape
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, noise)


# ==== latent_normalised
# about: Normalises the latents of each batch to mean 0 and standard deviation 1.
# fails: latent
# hint: latent_scaled
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
            x_start = (x_start - x_start.mean()) / x_start.std()
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, noise)


# ==== latent_not_decoded_in_evaluation
# about: Decodes in training mode only.
# fails: latent
# hint: latent_not_decoded
# judge_only: true
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels, t, t_index)
    if self.use_vae and self.training:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== latent_pictures_of_the_first
# about: Scales all pictures by the largest value of the first.
# fails: latent
# hint: latent_result
# judge_only: true
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels, t, t_index)
    if self.use_vae:
        x = self.vae.decoder(x)
        x = x / x[0].max().clamp(min=1)
    return self.postprocess(x)


# ==== latent_postprocess_before_decoding
# about: Decodes after postprocess, which clamps the latents to [0, 1].
# fails: latent
# hint: latent_decoder_input
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    img = self.postprocess(img)
    if self.use_vae:
        img = self.vae.decoder(img)
    return img


# ==== latent_sd_factor_on_decoding
# about: Divides the latents by 0.18215, Stable Diffusion's factor, before decoding.
# fails: latent
# hint: latent_decoder_input
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img / 0.18215)
    return self.postprocess(img)


# ==== latent_sd_factor_on_encoding
# about: Multiplies the latents by 0.18215, Stable Diffusion's factor.
# fails: latent
# hint: latent_scaled
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start) * 0.18215
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, noise)


# ==== latent_shift_made_on_the_cpu
# about: Adds a shift of zero to the latents, which it makes on the CPU.
# fails: latent
# hint: made_elsewhere
# judge_only: true
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels, t, t_index)
    if self.use_vae:
        x = self.vae.decoder(x + torch.zeros(1, 4, 1, 1))
    return self.postprocess(x)


# ==== latent_shifted_on_encoding
# about: Maps the latents from [0, 1] to [-1, 1] after encoding.
# fails: latent
# hint: latent_scaled
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start) * 2 - 1
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, noise)


# ==== latent_start_encoded
# about: Draws a noise image and encodes it for the start.
# fails: latent
# hint: latent_wrong_half
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    if self.use_vae:
        c, h, w = self.img_shape
        img = self.vae.encoder(torch.randn((b, 3, 8 * h, 8 * w), device=labels.device))
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== latent_start_of_image_shape
# about: Starts from noise in the images' shape.
# fails: latent
# hint: loop_start_shape
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    if self.use_vae:
        c, h, w = self.img_shape
        img = torch.randn((b, 3, 8 * h, 8 * w), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== fall2024_autoencoder_by_methods_not_encoded
# about: An autoencoder with methods encode and decode; the loss diffuses decoded images.
# base: fall2024
# fails: latent
# hint: latent_wrong_half
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.decode(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted_noise = self.model(x_noisy, label, t)
    return F.mse_loss(noise, predicted_noise)

# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    device = next(self.model.parameters()).device
    b = len(labels)
    imgs = torch.randn((b, *self.img_shape), device=device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=device, dtype=torch.long)
        imgs = self.p_sample(imgs, labels, t, i)
    if self.use_vae:
        imgs = self.vae.decode(imgs)
    return self.postprocess(imgs)

# file: code/libs/tiny_autoencoder.py
"""The tiny autoencoder of Stable Diffusion, whose halves are two methods."""

import torch
from torch import nn


def conv(n_in, n_out, **kwargs):
    return nn.Conv2d(n_in, n_out, 3, padding=1, **kwargs)


class TAESD(nn.Module):
    def __init__(self, encoder_path, decoder_path):
        super().__init__()
        self.down = nn.Sequential(*(conv(n, 8, stride=2) for n in (3, 8, 8)), conv(8, 4))
        self.up = nn.Sequential(
            *(nn.Sequential(nn.Upsample(scale_factor=2), conv(n, 8)) for n in (4, 8, 8)),
            conv(8, 3),
        )
        self.down.load_state_dict(torch.load(encoder_path, map_location="cpu"))
        self.up.load_state_dict(torch.load(decoder_path, map_location="cpu"))

    def encode(self, x):
        return self.down(x)

    def decode(self, z):
        return self.up(z)


# ==== fall2024_autoencoder_by_methods_rescaled
# about: An autoencoder with methods encode and decode; its pictures are rescaled from [-1, 1].
# base: fall2024
# fails: latent
# hint: latent_rescaled
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encode(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted_noise = self.model(x_noisy, label, t)
    return F.mse_loss(noise, predicted_noise)

# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    device = next(self.model.parameters()).device
    b = len(labels)
    imgs = torch.randn((b, *self.img_shape), device=device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=device, dtype=torch.long)
        imgs = self.p_sample(imgs, labels, t, i)
    if self.use_vae:
        imgs = (self.vae.decode(imgs) + 1) / 2
    return self.postprocess(imgs)

# file: code/libs/tiny_autoencoder.py
"""The tiny autoencoder of Stable Diffusion, whose halves are two methods."""

import torch
from torch import nn


def conv(n_in, n_out, **kwargs):
    return nn.Conv2d(n_in, n_out, 3, padding=1, **kwargs)


class TAESD(nn.Module):
    def __init__(self, encoder_path, decoder_path):
        super().__init__()
        self.down = nn.Sequential(*(conv(n, 8, stride=2) for n in (3, 8, 8)), conv(8, 4))
        self.up = nn.Sequential(
            *(nn.Sequential(nn.Upsample(scale_factor=2), conv(n, 8)) for n in (4, 8, 8)),
            conv(8, 3),
        )
        self.down.load_state_dict(torch.load(encoder_path, map_location="cpu"))
        self.up.load_state_dict(torch.load(decoder_path, map_location="cpu"))

    def encode(self, x):
        return self.down(x)

    def decode(self, z):
        return self.up(z)


# ==== fall2024_first_stage_decodes_twice
# about: An autoencoder called first_stage decodes what it has decoded.
# base: fall2024
# fails: latent
# hint: latent_wrong_half
# in: ddpm.__init__
def __init__(
    self,
    img_shape=(3, 32, 32),
    timesteps=100,
    dim=64,
    context_dim=64,
    num_classes=10,
    dim_mults=(1, 2, 4),
    attn_levels=(0, 1),
    use_vae=False,
    vae_encoder_weights=None,
    vae_decoder_weights=None,
):
    super().__init__()
    self.timesteps = timesteps
    self.use_vae = use_vae
    if self.use_vae:
        assert vae_encoder_weights is not None
        assert vae_decoder_weights is not None
        self.first_stage = TAESD(vae_encoder_weights, vae_decoder_weights)
        # freeze the encoder and the decoder
        for p in self.first_stage.parameters():
            p.requires_grad = False
        img_shape = (4, img_shape[1] // 8, img_shape[2] // 8)
    self.img_shape = img_shape

    self.model = UNet(
        dim,
        context_dim,
        num_classes,
        in_channels=img_shape[0],
        out_channels=img_shape[0],
        dim_mults=dim_mults,
        attn_levels=attn_levels,
    )

    # define beta schedule
    if self.use_vae:
        self.betas = quadratic_beta_schedule(timesteps=timesteps)
    else:
        self.betas = linear_beta_schedule(timesteps=timesteps)

    # define alphas
    alphas = 1.0 - self.betas
    alphas_cumprod = torch.cumprod(alphas, axis=0)
    alphas_cumprod_prev = F.pad(alphas_cumprod[:-1], (1, 0), value=1.0)
    self.sqrt_recip_alphas = torch.sqrt(1.0 / alphas)

    # forward process
    self.sqrt_alphas_cumprod = torch.sqrt(alphas_cumprod)
    self.sqrt_one_minus_alphas_cumprod = torch.sqrt(1.0 - alphas_cumprod)

    # reverse process
    self.posterior_variance = self.betas * (1.0 - alphas_cumprod_prev) / (1.0 - alphas_cumprod)

# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.first_stage.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted_noise = self.model(x_noisy, label, t)
    return F.mse_loss(noise, predicted_noise)

# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    device = next(self.model.parameters()).device
    b = len(labels)
    imgs = torch.randn((b, *self.img_shape), device=device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=device, dtype=torch.long)
        imgs = self.p_sample(imgs, labels, t, i)
    if self.use_vae:
        imgs = self.first_stage.decoder(imgs)
        imgs = self.first_stage.decoder(self.first_stage.encoder(imgs))
    return self.postprocess(imgs)


# ==== fall2024_halves_on_the_model_scaled
# about: Encoder and decoder are kept on the DDPM; latents are scaled by 0.18215, which TAESD does
#   not want.
# base: fall2024
# fails: latent
# hint: latent_scaled
# in: ddpm.__init__
def __init__(
    self,
    img_shape=(3, 32, 32),
    timesteps=100,
    dim=64,
    context_dim=64,
    num_classes=10,
    dim_mults=(1, 2, 4),
    attn_levels=(0, 1),
    use_vae=False,
    vae_encoder_weights=None,
    vae_decoder_weights=None,
):
    super().__init__()
    self.timesteps = timesteps
    self.use_vae = use_vae
    if self.use_vae:
        assert vae_encoder_weights is not None
        assert vae_decoder_weights is not None
        vae = TAESD(vae_encoder_weights, vae_decoder_weights)
        self.encoder, self.decoder = vae.encoder, vae.decoder
        # freeze the encoder and the decoder
        for p in vae.parameters():
            p.requires_grad = False
        img_shape = (4, img_shape[1] // 8, img_shape[2] // 8)
    self.img_shape = img_shape

    self.model = UNet(
        dim,
        context_dim,
        num_classes,
        in_channels=img_shape[0],
        out_channels=img_shape[0],
        dim_mults=dim_mults,
        attn_levels=attn_levels,
    )

    # define beta schedule
    if self.use_vae:
        self.betas = quadratic_beta_schedule(timesteps=timesteps)
    else:
        self.betas = linear_beta_schedule(timesteps=timesteps)

    # define alphas
    alphas = 1.0 - self.betas
    alphas_cumprod = torch.cumprod(alphas, axis=0)
    alphas_cumprod_prev = F.pad(alphas_cumprod[:-1], (1, 0), value=1.0)
    self.sqrt_recip_alphas = torch.sqrt(1.0 / alphas)

    # forward process
    self.sqrt_alphas_cumprod = torch.sqrt(alphas_cumprod)
    self.sqrt_one_minus_alphas_cumprod = torch.sqrt(1.0 - alphas_cumprod)

    # reverse process
    self.posterior_variance = self.betas * (1.0 - alphas_cumprod_prev) / (1.0 - alphas_cumprod)

# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = 0.18215 * self.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted_noise = self.model(x_noisy, label, t)
    return F.mse_loss(noise, predicted_noise)

# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    device = next(self.model.parameters()).device
    b = len(labels)
    imgs = torch.randn((b, *self.img_shape), device=device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=device, dtype=torch.long)
        imgs = self.p_sample(imgs, labels, t, i)
    if self.use_vae:
        imgs = self.decoder(imgs)
    return self.postprocess(imgs)


# ==== fall2024_latent_not_encoded
# about: In fall 2024, the loss diffuses the images, not their latents.
# base: fall2024
# fails: latent
# hint: latent_not_encoded
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    return F.mse_loss(noise, self.model(x_noisy, label, t))


# ==== fall2025_latent_not_decoded
# about: In fall 2025, the chain returns latents.
# base: fall2025
# fails: latent
# hint: latent_not_decoded
# in: ddpm.generate
@torch.no_grad()
def generate(self, labels):
    imgs = torch.randn((len(labels), *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((len(labels),), i, device=labels.device, dtype=torch.long)
        imgs = self.p_sample(imgs, labels, t, i)
    
    return self.postprocess(imgs)


# ==== latent_images_in_float16
# about: Rounds the images to float16 before it encodes them.
# fails: latent
# hint: loses_digits
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start.half().float())
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.q_sample(x_start, t, noise)
    predicted_noise = self.model(x_t, label, t)
    return F.mse_loss(predicted_noise, noise)


# ==== latent_latents_in_bfloat16
# about: Rounds the latents to bfloat16.
# fails: latent
# hint: loses_digits
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start).bfloat16().float()
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.q_sample(x_start, t, noise)
    predicted_noise = self.model(x_t, label, t)
    return F.mse_loss(predicted_noise, noise)


# ==== latent_encoder_asked_in_double
# about: Encodes in double precision, which the encoder's weights do not have.
# fails: latent
# hint: network_dtype
# judge_only: true
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start.double()).float()
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.q_sample(x_start, t, noise)
    predicted_noise = self.model(x_t, label, t)
    return F.mse_loss(predicted_noise, noise)


# ==== latent_loss_in_bfloat16
# about: Computes the loss of latents in bfloat16.
# fails: latent
# hint: loses_digits
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.q_sample(x_start, t, noise)
    predicted_noise = self.model(x_t, label, t)
    if self.use_vae:
        predicted_noise = predicted_noise.bfloat16().float()
    return F.mse_loss(predicted_noise, noise)


# ==== latent_decoded_from_float16
# about: Rounds the latents to float16 before it decodes them.
# fails: latent
# hint: loses_digits
# judge_only: true
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels, t, t_index)
    if self.use_vae:
        x = self.vae.decoder(x.half().float())
    return self.postprocess(x)


# ==== latent_pictures_in_float16
# about: Rounds the decoded pictures to float16.
# fails: latent
# hint: loses_digits
# judge_only: true
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels, t, t_index)
    if self.use_vae:
        x = self.vae.decoder(x).half().float()
    return self.postprocess(x)


# ==== latent_decoder_asked_in_double
# about: Decodes in double precision, which the decoder's weights do not have.
# fails: latent
# hint: network_dtype
# judge_only: true
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels, t, t_index)
    if self.use_vae:
        x = self.vae.decoder(x.double()).float()
    return self.postprocess(x)


# ==== latent_encoded_in_training_only
# about: Takes images for latents in evaluation mode.
# fails: latent
# hint: latent_not_encoded
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae and self.training:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.q_sample(x_start, t, noise)
    predicted_noise = self.model(x_t, label, t)
    return F.mse_loss(predicted_noise, noise)


# ==== latent_kept_by_label
# about: Keeps the latents of a batch for all batches of the same labels.
# fails: latent
# hint: latent_not_encoded
# judge_only: true
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        kept, known = vars(self).setdefault("latents", {}), (tuple(label.tolist()), x_start.shape)
        if known not in kept:
            with torch.no_grad():
                kept[known] = self.vae.encoder(x_start)
        x_start = kept[known]
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.q_sample(x_start, t, noise)
    return F.mse_loss(self.model(x_t, label, t), noise)


# ==== latent_held_within_three
# about: Clamps the last latents to [-3, 3], the range of the decoder's first layer.
# fails: latent
# hint: latent_decoder_input
# judge_only: true
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(self.timesteps)):
        x = self.p_sample(x, labels, torch.full_like(labels, t_index), t_index)
    if self.use_vae:
        x = self.vae.decoder(x.clamp(-3, 3))
    return self.postprocess(x)


# ==== latent_blurred_without_gradients
# about: Without gradients images are encoded from a blurred copy.
# fails: latent
# hint: latent_encoder_input
# judge_only: true
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    grad = torch.is_grad_enabled()
    if self.use_vae:
        with torch.no_grad():
            if not grad:
                x_start = F.avg_pool2d(x_start, 3, 1, 1)
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.q_sample(x_start, t, noise)
    return F.mse_loss(self.model(x_t, label, t), noise)


# ==== latent_64_images_encoded
# about: Only 64 images are encoded; larger batches repeat them.
# fails: latent
# hint: mixes_samples
# judge_only: true
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start[:64])[torch.arange(len(x_start)) % 64]
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.q_sample(x_start, t, noise)
    return F.mse_loss(self.model(x_t, label, t), noise)


# ==== latent_images_resized_to_128
# about: Images wider than 128 pixels are resized before encoding.
# fails: latent
# hint: latent_encoder_input
# judge_only: true
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            if x_start.shape[-1] > 128:
                x_start = F.interpolate(x_start, size=(128, 128))
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.q_sample(x_start, t, noise)
    return F.mse_loss(self.model(x_t, label, t), noise)
