# Right implementations of p_sample, written differently; ../README.md says how to add one.


# ==== right_p_sample_by_distribution
# about: Draws from torch.distributions.Normal with the mean and sigma of the step.
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
    return torch.distributions.Normal(mean, sigma.expand_as(mean)).sample()


# ==== right_p_sample_double_inside
# about: Computes in float64 and converts the result back.
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    b = self.betas[t].double()[:, None, None, None]
    alpha_bar = (1 - self.betas.double()).cumprod(0)[t][:, None, None, None]
    eps = self.model(x, label, t).double()
    x_prev = (x.double() - b / (1 - alpha_bar).sqrt() * eps) / (1 - b).sqrt()
    if t_index > 0:
        x_prev += self.posterior_variance[t_index].sqrt() * torch.randn_like(x_prev)
    return x_prev.type_as(x)


# ==== right_p_sample_helper_for_x0
# about: Splits the step into helper methods for x_0 and the posterior.
# in: ddpm.p_sample
def predict_start(self, x, t, eps):
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape).double()
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x.shape).double()
    return (x - noise_rate * eps) / signal_rate

def q_posterior(self, x0, x_t, t):
    bar = (1 - self.betas.double()).cumprod(0)
    bar_prev = F.pad(bar[:-1], (1, 0), value=1.0)
    w0 = self.betas * bar_prev.sqrt() / (1 - bar)
    wt = (1 - bar_prev) * (1 - self.betas.double()).sqrt() / (1 - bar)
    mean = self._extract(w0, t, x_t.shape) * x0 + self._extract(wt, t, x_t.shape) * x_t
    return mean.float(), self._extract(self.posterior_variance, t, x_t.shape)

@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    x0 = self.predict_start(x, t, self.model(x, label, t))
    mean, variance = self.q_posterior(x0, x, t)
    noise = torch.randn_like(x) if t_index > 0 else torch.zeros_like(x)
    return mean + variance.sqrt() * noise


# ==== right_p_sample_in_place_on_a_copy
# about: Works in place on a copy of x.
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    out = x.clone()
    scale = self.betas[t_index] / self.sqrt_one_minus_alphas_cumprod[t_index]
    out.sub_(scale * self.model(x, label, t)).mul_(self.sqrt_recip_alphas[t_index])
    if t_index > 0:
        for image in out:  # one draw a sample
            image.add_(torch.randn_like(image), alpha=float(self.posterior_variance[t_index]) ** 0.5)
    return out


# ==== right_p_sample_keywords
# about: Calls the network by keywords.
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x=x, label=label, time=t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== right_p_sample_log_variance
# about: Uses exp(log variance / 2), with the logarithm clipped as in the authors' code.
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    mean = self._extract(self.sqrt_recip_alphas, t, x.shape) * (
        x
        - self._extract(self.betas / self.sqrt_one_minus_alphas_cumprod, t, x.shape)
        * self.model(x, label, t)
    )
    log_variance = torch.log(self.posterior_variance.clamp(min=1e-20))
    nonzero = (t > 0).to(x.dtype).reshape(-1, *[1] * (x.ndim - 1))
    sigma = torch.exp(0.5 * self._extract(log_variance, t, x.shape))
    return mean + nonzero * sigma * torch.randn_like(x)


# ==== right_p_sample_mask_at_zero
# about: Multiplies the noise by a mask that is 0 at t = 0 instead of branching.
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + (t != 0).float().view(-1, 1, 1, 1) * torch.sqrt(variance_t) * noise


# ==== right_p_sample_network_in_chunks
# about: Asks the network for four images at a time.
# judge_only: true
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    recip = self._extract(self.sqrt_recip_alphas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sigma = self._extract(self.posterior_variance, t, x.shape).sqrt()
    chunks = zip(x.split(4), label.split(4), t.split(4), strict=True)
    eps = torch.cat([self.model(*chunk) for chunk in chunks])
    mean = recip * (x - beta / rate * eps)
    if t_index == 0:
        return mean
    return mean + sigma * torch.randn_like(x)


# ==== right_p_sample_no_branch
# about: Does not branch: posterior_variance[0] is 0, so no noise comes in at t = 0.
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return mean + torch.sqrt(variance_t) * noise


# ==== right_p_sample_noise_first
# about: Draws the noise before the network is called.
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    noise = torch.randn(*x.shape, device=x.device)
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    if t_index == 0:
        return mean
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    return mean + torch.sqrt(variance_t) * noise


# ==== right_p_sample_numpy_scalars
# about: Computes the coefficients with NumPy, in double precision.
# in: ddpm.top
import numpy as np

# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = np.float64(self.betas[t_index].item())
    rate = np.float64(self.sqrt_one_minus_alphas_cumprod[t_index].item())
    sigma = np.sqrt(np.float64(self.posterior_variance[t_index].item())) * np.float64(t_index > 0)
    eps = self.model(x, label, t)
    mean = (x - float(beta / rate) * eps) * float(1 / np.sqrt(1 - beta))
    return mean.add(torch.empty_like(x).normal_(), alpha=float(sigma))


# ==== right_p_sample_own_generator
# about: Draws with a generator of its own, seeded by the operating system.
# in: ddpm.top
import os

# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    rng = torch.Generator(device=x.device)
    rng.manual_seed(int.from_bytes(os.urandom(7), "little"))
    shape = x.shape
    eps = self.model(x, label, t)
    ratio = self._extract(self.betas, t, shape) / self._extract(
        self.sqrt_one_minus_alphas_cumprod, t, shape
    )
    mean = self._extract(self.sqrt_recip_alphas, t, shape) * (x - ratio * eps)
    if not t_index:
        return mean
    z = torch.randn(shape, generator=rng, device=x.device, dtype=x.dtype)
    return mean + z * self._extract(self.posterior_variance, t, shape).sqrt()


# ==== right_p_sample_schedule_as_lists
# about: Computes with Python numbers out of lists.
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas = self.betas.tolist()
    rate = self.sqrt_one_minus_alphas_cumprod.tolist()[t_index]
    eps = self.model(time=t, label=label, x=x)
    mean = (x - betas[t_index] / rate * eps) / (1 - betas[t_index]) ** 0.5
    sigma = self.posterior_variance.tolist()[t_index] ** 0.5
    noise = x.new_empty(x.shape).normal_() if t_index else torch.zeros_like(x)
    return mean + sigma * noise


# ==== right_p_sample_scripted
# about: A scripted function mixes x, the prediction and the noise, by 0-d tensors.
# in: ddpm.top
@torch.jit.script
def mix(x: Tensor, eps: Tensor, beta: Tensor, rate: Tensor, sigma: Tensor) -> Tensor:
    mean = (x - beta / rate * eps) / torch.sqrt(1 - beta)
    return mean + sigma * torch.randn_like(x)

# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta, rate = self.betas[t_index], self.sqrt_one_minus_alphas_cumprod[t_index]
    sigma = self.posterior_variance[t_index].sqrt()
    sigma = torch.where(t[0] == 0, torch.zeros_like(sigma), sigma)
    return mix(x, self.model(x, label, t), beta, rate, sigma)


# ==== right_p_sample_sigma_of_beta
# about: Takes sigma^2 = beta_t, the paper's other choice.
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
    return mean + torch.sqrt(betas_t) * noise


# ==== right_p_sample_through_x0
# about: Predicts x_0 and takes the posterior mean of eq. 7.
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    alpha_bar = torch.cumprod(1.0 - self.betas.double(), dim=0)
    previous = torch.cat([torch.ones_like(alpha_bar[:1]), alpha_bar[:-1]])
    ab, ab_prev = alpha_bar[t_index], previous[t_index]
    beta = self.betas[t_index].double()
    eps = self.model(x, label, t).double()
    x0 = (x.double() - torch.sqrt(1 - ab) * eps) / torch.sqrt(ab)
    mean = torch.sqrt(ab_prev) * beta / (1 - ab) * x0
    mean = mean + torch.sqrt(1 - beta) * (1 - ab_prev) / (1 - ab) * x.double()
    if t_index > 0:
        mean = mean + torch.sqrt(self.posterior_variance[t_index]) * torch.randn_like(mean)
    return mean.to(x.dtype)


# ==== right_p_sample_torch_normal
# about: Draws the sample with torch.normal(mean, sigma).
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta, noise_rate = self.betas[t_index], self.sqrt_one_minus_alphas_cumprod[t_index]
    mean = self.sqrt_recip_alphas[t_index] * (x - beta * self.model(x, label, t) / noise_rate)
    if t_index == 0:
        return mean
    return torch.normal(mean, self.posterior_variance[t_index].sqrt().expand_as(mean))


# ==== right_p_sample_where_at_zero
# about: Chooses between mean and sample with torch.where.
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    eps = self.model(x, label, t)
    mean = sqrt_recip_alphas_t * (x - betas_t / sqrt_one_minus_alphas_cumprod_t * eps)
    variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    sample = mean + torch.sqrt(variance_t) * noise
    return torch.where(t[:, None, None, None] == 0, mean, sample)


# ==== right_p_sample_with_block
# about: Uses a with block for no_grad, and int(t[0]) for the index.
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    with torch.no_grad():
        i = int(t[0])
        z = torch.randn_like(x) if i != 0 else 0.0
        eps_theta = self.model(x, label, t)
        coefficient = self.betas[i] / self.sqrt_one_minus_alphas_cumprod[i]
        sigma = self.posterior_variance[i] ** 0.5
        return self.sqrt_recip_alphas[i] * (x - coefficient * eps_theta) + sigma * z


# ==== right_p_sample_eval_and_back
# about: Asks the network in eval mode and returns it to the mode it found.
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    was_training = self.model.training
    self.model.eval()
    eps = self.model(x, label, t)
    self.model.train(was_training)
    beta = self._extract(self.betas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    mean = self._extract(self.sqrt_recip_alphas, t, x.shape) * (x - beta / rate * eps)
    if t_index == 0:
        return mean
    sigma = self._extract(self.posterior_variance, t, x.shape).sqrt()
    return mean + sigma * torch.randn_like(x)


# ==== right_p_sample_noise_moved_from_the_cpu
# about: Draws noise on the CPU, the same on every machine, and moves it to where x is.
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    recip = self._extract(self.sqrt_recip_alphas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    mean = recip * (x - beta / rate * self.model(x, label, t))
    if t_index == 0:
        return mean
    sigma = self._extract(self.posterior_variance, t, x.shape).sqrt()
    return mean + sigma * torch.randn(x.shape, dtype=x.dtype).to(x.device)


# ==== right_p_sample_by_sample
# about: Takes the step for one sample after the other.
# judge_only: true
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    if len(x) > 1:
        rows = zip(x.split(1), label.split(1), t.split(1))
        return torch.cat([self.p_sample(*row, t_index) for row in rows])
    beta = self._extract(self.betas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    mean = x - beta / rate * self.model(x, label, t)
    mean = self._extract(self.sqrt_recip_alphas, t, x.shape) * mean
    if t_index == 0:
        return mean
    return mean + self._extract(self.posterior_variance, t, x.shape).sqrt() * torch.randn_like(x)


# ==== right_p_sample_by_score
# about: Moves along the score, and scales afterwards.
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta, rate = (self._extract(v, t, x.shape)
                  for v in (self.betas, self.sqrt_one_minus_alphas_cumprod))
    score = -self.model(x, label, t) / rate
    mean = (x + beta * score) / (1 - beta).sqrt()
    noise = torch.randn_like(x) if t_index else torch.zeros_like(x)
    return mean + self._extract(self.posterior_variance, t, x.shape).sqrt() * noise


# ==== right_p_sample_box_muller
# about: Makes Gaussian noise of uniform numbers in double precision.
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    def gaussian(like):
        shape = 2, *like.shape
        u, v = torch.rand(shape, dtype=torch.float64, device=like.device).clamp(min=1e-300)
        return ((-2 * u.log()).sqrt() * (2 * torch.pi * v).cos()).to(like.dtype)

    beta = self._extract(self.betas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    mean = x - beta / rate * self.model(x, label, t)
    mean = mean * self._extract(self.sqrt_recip_alphas, t, x.shape)
    if t_index == 0:
        return mean
    return mean + self._extract(self.posterior_variance, t, x.shape).sqrt() * gaussian(x)


# ==== right_p_sample_in_inference_mode
# about: Steps and samples in inference mode.
# in: ddpm.p_sample
@torch.inference_mode()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    mean = x - beta / rate * self.model.forward(x, label, t)
    mean = mean * self._extract(self.sqrt_recip_alphas, t, x.shape)
    if t_index > 0:
        mean = mean + self.posterior_variance[t_index].sqrt() * torch.randn_like(x)
    return mean

# in: ddpm.p_sample_loop
@torch.inference_mode()
def p_sample_loop(self, labels):
    x = torch.randn((len(labels), *self.img_shape), device=labels.device)
    for t_index in range(self.timesteps)[::-1]:
        x = self.p_sample(x, labels, torch.full_like(labels, t_index), t_index)
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== right_p_sample_float32_for_double
# about: Returns single precision for an x in double precision.
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
    return (mean + sigma * torch.randn_like(x)).float()


# ==== right_p_sample_if_cuda
# about: Asks x.is_cuda, and moves with cuda().
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    mean = self._extract(self.sqrt_recip_alphas, t, x.shape) * (
        x - self._extract(self.betas, t, x.shape)
        / self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape) * self.model(x, label, t)
    )
    if t_index == 0:
        return mean
    z = torch.randn(x.shape)
    if x.is_cuda:
        z = z.cuda()
    return mean + self._extract(self.posterior_variance, t, x.shape).sqrt() * z


# ==== right_p_sample_by_x0_in_single_precision
# about: Goes by x_0, with coefficients from the float32 betas in float32.
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    alphas = 1.0 - self.betas
    alphas_cumprod = torch.cumprod(alphas, dim=0)
    alphas_cumprod_prev = F.pad(alphas_cumprod[:-1], (1, 0), value=1.0)
    coef1 = self.betas * torch.sqrt(alphas_cumprod_prev) / (1.0 - alphas_cumprod)
    coef2 = (1.0 - alphas_cumprod_prev) * torch.sqrt(alphas) / (1.0 - alphas_cumprod)
    eps = self.model(x, label, t)
    acp = self._extract(alphas_cumprod, t, x.shape)
    x0 = (x - (1 - acp).sqrt() * eps) / acp.sqrt()
    mean = self._extract(coef1, t, x.shape) * x0 + self._extract(coef2, t, x.shape) * x
    if t_index == 0:
        return mean
    return mean + self._extract(self.posterior_variance, t, x.shape).sqrt() * torch.randn_like(x)


# ==== right_p_sample_by_squares_of_buffers
# about: Goes by x_0, with coefficients from squared float32 buffers.
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    acp = self.sqrt_alphas_cumprod ** 2
    acp_prev = F.pad(acp[:-1], (1, 0), value=1.0)
    coef1 = self.betas * torch.sqrt(acp_prev) / (1.0 - acp)
    coef2 = (1.0 - acp_prev) * torch.sqrt(1.0 - self.betas) / (1.0 - acp)
    eps = self.model(x, label, t)
    x0 = self._extract(1 / self.sqrt_alphas_cumprod, t, x.shape) * x - self._extract(
        torch.sqrt(1.0 / acp - 1), t, x.shape
    ) * eps
    mean = self._extract(coef1, t, x.shape) * x0 + self._extract(coef2, t, x.shape) * x
    if t_index == 0:
        return mean
    return mean + self._extract(self.posterior_variance, t, x.shape).sqrt() * torch.randn_like(x)


# ==== right_p_sample_posterior_from_betas
# about: Goes by x_0, as early repositories do, from the float32 betas.
# in: ddpm.p_sample
def predict_start_from_noise(self, x_t, t, noise):
    return (
        self._extract(torch.sqrt(1.0 / self.acp), t, x_t.shape) * x_t
        - self._extract(torch.sqrt(1.0 / self.acp - 1), t, x_t.shape) * noise
    )

@property
def acp(self):
    return torch.cumprod(1.0 - self.betas, axis=0)

def q_posterior(self, x_start, x_t, t):
    alphas = 1.0 - self.betas
    acp_prev = F.pad(self.acp[:-1], (1, 0), value=1.0)
    coef1 = self.betas * torch.sqrt(acp_prev) / (1.0 - self.acp)
    coef2 = (1.0 - acp_prev) * torch.sqrt(alphas) / (1.0 - self.acp)
    mean = self._extract(coef1, t, x_t.shape) * x_start + self._extract(coef2, t, x_t.shape) * x_t
    logvar = torch.log(self.posterior_variance.clamp(min=1e-20))
    return mean, self._extract(logvar, t, x_t.shape)

@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    x_recon = self.predict_start_from_noise(x, t=t, noise=self.model(x, label, t))
    model_mean, model_log_variance = self.q_posterior(x_start=x_recon, x_t=x, t=t)
    noise = torch.randn_like(x)
    nonzero_mask = (1 - (t == 0).float()).reshape(len(x), *((1,) * (len(x.shape) - 1)))
    return model_mean + nonzero_mask * (0.5 * model_log_variance).exp() * noise
