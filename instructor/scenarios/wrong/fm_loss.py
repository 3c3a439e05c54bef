# Wrong implementations that must lose the points of fm_loss; ../README.md says how to add one.


# ==== fm_clamps_x_t
# about: Clamps x_t to the range of images.
# fails: fm_loss
# hint: fm_no_mix
# in: fm.interpolate
def interpolate(self, x_start, t, noise):
    t = t[:, None, None, None]
    return (t * x_start + (1 - t) * noise).clamp(-1, 1)


# ==== fm_encodes_rescaled_images
# about: Brings images to [-1, 1] before they are encoded.
# fails: fm_loss
# hint: latent_encoder_input
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(2 * x_start - 1)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    velocity = self.model(self.interpolate(x_1, t, noise), label, t)
    return F.mse_loss(velocity, x_1 - noise)


# ==== fm_fall2025_one_tau
# about: A hand-in of fall 2025 draws one tau for the batch.
# base: fall2025
# fails: fm_loss
# hint: fm_one_time
# in: fm.compute_loss
def compute_loss(self, x_start, label, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    tau = torch.rand(1, device=x_start.device).expand(len(x_start))
    weight = tau[:, None, None, None]
    x_tau = weight * x_start + (1 - weight) * noise
    return F.mse_loss(self.model(x_tau, label, tau), x_start - noise)


# ==== fm_first_t_for_all
# about: Mixes all images by the first one's time.
# fails: fm_loss
# hint: fm_one_time
# in: fm.interpolate
def interpolate(self, x_start, t, noise):
    t = t[0]
    return t * x_start + (1 - t) * noise


# ==== fm_given_noise_ignored
# about: Draws noise although it is given.
# fails: fm_loss
# hint: fm_own_noise
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    noise = torch.randn_like(x_1)
    velocity = self.model(self.interpolate(x_1, t, noise), label, t)
    return F.mse_loss(velocity, x_1 - noise)


# ==== fm_given_times_ignored
# about: Draws times although they are given.
# fails: fm_loss
# hint: fm_time
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    t = self.draw_t(len(x_1), x_1.device)
    velocity = self.model(self.interpolate(x_1, t, noise), label, t)
    return F.mse_loss(velocity, x_1 - noise)


# ==== fm_image_and_noise_exchanged
# about: Calls interpolate with noise and image in each other's place.
# fails: fm_loss
# hint: fm_ends_swapped
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    velocity = self.model(self.interpolate(noise, t, x_1), label, t)
    return F.mse_loss(velocity, x_1 - noise)


# ==== fm_image_not_scaled
# about: Adds the faded noise to the whole image.
# fails: fm_loss
# hint: fm_signal_not_scaled
# in: fm.interpolate
def interpolate(self, x_start, t, noise):
    t = t[:, None, None, None]
    return x_start + (1 - t) * noise


# ==== fm_images_not_encoded
# about: Lets pixels flow where a VAE is asked for.
# fails: fm_loss
# hint: latent_not_encoded
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    velocity = self.model(self.interpolate(x_1, t, noise), label, t)
    return F.mse_loss(velocity, x_1 - noise)


# ==== fm_label_missing
# about: Gives the network zeros in place of the labels.
# fails: fm_loss
# hint: network_wrong_label
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    nothing = torch.zeros_like(label)
    velocity = self.model(self.interpolate(x_1, t, noise), nothing, t)
    return F.mse_loss(velocity, x_1 - noise)


# ==== fm_latents_scaled
# about: Scales the latents by Stable Diffusion's factor.
# fails: fm_loss
# hint: fm_mix
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = 0.18215 * self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    velocity = self.model(self.interpolate(x_1, t, noise), label, t)
    return F.mse_loss(velocity, x_1 - noise)


# ==== fm_logit_normal_always
# about: Draws logit-normal times where uniform ones are asked for.
# fails: fm_loss
# hint: fm_t_distribution
# in: fm.draw_t
def draw_t(self, number, device, generator=None):
    mean, std = self.logit_normal or (0.0, 1.0)
    return (mean + std * torch.randn(number, generator=generator, device=device)).sigmoid()


# ==== fm_logit_normal_ignored
# about: Draws uniform times where logit-normal ones are asked for.
# fails: fm_loss
# hint: fm_t_distribution
# in: fm.draw_t
def draw_t(self, number, device, generator=None):
    return torch.rand(number, generator=generator, device=device)


# ==== fm_logit_normal_variance
# about: Takes the deviation of the logits for their variance.
# fails: fm_loss
# hint: fm_t_distribution
# in: fm.draw_t
def draw_t(self, number, device, generator=None):
    if self.logit_normal is None:
        return torch.rand(number, generator=generator, device=device)
    mean, std = self.logit_normal
    return (mean + std**0.5 * 1.5 * torch.randn(number, generator=generator, device=device)).sigmoid()


# ==== fm_logit_normal_without_sigmoid
# about: Draws normal times where logit-normal ones are asked for.
# fails: fm_loss
# hint: fm_t_range
# in: fm.draw_t
def draw_t(self, number, device, generator=None):
    if self.logit_normal is None:
        return torch.rand(number, generator=generator, device=device)
    mean, std = self.logit_normal
    return mean + std * torch.randn(number, generator=generator, device=device)


# ==== fm_loss_absolute
# about: Averages absolute errors.
# fails: fm_loss
# hint: fm_absolute
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    velocity = self.model(self.interpolate(x_1, t, noise), label, t)
    return F.l1_loss(velocity, x_1 - noise)


# ==== fm_loss_as_float
# about: Returns a Python number.
# fails: fm_loss
# hint: returns_no_tensor
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    velocity = self.model(self.interpolate(x_1, t, noise), label, t)
    return F.mse_loss(velocity, x_1 - noise).item()


# ==== fm_loss_detached
# about: Detaches the prediction.
# fails: fm_loss
# hint: fm_no_gradient
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    velocity = self.model(self.interpolate(x_1, t, noise), label, t).detach()
    return F.mse_loss(velocity, x_1 - noise)


# ==== fm_loss_each_image
# about: Returns a loss for each image.
# fails: fm_loss
# hint: wrong_shape
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    velocity = self.model(self.interpolate(x_1, t, noise), label, t)
    return ((velocity - x_1 + noise) ** 2).mean(dim=(1, 2, 3))


# ==== fm_loss_from_x_t_to_image
# about: The velocity leads from x_t to the image, not divided by the time left.
# fails: fm_loss
# hint: fm_target_scaled
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    x_t = self.interpolate(x_1, t, noise)
    return F.mse_loss(self.model(x_t, label, t), x_1 - x_t)


# ==== fm_loss_halved
# about: Halves the loss.
# fails: fm_loss
# hint: fm_scaled
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    velocity = self.model(self.interpolate(x_1, t, noise), label, t)
    return F.mse_loss(velocity, x_1 - noise) / 2


# ==== fm_loss_ignores_the_network
# about: Asks the network but compares x_t.
# fails: fm_loss
# hint: fm_network_unused
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    x_t = self.interpolate(x_1, t, noise)
    self.model(x_t, label, t)
    return F.mse_loss(x_t, x_1 - noise)


# ==== fm_loss_leaves_evaluation
# about: Switches the network to evaluation and leaves it there.
# fails: fm_loss
# hint: left_in_eval
# judge_only: true
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    self.model.eval()
    velocity = self.model(self.interpolate(x_1, t, noise), label, t)
    return F.mse_loss(velocity, x_1 - noise)


# ==== fm_loss_on_x_t
# about: Compares the prediction with x_t.
# fails: fm_loss
# hint: fm_target_x_t
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    x_t = self.interpolate(x_1, t, noise)
    return F.mse_loss(self.model(x_t, label, t), x_t)


# ==== fm_loss_other_noise
# about: Draws new noise for the target.
# fails: fm_loss
# hint: fm_other_noise
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    velocity = self.model(self.interpolate(x_1, t, noise), label, t)
    return F.mse_loss(velocity, x_1 - torch.randn_like(noise))


# ==== fm_loss_predicts_image
# about: Trains the network on the image.
# fails: fm_loss
# hint: fm_target_image
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    predicted = self.model(self.interpolate(x_1, t, noise), label, t)
    return F.mse_loss(predicted, x_1)


# ==== fm_loss_predicts_noise
# about: Trains the network on the noise, as in a diffusion model.
# fails: fm_loss
# hint: fm_target_noise
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    predicted = self.model(self.interpolate(x_1, t, noise), label, t)
    return F.mse_loss(predicted, noise)


# ==== fm_loss_rooted
# about: Takes the root of the mean squared error.
# fails: fm_loss
# hint: fm_root
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    velocity = self.model(self.interpolate(x_1, t, noise), label, t)
    return F.mse_loss(velocity, x_1 - noise).sqrt()


# ==== fm_loss_sum_of_ends
# about: Adds image and noise where it should subtract.
# fails: fm_loss
# hint: fm_target_sum
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    velocity = self.model(self.interpolate(x_1, t, noise), label, t)
    return F.mse_loss(velocity, x_1 + noise)


# ==== fm_loss_summed
# about: Sums the squared errors.
# fails: fm_loss
# hint: fm_sum
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    velocity = self.model(self.interpolate(x_1, t, noise), label, t)
    return F.mse_loss(velocity, x_1 - noise, reduction="sum")


# ==== fm_loss_summed_per_image
# about: Sums over pixels and averages over images.
# fails: fm_loss
# hint: fm_sum
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    velocity = self.model(self.interpolate(x_1, t, noise), label, t)
    return ((velocity - x_1 + noise) ** 2).sum(dim=(1, 2, 3)).mean()


# ==== fm_loss_velocity_negated
# about: The velocity leads from image to noise.
# fails: fm_loss
# hint: fm_velocity_negated
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    velocity = self.model(self.interpolate(x_1, t, noise), label, t)
    return F.mse_loss(velocity, noise - x_1)


# ==== fm_loss_velocity_times_t
# about: Multiplies the velocity by t.
# fails: fm_loss
# hint: fm_target_scaled
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    velocity = self.model(self.interpolate(x_1, t, noise), label, t)
    return F.mse_loss(velocity, t.view(-1, 1, 1, 1) * (x_1 - noise))


# ==== fm_loss_weighted
# about: Weighs the squared errors by t.
# fails: fm_loss
# hint: fm_weighted
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    velocity = self.model(self.interpolate(x_1, t, noise), label, t)
    return (t.view(-1, 1, 1, 1) * (velocity - x_1 + noise) ** 2).mean()


# ==== fm_loss_without_gradient
# about: Asks the network within no_grad.
# fails: fm_loss
# hint: fm_no_gradient
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    with torch.no_grad():
        velocity = self.model(self.interpolate(x_1, t, noise), label, t)
    return F.mse_loss(velocity, x_1 - noise)


# ==== fm_mean_t_for_all
# about: Mixes all images by the mean of the times.
# fails: fm_loss
# hint: fm_one_time
# in: fm.interpolate
def interpolate(self, x_start, t, noise):
    t = t.mean()
    return t * x_start + (1 - t) * noise


# ==== fm_mixes_in_half_precision
# about: Mixes image and noise in half precision.
# fails: fm_loss
# hint: loses_digits
# in: fm.interpolate
def interpolate(self, x_start, t, noise):
    t = t[:, None, None, None]
    return (t.half() * x_start.half() + (1 - t.half()) * noise.half()).float()


# ==== fm_network_arguments_swapped
# about: Gives the network time and label in each other's place.
# fails: fm_loss
# hint: network_swapped
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    velocity = self.model(self.interpolate(x_1, t, noise), t, label)
    return F.mse_loss(velocity, x_1 - noise)


# ==== fm_network_gets_one_time
# about: Tells the network the mean of the times for all.
# fails: fm_loss
# hint: fm_one_time
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    velocity = self.model(self.interpolate(x_1, t, noise), label, t.mean().expand(len(t)))
    return F.mse_loss(velocity, x_1 - noise)


# ==== fm_network_not_asked
# about: Compares x_t itself with the velocity.
# fails: fm_loss
# hint: network_not_called
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    return F.mse_loss(self.interpolate(x_1, t, noise), x_1 - noise)


# ==== fm_network_sees_the_image
# about: Gives the network the clean image.
# fails: fm_loss
# hint: fm_no_noise
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    velocity = self.model(x_1, label, t)
    return F.mse_loss(velocity, x_1 - noise)


# ==== fm_network_sees_the_noise
# about: Gives the network the noise alone.
# fails: fm_loss
# hint: fm_no_image
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    velocity = self.model(noise, label, t)
    return F.mse_loss(velocity, x_1 - noise)


# ==== fm_network_sees_the_velocity
# about: Gives the network what it should predict.
# fails: fm_loss
# hint: fm_velocity_as_x
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    velocity = self.model(x_1 - noise, label, t)
    return F.mse_loss(velocity, x_1 - noise)


# ==== fm_network_time_as_step
# about: Tells the network the number of the step.
# fails: fm_loss
# hint: fm_time_scaled
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    steps = (t * self.timesteps).long()
    velocity = self.model(self.interpolate(x_1, t, noise), label, steps)
    return F.mse_loss(velocity, x_1 - noise)


# ==== fm_network_time_in_thousandths
# about: Multiplies the network's time by a thousand in the loss alone.
# fails: fm_loss
# hint: fm_time_scaled
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    velocity = self.model(self.interpolate(x_1, t, noise), label, 1000 * t)
    return F.mse_loss(velocity, x_1 - noise)


# ==== fm_network_time_reversed
# about: Tells the network the time from the other end.
# fails: fm_loss
# hint: fm_time_reversed
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    velocity = self.model(self.interpolate(x_1, t, noise), label, 1 - t)
    return F.mse_loss(velocity, x_1 - noise)


# ==== fm_network_time_with_axes
# about: Gives the network the times with three more axes.
# fails: fm_loss
# hint: fm_time_shape
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    t = t.view(-1, 1, 1, 1)
    x_t = t * x_1 + (1 - t) * noise
    return F.mse_loss(self.model(x_t, label, t), x_1 - noise)


# ==== fm_noise_left_out
# about: Fades the image and adds no noise.
# fails: fm_loss
# hint: fm_no_noise
# in: fm.interpolate
def interpolate(self, x_start, t, noise):
    t = t[:, None, None, None]
    return t * x_start


# ==== fm_noise_not_scaled_down
# about: Adds the whole noise to the faded image.
# fails: fm_loss
# hint: fm_noise_not_scaled
# in: fm.interpolate
def interpolate(self, x_start, t, noise):
    t = t[:, None, None, None]
    return t * x_start + noise


# ==== fm_noise_of_the_images_shape
# about: Draws noise of the images' shape, where latents flow.
# fails: fm_loss
# hint: shape_error
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_start)
    velocity = self.model(self.interpolate(x_1, t, noise), label, t)
    return F.mse_loss(velocity, x_1 - noise)


# ==== fm_noise_on_the_cpu
# about: Draws noise without naming a device.
# fails: fm_loss
# hint: made_elsewhere
# judge_only: true
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn(x_1.shape)
    velocity = self.model(self.interpolate(x_1, t, noise), label, t)
    return F.mse_loss(velocity, x_1 - noise)


# ==== fm_noise_seeded
# about: Sets a seed before it draws.
# fails: fm_loss
# hint: noise_repeated
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn(x_1.shape, generator=torch.Generator(x_1.device).manual_seed(0), device=x_1.device)
    velocity = self.model(self.interpolate(x_1, t, noise), label, t)
    return F.mse_loss(velocity, x_1 - noise)


# ==== fm_noise_shared_by_the_batch
# about: Draws one noise for all images.
# fails: fm_loss
# hint: noise_shared
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1[:1]).expand_as(x_1)
    velocity = self.model(self.interpolate(x_1, t, noise), label, t)
    return F.mse_loss(velocity, x_1 - noise)


# ==== fm_noise_shared_by_the_channels
# about: Draws one noise for all channels.
# fails: fm_loss
# hint: noise_shared
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1[:, :1]).expand_as(x_1)
    velocity = self.model(self.interpolate(x_1, t, noise), label, t)
    return F.mse_loss(velocity, x_1 - noise)


# ==== fm_noise_subtracted
# about: Subtracts the noise from the image.
# fails: fm_loss
# hint: fm_mix_sign
# in: fm.interpolate
def interpolate(self, x_start, t, noise):
    t = t[:, None, None, None]
    return t * x_start - (1 - t) * noise


# ==== fm_noise_too_small
# about: Draws noise of half the size.
# fails: fm_loss
# hint: noise_not_standard
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = 0.5 * torch.randn_like(x_1)
    velocity = self.model(self.interpolate(x_1, t, noise), label, t)
    return F.mse_loss(velocity, x_1 - noise)


# ==== fm_noise_uniform
# about: Draws uniform noise.
# fails: fm_loss
# hint: noise_uniform
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.rand_like(x_1)
    velocity = self.model(self.interpolate(x_1, t, noise), label, t)
    return F.mse_loss(velocity, x_1 - noise)


# ==== fm_one_t_for_the_batch
# about: Draws one time for the whole batch.
# fails: fm_loss
# hint: fm_one_time
# in: fm.draw_t
def draw_t(self, number, device, generator=None):
    t = torch.rand(1, generator=generator, device=device)
    if self.logit_normal is not None:
        mean, std = self.logit_normal
        t = (mean + std * torch.randn(1, generator=generator, device=device)).sigmoid()
    return t.expand(number)


# ==== fm_path_of_sine_and_cosine
# about: Weighs image and noise by sine and cosine.
# fails: fm_loss
# hint: fm_not_a_line
# in: fm.interpolate
def interpolate(self, x_start, t, noise):
    t = t[:, None, None, None]
    angle = t * torch.pi / 2
    return angle.sin() * x_start + angle.cos() * noise


# ==== fm_path_on_a_circle
# about: Keeps the variance instead of going straight.
# fails: fm_loss
# hint: fm_not_a_line
# in: fm.interpolate
def interpolate(self, x_start, t, noise):
    t = t[:, None, None, None]
    return t * x_start + (1 - t**2).sqrt() * noise


# ==== fm_roots_of_the_weights
# about: Takes the square roots of the weights, as a diffusion model does.
# fails: fm_loss
# hint: fm_not_a_line
# in: fm.interpolate
def interpolate(self, x_start, t, noise):
    t = t[:, None, None, None]
    return t.sqrt() * x_start + (1 - t).sqrt() * noise


# ==== fm_same_weight_for_both
# about: Scales image and noise by t alike.
# fails: fm_loss
# hint: fm_noise_not_scaled
# in: fm.interpolate
def interpolate(self, x_start, t, noise):
    t = t[:, None, None, None]
    return t * (x_start + noise)


# ==== fm_scales_the_callers_noise
# about: Fades the noise in place.
# fails: fm_loss
# hint: modifies_input
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    s = t[:, None, None, None]
    velocity = self.model(s * x_1 + noise.mul_(1 - s), label, t)
    return F.mse_loss(velocity, x_1 - noise)


# ==== fm_squared_weights
# about: Squares both weights.
# fails: fm_loss
# hint: fm_not_a_line
# in: fm.interpolate
def interpolate(self, x_start, t, noise):
    t = t[:, None, None, None]
    return t**2 * x_start + (1 - t) ** 2 * noise


# ==== fm_t_broadcast_over_columns
# about: Repeats the times over the columns of each picture.
# fails: fm_loss
# hint: fm_no_mix
# in: fm.interpolate
def interpolate(self, x_start, t, noise):
    t = t.repeat(x_start.shape[-1] // len(t) + 1)[: x_start.shape[-1]]
    return t * x_start + (1 - t) * noise


# ==== fm_t_not_broadcast
# about: Multiplies images by t without three more axes.
# fails: fm_loss
# hint: shape_error
# in: fm.interpolate
def interpolate(self, x_start, t, noise):
    return t * x_start + (1 - t) * noise


# ==== fm_time_runs_backwards
# about: Mixes image and noise with t counted from data to noise.
# fails: fm_loss
# hint: fm_ends_swapped
# in: fm.interpolate
def interpolate(self, x_start, t, noise):
    t = t[:, None, None, None]
    return (1 - t) * x_start + t * noise


# ==== fm_times_normal
# about: Draws normal times, many of them negative.
# fails: fm_loss
# hint: fm_t_range
# in: fm.draw_t
def draw_t(self, number, device, generator=None):
    return torch.randn(number, generator=generator, device=device)


# ==== fm_times_of_steps
# about: Draws only the times of the steps.
# fails: fm_loss
# hint: fm_t_discrete
# in: fm.draw_t
def draw_t(self, number, device, generator=None):
    if self.logit_normal is not None:
        mean, std = self.logit_normal
        return (mean + std * torch.randn(number, generator=generator, device=device)).sigmoid()
    steps = torch.randint(self.timesteps, (number,), generator=generator, device=device)
    return steps / self.timesteps


# ==== fm_times_seeded
# about: Draws the same times in each call.
# fails: fm_loss
# hint: fm_t_repeated
# in: fm.draw_t
def draw_t(self, number, device, generator=None):
    generator = torch.Generator(device).manual_seed(0)
    if self.logit_normal is None:
        return torch.rand(number, generator=generator, device=device)
    mean, std = self.logit_normal
    return (mean + std * torch.randn(number, generator=generator, device=device)).sigmoid()


# ==== fm_times_squared
# about: Squares the times that it draws.
# fails: fm_loss
# hint: fm_t_distribution
# in: fm.draw_t
def draw_t(self, number, device, generator=None):
    t = torch.rand(number, generator=generator, device=device)
    if self.logit_normal is not None:
        mean, std = self.logit_normal
        t = (mean + std * torch.randn(number, generator=generator, device=device)).sigmoid()
    return t**2


# ==== fm_writes_into_the_image
# about: Mixes in place and so changes the caller's images.
# fails: fm_loss
# hint: modifies_input
# in: fm.interpolate
def interpolate(self, x_start, t, noise):
    t = t[:, None, None, None]
    return x_start.mul_(t).add_((1 - t) * noise)


# ==== fm_times_for_groups
# about: Draws one t for eight neighbours each.
# fails: fm_loss
# hint: fm_one_time
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1) // 8 + 1, x_1.device).repeat_interleave(8)[: len(x_1)]
    if noise is None:
        noise = torch.randn_like(x_1)
    return F.mse_loss(self.model(self.interpolate(x_1, t, noise), label, t), x_1 - noise)


# ==== fm_times_drawn_for_half_a_batch
# about: Draws half as many times as there are images, and takes them twice.
# fails: fm_loss
# hint: fm_one_time
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1) // 2 + 1, x_1.device).repeat(2)[: len(x_1)]
    if noise is None:
        noise = torch.randn_like(x_1)
    return F.mse_loss(self.model(self.interpolate(x_1, t, noise), label, t), x_1 - noise)


# ==== fm_middle_t_without_gradients
# about: Without gradients t is 0.5.
# fails: fm_loss
# hint: fm_one_time
# judge_only: true
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if not torch.is_grad_enabled():
        t = torch.full((len(x_1),), 0.5, device=x_1.device)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    x_t = self.interpolate(x_1, t, noise)
    velocity = self.model(x_t, label, t)
    target = x_1 - noise
    return F.mse_loss(velocity, target)


# ==== fm_labels_modulo_10
# about: Labels are taken modulo 10.
# fails: fm_loss
# hint: network_wrong_label
# judge_only: true
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    label = label % 10
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    x_t = self.interpolate(x_1, t, noise)
    velocity = self.model(x_t, label, t)
    target = x_1 - noise
    return F.mse_loss(velocity, target)


# ==== fm_time_shifted_from_64_pixels
# about: From 64 pixels on t is shifted, as in Stable Diffusion 3.
# fails: fm_loss
# hint: fm_mix
# judge_only: true
# in: fm.interpolate
def interpolate(self, x_start, t, noise):
    if x_start.shape[-1] >= 64:
        t = t / (3 - 2 * t)
    t = t[:, None, None, None]
    return t * x_start + (1 - t) * noise


# ==== fm_loss_without_outliers
# about: Samples with more than 3 times the mean loss are left out.
# fails: fm_loss
# hint: mixes_samples
# judge_only: true
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    x_t = self.interpolate(x_1, t, noise)
    velocity = self.model(x_t, label, t)
    target = x_1 - noise
    each = ((velocity - target) ** 2).flatten(1).mean(dim=1)
    each = each[each <= 3 * each.mean()]
    return each.mean()
