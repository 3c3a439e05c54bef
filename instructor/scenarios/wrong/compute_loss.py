# Wrong implementations that must lose the points of compute_loss; ../README.md says how to add one.


# ==== loss_absolute_in_evaluation
# about: Reports the mean absolute error in evaluation mode.
# fails: compute_loss
# may_fail: latent
# hint: loss_absolute
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.q_sample(x_start, t, noise)
    predicted_noise = self.model(x_t, label, t)
    return F.mse_loss(predicted_noise, noise) if self.training else F.l1_loss(predicted_noise, noise)


# ==== loss_as_float
# about: Returns a Python number, which cannot be trained with.
# fails: compute_loss
# may_fail: latent
# hint: returns_no_tensor
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, noise).item()


# ==== loss_detached
# about: Detaches the prediction, so that no gradient arrives.
# fails: compute_loss
# may_fail: latent
# hint: loss_no_gradient
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t).detach()
    return F.mse_loss(predicted, noise)


# ==== loss_each_pixel
# about: Returns the squared errors without averaging.
# fails: compute_loss
# may_fail: latent
# hint: wrong_shape
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, noise, reduction="none")


# ==== loss_each_sample
# about: Returns one value per sample instead of one for the batch.
# fails: compute_loss
# may_fail: latent
# hint: wrong_shape
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return ((predicted - noise) ** 2).mean(dim=(1, 2, 3))


# ==== loss_error_cut_off
# about: Cuts each error off at ten.
# fails: compute_loss
# may_fail: latent
# hint: large_numbers
# judge_only: true
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.q_sample(x_start, t, noise)
    predicted_noise = self.model(x_t, label, t)
    return ((predicted_noise - noise) ** 2).clamp(max=100).mean()


# ==== loss_error_not_squared
# about: Averages the signed error, which cancels.
# fails: compute_loss
# may_fail: latent
# hint: loss_root
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return (predicted - noise).mean()


# ==== loss_first_channel_only
# about: Compares the first channel only.
# fails: compute_loss
# may_fail: latent
# hint: loss_value
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted[:, 0], noise[:, 0])


# ==== loss_first_sample_only
# about: Compares the first sample of the batch only.
# fails: compute_loss
# may_fail: latent
# hint: loss_value
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted[0], noise[0])


# ==== loss_fresh_noise_for_target
# about: Draws new noise to compare with.
# fails: compute_loss
# may_fail: latent
# hint: loss_other_noise
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, torch.randn_like(noise))


# ==== loss_halved
# about: Halves the mean squared error.
# fails: compute_loss
# may_fail: latent
# hint: loss_scaled
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return 0.5 * F.mse_loss(predicted, noise)


# ==== loss_ignores_given_noise
# about: Always draws its own noise, even where noise is given.
# fails: compute_loss
# may_fail: latent
# hint: loss_own_noise
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, noise)


# ==== loss_images_rescaled
# about: Maps the images to [-1, 1] although they come in [-1, 1].
# fails: compute_loss
# hint: loss_x_start_changed
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if not self.use_vae:
        x_start = 2 * x_start - 1
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, noise)


# ==== loss_in_half_precision
# about: Computes the error in half precision.
# fails: compute_loss
# may_fail: latent
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
    return F.mse_loss(predicted_noise.half(), noise.half()).to(noise.dtype)


# ==== loss_l1
# about: Takes the mean absolute error.
# fails: compute_loss
# may_fail: latent
# hint: loss_absolute
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.l1_loss(predicted, noise)


# ==== loss_label_and_time_swapped
# about: Gives the network label and time in the wrong order.
# fails: compute_loss
# may_fail: latent
# hint: network_swapped
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, t, label)
    return F.mse_loss(predicted, noise)


# ==== loss_label_dropped_at_random
# about: Replaces labels by class 0 at random, as for guidance.
# fails: compute_loss
# may_fail: latent
# hint: network_wrong_label
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    label = label * (torch.rand(len(label), device=label.device) < 0.5)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, noise)


# ==== loss_label_ignored
# about: Gives the network class 0 for every sample.
# fails: compute_loss
# may_fail: latent
# hint: network_wrong_label
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, torch.zeros_like(label), t)
    return F.mse_loss(predicted, noise)


# ==== loss_mean_before_square
# about: Averages first and then squares.
# fails: compute_loss
# may_fail: latent
# hint: loss_value
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return (predicted.mean() - noise.mean()) ** 2


# ==== loss_negative
# about: Returns the negative error, so that training makes it worse.
# fails: compute_loss
# may_fail: latent
# hint: loss_scaled
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return -F.mse_loss(predicted, noise)


# ==== loss_network_frozen
# about: Leaves the network's parameters without gradients.
# fails: compute_loss
# may_fail: latent
# hint: loss_no_gradient
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.q_sample(x_start, t, noise)
    predicted_noise = self.model(x_t, label, t)
    return F.mse_loss(predicted_noise, noise) + 0 * len(list(self.model.requires_grad_(False).parameters()))


# ==== loss_network_left_in_training
# about: Puts the network into training mode whatever mode it was in.
# fails: compute_loss
# may_fail: latent
# hint: left_in_eval
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    self.model.train()
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.q_sample(x_start, t, noise)
    return F.mse_loss(self.model(x_t, label, t), noise)


# ==== loss_network_sees_clamped
# about: Clamps x_t to [-1, 1] before the network sees it.
# fails: compute_loss
# may_fail: latent
# hint: network_wrong_x
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy.clamp(-1, 1), label, t)
    return F.mse_loss(predicted, noise)


# ==== loss_network_sees_clean_image
# about: Gives the network x_0 instead of x_t.
# fails: compute_loss
# may_fail: latent
# hint: network_wrong_x
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_start, label, t)
    return F.mse_loss(predicted, noise)


# ==== loss_network_sees_noise
# about: Gives the network the noise it should predict.
# fails: compute_loss
# may_fail: latent
# hint: network_wrong_x
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(noise, label, t)
    return F.mse_loss(predicted, noise)


# ==== loss_network_time_as_fraction
# about: Gives the network t / T instead of t.
# fails: compute_loss
# may_fail: latent
# hint: network_wrong_time
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t.float() / self.timesteps)
    return F.mse_loss(predicted, noise)


# ==== loss_network_time_off_by_one
# about: Gives the network t + 1, the paper's counting.
# fails: compute_loss
# may_fail: latent
# hint: network_wrong_time
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t + 1)
    return F.mse_loss(predicted, noise)


# ==== loss_network_time_zero
# about: Gives the network time 0 for every sample.
# fails: compute_loss
# may_fail: latent
# hint: network_wrong_time
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, torch.zeros_like(t))
    return F.mse_loss(predicted, noise)


# ==== loss_noise_not_passed_on
# about: Does not pass the noise to q_sample, which then draws its own.
# fails: compute_loss
# may_fail: latent
# hint: loss_noise_not_passed
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, noise)


# ==== loss_noise_of_alternating_sign
# about: Keeps one noise and flips its sign in every call.
# fails: compute_loss
# may_fail: latent
# hint: noise_repeated
# judge_only: true
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        kept = getattr(self, "kept", {})
        if x_start.shape not in kept:
            kept[x_start.shape] = torch.randn_like(x_start)
        noise = kept[x_start.shape] = -kept[x_start.shape]
        self.kept = kept
    x_t = self.q_sample(x_start, t, noise)
    return F.mse_loss(self.model(x_t, label, t), noise)


# ==== loss_noise_of_half_the_rows
# about: Draws noise for half of the rows and repeats it for the others.
# fails: compute_loss
# may_fail: latent
# hint: noise_correlated
# judge_only: true
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start[:, :, : x_start.shape[2] // 2]).tile(1, 1, 2, 1)
    x_t = self.q_sample(x_start, t, noise)
    predicted_noise = self.model(x_t, label, t)
    return F.mse_loss(predicted_noise, noise)


# ==== loss_noise_on_the_cpu
# about: Draws the noise on the CPU, wherever the images are.
# fails: compute_loss
# may_fail: latent
# hint: made_elsewhere
# judge_only: true
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn(x_start.shape)
    x_t = self.q_sample(x_start, t, noise)
    predicted_noise = self.model(x_t, label, t)
    return F.mse_loss(predicted_noise, noise)


# ==== loss_noise_tails_cut
# about: Draws its noise from a truncated normal distribution.
# fails: compute_loss
# may_fail: latent
# hint: noise_uniform
# judge_only: true
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.nn.init.trunc_normal_(torch.empty_like(x_start), a=-3, b=3)
    x_t = self.q_sample(x_start, t, noise)
    predicted_noise = self.model(x_t, label, t)
    return F.mse_loss(predicted_noise, noise)


# ==== loss_norm
# about: Takes the Euclidean norm of the difference.
# fails: compute_loss
# may_fail: latent
# hint: loss_root
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return torch.norm(predicted - noise)


# ==== loss_of_sixteen_samples
# about: Averages over the first 16 samples of a batch.
# fails: compute_loss
# may_fail: latent
# hint: mixes_samples
# judge_only: true
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.q_sample(x_start, t, noise)
    predicted_noise = self.model(x_t, label, t)
    return F.mse_loss(predicted_noise[:16], noise[:16])


# ==== loss_one_noise_for_the_batch
# about: Draws one noise image for the whole batch where none is given.
# fails: compute_loss
# may_fail: latent
# hint: noise_shared
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start[:1]).expand_as(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, noise)


# ==== loss_rescaled_in_place
# about: Normalises the batch in place and so changes the caller's images.
# fails: compute_loss
# may_fail: latent
# hint: loss_x_start_changed
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    x_start -= x_start.mean()
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, noise)


# ==== loss_root
# about: Takes the root of the mean squared error.
# fails: compute_loss
# may_fail: latent
# hint: loss_root
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return torch.sqrt(F.mse_loss(predicted, noise))


# ==== loss_smooth_l1
# about: Takes the smooth L1 (Huber) loss.
# fails: compute_loss
# may_fail: latent
# hint: loss_absolute
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.smooth_l1_loss(predicted, noise)


# ==== loss_sum
# about: Sums the squared errors instead of averaging.
# fails: compute_loss
# may_fail: latent
# hint: loss_sum
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, noise, reduction="sum")


# ==== loss_sum_over_pixels
# about: Sums over pixels and averages over the batch alone.
# fails: compute_loss
# may_fail: latent
# hint: loss_sum
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return ((predicted - noise) ** 2).sum(dim=(1, 2, 3)).mean()


# ==== loss_t_drawn_again
# about: Draws its own t although t is an argument.
# fails: compute_loss
# may_fail: latent
# hint: loss_wrong_t
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    t = torch.randint(0, self.timesteps, t.shape, device=t.device)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, noise)


# ==== loss_t_of_the_first
# about: Uses the first sample's t for the whole batch.
# fails: compute_loss
# may_fail: latent
# hint: loss_wrong_t
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    t = t[:1].expand_as(t)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, noise)


# ==== loss_target_difference
# about: Compares the prediction with x_t - x_0, the noise as it was scaled.
# fails: compute_loss
# may_fail: latent
# hint: loss_wrong_target
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, x_noisy - x_start)


# ==== loss_target_velocity
# about: Trains on v = sqrt(alpha_bar) eps - sqrt(1 - alpha_bar) x_0 instead of eps.
# fails: compute_loss
# may_fail: latent
# hint: loss_wrong_target
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(
        predicted,
        self._extract(self.sqrt_alphas_cumprod, t, noise.shape) * noise
        - self._extract(self.sqrt_one_minus_alphas_cumprod, t, noise.shape) * x_start,
    )


# ==== loss_target_x_start
# about: Compares the prediction with the clean image.
# fails: compute_loss
# may_fail: latent
# hint: loss_wrong_target
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, x_start)


# ==== loss_target_x_t
# about: Compares the prediction with the noisy image.
# fails: compute_loss
# may_fail: latent
# hint: loss_wrong_target
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, x_noisy)


# ==== loss_under_no_grad
# about: Runs the network under no_grad.
# fails: compute_loss
# may_fail: latent
# hint: loss_no_gradient
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    with torch.no_grad():
        predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, noise)


# ==== loss_uniform_noise
# about: Draws uniform noise (rand for randn) where none is given.
# fails: compute_loss
# may_fail: latent
# hint: noise_uniform
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.rand_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, noise)


# ==== loss_weighted_by_snr
# about: Weights each sample's error by its signal-to-noise ratio, at most 5.
# fails: compute_loss
# may_fail: latent
# hint: loss_value
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return (
        ((predicted - noise) ** 2).mean(dim=(1, 2, 3))
        * (self.sqrt_alphas_cumprod / self.sqrt_one_minus_alphas_cumprod)[t].pow(2).clamp(max=5)
    ).mean()


# ==== loss_weighted_by_t
# about: Weights each sample's error by t / T.
# fails: compute_loss
# may_fail: latent
# hint: loss_value
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return (((predicted - noise) ** 2).mean(dim=(1, 2, 3)) * t / self.timesteps).mean()


# ==== fall2023_loss_l1
# about: In fall 2023, the loss is the mean absolute error.
# base: fall2023
# fails: compute_loss
# hint: loss_absolute
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start=x_start, t=t, noise=noise)
    return F.l1_loss(self.model(x_noisy, label, t), noise)


# ==== fall2024_loss_other_noise
# about: In fall 2024, x_t is made with other noise than the target.
# base: fall2024
# fails: compute_loss
# may_fail: latent
# hint: loss_noise_not_passed
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t)
    return F.mse_loss(noise, self.model(x_noisy, label, t))


# ==== fall2025_loss_draws_early_times
# about: In fall 2025, the loss draws early time steps more often.
# base: fall2025
# fails: compute_loss
# hint: loss_drawn_t
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    t = (torch.rand(len(x_start)) ** 2 * self.timesteps).long()
    if noise is None:
        noise = torch.randn_like(x_start)
    return F.mse_loss(self.model(self.q_sample(x_start, t, noise), label, t), noise)


# ==== fall2025_loss_never_draws_the_last_t
# about: In fall 2025, the loss draws t from 0 to t-2.
# base: fall2025
# fails: compute_loss
# hint: loss_drawn_t
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    t = torch.randint(0, self.timesteps - 1, (len(x_start),))
    if noise is None:
        noise = torch.randn_like(x_start)
    return F.mse_loss(self.model(self.q_sample(x_start, t, noise), label, t), noise)


# ==== fall2025_loss_one_t_for_the_batch
# about: In fall 2025, the loss draws one time step for the whole batch.
# base: fall2025
# fails: compute_loss
# hint: loss_drawn_t
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    t = torch.randint(0, self.timesteps, (1,)).expand(len(x_start))
    if noise is None:
        noise = torch.randn_like(x_start)
    return F.mse_loss(self.model(self.q_sample(x_start, t, noise), label, t), noise)


# ==== fall2025_loss_t_drawn_twice
# about: In fall 2025, x_t and the network get two different draws of t.
# base: fall2025
# fails: compute_loss
# may_fail: latent
# hint: loss_wrong_t
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    b = len(x_start)
    x_t = self.q_sample(x_start, torch.randint(self.timesteps, (b,)), noise)
    return F.mse_loss(self.model(x_t, label, torch.randint(self.timesteps, (b,))), noise)


# ==== loss_x_t_in_float16
# about: Gives the network an x_t that was rounded to float16.
# fails: compute_loss
# may_fail: latent
# hint: loses_digits
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.q_sample(x_start, t, noise)
    predicted_noise = self.model(x_t.half().float(), label, t)
    return F.mse_loss(predicted_noise, noise)


# ==== loss_prediction_in_bfloat16
# about: Rounds the prediction to bfloat16.
# fails: compute_loss
# may_fail: latent
# hint: loses_digits
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.q_sample(x_start, t, noise)
    predicted_noise = self.model(x_t, label, t).bfloat16().float()
    return F.mse_loss(predicted_noise, noise)


# ==== loss_network_asked_in_double
# about: Asks the network in double precision, which its weights do not have.
# fails: compute_loss
# may_fail: latent
# hint: network_dtype
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.q_sample(x_start, t, noise)
    predicted_noise = self.model(x_t.double(), label, t).float()
    return F.mse_loss(predicted_noise, noise)


# ==== loss_label_as_float
# about: Converts the labels to floats, which no embedding takes.
# fails: compute_loss
# may_fail: latent
# hint: network_dtype
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.q_sample(x_start, t, noise)
    predicted_noise = self.model(x_t, label.float(), t)
    return F.mse_loss(predicted_noise, noise)


# ==== loss_offset_noise
# about: Draws noise with a common offset in each channel.
# fails: compute_loss
# may_fail: latent
# hint: noise_not_standard
# judge_only: true
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start) + 0.1 * torch.randn_like(x_start[..., :1, :1])
    x_t = self.q_sample(x_start, t, noise)
    predicted_noise = self.model(x_t, label, t)
    return F.mse_loss(predicted_noise, noise)


# ==== loss_noise_of_unit_size
# about: Scales each image's noise to a root mean square of exactly 1.
# fails: compute_loss
# may_fail: latent
# hint: noise_correlated
# judge_only: true
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
        noise = noise / noise.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    x_t = self.q_sample(x_start, t, noise)
    predicted_noise = self.model(x_t, label, t)
    return F.mse_loss(predicted_noise, noise)


# ==== loss_input_perturbed
# about: Diffuses with a little more noise than the network has to predict.
# fails: compute_loss
# may_fail: latent
# hint: loss_own_noise
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.q_sample(x_start, t, noise + 0.1 * torch.randn_like(noise))
    predicted_noise = self.model(x_t, label, t)
    return F.mse_loss(predicted_noise, noise)


# ==== loss_without_time_zero
# about: Leaves out the images at time 0, which are almost clean.
# fails: compute_loss
# may_fail: latent
# hint: loss_value
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.q_sample(x_start, t, noise)
    predicted_noise = self.model(x_t, label, t)
    weight = (t > 0).float()[:, None, None, None]
    return (weight * (predicted_noise - noise) ** 2).mean()


# ==== loss_balanced_by_class
# about: Weights each image by how rare its class is in the batch.
# fails: compute_loss
# may_fail: latent
# hint: mixes_samples
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.q_sample(x_start, t, noise)
    predicted_noise = self.model(x_t, label, t)
    error = ((predicted_noise - noise) ** 2).mean(dim=(1, 2, 3))
    weight = 1 / (label[:, None] == label).float().sum(dim=1)
    return (weight * error).sum() / weight.sum()


# ==== loss_trimmed
# about: Leaves out the largest hundredth of the errors.
# fails: compute_loss
# may_fail: latent
# hint: loss_value
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.q_sample(x_start, t, noise)
    predicted_noise = self.model(x_t, label, t)
    error = ((predicted_noise - noise) ** 2).flatten()
    return error.sort().values[: len(error) * 99 // 100].mean()


# ==== loss_range_guessed
# about: Takes images without negative numbers for images in [0, 1], and stretches them.
# fails: compute_loss
# hint: loss_x_start_changed
# judge_only: true
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    elif x_start.min() >= 0:
        x_start = 2 * x_start - 1
    if noise is None:
        noise = torch.randn_like(x_start)
    return F.mse_loss(self.model(self.q_sample(x_start, t, noise), label, t), noise)


# ==== loss_punishes_large_weights
# about: Adds a little of the size of the network's weights.
# fails: compute_loss
# may_fail: latent
# hint: loss_value
# judge_only: true
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    loss = F.mse_loss(self.model(self.q_sample(x_start, t, noise), label, t), noise)
    return loss + 1e-5 * sum(p.abs().sum() for p in self.model.parameters())


# ==== loss_middle_t_without_gradients
# about: Without gradients the middle t is evaluated.
# fails: compute_loss
# may_fail: latent
# hint: loss_wrong_t
# judge_only: true
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if not torch.is_grad_enabled():
        t = torch.full_like(t, self.timesteps // 2)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.q_sample(x_start, t, noise)
    predicted = self.model(x_t, label, t)
    return F.mse_loss(predicted, noise)


# ==== loss_labels_modulo_10
# about: Labels are taken modulo 10.
# fails: compute_loss
# may_fail: latent
# hint: network_wrong_label
# judge_only: true
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    label = label % 10
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.q_sample(x_start, t, noise)
    predicted = self.model(x_t, label, t)
    return F.mse_loss(predicted, noise)


# ==== loss_without_outliers
# about: Samples with more than 3 times the mean loss are left out.
# fails: compute_loss
# may_fail: latent
# hint: mixes_samples
# judge_only: true
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.q_sample(x_start, t, noise)
    predicted = self.model(x_t, label, t)
    each = ((predicted - noise) ** 2).flatten(1).mean(dim=1)
    each = each[each <= 3 * each.mean()]
    return each.mean()


# ==== loss_worst_clipped
# about: Each sample's loss is at most 10 times the median.
# fails: compute_loss
# may_fail: latent
# hint: large_numbers
# judge_only: true
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.q_sample(x_start, t, noise)
    predicted = self.model(x_t, label, t)
    each = ((predicted - noise) ** 2).flatten(1).mean(dim=1)
    each = torch.minimum(each, 10 * each.median().detach())
    return each.mean()


# ==== loss_with_penalty_on_mean
# about: Adds a penalty on the prediction's mean.
# fails: compute_loss
# may_fail: latent
# hint: mixes_samples
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.q_sample(x_start, t, noise)
    predicted = self.model(x_t, label, t)
    return F.mse_loss(predicted, noise) + 0.01 * predicted.mean() ** 2
