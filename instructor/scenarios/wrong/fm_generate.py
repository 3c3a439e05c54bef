# Wrong implementations that must lose the points of fm_generate; ../README.md says how to add one.


# ==== fm_adds_the_whole_velocity
# about: Adds the velocity without the length of the step.
# fails: fm_generate
# hint: fm_step_not_scaled
# in: fm.step
@torch.no_grad()
def step(self, x, label, t, t_next):
    velocity = self.model(x, label, torch.full((len(x),), t, device=x.device))
    return x + velocity


# ==== fm_decoded_pictures_rescaled
# about: Rescales decoded pictures, too.
# fails: fm_generate
# hint: latent_rescaled
# in: fm.postprocess
def postprocess(self, imgs):
    return ((imgs + 1) / 2).clamp(0, 1)


# ==== fm_decodes_scaled_latents
# about: Divides the latents by Stable Diffusion's factor.
# fails: fm_generate
# hint: latent_decoder_input
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for i in range(self.timesteps):
        x = self.step(x, labels, i / self.timesteps, (i + 1) / self.timesteps)
    return self.postprocess(self.vae.decoder(x / 0.18215) if self.use_vae else x)


# ==== fm_fall2025_one_step_short
# about: A hand-in of fall 2025 leaves its last step out.
# base: fall2025
# fails: fm_generate
# hint: fm_last_step
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    device = next(self.model.parameters()).device
    x = torch.randn((len(labels), *self.img_shape), device=device)
    for i in range(self.timesteps - 1):
        tau = torch.full((len(labels),), i / self.timesteps, device=device)
        x = x + self.model(x, labels, tau) / self.timesteps
    x = self.vae.decoder(x) if self.use_vae else (x + 1) / 2
    return x.clamp(0.0, 1.0)


# ==== fm_first_step_left_out
# about: Begins with the second step.
# fails: fm_generate
# hint: fm_first_step
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for i in range(1, self.timesteps):
        x = self.step(x, labels, i / self.timesteps, (i + 1) / self.timesteps)
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_generate_leaves_evaluation
# about: Switches to evaluation and leaves it on.
# fails: fm_generate
# hint: left_in_eval
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    self.eval()
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for i in range(self.timesteps):
        x = self.step(x, labels, i / self.timesteps, (i + 1) / self.timesteps)
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_generate_returns_all
# about: Returns the pictures of all steps.
# fails: fm_generate
# hint: fm_returns_list
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    seen = []
    for i in range(self.timesteps):
        x = self.step(x, labels, i / self.timesteps, (i + 1) / self.timesteps)
        seen.append(self.postprocess(x))
    return [*seen[:-1], self.postprocess(self.vae.decoder(x) if self.use_vae else x)]


# ==== fm_generate_returns_the_start
# about: Returns pictures of the noise.
# fails: fm_generate
# hint: fm_returns_start
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    noise = x
    for i in range(self.timesteps):
        x = self.step(x, labels, i / self.timesteps, (i + 1) / self.timesteps)
    return self.postprocess(self.vae.decoder(noise) if self.use_vae else noise)


# ==== fm_generate_samples_mixed
# about: Centres each step on the batch.
# fails: fm_generate
# hint: fm_step_no_mix
# in: fm.step
@torch.no_grad()
def step(self, x, label, t, t_next):
    velocity = self.model(x, label, torch.full((len(x),), t, device=x.device))
    return x + (t_next - t) * (velocity - velocity.mean(dim=0))


# ==== fm_heun_always
# about: Takes Heun's steps, which ask the network twice.
# fails: fm_generate
# hint: fm_evaluations
# in: fm.step
@torch.no_grad()
def step(self, x, label, t, t_next):
    velocity = self.model(x, label, torch.full((len(x),), t, device=x.device))
    x_next = x + (t_next - t) * velocity
    at_end = self.model(x_next, label, torch.full((len(x),), t_next, device=x.device))
    return x + (t_next - t) * (velocity + at_end) / 2


# ==== fm_labels_sorted
# about: Sorts the labels before it draws.
# fails: fm_generate
# hint: fm_labels
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    labels = labels.sort().values
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for i in range(self.timesteps):
        x = self.step(x, labels, i / self.timesteps, (i + 1) / self.timesteps)
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_last_step_left_out
# about: Stops one step before the image.
# fails: fm_generate
# hint: fm_last_step
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for i in range(self.timesteps - 1):
        x = self.step(x, labels, i / self.timesteps, (i + 1) / self.timesteps)
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_last_step_longer
# about: Doubles the length of the last step.
# fails: fm_generate
# hint: fm_step_size
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    n = self.timesteps
    for i in range(n):
        t = torch.full((len(x),), i / n, device=x.device)
        x = x + self.model(x, labels, t) * ((2 if i == n - 1 else 1) / n)
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_latents_not_decoded
# about: Returns latents where a VAE is asked for.
# fails: fm_generate
# hint: latent_not_decoded
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for i in range(self.timesteps):
        x = self.step(x, labels, i / self.timesteps, (i + 1) / self.timesteps)
    return self.postprocess(x)


# ==== fm_one_label_for_all
# about: Draws all pictures of the first label.
# fails: fm_generate
# hint: fm_labels
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    labels = labels[:1].expand(len(labels))
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for i in range(self.timesteps):
        x = self.step(x, labels, i / self.timesteps, (i + 1) / self.timesteps)
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_one_step_more
# about: Takes one step too many.
# fails: fm_generate
# hint: fm_step_too_many
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for i in range(self.timesteps + 1):
        x = self.step(x, labels, i / self.timesteps, (i + 1) / self.timesteps)
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_pictures_not_clamped
# about: Rescales and does not clamp.
# fails: fm_generate
# hint: fm_not_clamped
# in: fm.postprocess
def postprocess(self, imgs):
    return imgs if self.use_vae else (imgs + 1) / 2


# ==== fm_pictures_not_rescaled
# about: Clamps x to [0, 1] without rescaling it.
# fails: fm_generate
# hint: fm_not_rescaled
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for i in range(self.timesteps):
        x = self.step(x, labels, i / self.timesteps, (i + 1) / self.timesteps)
    return (self.vae.decoder(x) if self.use_vae else x).clamp(0, 1)


# ==== fm_pictures_rescaled_twice
# about: Rescales x before postprocess does.
# fails: fm_generate
# hint: fm_rescaled_twice
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for i in range(self.timesteps):
        x = self.step(x, labels, i / self.timesteps, (i + 1) / self.timesteps)
    return self.postprocess(self.vae.decoder(x) if self.use_vae else (x + 1) / 2)


# ==== fm_postprocess_missing
# about: Returns x as it is.
# fails: fm_generate
# hint: fm_no_postprocess
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for i in range(self.timesteps):
        x = self.step(x, labels, i / self.timesteps, (i + 1) / self.timesteps)
    return self.vae.decoder(x).clamp(0, 1) if self.use_vae else x


# ==== fm_samples_backwards
# about: Counts the time down from 1 in each step.
# fails: fm_generate
# hint: fm_time_reversed
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for i in range(self.timesteps):
        x = self.step(x, labels, 1 - i / self.timesteps, 1 - (i + 1) / self.timesteps)
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_start_of_one
# about: Starts from a single sample.
# fails: fm_generate
# hint: fm_start_shape
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(1, *self.img_shape, device=labels.device)
    for i in range(self.timesteps):
        x = self.step(x, labels, i / self.timesteps, (i + 1) / self.timesteps)
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_start_on_the_cpu
# about: Draws the start without naming a device.
# fails: fm_generate
# hint: made_elsewhere
# judge_only: true
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape)
    for i in range(self.timesteps):
        x = self.step(x, labels, i / self.timesteps, (i + 1) / self.timesteps)
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_start_seeded
# about: Starts from the same noise in each call.
# fails: fm_generate
# hint: noise_repeated
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    seeded = torch.Generator(labels.device).manual_seed(0)
    size = (len(labels), *self.img_shape)
    x = torch.randn(size, device=labels.device, generator=seeded)
    for i in range(self.timesteps):
        x = self.step(x, labels, i / self.timesteps, (i + 1) / self.timesteps)
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_start_shared
# about: Starts all samples from the same noise.
# fails: fm_generate
# hint: fm_start_noise
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(1, *self.img_shape, device=labels.device).repeat(len(labels), 1, 1, 1)
    for i in range(self.timesteps):
        x = self.step(x, labels, i / self.timesteps, (i + 1) / self.timesteps)
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_start_too_loud
# about: Starts from noise of double size.
# fails: fm_generate
# hint: fm_start_noise
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = 2 * torch.randn(len(labels), *self.img_shape, device=labels.device)
    for i in range(self.timesteps):
        x = self.step(x, labels, i / self.timesteps, (i + 1) / self.timesteps)
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_start_uniform
# about: Starts from uniform noise.
# fails: fm_generate
# hint: fm_start_noise
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.rand(len(labels), *self.img_shape, device=labels.device)
    for i in range(self.timesteps):
        x = self.step(x, labels, i / self.timesteps, (i + 1) / self.timesteps)
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_start_zero
# about: Starts from zeros.
# fails: fm_generate
# hint: fm_start_noise
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.zeros(len(labels), *self.img_shape, device=labels.device)
    for i in range(self.timesteps):
        x = self.step(x, labels, i / self.timesteps, (i + 1) / self.timesteps)
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_step_adds_noise
# about: Adds noise in each step.
# fails: fm_generate
# hint: fm_step_no_mix
# in: fm.step
@torch.no_grad()
def step(self, x, label, t, t_next):
    velocity = self.model(x, label, torch.full((len(x),), t, device=x.device))
    return x + (t_next - t) * velocity + 0.1 * torch.randn_like(x)


# ==== fm_step_clamps
# about: Clamps x after each step.
# fails: fm_generate
# hint: fm_step_no_mix
# in: fm.step
@torch.no_grad()
def step(self, x, label, t, t_next):
    velocity = self.model(x, label, torch.full((len(x),), t, device=x.device))
    return (x + (t_next - t) * velocity).clamp(-1, 1)


# ==== fm_step_is_multiplied_by_t
# about: Multiplies the velocity by the time.
# fails: fm_generate
# hint: fm_step_is_time
# in: fm.step
@torch.no_grad()
def step(self, x, label, t, t_next):
    velocity = self.model(x, label, torch.full((len(x),), t, device=x.device))
    return x + t * velocity


# ==== fm_step_length_of_one_less
# about: Takes steps that are a little too long at the right times.
# fails: fm_generate
# hint: fm_step_size
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    n = self.timesteps
    dt = 1 / max(n - 1, 1)
    for i in range(n):
        t = torch.full((len(x),), i / n, device=x.device)
        x = x + dt * self.model(x, labels, t)
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_step_mixes_x
# about: Mixes x and the prediction as if that were the image.
# fails: fm_generate
# hint: fm_step_mixes
# in: fm.step
@torch.no_grad()
def step(self, x, label, t, t_next):
    predicted = self.model(x, label, torch.full((len(x),), t, device=x.device))
    return (1 - t_next + t) * x + (t_next - t) * predicted


# ==== fm_step_of_one_less
# about: Divides the way into one step less than it takes.
# fails: fm_generate
# hint: fm_time_grid
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    n = self.timesteps - 1 or 1
    for i in range(self.timesteps):
        x = self.step(x, labels, i / n, (i + 1) / n)
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_step_to_t_next
# about: Multiplies the velocity by the time at the step's end.
# fails: fm_generate
# hint: fm_step_is_time
# in: fm.step
@torch.no_grad()
def step(self, x, label, t, t_next):
    velocity = self.model(x, label, torch.full((len(x),), t, device=x.device))
    return x + t_next * velocity


# ==== fm_step_too_short
# about: Divides the way into one step more than it takes.
# fails: fm_generate
# hint: fm_time_scaled
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    n = self.timesteps + 1
    for i in range(self.timesteps):
        x = self.step(x, labels, i / n, (i + 1) / n)
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_subtracts_the_velocity
# about: Goes against the velocity.
# fails: fm_generate
# hint: fm_step_sign
# in: fm.step
@torch.no_grad()
def step(self, x, label, t, t_next):
    velocity = self.model(x, label, torch.full((len(x),), t, device=x.device))
    return x - (t_next - t) * velocity


# ==== fm_thousand_steps
# about: Takes a thousand steps whatever the config says.
# fails: fm_generate
# hint: fm_evaluations
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for i in range(1000):
        x = self.step(x, labels, i / 1000, (i + 1) / 1000)
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_time_as_float
# about: Gives the network the time as a number.
# fails: fm_generate
# hint: fm_time_shape
# in: fm.step
@torch.no_grad()
def step(self, x, label, t, t_next):
    velocity = self.model(x, label, t)
    return x + (t_next - t) * velocity


# ==== fm_time_as_step_number
# about: Gives the network the number of the step.
# fails: fm_generate
# hint: fm_time_scaled
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for i in range(self.timesteps):
        t = torch.full((len(x),), i, device=x.device)
        x = x + self.model(x, labels, t) / self.timesteps
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_time_in_thousandths
# about: Multiplies the network's time by a thousand in sampling alone.
# fails: fm_generate
# hint: fm_time_scaled
# in: fm.step
@torch.no_grad()
def step(self, x, label, t, t_next):
    velocity = self.model(x, label, torch.full((len(x),), 1000 * t, device=x.device))
    return x + (t_next - t) * velocity


# ==== fm_time_never_advances
# about: Gives the network t = 0 in each step.
# fails: fm_generate
# hint: fm_time_stays
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    t = torch.zeros(len(x), device=x.device)
    for _ in range(self.timesteps):
        x = x + self.model(x, labels, t) / self.timesteps
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_time_of_one_sample
# about: Gives the network one time, not one for each sample.
# fails: fm_generate
# hint: fm_time_shape
# in: fm.step
@torch.no_grad()
def step(self, x, label, t, t_next):
    velocity = self.model(x, label, torch.tensor([t], device=x.device))
    return x + (t_next - t) * velocity


# ==== fm_velocity_at_the_end
# about: Asks for the velocity at the end of each step.
# fails: fm_generate
# hint: fm_time_off_by_one
# in: fm.step
@torch.no_grad()
def step(self, x, label, t, t_next):
    velocity = self.model(x, label, torch.full((len(x),), t_next, device=x.device))
    return x + (t_next - t) * velocity


# ==== fm_velocity_in_the_middle
# about: Asks for the velocity at the time in the middle of each step.
# fails: fm_generate
# hint: fm_times
# in: fm.step
@torch.no_grad()
def step(self, x, label, t, t_next):
    velocity = self.model(x, label, torch.full((len(x),), (t + t_next) / 2, device=x.device))
    return x + (t_next - t) * velocity


# ==== fm_x_is_the_velocity
# about: Replaces x by the velocity.
# fails: fm_generate
# hint: fm_x_replaced
# in: fm.step
@torch.no_grad()
def step(self, x, label, t, t_next):
    velocity = self.model(x, label, torch.full((len(x),), t, device=x.device))
    return (t_next - t) * velocity


# ==== fm_x_not_updated
# about: Starts each step from the noise.
# fails: fm_generate
# hint: fm_not_fed_back
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    noise = x
    for i in range(self.timesteps):
        x = self.step(noise, labels, i / self.timesteps, (i + 1) / self.timesteps)
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_noise_of_sixteen_samples
# about: Draws noise for 16 samples, and starts all others from that of the first.
# fails: fm_generate
# hint: noise_shared
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels[:16]), *self.img_shape, device=labels.device)
    x = torch.cat([x, x[:1].expand(len(labels) - len(x), *self.img_shape)])
    for i in range(self.timesteps):
        x = self.step(x, labels, i / self.timesteps, (i + 1) / self.timesteps)
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_grid_shifted
# about: Takes shorter steps at the beginning, as for large images.
# fails: fm_generate
# hint: fm_times
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    times = [i / self.timesteps for i in range(self.timesteps + 1)]
    times = [t / (t + 3 * (1 - t)) for t in times]
    for t, t_next in zip(times, times[1:], strict=False):
        x = self.step(x, labels, t, t_next)
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_states_held_within_five
# about: Clamps each state to [-5, 5].
# fails: fm_generate
# hint: fm_step_no_mix
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for i in range(self.timesteps):
        x = self.step(x, labels, i / self.timesteps, (i + 1) / self.timesteps).clamp(-5, 5)
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_generate_labels_modulo_10
# about: Labels are taken modulo 10.
# fails: fm_generate
# hint: fm_labels
# judge_only: true
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    labels = labels % 10
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for i in range(self.timesteps):
        x = self.step(x, labels, i / self.timesteps, (i + 1) / self.timesteps)
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_noise_of_64_samples
# about: Start noise is repeated beyond 64 samples.
# fails: fm_generate
# hint: noise_shared
# judge_only: true
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    x = x[torch.arange(len(x)) % 64]
    for i in range(self.timesteps):
        x = self.step(x, labels, i / self.timesteps, (i + 1) / self.timesteps)
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_steps_by_float_range
# about: torch.arange makes a step too many or too few for some T.
# fails: fm_generate
# hint: fm_step_too_many
# judge_only: true
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t in torch.arange(0, 1, 1 / self.timesteps).tolist():
        x = self.step(x, labels, t, t + 1 / self.timesteps)
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_generate_shifted_from_64_pixels
# about: From 64 pixels on, times are shifted as in Stable Diffusion 3.
# fails: fm_generate
# hint: fm_times
# judge_only: true
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    k = 3.0 if self.img_shape[-1] >= 64 else 1.0
    ts = [i / self.timesteps for i in range(self.timesteps + 1)]
    ts = [t / (k - (k - 1) * t) for t in ts]
    for t, u in zip(ts, ts[1:]):
        x = self.step(x, labels, t, u)
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_generate_at_most_100_steps
# about: Takes at most 100 steps.
# fails: fm_generate
# hint: fm_evaluations
# judge_only: true
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    n = min(self.timesteps, 100)
    for i in range(n):
        x = self.step(x, labels, i / n, (i + 1) / n)
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)
