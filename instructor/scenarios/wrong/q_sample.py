# Wrong implementations that must lose the points of q_sample; ../README.md says how to add one.


# ==== q_sample_alpha_bar_of_previous_step
# about: Uses alpha_bar of the step before, so that t = 0 leaves the image clean.
# fails: q_sample
# hint: q_sample_step_off_by_one
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    alphas_cumprod = torch.cumprod(1.0 - self.betas, dim=0)
    alphas_cumprod_prev = F.pad(alphas_cumprod[:-1], (1, 0), value=1.0)
    alpha_bar = self._extract(alphas_cumprod_prev, t, x_start.shape)
    return torch.sqrt(alpha_bar) * x_start + torch.sqrt(1.0 - alpha_bar) * noise


# ==== q_sample_alpha_for_alpha_bar
# about: Uses alpha_t of the single step, not the product alpha_bar_t.
# fails: q_sample
# hint: q_sample_not_cumulative
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    alpha = self._extract(1.0 - self.betas, t, x_start.shape)
    return torch.sqrt(alpha) * x_start + torch.sqrt(1.0 - alpha) * noise


# ==== q_sample_changes_noise
# about: Scales the given noise in place; a loss that compares with it is then wrong.
# fails: q_sample
# hint: modifies_input
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    noise *= sigma
    return signal * x_start + noise


# ==== q_sample_changes_x_start
# about: Works in place and so changes the caller's images.
# fails: q_sample
# hint: modifies_input
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return x_start.mul_(signal).add_(sigma * noise)


# ==== q_sample_clamped
# about: Clamps x_t to [-1, 1] as if it were an image.
# fails: q_sample
# hint: q_sample_no_mix
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return (signal * x_start + sigma * noise).clamp(-1.0, 1.0)


# ==== q_sample_clean_at_step_zero
# about: Treats t = 0 as no noise at all and returns x_start there.
# fails: q_sample
# hint: q_sample_first_step_special
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    x_t = signal * x_start + sigma * noise
    return torch.where((t == 0).view(-1, 1, 1, 1), x_start, x_t)


# ==== q_sample_coefficients_along_channels
# about: Coefficients of shape [B, 1, 1] are multiplied along the channels; works where C is B.
# fails: q_sample
# hint: wrong_shape
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = self.sqrt_alphas_cumprod[t].view(-1, 1, 1)
    sigma = self.sqrt_one_minus_alphas_cumprod[t].view(-1, 1, 1)
    return signal * x_start + sigma * noise


# ==== q_sample_coefficients_along_width
# about: Coefficients of shape [B] are multiplied along the width; works where W is B or B is 1.
# fails: q_sample
# hint: shape_error
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = self.sqrt_alphas_cumprod[t]
    sigma = self.sqrt_one_minus_alphas_cumprod[t]
    return signal * x_start + sigma * noise


# ==== q_sample_coefficients_swapped
# about: The two coefficients of eq. 4 are swapped.
# fails: q_sample
# hint: q_sample_swapped
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return sigma * x_start + signal * noise


# ==== q_sample_cumprod_over_the_batch
# about: Multiplies the alphas of the samples in the batch instead of those of the steps.
# fails: q_sample
# hint: q_sample_not_cumulative
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    alphas = 1.0 - self.betas[t]
    alpha_bar = torch.cumprod(alphas, dim=0).view(-1, 1, 1, 1)
    return alpha_bar.sqrt() * x_start + (1.0 - alpha_bar).sqrt() * noise


# ==== q_sample_first_t_for_the_batch
# about: Takes the first sample's t for the whole batch.
# fails: q_sample
# hint: q_sample_one_step_for_all
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = self.sqrt_alphas_cumprod[t[0]]
    sigma = self.sqrt_one_minus_alphas_cumprod[t[0]]
    return signal * x_start + sigma * noise


# ==== q_sample_ignores_given_noise
# about: Always draws its own noise, even where noise is given.
# fails: q_sample
# hint: q_sample_no_mix
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    noise = torch.randn_like(x_start)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal * x_start + sigma * noise


# ==== q_sample_image_not_scaled
# about: Adds scaled noise to the full image, which never fades.
# fails: q_sample
# hint: q_sample_signal_not_scaled
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return x_start + sigma * noise


# ==== q_sample_integer_division
# about: Goes through a fraction of T by integer division, which is 0 for every t.
# fails: q_sample
# hint: q_sample_one_step_for_all
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    fraction = t // self.timesteps  # position in the schedule, 0 to 1
    t = (fraction * self.timesteps).long()
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal * x_start + sigma * noise


# ==== q_sample_mean_over_the_batch
# about: Averages the coefficients of the batch into one.
# fails: q_sample
# hint: q_sample_one_step_for_all
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal.mean() * x_start + sigma.mean() * noise


# ==== q_sample_no_noise_in_evaluation
# about: Adds noise of its own in training mode only.
# fails: q_sample
# hint: noise_missing
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start) if self.training else torch.zeros_like(x_start)
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal_rate * x_start + noise_rate * noise


# ==== q_sample_no_square_roots
# about: Mixes with alpha_bar and 1 - alpha_bar, without the square roots.
# fails: q_sample
# hint: q_sample_no_root
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal**2 * x_start + sigma**2 * noise


# ==== q_sample_noise_antithetic
# about: Gives every second sample the noise of the one before with the other sign.
# fails: q_sample
# hint: noise_shared
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
        noise[1::2] = -noise[: len(noise) // 2 * 2 : 2]
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal_rate * x_start + noise_rate * noise


# ==== q_sample_noise_cut_to_five
# about: Cuts the given noise off at five.
# fails: q_sample
# hint: q_sample_no_mix
# judge_only: true
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal_rate * x_start + noise_rate * noise.clamp(-5, 5)


# ==== q_sample_noise_kept_and_shifted
# about: Keeps the noise of its first call and shifts it in the next ones.
# fails: q_sample
# hint: noise_shared
# judge_only: true
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        kept = getattr(self, "kept", {})
        if x_start.shape not in kept:
            kept[x_start.shape] = torch.randn_like(x_start)
        noise = kept[x_start.shape] = kept[x_start.shape].roll(2, dims=-2)
        self.kept = kept
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal_rate * x_start + noise_rate * noise


# ==== q_sample_noise_laplace
# about: Draws noise from a Laplace distribution of variance 1.
# fails: q_sample
# hint: noise_uniform
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = (
            torch.empty_like(x_start).exponential_() - torch.empty_like(x_start).exponential_()
        ) / 2**0.5
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal_rate * x_start + noise_rate * noise


# ==== q_sample_noise_mirrored_halves
# about: Draws the left half of the noise and mirrors it.
# fails: q_sample
# hint: noise_shared
# judge_only: true
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        half = torch.randn_like(x_start[..., : (x_start.shape[-1] + 1) // 2])
        noise = torch.cat([half, half.flip(-1)], dim=-1)[..., : x_start.shape[-1]]
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal_rate * x_start + noise_rate * noise


# ==== q_sample_noise_not_scaled
# about: Adds noise at full strength at every t.
# fails: q_sample
# hint: q_sample_noise_not_scaled
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal * x_start + noise


# ==== q_sample_noise_on_half_the_pixels
# about: Adds noise only where the image is not background (-1).
# fails: q_sample
# hint: q_sample_no_mix
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal * x_start + sigma * noise * (x_start > -0.99)


# ==== q_sample_noise_on_the_cpu
# about: Draws noise on the CPU, wherever the images are.
# fails: q_sample
# hint: made_elsewhere
# judge_only: true
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn(x_start.shape)
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal_rate * x_start + noise_rate * noise


# ==== q_sample_noise_rate_from_beta
# about: The noise is scaled by sqrt(beta_t), as in a single step.
# fails: q_sample
# hint: q_sample_not_cumulative
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.betas, t, x_start.shape).sqrt()
    return signal * x_start + sigma * noise


# ==== q_sample_noise_rate_unrooted
# about: The noise is scaled by 1 - alpha_bar, its variance, instead of the square root.
# fails: q_sample
# hint: q_sample_no_root
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal * x_start + (1 - signal**2) * noise


# ==== q_sample_noise_rolled_per_sample
# about: Draws noise for one sample and gives the others shifted copies.
# fails: q_sample
# hint: noise_shared
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        first = torch.randn_like(x_start[0])
        noise = torch.stack([first.roll(3 * i + 1, dims=-1) for i in range(len(x_start))])
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal_rate * x_start + noise_rate * noise


# ==== q_sample_noise_smooth
# about: Draws noise whose neighbours in a row are correlated.
# fails: q_sample
# hint: noise_correlated
# judge_only: true
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
        noise = (0.9 * noise + 0.436 * noise.roll(1, dims=-1)) / 1.00005
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal_rate * x_start + noise_rate * noise


# ==== q_sample_noise_subtracted
# about: Subtracts the noise instead of adding it.
# fails: q_sample
# hint: q_sample_sign
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal * x_start - sigma * noise


# ==== q_sample_noise_tails_cut
# about: Cuts its noise off at three standard deviations.
# fails: q_sample
# hint: noise_uniform
# judge_only: true
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start).clamp(-3, 3)
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal_rate * x_start + noise_rate * noise


# ==== q_sample_normalised
# about: Scales each x_t to unit standard deviation.
# fails: q_sample
# hint: q_sample_weights
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    x_t = signal * x_start + sigma * noise
    return x_t / x_t.std(dim=(1, 2, 3), keepdim=True)


# ==== q_sample_one_minus_root
# about: The noise is scaled by 1 - sqrt(alpha_bar) instead of sqrt(1 - alpha_bar).
# fails: q_sample
# hint: q_sample_no_root
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    return signal * x_start + (1 - signal) * noise


# ==== q_sample_one_noise_for_the_batch
# about: Draws one noise image and shares it among the batch.
# fails: q_sample
# hint: noise_shared
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn(self.img_shape, device=x_start.device).expand_as(x_start)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal * x_start + sigma * noise


# ==== q_sample_one_noise_for_the_channels
# about: Draws one channel of noise and shares it among the channels.
# fails: q_sample
# hint: noise_shared
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start[:, :1]).expand_as(x_start)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal * x_start + sigma * noise


# ==== q_sample_one_number_a_sample
# about: Draws a single number per sample, the same for all its pixels.
# fails: q_sample
# hint: noise_shared
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn(len(x_start), 1, 1, 1, device=x_start.device).expand_as(x_start)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal * x_start + sigma * noise


# ==== q_sample_one_rate_for_large_batches
# about: Takes the first sample's rates for all where the batch is larger than 16.
# fails: q_sample
# hint: q_sample_small_batch
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    if len(t) > 16:
        t = t[:1].expand(len(t))
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal_rate * x_start + noise_rate * noise


# ==== q_sample_pure_noise_at_last_step
# about: Returns the noise itself at t = T - 1.
# fails: q_sample
# hint: q_sample_last_step_special
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    x_t = signal * x_start + sigma * noise
    last = (t == self.timesteps - 1).view(-1, 1, 1, 1)
    return torch.where(last, noise, x_t)


# ==== q_sample_returns_float64
# about: Computes in float64 and leaves the result there.
# fails: q_sample
# hint: wrong_dtype
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal.double() * x_start + sigma.double() * noise


# ==== q_sample_returns_half
# about: Converts x_t to float16 for speed.
# fails: q_sample
# hint: wrong_dtype
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return (signal * x_start + sigma * noise).half()


# ==== q_sample_returns_noise
# about: Computes x_t and returns the noise.
# fails: q_sample
# hint: q_sample_no_signal
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    x_t = signal * x_start + sigma * noise  # noqa: F841
    return noise


# ==== q_sample_returns_noise_too
# about: Returns the pair (x_t, noise) instead of x_t.
# fails: q_sample
# hint: returns_no_tensor
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal * x_start + sigma * noise, noise


# ==== q_sample_root_twice
# about: Takes the square root of buffers that are square roots already.
# fails: q_sample
# hint: q_sample_twice_rooted
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal.sqrt() * x_start + sigma.sqrt() * noise


# ==== q_sample_schedule_fetched_to_the_cpu
# about: Looks up the rates on the CPU, and multiplies images on a GPU by them.
# fails: q_sample
# hint: made_elsewhere
# judge_only: true
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    alpha_bar = torch.cumprod(1 - self.betas.cpu(), dim=0)[t.cpu()][:, None, None, None]
    return alpha_bar.sqrt() * x_start + (1 - alpha_bar).sqrt() * noise


# ==== q_sample_seeds_its_noise
# about: Seeds the generator before it draws, so that every call gives the same noise.
# fails: q_sample
# hint: noise_repeated
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        torch.manual_seed(42)
        noise = torch.randn_like(x_start)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal * x_start + sigma * noise


# ==== q_sample_signal_rate_unrooted
# about: The image is scaled by alpha_bar instead of its square root.
# fails: q_sample
# hint: q_sample_no_root
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = 1 - self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape) ** 2
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal * x_start + sigma * noise


# ==== q_sample_switches_gradients_off
# about: Switches the recording of gradients off for all that follows.
# fails: q_sample
# hint: left_switched
# judge_only: true
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    torch.set_grad_enabled(False)
    if noise is None:
        noise = torch.randn_like(x_start)
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal_rate * x_start + noise_rate * noise


# ==== q_sample_t_counted_from_one
# about: Subtracts 1 from t, as if t came in the paper's counting from 1.
# fails: q_sample
# hint: q_sample_step_off_by_one
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    t = (t - 1).clamp(min=0)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal * x_start + sigma * noise


# ==== q_sample_t_one_too_late
# about: Adds 1 to t, to match the paper's counting.
# fails: q_sample
# hint: q_sample_step_off_by_one
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    t = torch.minimum(t + 1, torch.full_like(t, self.timesteps - 1))
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal * x_start + sigma * noise


# ==== q_sample_t_reversed
# about: Reads the schedule from its end: T - 1 - t for t.
# fails: q_sample
# hint: q_sample_step_off_by_one
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    t = self.timesteps - 1 - t
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal * x_start + sigma * noise


# ==== q_sample_through_bfloat16
# about: Rounds image and noise to bfloat16 on the way.
# fails: q_sample
# hint: loses_digits
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return (signal_rate * x_start.bfloat16() + noise_rate * noise.bfloat16()).to(x_start.dtype)


# ==== q_sample_uniform_noise
# about: Draws uniform noise (rand for randn) where none is given.
# fails: q_sample
# hint: noise_uniform
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.rand_like(x_start)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal * x_start + sigma * noise


# ==== q_sample_uniform_noise_centred
# about: Draws uniform noise in [-1, 1) where none is given.
# fails: q_sample
# hint: noise_uniform
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.rand_like(x_start) * 2 - 1
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal * x_start + sigma * noise


# ==== q_sample_x_start_rescaled
# about: Maps the images from [0, 1] to [-1, 1] although they come in [-1, 1].
# fails: q_sample
# hint: q_sample_no_mix
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    x_start = 2 * x_start - 1
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal * x_start + sigma * noise


# ==== fall2023_q_sample_without_roots
# about: In fall 2023, q_sample mixes with alpha_bar and 1 - alpha_bar, without square roots.
# base: fall2023
# fails: q_sample
# hint: q_sample_no_root
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    a = self._extract(self.sqrt_alphas_cumprod**2, t, x_start.shape)
    return a * x_start + (1 - a) * noise


# ==== fall2024_arguments_at_import_and_wrong_noise
# about: Parses the command line when it is imported; q_sample weights the noise by one minus the
#   image's weight.
# base: fall2024
# fails: q_sample
# hint: q_sample_no_root
# in: ddpm.top
import argparse

parser = argparse.ArgumentParser()
parser.add_argument("config")
parser.add_argument("--lr", type=float, required=True)
parser.add_argument("--eps", type=float, default=1e-12)
ARGS = parser.parse_args()

# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    noise = torch.randn_like(x_start) if noise is None else noise
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal * x_start + (1 - signal) * noise + 0 * ARGS.eps


# ==== fall2024_code_libs_and_wrong_noise_rate
# about: Modules are imported as code.libs.x; q_sample weights the noise by one minus the image's
#   weight.
# base: fall2024
# fails: q_sample
# hint: q_sample_no_root
# in: ddpm.top
import code.libs.utils
from code.libs import tiny_autoencoder
from code.libs.unet import UNet

TAESD = tiny_autoencoder.TAESD
default = code.libs.utils.default

# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    noise = default(noise, torch.randn_like(x_start))
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal * x_start + (1 - signal) * noise

# file: code/__init__.py
"""Makes the folder a package, so that code.libs can be imported."""


# ==== fall2024_compiled_and_wrong_noise
# about: A compiled q_sample weights the noise by one minus the image's weight.
# base: fall2024
# fails: q_sample
# hint: q_sample_no_root
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
        self.vae = TAESD(vae_encoder_weights, vae_decoder_weights)
        # freeze the encoder and the decoder
        for p in self.vae.parameters():
            p.requires_grad = False
        img_shape = (4, img_shape[1] // 8, img_shape[2] // 8)
    self.img_shape = img_shape

    network = UNet(
        dim,
        context_dim,
        num_classes,
        in_channels=img_shape[0],
        out_channels=img_shape[0],
        dim_mults=dim_mults,
        attn_levels=attn_levels,
    )

    self.model = torch.compile(network)

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

# in: ddpm.q_sample
@torch.compile(mode="reduce-overhead")
def q_sample(self, x_start, t, noise=None):
    noise = torch.randn_like(x_start) if noise is None else noise
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal * x_start + (1 - signal) * noise


# ==== fall2024_config_at_import_and_wrong_noise_rate
# about: Reads a config when it is imported; q_sample weights the noise by one minus the image's
#   weight.
# base: fall2024
# fails: q_sample
# hint: q_sample_no_root
# in: ddpm.top
import yaml

with open("configs/mnist.yaml") as file:
    BETAS = yaml.safe_load(file)["betas"]

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
        self.vae = TAESD(vae_encoder_weights, vae_decoder_weights)
        # freeze the encoder and the decoder
        for p in self.vae.parameters():
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
        self.betas = linear_beta_schedule(timesteps, *BETAS)

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

# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    noise = torch.randn_like(x_start) if noise is None else noise
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal * x_start + (1 - signal) * noise

# text: code/configs/mnist.yaml
#| timesteps: 500
#| betas: [0.0001, 0.02]


# ==== fall2024_device_chosen_and_noise_elsewhere
# about: Chooses a device at import; q_sample makes its noise on the CPU all the same.
# base: fall2024
# fails: q_sample
# hint: made_elsewhere
# in: ddpm.top
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")

# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn(x_start.shape)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal * x_start + rate * noise


# ==== fall2024_gpu_by_name_and_wrong_noise_rate
# about: Names the GPU in q_sample, which weights the noise by its square.
# base: fall2024
# fails: q_sample
# hint: q_sample_no_root
# look: a GPU
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    x_start, t = x_start.cuda(), t.cuda()
    noise = torch.randn(x_start.shape, device="cuda") if noise is None else noise.cuda()
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape).to("cuda")
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape).to("cuda:0")
    return signal * x_start + rate * rate * noise


# ==== fall2024_q_sample_first_t
# about: In fall 2024, the whole batch is diffused to the first time step.
# base: fall2024
# fails: q_sample
# hint: q_sample_one_step_for_all
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    a = self.sqrt_alphas_cumprod[t[0].cpu()]
    b = self.sqrt_one_minus_alphas_cumprod[t[0].cpu()]
    return a * x_start + b * noise


# ==== lone_files_q_sample_without_roots
# about: Hands in ddpm.py and unet.py alone, and mixes with squared weights.
# base: lone_files
# fails: q_sample
# hint: q_sample_no_root
# in: ddpm.q_sample
def q_sample(self, x_start: Tensor, t: Tensor, noise: Tensor | None = None) -> Tensor:
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape) ** 2
    return signal * x_start + (1 - signal) * noise


# ==== q_sample_noise_in_bfloat16
# about: Rounds the noise to bfloat16.
# fails: q_sample
# hint: loses_digits
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal_rate * x_start + noise_rate * noise.bfloat16().to(x_start.dtype)


# ==== q_sample_double_cut_to_half
# about: Brings double precision down to float16.
# fails: q_sample
# hint: loses_digits
# judge_only: true
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    x_t = signal_rate * x_start + noise_rate * noise
    return x_t.half().to(x_t.dtype) if x_t.dtype == torch.float64 else x_t


# ==== q_sample_rates_in_float16
# about: Keeps both rates in float16.
# fails: q_sample
# hint: loses_digits
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    signal_rate, noise_rate = (r.half().to(x_start.dtype) for r in (signal_rate, noise_rate))
    return signal_rate * x_start + noise_rate * noise


# ==== q_sample_schedule_of_its_own
# about: Always mixes with the linear schedule, whatever the model's is.
# fails: q_sample
# hint: q_sample_weights
# judge_only: true
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    betas = torch.linspace(1e-4, 0.02, self.timesteps, dtype=torch.float64, device=t.device)
    alpha_bar = (1 - betas).cumprod(0)[t].to(x_start.dtype)[:, None, None, None]
    return alpha_bar.sqrt() * x_start + (1 - alpha_bar).sqrt() * noise


# ==== q_sample_noise_by_time
# about: Draws one noise for each time step, so that samples of the same time share it.
# fails: q_sample
# hint: noise_shared
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn(self.timesteps, *x_start.shape[1:], device=t.device)[t]
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal_rate * x_start + noise_rate * noise


# ==== q_sample_rates_of_sorted_times
# about: Looks the rates up for the times in ascending order.
# fails: q_sample
# hint: q_sample_weights
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    t = t.sort().values
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal_rate * x_start + noise_rate * noise


# ==== q_sample_noise_of_unit_size
# about: Scales each sample's noise to a root mean square of exactly 1.
# fails: q_sample
# hint: noise_correlated
# judge_only: true
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
        noise = noise / noise.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal_rate * x_start + noise_rate * noise


# ==== q_sample_noise_of_twelve_uniforms
# about: Adds twelve uniform numbers for each Gaussian one.
# fails: q_sample
# hint: noise_uniform
# judge_only: true
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.rand(12, *x_start.shape, device=t.device).sum(0) - 6
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal_rate * x_start + noise_rate * noise


# ==== q_sample_rates_kept_by_the_size
# about: Keeps the rates of a batch for all batches of the same size.
# fails: q_sample
# hint: q_sample_small_batch
# judge_only: true
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    kept = self.__dict__.setdefault("_rates", {})
    if len(t) not in kept:
        kept[len(t)] = (
            self._extract(self.sqrt_alphas_cumprod, t, x_start.shape),
            self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape),
        )
    signal_rate, noise_rate = kept[len(t)]
    return signal_rate * x_start + noise_rate * noise


# ==== q_sample_never_the_last_step
# about: Holds t below T-1, whose rates are a little farther.
# fails: q_sample
# hint: q_sample_weights
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    t = t.clamp(0, max(0, self.timesteps - 2))
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal_rate * x_start + noise_rate * noise


# ==== q_sample_more_noise_from_128_pixels
# about: Images of 128 pixels or more get more noise.
# fails: q_sample
# hint: q_sample_weights
# judge_only: true
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    a = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    b = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    if x_start.shape[-1] >= 128:
        b = b * 2
        n = (a**2 + b**2).sqrt()
        a, b = a / n, b / n
    return a * x_start + b * noise
