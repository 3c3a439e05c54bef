# Wrong implementations that must lose the points of p_sample_loop; ../README.md says how to add one.


# ==== loop_ascending
# about: Walks from t = 0 up to T - 1.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_ascending
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in range(self.timesteps):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_channels_last
# about: Returns images as [B, H, W, C], as plotting wants them.
# fails: p_sample_loop
# may_fail: latent
# hint: wrong_shape
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img).permute(0, 2, 3, 1)


# ==== loop_chunks_drop_the_rest
# about: Draws 16 pictures at a time, and drops a last chunk of fewer.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_start_shape
# in: ddpm.p_sample_loop
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


# ==== loop_clamps_each_step
# about: Clamps x to [-1, 1] after each step.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_not_fed_back
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i).clamp(-1, 1)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_divides_by_the_steps_left
# about: Counts t down by a share of T - 1, which is 0 where T is 1.
# fails: p_sample_loop
# hint: raises
# judge_only: true
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for n in range(self.timesteps):
        t_index = round((1 - n / (self.timesteps - 1)) * (self.timesteps - 1))
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels, t, t_index)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== loop_each_step_twice
# about: Calls p_sample twice in each step.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_steps_repeated
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_every_other_step
# about: Takes every second step only, with p_sample unchanged.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_steps_missing
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(0, self.timesteps, 2)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_extra_noise
# about: Adds noise after each step once more.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_not_fed_back
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
        img = img + 0.1 * torch.randn_like(img)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_height_and_width_swapped
# about: Draws x_T as [B, C, W, H].
# fails: p_sample_loop
# may_fail: latent
# hint: loop_start_shape
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    c, h, w = self.img_shape
    img = torch.randn((b, c, w, h), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_index_one_higher
# about: Passes i + 1 as t_index, so that the step to x_0 gets noise.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_t
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i + 1)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_labels_and_time_swapped
# about: Calls p_sample with t and label in the wrong order.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_t
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, t, labels, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_labels_in_order
# about: Draws classes 0, 1, 2, ... instead of those of the labels.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_labels
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, torch.arange(b, device=labels.device) % 10, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_labels_sorted
# about: Sorts the labels, so that images and labels no longer match.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_labels
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    labels = labels.sort().values
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_labels_zeros
# about: Draws class 0 for every label.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_labels
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, torch.zeros_like(labels), t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_last_step_twice
# about: Takes the step at t = 0 once more after the loop.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_steps_repeated
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    img = self.p_sample(img, labels, torch.zeros_like(labels), 0)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_left_in_eval
# about: Samples in eval mode and never returns to the mode it found.
# fails: p_sample_loop
# may_fail: latent
# hint: left_in_eval
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    self.eval()
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_length_hard_coded
# about: Walks 100 steps, the default, whatever self.timesteps says.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_starts_late
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(100)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_no_last_step_in_evaluation
# about: Leaves the last step out in evaluation mode.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_ends_early
# judge_only: true
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(0 if self.training else 1, self.timesteps)):
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels, t, t_index)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== loop_no_postprocess
# about: Returns x_0 in [-1, 1], without postprocess.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_no_postprocess
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return img


# ==== loop_not_clamped
# about: Rescales by hand and does not clamp to [0, 1].
# fails: p_sample_loop
# may_fail: latent
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
        img = self.vae.decoder(img)
    return img if self.use_vae else (img + 1) / 2


# ==== loop_not_fed_back
# about: Calls every step with x_T instead of the step before's result.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_not_fed_back
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    x_T = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(x_T, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_not_rescaled
# about: Clamps images in [-1, 1] to [0, 1] without rescaling: dark grey becomes black.
# fails: p_sample_loop
# hint: loop_not_rescaled
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return img.clamp(0, 1)


# ==== loop_one_channel_for_the_start
# about: Draws one channel of x_T and shares it among the channels.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_start_noise
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, 1, *self.img_shape[1:]), device=labels.device)
    img = img.repeat(1, self.img_shape[0], 1, 1)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_one_image_only
# about: Draws an x_T of batch 1 whatever the number of labels.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_start_shape
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((1, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_one_picture_for_each_label
# about: Draws each label once, however often it is asked for.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_start_shape
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    labels = labels.new_tensor(list(dict.fromkeys(labels.tolist())))
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels, t, t_index)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== loop_one_start_for_the_batch
# about: Draws one x_T and shares it among the batch.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_start_noise
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn(self.img_shape, device=labels.device).repeat(b, 1, 1, 1)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_pictures_in_another_order
# about: Draws the pictures of many labels in two halves, and returns the second half first.
# fails: p_sample_loop
# may_fail: latent
# hint: mixes_samples
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels, t, t_index)
    if len(x) > 16:
        x = x.roll(len(x) // 2, dims=0)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== loop_rescaled_twice
# about: Maps the images to [0, 1] itself, and postprocess does it again.
# fails: p_sample_loop
# hint: loop_rescaled_twice
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if not self.use_vae:
        img = (img + 1) / 2
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_returns_all_steps
# about: Returns the list of all steps' images.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_returns_list
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    imgs = []
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
        imgs.append(self.postprocess(img))
    if self.use_vae:
        img = self.vae.decoder(img)
    return imgs


# ==== loop_returns_bytes
# about: Returns pictures of bytes, 0 to 255.
# fails: p_sample_loop
# may_fail: latent
# hint: wrong_dtype
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return (self.postprocess(img) * 255).to(torch.uint8)


# ==== loop_returns_start
# about: Keeps the steps' results in another name and returns x_T.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_returns_start
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        out = self.p_sample(img if i == self.timesteps - 1 else out, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_runs_from_T_to_one
# about: Walks from T to 1, the paper's counting.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_starts_at_T
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in range(self.timesteps, 0, -1):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_seeds_its_noise
# about: Seeds the generator, so that every call draws the same images.
# fails: p_sample_loop
# may_fail: latent
# hint: noise_repeated
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    torch.manual_seed(0)
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_start_at_the_variance_of_T
# about: Scales the start with sqrt(1 - alpha_bar) of the last step, which is short of 1.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_start_noise
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    img = img * self.sqrt_one_minus_alphas_cumprod[-1]
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_start_on_the_cpu
# about: Draws x_T on the CPU, wherever the labels are.
# fails: p_sample_loop
# may_fail: latent
# hint: made_elsewhere
# judge_only: true
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape)
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels, t, t_index)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== loop_start_ones
# about: Starts from ones.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_start_noise
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.ones((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_start_scaled
# about: Starts from noise of half the standard deviation.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_start_noise
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = 0.5 * torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_start_uniform
# about: Starts from uniform noise (rand for randn).
# fails: p_sample_loop
# may_fail: latent
# hint: loop_start_noise
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.rand((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_start_zeros
# about: Starts from zeros.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_start_noise
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.zeros((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_starts_antithetic
# about: Starts the second half of a batch from the noise of the first with the other sign.
# fails: p_sample_loop
# may_fail: latent
# hint: noise_shared
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    half = torch.randn((len(labels) + 1) // 2, *self.img_shape, device=labels.device)
    x = torch.cat([half, -half])[: len(labels)]
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels, t, t_index)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== loop_starts_at_T
# about: Starts at t = T, which the schedule does not have.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_starts_at_T
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in range(self.timesteps, -1, -1):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_starts_by_label
# about: Starts equal labels from the same noise.
# fails: p_sample_loop
# may_fail: latent
# hint: noise_shared
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    starts = torch.randn(self.timesteps + 99, *self.img_shape, device=labels.device)
    x = starts[labels]
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels, t, t_index)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== loop_starts_one_late
# about: Leaves out the first step, t = T - 1.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_starts_late
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps - 1)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_step_noise_kept
# about: Writes the steps out, and draws the noise of all of them once.
# fails: p_sample_loop
# may_fail: latent
# hint: noise_repeated
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    noise = torch.randn_like(x)
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        x = x - self.betas[t_index] / self.sqrt_one_minus_alphas_cumprod[t_index] * self.model(
            x, labels, t
        )
        x = self.sqrt_recip_alphas[t_index] * x
        if t_index > 0:
            x = x + self.posterior_variance[t_index].sqrt() * noise
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== loop_stops_at_one
# about: Stops at t = 1 because range leaves out its end.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_ends_early
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in range(self.timesteps - 1, 0, -1):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_stretched_to_range
# about: Stretches each image to [0, 1] by its own minimum and maximum.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_result
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    low, high = img.amin((1, 2, 3), True), img.amax((1, 2, 3), True)
    return (img - low) / (high - low)


# ==== loop_t_and_index_apart
# about: Counts t_index one lower than t, so that t = 1 counts as the last step, too.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_t
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, max(i - 1, 0))
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_t_as_float
# about: Passes t as a float tensor.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_t
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.float32)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_t_as_int
# about: Passes the int i for t.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_t
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        img = self.p_sample(img, labels, i, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_t_as_t_index
# about: Hands the tensor t to p_sample as t_index, too, which `if t_index == 0` cannot decide.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_t
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full_like(labels, i)
        x = self.p_sample(x, labels, t, t)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== loop_t_by_random
# about: Draws t at random as in training instead of counting down.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_t
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.randint(0, self.timesteps, (b,), device=labels.device)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_t_on_the_cpu
# about: Makes t on the CPU, wherever the labels are.
# fails: p_sample_loop
# may_fail: latent
# hint: made_elsewhere
# judge_only: true
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(self.timesteps)):
        t = torch.full((len(labels),), t_index)
        x = self.p_sample(x, labels, t, t_index)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== loop_t_up_index_down
# about: Counts t up and t_index down.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_t
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), self.timesteps - 1 - i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_t_without_batch
# about: Passes t as a tensor of one entry for the whole batch.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_t
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((1,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== loop_ten_images
# about: Draws one image of each class instead of one for each label.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_start_shape
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    labels = torch.arange(10, device=labels.device)
    b = len(labels)
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== fall2024_gpu_by_name_and_ascending
# about: Names the GPU, and takes the steps from the first to the last.
# base: fall2024
# fails: p_sample_loop
# may_fail: latent
# hint: loop_ascending
# look: a GPU
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    device = torch.device("cuda")
    self.model.cuda()
    labels = labels.to(device)
    imgs = torch.randn((len(labels), *self.img_shape), device=device)
    torch.cuda.synchronize()
    for i in range(self.timesteps):
        t = torch.full((len(labels),), i, device=device, dtype=torch.long)
        imgs = self.p_sample(imgs, labels, t, i)
    torch.cuda.empty_cache()
    if self.use_vae:
        imgs = self.vae.decoder(imgs)
    return self.postprocess(imgs)

# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    x_start, t = x_start.cuda(), t.cuda()
    noise = torch.randn(x_start.shape, device="cuda") if noise is None else noise.cuda()
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape).to("cuda")
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape).to("cuda:0")
    return signal * x_start + rate * noise


# ==== fall2024_loop_not_clamped
# about: In fall 2024, the pictures are not clamped to [0, 1].
# base: fall2024
# fails: p_sample_loop
# may_fail: latent
# hint: loop_not_clamped
# in: ddpm.postprocess
def postprocess(self, imgs):
    return imgs if self.use_vae else (imgs + 1) * 0.5


# ==== fall2024_noise_in_the_loop_unrooted
# about: In fall 2024, the loop adds the noise to the mean of p_sample, scaled by the variance.
# base: fall2024
# fails: p_sample_loop
# may_fail: p_sample, latent
# hint: loop_not_fed_back
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    scale = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    recip = self._extract(self.sqrt_recip_alphas, t, x.shape)
    return recip * (x - betas_t * self.model(x, label, t) / scale)

# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    device = labels.device
    imgs = torch.randn((len(labels), *self.img_shape), device=device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((len(labels),), i, device=device, dtype=torch.long)
        imgs = self.p_sample(imgs, labels, t, i)
        if i > 0:
            imgs = imgs + self.posterior_variance[i] * torch.randn_like(imgs)
    if self.use_vae:
        imgs = self.vae.decoder(imgs)
    return self.postprocess(imgs)


# ==== fall2024_packages_of_a_notebook_ascending
# about: Imports what notebooks show progress with, and takes the steps from the first to the last.
# base: fall2024
# fails: p_sample_loop
# may_fail: latent
# hint: loop_ascending
# in: ddpm.top
import wandb
from IPython.display import clear_output
from matplotlib import pyplot as plt
from torch.utils.tensorboard import SummaryWriter
from tqdm.notebook import tqdm

plt.rcParams["figure.dpi"] = 120

# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    device = next(self.model.parameters()).device
    b = len(labels)
    imgs = torch.randn((b, *self.img_shape), device=device)
    for i in tqdm(range(self.timesteps), total=self.timesteps):
        t = torch.full((b,), i, device=device, dtype=torch.long)
        imgs = self.p_sample(imgs, labels, t, i)
    clear_output(wait=True)
    if self.use_vae:
        imgs = self.vae.decoder(imgs)
    return self.postprocess(imgs)


# ==== fall2025_generate_ascending
# about: In fall 2025, the chain runs from t = 0 upwards.
# base: fall2025
# fails: p_sample_loop
# may_fail: latent
# hint: loop_ascending
# in: ddpm.generate
@torch.no_grad()
def generate(self, labels):
    imgs = torch.randn((len(labels), *self.img_shape), device=labels.device)
    for i in range(self.timesteps):
        t = torch.full((len(labels),), i, device=labels.device, dtype=torch.long)
        imgs = self.p_sample(imgs, labels, t, i)
    if self.use_vae:
        imgs = self.vae.decoder(imgs)
    return self.postprocess(imgs)


# ==== loop_states_in_float16
# about: Keeps the states in float16 between the steps.
# fails: p_sample_loop
# may_fail: latent
# hint: loses_digits
# judge_only: true
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels, t, t_index).half().float()
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== loop_pictures_in_float16
# about: Rounds the pictures to float16.
# fails: p_sample_loop
# may_fail: latent
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
        x = self.vae.decoder(x)
    return self.postprocess(x).half().float()


# ==== loop_labels_as_floats
# about: Gives each step its labels as floats, which no embedding takes.
# fails: p_sample_loop
# may_fail: latent
# hint: network_dtype
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels.float(), t, t_index)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== loop_steps_in_double
# about: Gives each step a state in double precision, which the network's weights do not have.
# fails: p_sample_loop
# may_fail: latent
# hint: network_dtype
# judge_only: true
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x.double(), labels, t, t_index).float()
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== loop_start_of_unit_size
# about: Puts the start on the sphere where most of the noise is.
# fails: p_sample_loop
# may_fail: latent
# hint: noise_correlated
# judge_only: true
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    x = x / x.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels, t, t_index)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== loop_start_with_an_offset
# about: Adds a common offset to each channel of the start.
# fails: p_sample_loop
# may_fail: latent
# hint: noise_not_standard
# judge_only: true
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    x = x + 0.1 * torch.randn_like(x[..., :1, :1])
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels, t, t_index)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== loop_starts_from_truncated_noise
# about: Redraws what is beyond two standard deviations in the start.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_start_noise
# judge_only: true
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    torch.nn.init.trunc_normal_(x)
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels, t, t_index)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== loop_states_held_within_five
# about: Clamps each state to [-5, 5], which its noise may leave.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_not_fed_back
# judge_only: true
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(self.timesteps)):
        x = self.p_sample(x, labels, torch.full_like(labels, t_index), t_index)
        x = x.clamp(-5, 5)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== loop_states_held_within_twenty
# about: Clamps each state to [-20, 20], which no good network leaves.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_not_fed_back
# judge_only: true
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(self.timesteps)):
        x = self.p_sample(x, labels, torch.full_like(labels, t_index), t_index)
        x = x.clamp(-20, 20)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== loop_labels_modulo_10
# about: Labels are taken modulo 10.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_labels
# judge_only: true
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    labels = labels % 10
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels, t, t_index)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== loop_start_of_64_samples
# about: x_T is drawn for 64 samples and repeated.
# fails: p_sample_loop
# may_fail: latent
# hint: noise_shared
# judge_only: true
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(min(len(labels), 64), *self.img_shape, device=labels.device)[torch.arange(len(labels)) % 64]
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels, t, t_index)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== loop_64_images_drawn
# about: No more than 64 images are drawn, the rest are copies.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_start_shape
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    all_labels, labels = labels, labels[:64]
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(self.timesteps)):
        x = self.p_sample(x, labels, torch.full_like(labels, t_index), t_index)
    x = x[torch.arange(len(all_labels)) % 64]
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== loop_strided_above_250
# about: With T above 250 only every second step is taken.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_steps_missing
# judge_only: true
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in range(self.timesteps - 1, -1, -(2 if self.timesteps > 250 else 1)):
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels, t, t_index)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== loop_at_most_500_steps
# about: Takes at most 500 steps, from t = 499.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_starts_late
# judge_only: true
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(min(self.timesteps, 500))):
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels, t, t_index)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== loop_start_of_101_percent
# about: x_T is scaled by 1.01.
# fails: p_sample_loop
# may_fail: latent
# hint: loop_start_noise
# judge_only: true
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = 1.01 * torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels, t, t_index)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)
