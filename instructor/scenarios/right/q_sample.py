# Right implementations of q_sample, written differently; ../README.md says how to add one.


# ==== right_q_sample_addcmul
# about: Uses addcmul.
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    mean = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape) * x_start
    return torch.addcmul(mean, rate, noise)


# ==== right_q_sample_double_inside
# about: Recomputes alpha_bar in float64 and converts the result back.
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    alpha_bar = torch.cumprod(1.0 - self.betas.double(), dim=0)[t].reshape(-1, 1, 1, 1)
    x_t = alpha_bar.sqrt() * x_start.double() + (1.0 - alpha_bar).sqrt() * noise.double()
    return x_t.to(x_start.dtype)


# ==== right_q_sample_einsum
# about: Scales with einsum.
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    image = torch.einsum("b,bchw->bchw", self.sqrt_alphas_cumprod[t], x_start)
    return image + torch.einsum("b,bchw->bchw", self.sqrt_one_minus_alphas_cumprod[t], noise)


# ==== right_q_sample_in_a_mixin
# about: Inherits q_sample from a mixin in a file of its own.
# in: ddpm.top
from .noising import Noising

# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    return Noising.q_sample(self, x_start, t, noise)

# file: code/libs/noising.py
import torch


class Noising:
    def q_sample(self, x_start, t, noise=None):
        noise = torch.randn_like(x_start) if noise is None else noise
        shape = x_start.shape
        return self._extract(self.sqrt_alphas_cumprod, t, shape) * x_start + (
            self._extract(self.sqrt_one_minus_alphas_cumprod, t, shape) * noise
        )


# ==== right_q_sample_indexing
# about: Indexes the buffers with t and adds axes with None.
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    a = self.sqrt_alphas_cumprod[t][:, None, None, None]
    return a * x_start + self.sqrt_one_minus_alphas_cumprod[t][:, None, None, None] * noise


# ==== right_q_sample_logarithms
# about: Forms alpha_bar as the exponential of a sum of logarithms.
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    log_bar = torch.log1p(-self.betas.double()).cumsum(0)[t]
    mean_scale = torch.exp(0.5 * log_bar).float()
    std = torch.sqrt(-torch.expm1(log_bar)).float()
    return mean_scale[:, None, None, None] * x_start + std[:, None, None, None] * noise


# ==== right_q_sample_noise_where_the_model_is
# about: Draws noise on the device of the model's buffers.
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn(x_start.shape, device=self.betas.device, dtype=x_start.dtype)
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal_rate * x_start + noise_rate * noise


# ==== right_q_sample_sample_by_sample
# about: Goes through the batch in a Python loop.
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.stack([torch.randn_like(image) for image in x_start])
    mixed = []
    for image, eps, step in zip(x_start, noise, t.tolist()):
        keep, add = self.sqrt_alphas_cumprod[step], self.sqrt_one_minus_alphas_cumprod[step]
        mixed.append(keep * image + add * eps)
    return torch.stack(mixed, dim=0)


# ==== right_q_sample_scripted
# about: Mixes image and noise in a function compiled with torch.jit.script.
# in: ddpm.top
@torch.jit.script
def mixed(x: torch.Tensor, eps: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a * x + b * eps

# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return mixed(x_start, noise, signal, sigma)


# ==== right_q_sample_under_no_grad
# about: Runs under no_grad, since no gradient has to pass through x_t.
# in: ddpm.q_sample
@torch.no_grad()
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.empty_like(x_start).normal_()
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal * x_start + sigma * noise


# ==== right_q_sample_view
# about: Indexes the buffers and uses view; the shape is taken from the images.
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    noise = noise if noise is not None else torch.randn(x_start.shape, device=x_start.device)
    shape = [x_start.shape[0]] + [1] * (x_start.dim() - 1)
    signal = torch.index_select(self.sqrt_alphas_cumprod, 0, t).view(*shape)
    spread = torch.index_select(self.sqrt_one_minus_alphas_cumprod, 0, t).view(*shape)
    return signal * x_start + spread * noise


# ==== right_q_sample_vmap
# about: Mixes one sample, and maps that over the batch with torch.func.vmap.
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)

    def mix(x, s, eps):
        return self.sqrt_alphas_cumprod[s] * x + self.sqrt_one_minus_alphas_cumprod[s] * eps

    return torch.func.vmap(mix)(x_start, t, noise)


# ==== right_q_sample_by_angles
# about: Mixes with the cosine and the sine of an angle.
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    noise = torch.randn_like(x_start) if noise is None else noise
    rates = self.sqrt_one_minus_alphas_cumprod[t], self.sqrt_alphas_cumprod[t]
    angle = torch.atan2(*rates).reshape(-1, 1, 1, 1)
    return angle.cos() * x_start + angle.sin() * noise


# ==== right_q_sample_by_vmap
# about: Diffuses one sample, and lets vmap do it for a batch.
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    noise = torch.randn_like(x_start) if noise is None else noise

    def one(x_0, signal_rate, noise_rate, eps):
        return signal_rate * x_0 + noise_rate * eps

    rates = self.sqrt_alphas_cumprod[t], self.sqrt_one_minus_alphas_cumprod[t]
    return torch.vmap(one)(x_start, *rates, noise)


# ==== right_q_sample_by_matrix_product
# about: Multiplies [image, noise] of each sample by its two rates.
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.empty_like(x_start).normal_()
    rates = torch.stack([self.sqrt_alphas_cumprod[t], self.sqrt_one_minus_alphas_cumprod[t]], dim=1)
    both = torch.stack([x_start.flatten(1), noise.flatten(1)], dim=1)
    return torch.einsum("bk,bkn->bn", rates.to(both.dtype), both).view_as(x_start)


# ==== right_q_sample_float32_for_double
# about: Returns float32 for inputs in double precision.
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return (signal_rate * x_start + noise_rate * noise).float()


# ==== right_q_sample_type_of_x
# about: Converts by the name of the type.
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn(x_start.shape).type(x_start.type())
    return (self._extract(self.sqrt_alphas_cumprod, t, x_start.shape) * x_start
            + self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape) * noise)


# ==== right_q_sample_device_number
# about: get_device() is -1 on the CPU.
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn(x_start.shape)
        if x_start.get_device() >= 0:
            noise = noise.to(x_start.get_device())
    return (self._extract(self.sqrt_alphas_cumprod, t, x_start.shape) * x_start
            + self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape) * noise)
