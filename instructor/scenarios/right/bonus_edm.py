# Right implementations of bonus_edm, written differently; ../README.md says how to add one.


# ==== right_edm_denoise_by_a_mixin
# about: Inherits the factors from a mixin in a file of its own.
# in: edm.top
from .preconditioned import Preconditioned

# in: edm.denoise
def denoise(self, x, label, sigma):
    c_skip, c_out, c_in = self.factors(sigma)
    return c_skip * x + c_out * self.model(time=sigma.log() / 4, label=label, x=c_in * x)

# file: code/libs/preconditioned.py
"""The factors of Karras et al. 2022, Table 1."""


class Preconditioned:
    """Of a model with `sigma_data`."""

    def factors(self, sigma):
        """c_skip, c_out and c_in, each [B, 1, 1, 1]."""
        s, d = sigma.reshape(-1, 1, 1, 1), self.sigma_data
        total = s.square() + d.square()
        return d.square() / total, s * d * total.rsqrt(), total.rsqrt()

# in: edm.end
EDM.factors = Preconditioned.factors


# ==== right_edm_denoise_by_einops_style
# about: Broadcasts by view, and takes roots by powers.
# in: edm.denoise
def denoise(self, x, label, sigma):
    total = (sigma.square() + self.sigma_data.square()).view(len(x), 1, 1, 1)
    s = sigma.view(-1, 1, 1, 1)
    answer = self.model(x * total.rsqrt(), label, 0.25 * torch.log(sigma))
    return x * (self.sigma_data**2 / total) + answer * (s * self.sigma_data * total**-0.5)


# ==== right_edm_denoise_by_ratio
# about: Divides all by sigma_data first, and gets c_skip as a remainder.
# in: edm.denoise
def denoise(self, x, label, sigma):
    r = (sigma / self.sigma_data)[..., None, None, None]
    keep = 1 / (1 + r**2)
    c_noise = torch.log(torch.sqrt(torch.sqrt(sigma)))
    answer = self.model(x * keep.sqrt() / self.sigma_data, label, c_noise.flatten())
    return torch.lerp(torch.zeros_like(x), x, keep) + r * keep.sqrt() * self.sigma_data * answer


# ==== right_edm_denoise_double_inside
# about: Computes the four functions in float64, and passes them by keyword.
# in: edm.denoise
def denoise(self, x, label, sigma):
    s, d = sigma.double().reshape(-1, 1, 1, 1), float(self.sigma_data)
    root = torch.sqrt(s * s + d * d)
    answer = self.model(x=(x / root).to(x.dtype), label=label, time=(torch.log(sigma) / 4))
    return ((d / root) ** 2 * x + s * d / root * answer).to(x.dtype)


# ==== right_edm_denoise_image_by_image
# about: Computes the factors in a loop over the batch.
# in: edm.denoise
def denoise(self, x, label, sigma):
    d = self.sigma_data.item()
    sums = [s.item() ** 2 + d**2 for s in sigma]
    scaled = torch.stack([image / math.sqrt(total) for image, total in zip(x, sums, strict=True)])
    answers = self.model(scaled, label, torch.tensor([math.log(s) / 4 for s in sigma], device=x.device))
    out = [
        d**2 / total * image + s.item() * d / math.sqrt(total) * answer
        for image, answer, s, total in zip(x, answers, sigma, sums, strict=True)
    ]
    return torch.stack(out)


# ==== right_edm_denoise_in_chunks
# about: Asks the network for four images at a time.
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    pieces = zip((c_in * x).split(4), label.split(4), c_noise.split(4), strict=True)
    answer = torch.cat([self.model(*piece) for piece in pieces])
    return c_skip * x + c_out * answer


# ==== right_edm_denoise_scripted
# about: Leaves the factors to a scripted function.
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_skip, c_out, c_in = factors(sigma[:, None, None, None], self.sigma_data)
    return c_skip * x + c_out * self.model(c_in * x, label, sigma.log() / 4)

# in: edm.end
@torch.jit.script
def factors(sigma: Tensor, sigma_data: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    total = sigma**2 + sigma_data**2
    return sigma_data**2 / total, sigma * sigma_data / total.sqrt(), 1 / total.sqrt()


# ==== right_edm_denoise_under_autocast
# about: Runs the network under autocast and sums outside of it.
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    scaled = c_in * x
    with torch.autocast("cpu", dtype=torch.bfloat16):
        answer = self.model(scaled, label, c_noise)
    return c_skip * x + c_out * answer.to(x.dtype)


# ==== right_edm_heun_by_ratio
# about: Writes Euler's step as a mix of x and the answer.
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    ratio = sigma_next / sigma
    clean = denoise(x=x, sigma=sigma)
    euler = ratio * x + (1 - ratio) * clean
    if not sigma_next:
        return euler
    eps = (x - clean) / sigma
    eps_next = (euler - denoise(x=euler, sigma=sigma_next)) / sigma_next
    return torch.lerp(x + (sigma_next - sigma) * eps, x + (sigma_next - sigma) * eps_next, 0.5)


# ==== right_edm_heun_correction_added
# about: Adds half the slopes' difference to Euler's step.
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    way = sigma_next - sigma
    slope = (x - denoise(x, sigma)) / sigma
    after = x + way * slope
    if sigma_next == 0:
        return after
    later = (after - denoise(after, sigma_next)) / sigma_next
    return after + way / 2 * (later - slope)


# ==== right_edm_heun_double_inside
# about: Keeps its state in float64 and has a function for the slope.
# in: edm.heun_step
@torch.no_grad()
def heun_step(denoise, x, sigma, sigma_next):
    def slope(at, level):
        return (at - denoise(at.to(x.dtype), level).double()) / level

    start = x.double()
    slopes = [slope(start, sigma)]
    if sigma_next > 0:
        slopes.append(slope(start + (sigma_next - sigma) * slopes[0], sigma_next))
    return (start + (sigma_next - sigma) * sum(slopes) / len(slopes)).to(x.dtype)


# ==== right_edm_heun_image_by_image
# about: Takes the whole step for one image after the other, so that the calls at both ends
#   alternate.
# judge_only: true
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    steps = []
    for image in x.split(1):
        d = (image - denoise(image, sigma)) / sigma
        following = image + (sigma_next - sigma) * d
        if sigma_next > 0:
            d_next = (following - denoise(following, sigma_next)) / sigma_next
            following = image + (sigma_next - sigma) * (d + d_next) / 2
        steps.append(following)
    return torch.cat(steps)


# ==== right_edm_heun_in_two_halves
# about: Takes the whole step for one half of the batch, then for the other.
# judge_only: true
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    steps = []
    for image in x.chunk(2):
        d = (image - denoise(image, sigma)) / sigma
        following = image + (sigma_next - sigma) * d
        if sigma_next > 0:
            d_next = (following - denoise(following, sigma_next)) / sigma_next
            following = image + (sigma_next - sigma) * (d + d_next) / 2
        steps.append(following)
    return torch.cat(steps)


# ==== right_edm_heun_level_as_numpy
# about: Gives the denoiser its level as a numpy number.
# in: edm.top
import numpy as np

# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    sigma, sigma_next = np.float32(sigma).item(), np.float64(sigma_next)
    d = (x - denoise(sigma=np.float64(sigma), x=x)) / sigma
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        d_next = (x_next - denoise(x_next, sigma_next)) / sigma_next
        x_next = x + (sigma_next - sigma) * (d + d_next) / 2
    return x_next


# ==== right_edm_heun_sigma_as_tensor
# about: Gives the denoiser its noise level as a tensor of no dimension.
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    t, u = torch.tensor(sigma), torch.tensor(sigma_next)
    d = (x - denoise(x, t)) / t
    x_next = x + (u - t) * d
    if u != 0:
        d_next = (x_next - denoise(x_next, u)) / u
        x_next = x + (u - t) * (0.5 * d + 0.5 * d_next)
    return x_next


# ==== right_edm_loss_by_image_means
# about: Averages each image's errors, then the weighted means.
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = self.vae.encoder(x_start).detach() if self.use_vae else x_start
    noise = torch.randn_like(y) if noise is None else noise
    noisy = torch.addcmul(y, sigma.view(-1, 1, 1, 1).expand_as(y), noise)
    errors = (self.denoise(x=noisy, label=label, sigma=sigma) - y).pow(2).flatten(1).mean(1)
    return (errors * (1 / sigma**2 + 1 / self.sigma_data**2)).mean()


# ==== right_edm_loss_by_keywords
# about: Names all arguments, in another order.
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(sigma=sigma, x=y + level * noise, label=label)
    return (weight * (denoised - y) ** 2).mean()


# ==== right_edm_loss_in_chunks
# about: Denoises two images at a time.
# judge_only: true
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    pieces = zip((y + level * noise).split(2), label.split(2), sigma.split(2), strict=True)
    denoised = torch.cat([self.denoise(*piece) for piece in pieces])
    return (weight * (denoised - y) ** 2).mean()


# ==== right_edm_loss_noise_by_generator
# about: Draws with a generator of its own, then moves the noise.
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        generator = torch.Generator().manual_seed(torch.seed())
        noise = torch.empty(y.shape).normal_(generator=generator).to(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - y) ** 2).mean()


# ==== right_edm_loss_scaled_difference
# about: Scales both sides by the root of the weight and calls mse_loss.
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    noise = noise if noise is not None else torch.randn(y.shape).to(y.device)
    s, d = sigma[:, None, None, None], self.sigma_data
    denoised = self.denoise(y + noise * s, label, sigma)
    root = torch.sqrt(s**2 + d**2) / (s * d)
    return torch.nn.functional.mse_loss(root * (denoised - y), torch.zeros_like(y))


# ==== right_edm_loss_sum_divided
# about: Divides the sum by the number of values.
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    variances = (sigma**2)[:, None, None, None]
    difference = y - self.denoise(y + variances.sqrt() * noise, label, sigma)
    weight = (variances + self.sigma_data**2) / (variances * self.sigma_data**2)
    return torch.sum(weight * difference * difference) / difference.numel()


# ==== right_edm_loss_with_its_own_network_call
# about: Preconditions in the loss, on the network's own target.
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    s, d = sigma[:, None, None, None], self.sigma_data
    root = (s**2 + d**2).sqrt()
    x = y + s * noise
    target = (y - d**2 / root**2 * x) / (s * d / root)
    return (self.model(x / root, label, sigma.log() / 4) - target).square().mean()


# ==== right_edm_loss_by_sample
# about: Denoises one image at a time, with the network in the loss.
# judge_only: true
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    noise = torch.randn_like(y) if noise is None else noise
    losses = []
    for image, n, c, s in zip(y.split(1), noise.split(1), label.split(1), sigma.split(1)):
        weight = (s**2 + self.sigma_data**2) / (s * self.sigma_data) ** 2
        losses.append(weight * (self.denoise(image + s * n, c, s) - image).square().mean())
    return torch.cat(losses).mean()


# ==== right_edm_heun_by_sample
# about: Asks the denoiser for one image at a time, at both ends.
# judge_only: true
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    def slope(x, sigma):
        return torch.cat([(h - denoise(h, sigma)) / sigma for h in x.split(1)])

    d = slope(x, sigma)
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        x_next = x + (sigma_next - sigma) * (d + slope(x_next, sigma_next)) / 2
    return x_next


# ==== right_edm_denoise_returns_float32
# about: Converts to float32, and does not convert back.
# in: edm.denoise
def denoise(self, x, label, sigma):
    x, sigma = x.float(), sigma.float()
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_skip * x + c_out * self.model(c_in * x, label, c_noise)


# ==== right_edm_heun_returns_float32
# about: Converts the state to float32.
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    x = x.float()
    d = (x - denoise(x, sigma)) / sigma
    d = d.float()
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        d_next = (x_next - denoise(x_next, sigma_next)) / sigma_next
        x_next = x + (sigma_next - sigma) * (d + d_next) / 2
    return x_next


# ==== right_edm_denoise_in_logarithms
# about: Computes the factors by their logarithms, in double precision.
# in: edm.denoise
def denoise(self, x, label, sigma):
    s, d = sigma.double().log().reshape(-1, 1, 1, 1), self.sigma_data.double().log()
    total = torch.logaddexp(2 * s, 2 * d)
    c_skip, c_out, c_in = (v.exp().to(x.dtype) for v in (2 * d - total, s + d - total / 2, -total / 2))
    answer = self.model(c_in * x, label, sigma.log() / 4)
    return torch.addcmul(c_skip * x, c_out, answer)


# ==== right_edm_heun_by_lerp
# about: Goes to the answer by lerp, and takes the middle of both slopes by another.
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    answer = denoise(x, sigma)
    if sigma_next == 0:
        return answer.clone()
    euler = torch.lerp(answer, x, sigma_next / sigma)
    slopes = (x - answer) / sigma, (euler - denoise(euler, sigma_next)) / sigma_next
    return x + (sigma_next - sigma) * torch.lerp(*slopes, 0.5)


# ==== right_edm_asks_the_network
# about: Asserts the number of channels that the network takes.
# judge_only: true
# in: edm.denoise
def denoise(self, x, label, sigma):
    assert x.shape[1] == self.model.conv_in.in_channels
    s, d = sigma.reshape(-1, 1, 1, 1), self.sigma_data
    t = (s**2 + d**2).sqrt()
    return (d / t) ** 2 * x + s * d / t * self.model(x / t, label, torch.log(sigma) / 4)


# ==== right_edm_loss_in_double
# about: Weights and averages in double precision.
# judge_only: true
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma.view(-1, 1, 1, 1).double()
    sd = self.sigma_data.double()
    d = self.denoise((y + level * noise).float(), label, sigma)
    w = (level**2 + sd**2) / (level * sd) ** 2
    return (w * (d - y) ** 2).mean()
