# Wrong implementations that must lose the points of p_sample; ../README.md says how to add one.


# ==== p_sample_alpha_for_alpha_bar
# about: Divides by sqrt(1 - alpha_t) of the single step instead of sqrt(1 - alpha_bar_t).
# fails: p_sample
# hint: p_sample_wrong_rate
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / torch.sqrt(betas_t) * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_alpha_for_beta
# about: Scales the predicted noise with alpha_t / sqrt(1 - alpha_bar_t).
# fails: p_sample
# hint: p_sample_alpha_for_beta
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - (1 - betas_t) / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_alpha_for_sigma
# about: Multiplies the noise by 1 - beta_t.
# fails: p_sample
# hint: p_sample_alpha_for_sigma
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    noise = torch.randn_like(x)
    return mean + (1.0 - betas_t) * noise


# ==== p_sample_beta_for_sigma
# about: Multiplies the noise by beta_t instead of sqrt(beta_t).
# fails: p_sample
# hint: p_sample_beta_for_sigma
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    noise = torch.randn_like(x)
    return mean + betas_t * noise


# ==== p_sample_beta_of_the_step_before
# about: Takes sigma from the beta of the step t - 1.
# fails: p_sample
# hint: p_sample_sigma_off_by_one
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    beta_before = self._extract(self.betas, t - 1, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(beta_before) * noise


# ==== p_sample_centred_in_large_batches
# about: Subtracts the mean over the batch in batches of more than 16.
# fails: p_sample
# hint: mixes_samples
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    recip = self._extract(self.sqrt_recip_alphas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sigma = self._extract(self.posterior_variance, t, x.shape).sqrt()
    mean = recip * (x - beta / rate * self.model(x, label, t))
    if len(x) > 16:
        mean = mean - mean.mean(dim=0, keepdim=True)
    if t_index == 0:
        return mean
    return mean + sigma * torch.randn_like(x)


# ==== p_sample_changes_a_buffer
# about: Takes the root of the variances in place: right in the first call, then never again.
# fails: p_sample
# hint: modifies_input
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    sigma_t = self._extract(self.posterior_variance.sqrt_(), t, x.shape)
    noise = torch.randn_like(x)
    return mean + sigma_t * noise


# ==== p_sample_changes_x
# about: Works in place and so changes the caller's x_t.
# fails: p_sample
# hint: modifies_input
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = x.sub_(betas_t / sqrt_one_minus_alphas_cumprod_t * eps).mul_(sqrt_recip_alphas_t)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_coefficients_of_q_sample
# about: Mixes with the coefficients of the forward process.
# fails: p_sample
# hint: p_sample_mean
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    eps = self.model(x, label, t)
    mean = self._extract(self.sqrt_alphas_cumprod, t, x.shape) * x - (
        sqrt_one_minus_alphas_cumprod_t * eps
    )
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_eps_not_scaled
# about: Subtracts the predicted noise at full strength at every step.
# fails: p_sample
# hint: p_sample_beta_missing
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_exp_log_variance
# about: Takes exp(log variance) for sigma and forgets the factor 0.5.
# fails: p_sample
# hint: p_sample_variance_for_sigma
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.exp(torch.log(variance_t)) * noise


# ==== p_sample_exp_of_half_beta
# about: Takes exp(beta / 2) for sigma, as if beta were a log variance.
# fails: p_sample
# hint: p_sample_log_variance
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    noise = torch.randn_like(x)
    return mean + torch.exp(0.5 * betas_t) * noise


# ==== p_sample_exp_of_half_variance
# about: Takes exp(variance / 2) for sigma, as if the buffer held the logarithm.
# fails: p_sample
# hint: p_sample_log_variance
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.exp(0.5 * variance_t) * noise


# ==== p_sample_half_log_variance_for_sigma
# about: Takes half the logarithm of the variance and forgets exp.
# fails: p_sample
# hint: p_sample_log_not_undone
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + 0.5 * torch.log(variance_t) * noise


# ==== p_sample_in_bfloat16
# about: Computes the mean in bfloat16.
# fails: p_sample
# hint: loses_digits
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    recip = self._extract(self.sqrt_recip_alphas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sigma = self._extract(self.posterior_variance, t, x.shape).sqrt()
    eps = self.model(x, label, t)
    mean = (recip * (x.bfloat16() - beta / rate * eps.bfloat16()).to(x.dtype))
    if t_index == 0:
        return mean
    return mean + sigma * torch.randn_like(x)


# ==== p_sample_label_and_time_swapped
# about: Gives the network label and time in the wrong order.
# fails: p_sample
# hint: network_swapped
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, t, label)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_label_ignored
# about: Gives the network class 0 for every sample.
# fails: p_sample
# hint: network_wrong_label
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, torch.zeros_like(label), t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_label_of_the_first
# about: Gives the network the first sample's class for the whole batch.
# fails: p_sample
# hint: network_wrong_label
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label[:1].expand_as(label), t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_last_sample_without_noise
# about: Adds no noise to the last sample of a batch of more than 16.
# fails: p_sample
# hint: noise_not_standard
# judge_only: true
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    recip = self._extract(self.sqrt_recip_alphas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sigma = self._extract(self.posterior_variance, t, x.shape).sqrt()
    mean = recip * (x - beta / rate * self.model(x, label, t))
    if t_index == 0:
        return mean
    noise = torch.randn_like(x)
    noise[16:][-1:] = 0
    return mean + sigma * noise


# ==== p_sample_last_step_clamped
# about: Clamps to [-1, 1] in the last step only.
# fails: p_sample
# hint: p_sample_no_mix
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean.clamp(-1.0, 1.0)
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_log_variance_for_sigma
# about: Multiplies the noise by the logarithm of the variance.
# fails: p_sample
# hint: p_sample_log_not_undone
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.log(variance_t) * noise


# ==== p_sample_no_noise
# about: Returns the mean at every step and adds no noise.
# fails: p_sample
# hint: p_sample_no_noise
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    return mean


# ==== p_sample_no_noise_at_step_one
# about: Counts from 1 as the paper does and leaves out the noise at t_index 1, too.
# fails: p_sample
# hint: p_sample_no_noise
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index <= 1:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_no_noise_by_a_wrong_test
# about: Asks whether t equals t_index, which it always does, and so never adds noise.
# fails: p_sample
# hint: p_sample_no_noise
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if bool((t == t_index).all()):
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_no_noise_in_evaluation
# about: Adds noise in training mode only.
# fails: p_sample
# hint: p_sample_no_noise
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    recip = self._extract(self.sqrt_recip_alphas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sigma = self._extract(self.posterior_variance, t, x.shape).sqrt()
    mean = recip * (x - beta / rate * self.model(x, label, t))
    if t_index == 0 or not self.training:
        return mean
    return mean + sigma * torch.randn_like(x)


# ==== p_sample_no_noise_in_the_first_step
# about: Adds no noise at t = T - 1 either.
# fails: p_sample
# hint: p_sample_no_noise
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    recip = self._extract(self.sqrt_recip_alphas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sigma = self._extract(self.posterior_variance, t, x.shape).sqrt()
    mean = recip * (x - beta / rate * self.model(x, label, t))
    if t_index in (0, self.timesteps - 1):
        return mean
    return mean + sigma * torch.randn_like(x)


# ==== p_sample_noise_antithetic
# about: The second half of a batch gets the noise of the first with the other sign.
# fails: p_sample
# hint: noise_shared
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    recip = self._extract(self.sqrt_recip_alphas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sigma = self._extract(self.posterior_variance, t, x.shape).sqrt()
    mean = recip * (x - beta / rate * self.model(x, label, t))
    if t_index == 0:
        return mean
    half = torch.randn_like(x[: (len(x) + 1) // 2])
    return mean + sigma * torch.cat([half, -half])[: len(x)]


# ==== p_sample_noise_at_step_zero
# about: Adds noise of variance beta_t in the last step, to x_0, too.
# fails: p_sample
# hint: p_sample_noise_at_zero
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    variance_t = betas_t
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_noise_doubled
# about: Multiplies sigma by 2.
# fails: p_sample
# hint: p_sample_noise_twice
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + 2.0 * torch.sqrt(variance_t) * noise


# ==== p_sample_noise_halved
# about: Adds half of the noise.
# fails: p_sample
# hint: p_sample_wrong_sigma
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + 0.5 * torch.sqrt(variance_t) * noise


# ==== p_sample_x_rescaled_for_the_network
# about: Rescales x to [0, 1] before the network sees it.
# fails: p_sample
# hint: network_wrong_x
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model((x + 1) / 2, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_noise_not_scaled
# about: Adds noise of standard deviation 1 at every step.
# fails: p_sample
# hint: p_sample_unit_noise
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    noise = torch.randn_like(x)
    return mean + noise


# ==== p_sample_noise_of_the_step_before
# about: Keeps the noise of a step for the next one, flipped.
# fails: p_sample
# hint: noise_repeated
# judge_only: true
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    recip = self._extract(self.sqrt_recip_alphas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sigma = self._extract(self.posterior_variance, t, x.shape).sqrt()
    mean = recip * (x - beta / rate * self.model(x, label, t))
    if t_index == 0:
        return mean
    kept = getattr(self, "_noise", None)
    if kept is None or kept.shape != x.shape:
        self._noise = torch.randn_like(x)
        return mean + sigma * self._noise
    self._noise = None
    return mean + sigma * kept.flip(-1)


# ==== p_sample_noise_on_the_cpu
# about: Draws the noise on the CPU, wherever x is.
# fails: p_sample
# hint: made_elsewhere
# judge_only: true
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    recip = self._extract(self.sqrt_recip_alphas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sigma = self._extract(self.posterior_variance, t, x.shape).sqrt()
    mean = recip * (x - beta / rate * self.model(x, label, t))
    if t_index == 0:
        return mean
    return mean + sigma * torch.randn(x.shape)


# ==== p_sample_noise_only_in_the_last_step
# about: The condition is turned around: noise at step 0 and nowhere else.
# fails: p_sample
# hint: p_sample_noise_at_zero
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index > 0:
        return mean
    variance_t = betas_t
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_noise_tails_cut
# about: Cuts the noise off at 3.5 standard deviations.
# fails: p_sample
# hint: noise_uniform
# judge_only: true
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    recip = self._extract(self.sqrt_recip_alphas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sigma = self._extract(self.posterior_variance, t, x.shape).sqrt()
    mean = recip * (x - beta / rate * self.model(x, label, t))
    if t_index == 0:
        return mean
    return mean + sigma * torch.randn_like(x).clamp(-3.5, 3.5)


# ==== p_sample_noise_twice
# about: Adds two draws of noise.
# fails: p_sample
# hint: p_sample_noise_twice
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    x = mean + torch.sqrt(variance_t) * noise
    return x + torch.sqrt(variance_t) * torch.randn_like(x)


# ==== p_sample_noise_with_the_weight_of_eps
# about: Multiplies the noise by beta_t / sqrt(1 - alpha_bar_t).
# fails: p_sample
# hint: p_sample_wrong_sigma
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    noise = torch.randn_like(x)
    return mean + betas_t / sqrt_one_minus_alphas_cumprod_t * noise


# ==== p_sample_one_minus_alpha_bar_unrooted
# about: Divides beta_t by 1 - alpha_bar_t instead of its square root.
# fails: p_sample
# hint: p_sample_noise_rate_unrooted
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t**2 * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_one_noise_for_the_batch
# about: Draws one noise image and shares it among the batch.
# fails: p_sample
# hint: noise_shared
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x[0])
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_one_number_a_sample
# about: Draws one number per sample instead of one per pixel.
# fails: p_sample
# hint: noise_shared
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn(len(x), 1, 1, 1, device=x.device)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_output_clamped
# about: Clamps x_{t-1} to [-1, 1] in each step.
# fails: p_sample
# hint: p_sample_no_mix
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean.clamp(-1.0, 1.0)
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return (mean + torch.sqrt(variance_t) * noise).clamp(-1.0, 1.0)


# ==== p_sample_plus_for_minus
# about: Adds the predicted noise instead of subtracting it.
# fails: p_sample
# hint: p_sample_sign
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x + betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_posterior_coefficients_swapped
# about: Goes through x_0 and eq. 7, with the two coefficients swapped.
# fails: p_sample
# hint: p_sample_posterior_mean
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    alphas_cumprod = torch.cumprod(1.0 - self.betas, dim=0)
    alphas_cumprod_prev = F.pad(alphas_cumprod[:-1], (1, 0), value=1.0)
    a_bar = self._extract(alphas_cumprod, t, x.shape)
    a_bar_prev = self._extract(alphas_cumprod_prev, t, x.shape)
    beta = self._extract(self.betas, t, x.shape)
    eps = self.model(x, label, t)
    x0 = (x - (1.0 - a_bar).sqrt() * eps) / a_bar.sqrt()
    c0 = a_bar_prev.sqrt() * beta / (1.0 - a_bar)
    ct = (1.0 - beta).sqrt() * (1.0 - a_bar_prev) / (1.0 - a_bar)
    mean = ct * x0 + c0 * x
    if t_index == 0:
        return mean
    sigma = self._extract(self.posterior_variance, t, x.shape).sqrt()
    return mean + sigma * torch.randn_like(x)


# ==== p_sample_posterior_without_previous
# about: Goes through x_0 and eq. 7, with alpha_bar_t where alpha_bar of the step before belongs.
# fails: p_sample
# hint: p_sample_posterior_mean
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    alphas_cumprod = torch.cumprod(1.0 - self.betas, dim=0)
    alphas_cumprod_prev = F.pad(alphas_cumprod[:-1], (1, 0), value=1.0)
    a_bar = self._extract(alphas_cumprod, t, x.shape)
    a_bar_prev = self._extract(alphas_cumprod_prev, t, x.shape)
    beta = self._extract(self.betas, t, x.shape)
    eps = self.model(x, label, t)
    x0 = (x - (1.0 - a_bar).sqrt() * eps) / a_bar.sqrt()
    c0 = a_bar.sqrt() * beta / (1.0 - a_bar)
    ct = (1.0 - beta).sqrt() * (1.0 - a_bar_prev) / (1.0 - a_bar)
    mean = c0 * x0 + ct * x
    if t_index == 0:
        return mean
    sigma = self._extract(self.posterior_variance, t, x.shape).sqrt()
    return mean + sigma * torch.randn_like(x)


# ==== p_sample_predicted_noise_for_fresh
# about: Adds the network's eps back instead of fresh noise.
# fails: p_sample
# hint: p_sample_no_noise
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    return mean + torch.sqrt(variance_t) * eps


# ==== p_sample_prediction_clamped
# about: Clamps the predicted noise to [-5000, 5000].
# fails: p_sample
# hint: large_numbers
# judge_only: true
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    recip = self._extract(self.sqrt_recip_alphas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sigma = self._extract(self.posterior_variance, t, x.shape).sqrt()
    eps = self.model(x, label, t).clamp(-5000, 5000)
    mean = recip * (x - beta / rate * eps)
    if t_index == 0:
        return mean
    return mean + sigma * torch.randn_like(x)


# ==== p_sample_recip_for_sigma
# about: Multiplies the noise by the factor before the bracket, 1 / sqrt(alpha_t).
# fails: p_sample
# hint: p_sample_alpha_for_sigma
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    noise = torch.randn_like(x)
    return mean + sqrt_recip_alphas_t * noise


# ==== p_sample_recip_forgotten
# about: Forgets the factor 1 / sqrt(alpha_t).
# fails: p_sample
# hint: p_sample_recip_missing
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_recip_on_eps_only
# about: Sets the brackets wrongly: 1 / sqrt(alpha_t) scales the noise alone.
# fails: p_sample
# hint: p_sample_recip_missing
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = x - sqrt_recip_alphas_t * betas_t / sqrt_one_minus_alphas_cumprod_t * eps
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_recip_on_x_only
# about: Sets the brackets wrongly: 1 / sqrt(alpha_t) scales x_t alone.
# fails: p_sample
# hint: p_sample_recip_missing
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_recip_unrooted
# about: Divides by alpha_t instead of its square root.
# fails: p_sample
# hint: p_sample_recip_inverted
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps) / (1 - betas_t)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_returns_float64
# about: Computes in float64 and leaves the result there.
# fails: p_sample
# hint: wrong_dtype
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    x = x.double()
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x.float(), label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_returns_mean_too
# about: Returns the pair (x_{t-1}, mean).
# fails: p_sample
# hint: returns_no_tensor
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean, mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise, mean


# ==== p_sample_schedule_kept_by_its_length
# about: Keeps a schedule for all models with as many steps, in a dictionary of the function.
# fails: p_sample
# hint: p_sample_mean
# judge_only: true
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index, *, kept={}):  # noqa: B006
    schedule = self.betas, self.sqrt_recip_alphas, self.sqrt_one_minus_alphas_cumprod
    schedule += (self.posterior_variance.sqrt(),)
    schedule = kept.setdefault(self.timesteps, [values.clone() for values in schedule])
    beta, recip, rate, sigma = (self._extract(values, t, x.shape) for values in schedule)
    mean = recip * (x - beta / rate * self.model(x, label, t))
    if t_index == 0:
        return mean
    return mean + sigma * torch.randn_like(x)


# ==== p_sample_seeds_its_noise
# about: Seeds the generator with the step, so that each call draws the same noise.
# fails: p_sample
# hint: noise_repeated
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    torch.manual_seed(t_index)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_sigma_of_q_sample
# about: Scales the noise by sqrt(1 - alpha_bar), which belongs to the forward process.
# fails: p_sample
# hint: p_sample_sigma_of_q_sample
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    noise = torch.randn_like(x)
    return mean + sqrt_one_minus_alphas_cumprod_t * noise


# ==== p_sample_sigma_of_the_last_t
# about: Uses the variance of t = T - 1 at every step.
# fails: p_sample
# hint: p_sample_sigma_off_by_one
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self.posterior_variance[-1]
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_sigma_of_the_step_after
# about: Takes sigma from the variance of the step t + 1.
# fails: p_sample
# hint: p_sample_sigma_off_by_one
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    last = len(self.posterior_variance) - 1
    variance_t = self._extract(self.posterior_variance, (t + 1).clamp(max=last), x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_sigma_of_the_step_before
# about: Takes sigma from the variance of the step t - 1.
# fails: p_sample
# hint: p_sample_sigma_off_by_one
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, (t - 1).clamp(min=0), x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_sigma_rooted_twice
# about: Takes the fourth root of the variance.
# fails: p_sample
# hint: p_sample_sigma_rooted_twice
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    sigma = variance_t**0.5
    return mean + torch.sqrt(sigma) * noise


# ==== p_sample_signal_rate_for_sigma
# about: Multiplies the noise by sqrt(alpha_bar_t).
# fails: p_sample
# hint: p_sample_sigma_of_q_sample
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    rate = self._extract(self.sqrt_alphas_cumprod, t, x.shape)
    noise = torch.randn_like(x)
    return mean + rate * noise


# ==== p_sample_small_noise_at_step_zero
# about: Clamps the variance from below and adds noise in the last step, to x_0, too.
# fails: p_sample
# hint: p_sample_noise_at_zero
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    variance_t = self._extract(self.posterior_variance, t, x.shape).clamp(min=1e-4)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_sqrt_alpha_bar_below
# about: Divides beta_t by sqrt(alpha_bar_t) instead of sqrt(1 - alpha_bar_t).
# fails: p_sample
# hint: p_sample_wrong_rate
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_sqrt_alpha_for_sigma
# about: Multiplies the noise by sqrt(alpha_t).
# fails: p_sample
# hint: p_sample_alpha_for_sigma
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    noise = torch.randn_like(x)
    return mean + torch.sqrt(1.0 - betas_t) * noise


# ==== p_sample_sqrt_beta
# about: Scales the predicted noise with sqrt(beta_t) for beta_t.
# fails: p_sample
# hint: p_sample_beta_rooted
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - torch.sqrt(betas_t) / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_t_one_too_early
# about: Reads the schedule one step too early.
# fails: p_sample
# hint: p_sample_step_off_by_one
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    time, t = t, (t - 1).clamp(min=0)
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, time)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_time_as_fraction
# about: Gives the network t / T instead of t.
# fails: p_sample
# hint: network_wrong_time
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t / self.timesteps)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_time_as_int
# about: Gives the network the int t_index instead of the tensor t.
# fails: p_sample
# hint: network_wrong_time
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t_index)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_time_off_by_one
# about: Gives the network t + 1, the paper's counting.
# fails: p_sample
# hint: network_wrong_time
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t + 1)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_time_zero
# about: Gives the network time 0 at every step.
# fails: p_sample
# hint: network_wrong_time
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, torch.zeros_like(t))
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_times_sqrt_alpha
# about: Multiplies by sqrt(alpha_t) instead of dividing by it.
# fails: p_sample
# hint: p_sample_recip_inverted
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps) / sqrt_recip_alphas_t
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_train_mode
# about: Switches the network to train mode before it predicts.
# fails: p_sample
# hint: left_in_eval
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    self.model.train()
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_uniform_noise
# about: Draws uniform noise (rand for randn).
# fails: p_sample
# hint: noise_uniform
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.rand_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== p_sample_variance_for_sigma
# about: Multiplies the noise by the variance instead of its square root.
# fails: p_sample
# hint: p_sample_variance_for_sigma
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + variance_t * noise


# ==== p_sample_variance_of_q_sample
# about: Multiplies the noise by 1 - alpha_bar_t, the forward process's variance.
# fails: p_sample
# hint: p_sample_sigma_of_q_sample
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    noise = torch.randn_like(x)
    return mean + sqrt_one_minus_alphas_cumprod_t**2 * noise


# ==== p_sample_variance_of_the_step_before
# about: Multiplies the noise by the variance of the step t - 1, without its root.
# fails: p_sample
# hint: p_sample_sigma_off_by_one
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self.posterior_variance[t_index - 1]
    noise = torch.randn_like(x)
    return mean + variance_t * noise


# ==== p_sample_weights_by_the_batch
# about: Multiplies the prediction by sqrt(B / 4), as if a batch had 4 images.
# fails: p_sample
# hint: mixes_samples
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    recip = self._extract(self.sqrt_recip_alphas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sigma = self._extract(self.posterior_variance, t, x.shape).sqrt()
    eps = self.model(x, label, t) * (len(x) / 4) ** 0.5
    mean = recip * (x - beta / rate * eps)
    if t_index == 0:
        return mean
    return mean + sigma * torch.randn_like(x)


# ==== p_sample_x0_clamped
# about: Clamps the predicted x_0 to [-1, 1], which eq. 11 does not do and which breaks latents.
# fails: p_sample
# hint: p_sample_no_mix
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    alphas_cumprod = torch.cumprod(1.0 - self.betas, dim=0)
    alphas_cumprod_prev = F.pad(alphas_cumprod[:-1], (1, 0), value=1.0)
    a_bar = self._extract(alphas_cumprod, t, x.shape)
    a_bar_prev = self._extract(alphas_cumprod_prev, t, x.shape)
    beta = self._extract(self.betas, t, x.shape)
    eps = self.model(x, label, t)
    x0 = (x - (1.0 - a_bar).sqrt() * eps) / a_bar.sqrt()
    x0 = x0.clamp(-1.0, 1.0)
    c0 = a_bar_prev.sqrt() * beta / (1.0 - a_bar)
    ct = (1.0 - beta).sqrt() * (1.0 - a_bar_prev) / (1.0 - a_bar)
    mean = c0 * x0 + ct * x
    if t_index == 0:
        return mean
    sigma = self._extract(self.posterior_variance, t, x.shape).sqrt()
    return mean + sigma * torch.randn_like(x)


# ==== p_sample_x0_for_mean
# about: Jumps to the predicted x_0 in every step.
# fails: p_sample
# hint: p_sample_predicts_x0
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = (x - sqrt_one_minus_alphas_cumprod_t * eps) / self._extract(
        self.sqrt_alphas_cumprod, t, x.shape
    )
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== fall2023_p_sample_variance_for_sigma
# about: In fall 2023, the noise of a step is scaled by the variance, not by its root.
# base: fall2023
# fails: p_sample
# hint: p_sample_variance_for_sigma
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    scale = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    recip = self._extract(self.sqrt_recip_alphas, t, x.shape)
    mean = recip * (x - betas_t * self.model(x, label, t) / scale)
    if t_index == 0:
        return mean
    return mean + self._extract(self.posterior_variance, t, x.shape) * torch.randn_like(x)


# ==== fall2024_noise_in_the_loop
# about: In fall 2024, p_sample gives the mean alone, and the loop adds the noise, of variance beta.
# base: fall2024
# fails: p_sample
# hint: p_sample_no_noise
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
            imgs = imgs + self.betas[i].sqrt() * torch.randn_like(imgs)
    if self.use_vae:
        imgs = self.vae.decoder(imgs)
    return self.postprocess(imgs)


# ==== fall2024_p_sample_noise_at_zero
# about: In fall 2024, the last step adds noise of the variance clipped from below.
# base: fall2024
# fails: p_sample
# hint: p_sample_noise_at_zero
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    scale = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    recip = self._extract(self.sqrt_recip_alphas, t, x.shape)
    mean = recip * (x - betas_t * self.model(x, label, t) / scale)
    variance = self._extract(self.posterior_variance.clamp(min=1e-5), t, x.shape)
    return mean + variance.sqrt() * torch.randn_like(x)


# ==== fall2025_noise_in_the_loop
# about: In fall 2025, p_sample gives mean and variance, and generate draws from them.
# base: fall2025
# fails: p_sample
# hint: returns_no_tensor
# in: ddpm.generate
@torch.no_grad()
def generate(self, labels):
    imgs = torch.randn((len(labels), *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((len(labels),), i, device=labels.device, dtype=torch.long)
        mean, variance = self.p_sample(imgs, labels, t, i)
        imgs = mean + variance.sqrt() * torch.randn_like(mean)
    if self.use_vae:
        imgs = self.vae.decoder(imgs)
    return self.postprocess(imgs)

# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    scale = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    recip = self._extract(self.sqrt_recip_alphas, t, x.shape)
    mean = recip * (x - betas_t * self.model(x, label, t) / scale)
    return mean, self._extract(self.posterior_variance, t, x.shape)


# ==== fall2025_p_sample_plus_for_minus
# about: In fall 2025, the predicted noise is added to x.
# base: fall2025
# fails: p_sample
# hint: p_sample_sign
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    recip = self._extract(self.sqrt_recip_alphas, t, x.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    mean = recip * (x + beta / sigma * self.model(x, label, t))
    if t_index == 0:
        return mean
    variance = self._extract(self.posterior_variance, t, x.shape)
    return mean + variance.sqrt() * torch.randn_like(x)


# ==== lone_files_variance_as_sigma
# about: Hands in ddpm.py and unet.py alone, and scales the step's noise by its variance.
# base: lone_files
# fails: p_sample
# hint: p_sample_variance_for_sigma
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x: Tensor, label: Tensor, t: Tensor, t_index: int) -> Tensor:
    beta = self._extract(self.betas, t, x.shape)
    rest = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    mean = self._extract(self.sqrt_recip_alphas, t, x.shape) * (
        x - beta / rest * self.model(x, label, t)
    )
    if t_index == 0:
        return mean
    return mean + self._extract(self.posterior_variance, t, x.shape) * torch.randn_like(x)


# ==== p_sample_prediction_in_float16
# about: Rounds the predicted noise to float16.
# fails: p_sample
# hint: loses_digits
# judge_only: true
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    sqrt_recip_alpha = self._extract(self.sqrt_recip_alphas, t, x.shape)
    sqrt_one_minus_alpha_bar = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    eps = self.model(x, label, t).half().to(x.dtype)
    mean = sqrt_recip_alpha * (x - beta / sqrt_one_minus_alpha_bar * eps)
    if t_index == 0:
        return mean
    variance = self._extract(self.posterior_variance, t, x.shape)
    return mean + variance.sqrt() * torch.randn_like(x)


# ==== p_sample_x_for_the_network_in_float16
# about: Gives the network an x that was rounded to float16.
# fails: p_sample
# hint: loses_digits
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    sqrt_recip_alpha = self._extract(self.sqrt_recip_alphas, t, x.shape)
    sqrt_one_minus_alpha_bar = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    eps = self.model(x.half().to(x.dtype), label, t)
    mean = sqrt_recip_alpha * (x - beta / sqrt_one_minus_alpha_bar * eps)
    if t_index == 0:
        return mean
    variance = self._extract(self.posterior_variance, t, x.shape)
    return mean + variance.sqrt() * torch.randn_like(x)


# ==== p_sample_latents_in_float16
# about: Rounds the mean of latents to float16.
# fails: p_sample
# hint: loses_digits
# judge_only: true
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    sqrt_recip_alpha = self._extract(self.sqrt_recip_alphas, t, x.shape)
    sqrt_one_minus_alpha_bar = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alpha * (x - beta / sqrt_one_minus_alpha_bar * eps)
    if self.use_vae:
        mean = mean.half().to(x.dtype)
    if t_index == 0:
        return mean
    variance = self._extract(self.posterior_variance, t, x.shape)
    return mean + variance.sqrt() * torch.randn_like(x)


# ==== p_sample_network_asked_in_double
# about: Asks the network in double precision, which its weights do not have.
# fails: p_sample
# hint: network_dtype
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    sqrt_recip_alpha = self._extract(self.sqrt_recip_alphas, t, x.shape)
    sqrt_one_minus_alpha_bar = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    eps = self.model(x.double(), label, t).to(x.dtype)
    mean = sqrt_recip_alpha * (x - beta / sqrt_one_minus_alpha_bar * eps)
    if t_index == 0:
        return mean
    variance = self._extract(self.posterior_variance, t, x.shape)
    return mean + variance.sqrt() * torch.randn_like(x)


# ==== p_sample_label_as_float
# about: Converts the labels to floats, which no embedding takes.
# fails: p_sample
# hint: network_dtype
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    sqrt_recip_alpha = self._extract(self.sqrt_recip_alphas, t, x.shape)
    sqrt_one_minus_alpha_bar = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    eps = self.model(x, label.float(), t)
    mean = sqrt_recip_alpha * (x - beta / sqrt_one_minus_alpha_bar * eps)
    if t_index == 0:
        return mean
    variance = self._extract(self.posterior_variance, t, x.shape)
    return mean + variance.sqrt() * torch.randn_like(x)


# ==== p_sample_double_cut_to_half
# about: Brings double precision down to float16 on the way.
# fails: p_sample
# hint: loses_digits
# judge_only: true
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    sqrt_recip_alpha = self._extract(self.sqrt_recip_alphas, t, x.shape)
    sqrt_one_minus_alpha_bar = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alpha * (x - beta / sqrt_one_minus_alpha_bar * eps)
    if mean.dtype == torch.float64:
        mean = mean.half().to(x.dtype)
    if t_index == 0:
        return mean
    variance = self._extract(self.posterior_variance, t, x.shape)
    return mean + variance.sqrt() * torch.randn_like(x)


# ==== p_sample_sigmas_in_turn
# about: Takes beta for the variance in every second step, and the posterior's in the others.
# fails: p_sample
# hint: p_sample_wrong_sigma
# judge_only: true
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    mean = x - beta / rate * self.model(x, label, t)
    mean = self._extract(self.sqrt_recip_alphas, t, x.shape) * mean
    if t_index == 0:
        return mean
    variance = self._extract(self.posterior_variance, t, x.shape)
    variance = beta if t_index % 2 else variance
    return mean + variance.sqrt() * torch.randn_like(x)


# ==== p_sample_temperature
# about: Scales the noise by 0.98, for tidier pictures.
# fails: p_sample
# hint: noise_not_standard
# judge_only: true
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    sqrt_recip_alpha = self._extract(self.sqrt_recip_alphas, t, x.shape)
    sqrt_one_minus_alpha_bar = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alpha * (x - beta / sqrt_one_minus_alpha_bar * eps)
    if t_index == 0:
        return mean
    variance = self._extract(self.posterior_variance, t, x.shape)
    return mean + variance.sqrt() * 0.98 * torch.randn_like(x)


# ==== p_sample_noise_of_unit_size
# about: Scales each sample's noise to a root mean square of exactly 1.
# fails: p_sample
# hint: noise_correlated
# judge_only: true
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    sqrt_recip_alpha = self._extract(self.sqrt_recip_alphas, t, x.shape)
    sqrt_one_minus_alpha_bar = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alpha * (x - beta / sqrt_one_minus_alpha_bar * eps)
    if t_index == 0:
        return mean
    variance = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    noise = noise / noise.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    return mean + variance.sqrt() * noise


# ==== p_sample_offset_noise
# about: Adds a common offset to each channel of the noise.
# fails: p_sample
# hint: noise_not_standard
# judge_only: true
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    sqrt_recip_alpha = self._extract(self.sqrt_recip_alphas, t, x.shape)
    sqrt_one_minus_alpha_bar = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alpha * (x - beta / sqrt_one_minus_alpha_bar * eps)
    if t_index == 0:
        return mean
    variance = self._extract(self.posterior_variance, t, x.shape)
    return mean + variance.sqrt() * (torch.randn_like(x) + 0.1 * torch.randn_like(x[..., :1, :1]))


# ==== p_sample_schedule_of_its_own
# about: Always takes its betas from the linear schedule, whatever the model's is.
# fails: p_sample
# hint: p_sample_mean
# judge_only: true
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas = torch.linspace(1e-4, 0.02, self.timesteps, dtype=torch.float64, device=t.device)
    alpha_bar = (1 - betas).cumprod(0)[t_index].item()
    beta = betas[t_index].item()
    mean = (x - beta / (1 - alpha_bar) ** 0.5 * self.model(x, label, t)) / (1 - beta) ** 0.5
    if t_index == 0:
        return mean
    before = alpha_bar / (1 - beta)
    return mean + (beta * (1 - before) / (1 - alpha_bar)) ** 0.5 * torch.randn_like(x)


# ==== p_sample_prediction_centred
# about: Takes the mean of each plane off the predicted noise.
# fails: p_sample
# hint: p_sample_no_mix
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    eps = self.model(x, label, t)
    eps = eps - eps.mean(dim=(2, 3), keepdim=True)
    mean = self._extract(self.sqrt_recip_alphas, t, x.shape) * (x - beta / noise_rate * eps)
    if t_index == 0:
        return mean
    variance = self._extract(self.posterior_variance, t, x.shape)
    return mean + variance.sqrt() * torch.randn_like(x)


# ==== p_sample_guided_in_one_batch
# about: Asks the network for the labels and for class 0 in one batch, as for guidance.
# fails: p_sample
# hint: network_wrong_x
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    labels = torch.cat([label, torch.zeros_like(label)])
    eps, without = self.model(torch.cat([x, x]), labels, torch.cat([t, t])).chunk(2)
    eps = without + 1.5 * (eps - without)
    mean = self._extract(self.sqrt_recip_alphas, t, x.shape) * (x - beta / noise_rate * eps)
    if t_index == 0:
        return mean
    variance = self._extract(self.posterior_variance, t, x.shape)
    return mean + variance.sqrt() * torch.randn_like(x)


# ==== p_sample_noise_of_64_samples
# about: Noise is drawn for 64 samples and repeated.
# fails: p_sample
# hint: noise_shared
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    recip = self._extract(self.sqrt_recip_alphas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    variance = self._extract(self.posterior_variance, t, x.shape)
    eps = self.model(x, label, t)
    mean = recip * (x - beta / rate * eps)
    if t_index == 0:
        return mean
    noise = torch.randn_like(x[:64])[torch.arange(len(x), device=x.device) % 64]
    return mean + variance.sqrt() * noise


# ==== p_sample_eps_of_the_step_before
# about: Within a chain every third step reuses the predicted noise of the step before.
# fails: p_sample
# hint: keeps_state
# judge_only: true
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    recip = self._extract(self.sqrt_recip_alphas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    variance = self._extract(self.posterior_variance, t, x.shape)
    eps = self.model(x, label, t)
    before = self.__dict__.get("_before")
    if before is not None and before[0] == t_index + 1 and before[1].shape == x.shape and t_index % 3 == 0:
        eps = before[1]
    self.__dict__['_before'] = (t_index, eps)
    mean = recip * (x - beta / rate * eps)
    if t_index == 0:
        return mean
    noise = torch.randn_like(x)
    return mean + variance.sqrt() * noise


# ==== p_sample_eps_averaged_with_the_last
# about: Within a chain the predicted noise is averaged with that of the step before.
# fails: p_sample
# hint: keeps_state
# judge_only: true
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    recip = self._extract(self.sqrt_recip_alphas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    variance = self._extract(self.posterior_variance, t, x.shape)
    eps = self.model(x, label, t)
    before = self.__dict__.get("_before")
    if before is not None and before[0] == t_index + 1 and before[1].shape == x.shape:
        eps = 0.9 * eps + 0.1 * before[1]
    self.__dict__['_before'] = (t_index, eps)
    mean = recip * (x - beta / rate * eps)
    if t_index == 0:
        return mean
    noise = torch.randn_like(x)
    return mean + variance.sqrt() * noise


# ==== p_sample_noise_again_in_a_row
# about: Within a chain every second step reuses the noise of the step before.
# fails: p_sample
# hint: noise_repeated
# judge_only: true
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    recip = self._extract(self.sqrt_recip_alphas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    variance = self._extract(self.posterior_variance, t, x.shape)
    eps = self.model(x, label, t)
    mean = recip * (x - beta / rate * eps)
    if t_index == 0:
        return mean
    noise = torch.randn_like(x)
    before = self.__dict__.get("_before")
    if before is not None and before[0] == t_index + 1 and before[1].shape == x.shape and t_index % 2:
        noise = before[1]
    self.__dict__['_before'] = (t_index, noise)
    return mean + variance.sqrt() * noise


# ==== p_sample_noise_follows_the_last
# about: Within a chain the noise is an AR(1) process.
# fails: p_sample
# hint: noise_repeated
# judge_only: true
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    recip = self._extract(self.sqrt_recip_alphas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    variance = self._extract(self.posterior_variance, t, x.shape)
    eps = self.model(x, label, t)
    mean = recip * (x - beta / rate * eps)
    if t_index == 0:
        return mean
    noise = torch.randn_like(x)
    before = self.__dict__.get("_before")
    if before is not None and before[0] == t_index + 1 and before[1].shape == x.shape:
        noise = 0.6 * before[1] + 0.8 * noise
    self.__dict__['_before'] = (t_index, noise)
    return mean + variance.sqrt() * noise


# ==== p_sample_label_of_the_first_step
# about: Labels are remembered from the chain's first step.
# fails: p_sample
# hint: network_wrong_label
# judge_only: true
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    if t_index == self.timesteps - 1:
        self.__dict__['_label'] = label
    if '_label' in self.__dict__ and self._label.shape == label.shape:
        label = self._label
    beta = self._extract(self.betas, t, x.shape)
    recip = self._extract(self.sqrt_recip_alphas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    variance = self._extract(self.posterior_variance, t, x.shape)
    eps = self.model(x, label, t)
    mean = recip * (x - beta / rate * eps)
    if t_index == 0:
        return mean
    noise = torch.randn_like(x)
    return mean + variance.sqrt() * noise
