# Several parts, right and written differently; ../README.md says how to add one.


# ==== right_buffers_under_other_names
# about: Registers buffers of its own names, and gives those of the contract as properties.
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
    *,
    betas=None,
):
    from .tiny_autoencoder import TAESD

    super().__init__()
    self.timesteps = timesteps
    self.use_vae = use_vae
    self.vae = None
    if use_vae:
        self.vae = TAESD(vae_encoder_weights, vae_decoder_weights).requires_grad_(False)
        img_shape = (4, img_shape[1] // 8, img_shape[2] // 8)
    self.img_shape = tuple(img_shape)
    self.model = UNet(
        dim, context_dim, num_classes, img_shape[0], dim_mults=dim_mults, attn_levels=attn_levels
    )
    if betas is None:
        betas = quadratic_betas(timesteps) if use_vae else linear_betas(timesteps)

    alpha_bar = torch.cumprod(1 - betas, dim=0)
    alpha_bar_prev = torch.cat([torch.ones(1, dtype=betas.dtype), alpha_bar[:-1]])
    variance = betas * (1 - alpha_bar_prev) / (1 - alpha_bar)
    self.register_buffer("beta_t", betas.float(), persistent=False)
    self.register_buffer("root_alpha_bar", alpha_bar.sqrt().float(), persistent=False)
    self.register_buffer("root_rest", (1 - alpha_bar).sqrt().float(), persistent=False)
    self.register_buffer("sigma", variance.sqrt().float(), persistent=False)

betas = property(lambda self: self.beta_t)
sqrt_recip_alphas = property(lambda self: (1 / (1 - self.beta_t)).sqrt())
sqrt_alphas_cumprod = property(lambda self: self.root_alpha_bar)
sqrt_one_minus_alphas_cumprod = property(lambda self: self.root_rest)
posterior_variance = property(lambda self: self.sigma**2)

# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self.beta_t[t_index]
    eps = self.model(x, label, t)
    mean = (x - beta / self.root_rest[t_index] * eps) / (1 - beta).sqrt()
    return mean + self.sigma[t_index] * torch.randn_like(x) if t_index > 0 else mean

# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    column = (-1, 1, 1, 1)
    return self.root_alpha_bar[t].view(column) * x_start + self.root_rest[t].view(column) * noise


# ==== right_dataclass_schedule
# about: Keeps a dataclass of the schedule in float64 beside the buffers of the contract.
# in: ddpm.top
from dataclasses import dataclass


@dataclass
class Noising:
    """How much of image and noise x_t holds, [T] each."""

    signal: Tensor
    noise: Tensor

    @classmethod
    def of(cls, betas):
        bar = torch.exp(torch.cumsum(torch.log(1 - betas.double()), dim=0))
        return cls(bar.sqrt(), (1 - bar).sqrt())

    def __call__(self, x, eps, t):
        rows = (t, None, None, None)
        return (self.signal[rows] * x + self.noise[rows] * eps).to(x.dtype)

# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    noising = Noising.of(self.betas)
    return noising(x_start, torch.randn_like(x_start) if noise is None else noise, t)


# ==== right_earlier_edition
# about: ddpm.py and unet.py written from scratch for an earlier edition, with the names of the
#   contract alone.
# remove: code/libs/schedules.py
# file: code/libs/ddpm.py
"""DDPM for the assignment."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from .tiny_autoencoder import TAESD
from .unet import UNet


def linear_beta_schedule(timesteps, beta_start=0.0001, beta_end=0.02):
    return torch.linspace(beta_start, beta_end, timesteps)


def quadratic_beta_schedule(timesteps, beta_start=0.00085, beta_end=0.012):
    return torch.linspace(math.sqrt(beta_start), math.sqrt(beta_end), timesteps) ** 2


class DDPM(nn.Module):
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
        self.vae = None
        if self.use_vae:
            self.vae = TAESD(vae_encoder_weights, vae_decoder_weights)
            for p in self.vae.parameters():
                p.requires_grad = False
            img_shape = (4, img_shape[1] // 8, img_shape[2] // 8)
        self.img_shape = img_shape

        self.model = UNet(
            dim=dim,
            context_dim=context_dim,
            num_classes=num_classes,
            in_channels=img_shape[0],
            out_channels=img_shape[0],
            dim_mults=dim_mults,
            attn_levels=attn_levels,
        )

        if use_vae:
            betas = quadratic_beta_schedule(timesteps)
        else:
            betas = linear_beta_schedule(timesteps)
        alphas = 1.0 - betas
        alphas_cumprod = torch.cumprod(alphas, axis=0)
        alphas_cumprod_prev = F.pad(alphas_cumprod[:-1], (1, 0), value=1.0)
        posterior_variance = betas * (1.0 - alphas_cumprod_prev) / (1.0 - alphas_cumprod)

        self.register_buffer("betas", betas)
        self.register_buffer("sqrt_recip_alphas", torch.sqrt(1.0 / alphas))
        self.register_buffer("sqrt_alphas_cumprod", torch.sqrt(alphas_cumprod))
        self.register_buffer("sqrt_one_minus_alphas_cumprod", torch.sqrt(1.0 - alphas_cumprod))
        self.register_buffer("posterior_variance", posterior_variance)

    def extract(self, a, t, x_shape):
        out = a.gather(-1, t)
        return out.reshape(t.shape[0], *((1,) * (len(x_shape) - 1)))

    @torch.no_grad()
    def p_sample(self, x, label, t, t_index):
        betas_t = self.extract(self.betas, t, x.shape)
        sqrt_one_minus_t = self.extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
        sqrt_recip_t = self.extract(self.sqrt_recip_alphas, t, x.shape)
        x_prev = sqrt_recip_t * (x - betas_t * self.model(x, label, t) / sqrt_one_minus_t)
        if t_index == 0:
            return x_prev
        posterior_variance_t = self.extract(self.posterior_variance, t, x.shape)
        return x_prev + torch.sqrt(posterior_variance_t) * torch.randn_like(x)

    @torch.no_grad()
    def p_sample_loop(self, labels):
        device = labels.device
        imgs = torch.randn((labels.shape[0],) + tuple(self.img_shape), device=device)
        for i in range(self.timesteps - 1, -1, -1):
            t = torch.full((labels.shape[0],), i, dtype=torch.int64, device=device)
            imgs = self.p_sample(imgs, labels, t, i)
        if self.use_vae:
            imgs = self.vae.decoder(imgs)
        return self.to_pictures(imgs)

    def to_pictures(self, imgs):
        if not self.use_vae:
            imgs = (imgs + 1) * 0.5
        return torch.clamp(imgs, min=0.0, max=1.0)

    def q_sample(self, x_start, t, noise=None):
        if noise is None:
            noise = torch.randn_like(x_start)
        mean = self.extract(self.sqrt_alphas_cumprod, t, x_start.shape) * x_start
        return mean + self.extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape) * noise

    def compute_loss(self, x_start, label, t, noise=None):
        if self.use_vae:
            with torch.no_grad():
                x_start = self.vae.encoder(x_start)
        if noise is None:
            noise = torch.randn_like(x_start)
        x_noisy = self.q_sample(x_start=x_start, t=t, noise=noise)
        return F.mse_loss(noise, self.model(x_noisy, label, t))

# file: code/libs/unet.py
"""UNet for the assignment."""

import torch
from torch import nn

from .blocks import (
    Downsample,
    LabelEmbedding,
    ResBlock,
    SinusoidalPE,
    SpatialTransformer,
    Upsample,
)
from .utils import default


class UNet(nn.Module):
    def __init__(
        self,
        dim,
        context_dim,
        num_classes,
        in_channels=3,
        out_channels=None,
        dim_mults=(1, 2, 4),
        attn_levels=(0, 1),
        init_dim=None,
        num_groups=None,
        num_heads=None,
    ):
        super().__init__()
        init_dim = default(init_dim, dim)
        groups = default(num_groups, 4)
        heads = default(num_heads, 4)
        out_channels = default(out_channels, in_channels)
        time_dim = dim * 4

        self.conv_in = nn.Conv2d(in_channels, init_dim, 3, padding=1)
        self.time_embd = nn.Sequential(
            SinusoidalPE(dim),
            nn.Linear(dim, time_dim),
            nn.SiLU(),
            nn.Linear(time_dim, time_dim),
        )
        self.label_embd = LabelEmbedding(num_classes, context_dim)

        widths = [init_dim] + [dim * m for m in dim_mults]
        pairs = list(zip(widths[:-1], widths[1:]))
        last = len(pairs) - 1

        self.encoder = nn.ModuleList([])
        for i, (d_in, d_out) in enumerate(pairs):
            block = ResBlock(d_in, time_dim, d_out, groups=groups)
            attn = None
            if i in attn_levels:
                attn = SpatialTransformer(d_out, context_dim, num_heads=heads, groups=groups)
            self.encoder.append(
                nn.ModuleList([block, attn, None if i == last else Downsample(d_out)])
            )

        middle = widths[-1]
        self.mid_res_block1 = ResBlock(middle, time_dim, middle, groups=groups)
        self.mid_attn = SpatialTransformer(middle, context_dim, num_heads=heads, groups=groups)
        self.mid_res_block2 = ResBlock(middle, time_dim, middle, groups=groups)

        self.decoder = nn.ModuleList([])
        for i, (d_in, d_out) in reversed(list(enumerate(pairs))):
            block = ResBlock(d_out * 2, time_dim, d_in, groups=groups)
            attn = None
            if i in attn_levels:
                attn = SpatialTransformer(d_in, context_dim, num_heads=heads, groups=groups)
            self.decoder.append(nn.ModuleList([block, attn, None if i == 0 else Upsample(d_in)]))

        self.final_conv = nn.Sequential(
            nn.GroupNorm(groups, init_dim),
            nn.SiLU(),
            nn.Conv2d(init_dim, out_channels, 3, padding=1),
        )

    def forward(self, x, label, time):
        t = self.time_embd(time)
        context = self.label_embd(label)
        x = self.conv_in(x)

        outputs = []
        for block, attn, down in self.encoder:
            x = block(x, t)
            if attn is not None:
                x = attn(x, context)
            outputs.append(x)
            if down is not None:
                x = down(x)

        x = self.mid_res_block1(x, t)
        x = self.mid_attn(x, context)
        x = self.mid_res_block2(x, t)

        for block, attn, up in self.decoder:
            x = torch.cat([x, outputs.pop()], dim=1)
            x = block(x, t)
            if attn is not None:
                x = attn(x, context)
            if up is not None:
                x = up(x)

        return self.final_conv(x)


# ==== right_earlier_edition_absolute_imports
# about: An earlier edition's files that import each other as libs.x and do without utils.default.
# file: code/libs/ddpm.py
"""DDPM for the assignment."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from libs.tiny_autoencoder import TAESD
from libs.unet import UNet


def linear_beta_schedule(timesteps, beta_start=0.0001, beta_end=0.02):
    return torch.linspace(beta_start, beta_end, timesteps)


def quadratic_beta_schedule(timesteps, beta_start=0.00085, beta_end=0.012):
    return torch.linspace(math.sqrt(beta_start), math.sqrt(beta_end), timesteps) ** 2


class DDPM(nn.Module):
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
        self.vae = None
        if self.use_vae:
            self.vae = TAESD(vae_encoder_weights, vae_decoder_weights)
            for p in self.vae.parameters():
                p.requires_grad = False
            img_shape = (4, img_shape[1] // 8, img_shape[2] // 8)
        self.img_shape = img_shape

        self.model = UNet(
            dim=dim,
            context_dim=context_dim,
            num_classes=num_classes,
            in_channels=img_shape[0],
            out_channels=img_shape[0],
            dim_mults=dim_mults,
            attn_levels=attn_levels,
        )

        if use_vae:
            betas = quadratic_beta_schedule(timesteps)
        else:
            betas = linear_beta_schedule(timesteps)
        alphas = 1.0 - betas
        alphas_cumprod = torch.cumprod(alphas, axis=0)
        alphas_cumprod_prev = torch.cat([alphas_cumprod.new_ones(1), alphas_cumprod[:-1]])
        posterior_variance = betas * (1.0 - alphas_cumprod_prev) / (1.0 - alphas_cumprod)

        self.register_buffer("betas", betas)
        self.register_buffer("sqrt_recip_alphas", torch.sqrt(1.0 / alphas))
        self.register_buffer("sqrt_alphas_cumprod", torch.sqrt(alphas_cumprod))
        self.register_buffer("sqrt_one_minus_alphas_cumprod", torch.sqrt(1.0 - alphas_cumprod))
        self.register_buffer("posterior_variance", posterior_variance)

    def extract(self, a, t, x_shape):
        out = a.gather(-1, t)
        return out.reshape(t.shape[0], *((1,) * (len(x_shape) - 1)))

    @torch.no_grad()
    def p_sample(self, x, label, t, t_index):
        betas_t = self.extract(self.betas, t, x.shape)
        sqrt_one_minus_t = self.extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
        sqrt_recip_t = self.extract(self.sqrt_recip_alphas, t, x.shape)
        x_prev = sqrt_recip_t * (x - betas_t * self.model(x, label, t) / sqrt_one_minus_t)
        if t_index == 0:
            return x_prev
        posterior_variance_t = self.extract(self.posterior_variance, t, x.shape)
        return x_prev + torch.sqrt(posterior_variance_t) * torch.randn_like(x)

    @torch.no_grad()
    def p_sample_loop(self, labels):
        device = labels.device
        imgs = torch.randn((labels.shape[0],) + tuple(self.img_shape), device=device)
        for i in range(self.timesteps - 1, -1, -1):
            t = torch.full((labels.shape[0],), i, dtype=torch.int64, device=device)
            imgs = self.p_sample(imgs, labels, t, i)
        if self.use_vae:
            imgs = self.vae.decoder(imgs)
        return self.to_pictures(imgs)

    def to_pictures(self, imgs):
        if not self.use_vae:
            imgs = (imgs + 1) * 0.5
        return torch.clamp(imgs, min=0.0, max=1.0)

    def q_sample(self, x_start, t, noise=None):
        if noise is None:
            noise = torch.randn_like(x_start)
        mean = self.extract(self.sqrt_alphas_cumprod, t, x_start.shape) * x_start
        return mean + self.extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape) * noise

    def compute_loss(self, x_start, label, t, noise=None):
        if self.use_vae:
            with torch.no_grad():
                x_start = self.vae.encoder(x_start)
        if noise is None:
            noise = torch.randn_like(x_start)
        x_noisy = self.q_sample(x_start=x_start, t=t, noise=noise)
        return F.mse_loss(noise, self.model(x_noisy, label, t))

# file: code/libs/unet.py
"""UNet for the assignment."""

import torch
from torch import nn

from libs.blocks import (
    Downsample,
    LabelEmbedding,
    ResBlock,
    SinusoidalPE,
    SpatialTransformer,
    Upsample,
)


def default(value, fallback):
    return fallback if value is None else value


class UNet(nn.Module):
    def __init__(
        self,
        dim,
        context_dim,
        num_classes,
        in_channels=3,
        out_channels=None,
        dim_mults=(1, 2, 4),
        attn_levels=(0, 1),
        init_dim=None,
        num_groups=None,
        num_heads=None,
    ):
        super().__init__()
        init_dim = default(init_dim, dim)
        groups = default(num_groups, 4)
        heads = default(num_heads, 4)
        out_channels = default(out_channels, in_channels)
        time_dim = dim * 4

        self.conv_in = nn.Conv2d(in_channels, init_dim, 3, padding=1)
        self.time_embd = nn.Sequential(
            SinusoidalPE(dim),
            nn.Linear(dim, time_dim),
            nn.SiLU(),
            nn.Linear(time_dim, time_dim),
        )
        self.label_embd = LabelEmbedding(num_classes, context_dim)

        widths = [init_dim] + [dim * m for m in dim_mults]
        pairs = list(zip(widths[:-1], widths[1:]))
        last = len(pairs) - 1

        self.encoder = nn.ModuleList([])
        for i, (d_in, d_out) in enumerate(pairs):
            block = ResBlock(d_in, time_dim, d_out, groups=groups)
            attn = None
            if i in attn_levels:
                attn = SpatialTransformer(d_out, context_dim, num_heads=heads, groups=groups)
            self.encoder.append(
                nn.ModuleList([block, attn, None if i == last else Downsample(d_out)])
            )

        middle = widths[-1]
        self.mid_res_block1 = ResBlock(middle, time_dim, middle, groups=groups)
        self.mid_attn = SpatialTransformer(middle, context_dim, num_heads=heads, groups=groups)
        self.mid_res_block2 = ResBlock(middle, time_dim, middle, groups=groups)

        self.decoder = nn.ModuleList([])
        for i, (d_in, d_out) in reversed(list(enumerate(pairs))):
            block = ResBlock(d_out * 2, time_dim, d_in, groups=groups)
            attn = None
            if i in attn_levels:
                attn = SpatialTransformer(d_in, context_dim, num_heads=heads, groups=groups)
            self.decoder.append(nn.ModuleList([block, attn, None if i == 0 else Upsample(d_in)]))

        self.final_conv = nn.Sequential(
            nn.GroupNorm(groups, init_dim),
            nn.SiLU(),
            nn.Conv2d(init_dim, out_channels, 3, padding=1),
        )

    def forward(self, x, label, time):
        t = self.time_embd(time)
        context = self.label_embd(label)
        x = self.conv_in(x)

        outputs = []
        for block, attn, down in self.encoder:
            x = block(x, t)
            if attn is not None:
                x = attn(x, context)
            outputs.append(x)
            if down is not None:
                x = down(x)

        x = self.mid_res_block1(x, t)
        x = self.mid_attn(x, context)
        x = self.mid_res_block2(x, t)

        for block, attn, up in self.decoder:
            x = torch.cat([x, outputs.pop()], dim=1)
            x = block(x, t)
            if attn is not None:
                x = attn(x, context)
            if up is not None:
                x = up(x)

        return self.final_conv(x)


# ==== right_inference_mode
# about: Samples under inference_mode instead of no_grad.
# in: ddpm.p_sample
@torch.inference_mode()
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
    return mean + torch.sqrt(variance_t) * noise

# in: ddpm.p_sample_loop
@torch.inference_mode()
def p_sample_loop(self, labels):
    b = labels.shape[0]
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=labels.device, dtype=torch.long)
        img = self.p_sample(img, labels, t, i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== right_module_of_its_own
# about: Keeps its formulas in a new module, imported relatively.
# in: ddpm.top
from .formulas import mix, step_mean

# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas = self.betas.double()
    alpha_bar = (1 - betas).cumprod(0)
    mean = step_mean(x, self.model(x, label, t), betas[t_index], alpha_bar[t_index]).to(x.dtype)
    if t_index == 0:
        return mean
    return mean + self.posterior_variance[t_index].sqrt() * torch.randn_like(x)

# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    alpha_bar = (1 - self.betas.double()).cumprod(0)[t].view(-1, 1, 1, 1)
    return mix(x_start, noise, alpha_bar).to(x_start.dtype)

# file: code/libs/formulas.py
"""Formulas of the diffusion process, apart from the model."""


def mix(image, noise, alpha_bar):
    """x_t of eq. 4, from alpha_bar_t [B, 1, 1, 1]."""
    return alpha_bar**0.5 * image + (1 - alpha_bar) ** 0.5 * noise


def step_mean(x, eps, beta, alpha_bar):
    """The mean of eq. 11."""
    return (x - beta * (1 - alpha_bar) ** -0.5 * eps) / (1 - beta) ** 0.5


# ==== right_module_of_its_own_absolute
# about: Keeps its formulas in a new module, imported absolutely, as libs.formulas.
# in: ddpm.top
from libs.formulas import mix, step_mean

# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas = self.betas.double()
    alpha_bar = (1 - betas).cumprod(0)
    mean = step_mean(x, self.model(x, label, t), betas[t_index], alpha_bar[t_index]).to(x.dtype)
    if t_index == 0:
        return mean
    return mean + self.posterior_variance[t_index].sqrt() * torch.randn_like(x)

# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    alpha_bar = (1 - self.betas.double()).cumprod(0)[t].view(-1, 1, 1, 1)
    return mix(x_start, noise, alpha_bar).to(x_start.dtype)

# file: code/libs/formulas.py
"""Formulas of the diffusion process, apart from the model."""


def mix(image, noise, alpha_bar):
    """x_t of eq. 4, from alpha_bar_t [B, 1, 1, 1]."""
    return alpha_bar**0.5 * image + (1 - alpha_bar) ** 0.5 * noise


def step_mean(x, eps, beta, alpha_bar):
    """The mean of eq. 11."""
    return (x - beta * (1 - alpha_bar) ** -0.5 * eps) / (1 - beta) ** 0.5


# ==== right_schedule_without_torch
# about: Computes the schedule as Python numbers in __init__, and does not use _extract.
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
    *,
    betas=None,
):
    from .tiny_autoencoder import TAESD

    super().__init__()
    self.timesteps = timesteps
    self.use_vae = use_vae
    self.vae = None
    if use_vae:
        self.vae = TAESD(vae_encoder_weights, vae_decoder_weights).requires_grad_(False)
        img_shape = (4, img_shape[1] // 8, img_shape[2] // 8)
    self.img_shape = tuple(img_shape)
    self.model = UNet(
        dim, context_dim, num_classes, img_shape[0], dim_mults=dim_mults, attn_levels=attn_levels
    )
    if betas is None:
        betas = quadratic_betas(timesteps) if use_vae else linear_betas(timesteps)

    product, products = 1.0, []
    for beta in betas.tolist():
        product *= 1.0 - beta
        products.append(product)
    before = [1.0, *products[:-1]]
    variance = [b * (1 - p) / (1 - q) for b, p, q in zip(betas.tolist(), before, products)]
    self.register_buffer("betas", betas.float())
    self.register_buffer("sqrt_recip_alphas", torch.tensor([(1 - b) ** -0.5 for b in betas.tolist()]))
    self.register_buffer("sqrt_alphas_cumprod", torch.tensor([p**0.5 for p in products]))
    self.register_buffer(
        "sqrt_one_minus_alphas_cumprod", torch.tensor([(1 - p) ** 0.5 for p in products])
    )
    self.register_buffer("posterior_variance", torch.tensor(variance))


# ==== right_class_of_the_same_name_above
# about: A second DDPM, made of the first, takes its place and any arguments.
# in: ddpm.end
Base = DDPM


class DDPM(Base):
    """The diffusion model with a module for its loss."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.criterion = nn.MSELoss()

    def compute_loss(self, x_start, label, t, noise=None):
        if self.use_vae:
            with torch.no_grad():
                x_start = self.vae.encoder(x_start)
        if noise is None:
            noise = torch.randn_like(x_start)
        return self.criterion(self.model(self.q_sample(x_start, t, noise), label, t), noise)
