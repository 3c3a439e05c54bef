# Right hand-ins of earlier editions; ../README.md says how to add one.


# ==== right_fall2023
# about: A whole hand-in of fall 2023, with its own code/libs.
# base: fall2023


# ==== right_fall2024
# about: A whole hand-in of fall 2024, with its own code/libs.
# base: fall2024


# ==== right_fall2024_arguments_at_import
# about: Parses the command line when it is imported, with arguments that it insists on.
# base: fall2024
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
    return signal * x_start + rate * noise + 0 * ARGS.eps


# ==== right_fall2024_autoencoder_by_methods
# about: The autoencoder has methods encode and decode, and no parts of these names.
# base: fall2024
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encode(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted_noise = self.model(x_noisy, label, t)
    return F.mse_loss(noise, predicted_noise)

# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    device = next(self.model.parameters()).device
    b = len(labels)
    imgs = torch.randn((b, *self.img_shape), device=device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=device, dtype=torch.long)
        imgs = self.p_sample(imgs, labels, t, i)
    if self.use_vae:
        imgs = self.vae.decode(imgs)
    return self.postprocess(imgs)

# file: code/libs/tiny_autoencoder.py
"""The tiny autoencoder of Stable Diffusion, whose halves are two methods."""

import torch
from torch import nn


def conv(n_in, n_out, **kwargs):
    return nn.Conv2d(n_in, n_out, 3, padding=1, **kwargs)


class TAESD(nn.Module):
    def __init__(self, encoder_path, decoder_path):
        super().__init__()
        self.down = nn.Sequential(*(conv(n, 8, stride=2) for n in (3, 8, 8)), conv(8, 4))
        self.up = nn.Sequential(
            *(nn.Sequential(nn.Upsample(scale_factor=2), conv(n, 8)) for n in (4, 8, 8)),
            conv(8, 3),
        )
        self.down.load_state_dict(torch.load(encoder_path, map_location="cpu"))
        self.up.load_state_dict(torch.load(decoder_path, map_location="cpu"))

    def encode(self, x):
        return self.down(x)

    def decode(self, z):
        return self.up(z)


# ==== right_fall2024_autoencoder_called_first_stage
# about: The autoencoder is called first_stage, as in other code for latent diffusion.
# base: fall2024
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
        self.first_stage = TAESD(vae_encoder_weights, vae_decoder_weights)
        # freeze the encoder and the decoder
        for p in self.first_stage.parameters():
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

# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.first_stage.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted_noise = self.model(x_noisy, label, t)
    return F.mse_loss(noise, predicted_noise)

# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    device = next(self.model.parameters()).device
    b = len(labels)
    imgs = torch.randn((b, *self.img_shape), device=device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=device, dtype=torch.long)
        imgs = self.p_sample(imgs, labels, t, i)
    if self.use_vae:
        imgs = self.first_stage.decoder(imgs)
    return self.postprocess(imgs)


# ==== right_fall2024_compiled
# about: The network and q_sample are compiled by torch.compile.
# base: fall2024
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
    return signal * x_start + rate * noise


# ==== right_fall2024_config_at_import
# about: Reads configs/mnist.yaml when it is imported, by a path from the top folder.
# base: fall2024
# remove: code/configs
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

# text: configs/mnist.yaml
#| timesteps: 500
#| betas: [0.0001, 0.02]


# ==== right_fall2024_config_by_a_path_from_code
# about: Reads ../configs/mnist.yaml when it is imported, by a path from the folder code.
# base: fall2024
# remove: code/configs
# in: ddpm.top
import yaml

with open("../configs/mnist.yaml") as file:
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

# text: configs/mnist.yaml
#| timesteps: 500
#| betas: [0.0001, 0.02]


# ==== right_fall2024_device_chosen_at_import
# about: Makes its noise on a device that is chosen at import, the GPU where there is one.
# base: fall2024
# in: ddpm.top
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")

# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    x_start, label, t = x_start.to(DEVICE), label.to(DEVICE), t.to(DEVICE)
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn(x_start.shape, device=DEVICE)
    x_noisy = self.q_sample(x_start, t, noise)
    return F.mse_loss(self.model(x_noisy, label, t), noise.to(DEVICE))

# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn(x_start.shape, device=DEVICE)
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal * x_start + rate * noise


# ==== right_fall2024_gpu_at_import
# about: Puts its schedule on the GPU when it is built, and makes the GPU the default when it is
#   imported.
# base: fall2024
# look: a GPU
# in: ddpm.top
torch.set_default_device("cuda")
ONE = torch.ones(1).cuda()

# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    x_start, t = x_start.cuda(), t.cuda()
    noise = torch.randn(x_start.shape, device="cuda") if noise is None else noise.cuda()
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape).to("cuda")
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape).to("cuda:0")
    return signal * x_start + ONE * rate * noise


# ==== right_fall2024_gpu_by_name
# about: Names the GPU in q_sample and in the loop, as it was there when it was written.
# base: fall2024
# look: a GPU
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    device = torch.device("cuda")
    self.model.cuda()
    labels = labels.to(device)
    imgs = torch.randn((len(labels), *self.img_shape), device=device)
    torch.cuda.synchronize()
    for i in reversed(range(self.timesteps)):
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


# ==== right_fall2024_halves_on_the_model
# about: Encoder and decoder are kept on the DDPM itself, not on an autoencoder.
# base: fall2024
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
        vae = TAESD(vae_encoder_weights, vae_decoder_weights)
        self.encoder, self.decoder = vae.encoder, vae.decoder
        # freeze the encoder and the decoder
        for p in vae.parameters():
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

# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted_noise = self.model(x_noisy, label, t)
    return F.mse_loss(noise, predicted_noise)

# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    device = next(self.model.parameters()).device
    b = len(labels)
    imgs = torch.randn((b, *self.img_shape), device=device)
    for i in reversed(range(self.timesteps)):
        t = torch.full((b,), i, device=device, dtype=torch.long)
        imgs = self.p_sample(imgs, labels, t, i)
    if self.use_vae:
        imgs = self.decoder(imgs)
    return self.postprocess(imgs)


# ==== right_fall2024_helpers_beside_libs
# about: A module of helpers is beside libs and is imported by its name alone.
# base: fall2024
# in: ddpm.top
from helpers import default

# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    noise = default(noise, torch.randn_like(x_start))
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal * x_start + rate * noise

# file: code/helpers.py
def default(value, other):
    return other if value is None else value


# ==== right_fall2024_identity_in_place_of_none
# about: Levels hold nn.Identity where they have no transformer and do not resample.
# base: fall2024
# in: unet.__init__
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
    out_channels = default(out_channels, in_channels)
    num_groups = default(num_groups, 4)
    num_heads = default(num_heads, 4)
    self.conv_in = nn.Conv2d(in_channels, init_dim, 3, padding=1)

    time_dim = dim * 4
    self.time_embd = nn.Sequential(
        SinusoidalPE(dim),
        nn.Linear(dim, time_dim),
        nn.GELU(),
        nn.Linear(time_dim, time_dim),
    )
    self.label_embd = LabelEmbedding(num_classes, context_dim)

    dims = [init_dim] + [dim * m for m in dim_mults]
    in_out = list(zip(dims[:-1], dims[1:]))

    self.encoder = nn.ModuleList([])
    for idx, (in_dim, out_dim) in enumerate(in_out):
        is_last = idx >= (len(in_out) - 1)
        level = nn.ModuleList([])
        level.append(ResBlock(in_dim, time_dim, out_dim, groups=num_groups))
        if idx in attn_levels:
            level.append(
                SpatialTransformer(
                    out_dim, context_dim, num_heads=num_heads, groups=num_groups
                )
            )
        else:
            level.append(nn.Identity())
        level.append(nn.Identity() if is_last else Downsample(out_dim, out_dim))
        self.encoder.append(level)

    self.mid_res_block1 = ResBlock(dims[-1], time_dim, groups=num_groups)
    self.mid_attn = SpatialTransformer(
        dims[-1], context_dim, num_heads=num_heads, groups=num_groups
    )
    self.mid_res_block2 = ResBlock(dims[-1], time_dim, groups=num_groups)

    self.decoder = nn.ModuleList([])
    for idx, (in_dim, out_dim) in enumerate(reversed(in_out)):
        is_last = idx == (len(in_out) - 1)
        level = nn.ModuleList([])
        level.append(ResBlock(2 * out_dim, time_dim, in_dim, groups=num_groups))
        if (len(in_out) - idx - 1) in attn_levels:
            level.append(
                SpatialTransformer(in_dim, context_dim, num_heads=num_heads, groups=num_groups)
            )
        else:
            level.append(nn.Identity())
        level.append(nn.Identity() if is_last else Upsample(in_dim, in_dim))
        self.decoder.append(level)

    self.final_conv = nn.Sequential(
        nn.GroupNorm(num_groups, init_dim),
        nn.SiLU(),
        nn.Conv2d(init_dim, out_channels, 3, padding=1),
    )

# in: unet.forward
def forward(self, x, label, time):
    # embed time and label
    t = self.time_embd(time)
    c = self.label_embd(label).unsqueeze(1)

    x = self.conv_in(x)

    h = []
    for resblock, transformer, downsample in self.encoder:
        x = resblock(x, t)
        if not isinstance(transformer, nn.Identity):
            x = transformer(x, c)
        h.append(x)
        x = downsample(x)

    x = self.mid_res_block1(x, t)
    x = self.mid_attn(x, c)
    x = self.mid_res_block2(x, t)

    for resblock, transformer, upsample in self.decoder:
        x = torch.cat([x, h.pop()], dim=1)
        x = resblock(x, t)
        if not isinstance(transformer, nn.Identity):
            x = transformer(x, c)
        x = upsample(x)

    return self.final_conv(x)


# ==== right_fall2024_imports_as_code_libs
# about: Modules are imported as code.libs.x, which works from the top folder, since code/ is a
#   package.
# base: fall2024
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
    return signal * x_start + rate * noise

# file: code/__init__.py
"""Makes the folder a package, so that code.libs can be imported."""


# ==== right_fall2024_imports_from_its_own_folder
# about: Puts libs into the search path and imports its neighbours without a package.
# base: fall2024
# in: ddpm.top
import os
import sys

sys.path.append(os.path.dirname(os.path.abspath(__file__)))
from utils import default

# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    noise = default(noise, torch.randn_like(x_start))
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal * x_start + rate * noise


# ==== right_fall2024_numpy_schedule
# about: Fall 2024 with a schedule of numpy arrays.
# base: fall2024
# in: ddpm.top
import numpy as np

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
        assert vae_encoder_weights and vae_decoder_weights, "the VAE needs its weights"
        self.vae = TAESD(vae_encoder_weights, vae_decoder_weights)
        for p in self.vae.parameters():
            p.requires_grad = False
        img_shape = (4, img_shape[1] // 8, img_shape[2] // 8)
    self.img_shape = img_shape
    self.model = UNet(
        dim,
        context_dim,
        num_classes,
        in_channels=img_shape[0],
        dim_mults=dim_mults,
        attn_levels=attn_levels,
    )
    if self.use_vae:
        betas = np.linspace(0.00085**0.5, 0.012**0.5, timesteps) ** 2
    else:
        betas = np.linspace(1e-4, 0.02, timesteps)
    alphas_cumprod = np.cumprod(1 - betas)
    before = np.append(1.0, alphas_cumprod[:-1])
    self.betas = betas
    self.sqrt_recip_alphas = 1 / np.sqrt(1 - betas)
    self.sqrt_alphas_cumprod = np.sqrt(alphas_cumprod)
    self.sqrt_one_minus_alphas_cumprod = np.sqrt(1 - alphas_cumprod)
    self.posterior_variance = betas * (1 - before) / (1 - alphas_cumprod)

# in: ddpm._extract
def _extract(self, a, t, x_shape):
    out = torch.from_numpy(np.asarray(a)[t.cpu().numpy()]).float()
    return out.reshape(len(t), *((1,) * (len(x_shape) - 1))).to(t.device)


# ==== right_fall2024_own_beta_schedule
# about: Fall 2024 with an argument beta_schedule of the team's own, which knows no cosine.
# base: fall2024
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
    beta_schedule="auto",
    betas=None,
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
        self.betas = linear_beta_schedule(timesteps=timesteps)

    if betas is not None:
        self.betas = betas
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


# ==== right_fall2024_own_identity
# about: Levels hold a module that returns its input where they have no transformer and do not
#   resample.
# base: fall2024
# in: unet.top
class Nothing(nn.Module):
    """In the place of a layer that a level does not have."""

    def forward(self, x, *condition):
        return x

# in: unet.__init__
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
    out_channels = default(out_channels, in_channels)
    num_groups = default(num_groups, 4)
    num_heads = default(num_heads, 4)
    self.conv_in = nn.Conv2d(in_channels, init_dim, 3, padding=1)

    time_dim = dim * 4
    self.time_embd = nn.Sequential(
        SinusoidalPE(dim),
        nn.Linear(dim, time_dim),
        nn.GELU(),
        nn.Linear(time_dim, time_dim),
    )
    self.label_embd = LabelEmbedding(num_classes, context_dim)

    dims = [init_dim] + [dim * m for m in dim_mults]
    in_out = list(zip(dims[:-1], dims[1:]))

    self.encoder = nn.ModuleList([])
    for idx, (in_dim, out_dim) in enumerate(in_out):
        is_last = idx >= (len(in_out) - 1)
        level = nn.ModuleList([])
        level.append(ResBlock(in_dim, time_dim, out_dim, groups=num_groups))
        if idx in attn_levels:
            level.append(
                SpatialTransformer(
                    out_dim, context_dim, num_heads=num_heads, groups=num_groups
                )
            )
        else:
            level.append(Nothing())
        level.append(Nothing() if is_last else Downsample(out_dim, out_dim))
        self.encoder.append(level)

    self.mid_res_block1 = ResBlock(dims[-1], time_dim, groups=num_groups)
    self.mid_attn = SpatialTransformer(
        dims[-1], context_dim, num_heads=num_heads, groups=num_groups
    )
    self.mid_res_block2 = ResBlock(dims[-1], time_dim, groups=num_groups)

    self.decoder = nn.ModuleList([])
    for idx, (in_dim, out_dim) in enumerate(reversed(in_out)):
        is_last = idx == (len(in_out) - 1)
        level = nn.ModuleList([])
        level.append(ResBlock(2 * out_dim, time_dim, in_dim, groups=num_groups))
        if (len(in_out) - idx - 1) in attn_levels:
            level.append(
                SpatialTransformer(in_dim, context_dim, num_heads=num_heads, groups=num_groups)
            )
        else:
            level.append(Nothing())
        level.append(Nothing() if is_last else Upsample(in_dim, in_dim))
        self.decoder.append(level)

    self.final_conv = nn.Sequential(
        nn.GroupNorm(num_groups, init_dim),
        nn.SiLU(),
        nn.Conv2d(init_dim, out_channels, 3, padding=1),
    )

# in: unet.forward
def forward(self, x, label, time):
    # embed time and label
    t = self.time_embd(time)
    c = self.label_embd(label).unsqueeze(1)

    x = self.conv_in(x)

    h = []
    for resblock, transformer, downsample in self.encoder:
        x = resblock(x, t)
        x = transformer(x, c)
        h.append(x)
        x = downsample(x)

    x = self.mid_res_block1(x, t)
    x = self.mid_attn(x, c)
    x = self.mid_res_block2(x, t)

    for resblock, transformer, upsample in self.decoder:
        x = torch.cat([x, h.pop()], dim=1)
        x = resblock(x, t)
        x = transformer(x, c)
        x = upsample(x)

    return self.final_conv(x)


# ==== right_fall2024_packages_of_a_notebook
# about: Imports what notebooks show progress and pictures with, installed or not.
# base: fall2024
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
    for i in tqdm(reversed(range(self.timesteps)), total=self.timesteps):
        t = torch.full((b,), i, device=device, dtype=torch.long)
        imgs = self.p_sample(imgs, labels, t, i)
    clear_output(wait=True)
    if self.use_vae:
        imgs = self.vae.decoder(imgs)
    return self.postprocess(imgs)


# ==== right_fall2024_schedule_as_parameters
# about: The schedule is kept as parameters without gradient, so that it moves with the model.
# base: fall2024
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
    for name in (
        "betas",
        "sqrt_recip_alphas",
        "sqrt_alphas_cumprod",
        "sqrt_one_minus_alphas_cumprod",
        "posterior_variance",
    ):
        values = getattr(self, name)
        delattr(self, name)
        setattr(self, name, nn.Parameter(values, requires_grad=False))

# in: ddpm._extract
def _extract(self, a, t, x_shape):
    return a[t].view(-1, *(1,) * (len(x_shape) - 1))


# ==== right_fall2024_settings_in_a_dataclass
# about: The constructor takes keyword arguments alone, and makes a dataclass of them.
# base: fall2024
# in: ddpm.top
from dataclasses import dataclass


@dataclass
class Settings:
    """Everything that a model is built with."""

    img_shape: tuple = (3, 32, 32)
    timesteps: int = 100
    dim: int = 64
    context_dim: int = 64
    num_classes: int = 10
    dim_mults: tuple = (1, 2, 4)
    attn_levels: tuple = (0, 1)
    use_vae: bool = False
    vae_encoder_weights: str | None = None
    vae_decoder_weights: str | None = None

# in: ddpm.__init__
def __init__(self, **kwargs):
    super().__init__()
    s = Settings(**kwargs)
    img_shape = s.img_shape
    self.timesteps = s.timesteps
    self.use_vae = s.use_vae
    if self.use_vae:
        assert s.vae_encoder_weights is not None
        assert s.vae_decoder_weights is not None
        self.vae = TAESD(s.vae_encoder_weights, s.vae_decoder_weights)
        # freeze the encoder and the decoder
        for p in self.vae.parameters():
            p.requires_grad = False
        img_shape = (4, img_shape[1] // 8, img_shape[2] // 8)
    self.img_shape = img_shape

    self.model = UNet(
        s.dim,
        s.context_dim,
        s.num_classes,
        in_channels=img_shape[0],
        out_channels=img_shape[0],
        dim_mults=s.dim_mults,
        attn_levels=s.attn_levels,
    )

    # define beta schedule
    if self.use_vae:
        self.betas = quadratic_beta_schedule(timesteps=s.timesteps)
    else:
        self.betas = linear_beta_schedule(timesteps=s.timesteps)

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


# ==== right_fall2024_time_before_label
# about: Fall 2024 with a UNet that takes the time before the label.
# base: fall2024
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_noisy = self.q_sample(x_start, t, noise)
    predicted_noise = self.model(x_noisy, t, label)
    return F.mse_loss(noise, predicted_noise)

# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    betas_t = self._extract(self.betas, t, x.shape)
    sqrt_one_minus_alphas_cumprod_t = self._extract(
        self.sqrt_one_minus_alphas_cumprod, t, x.shape
    )
    sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
    model_mean = sqrt_recip_alphas_t * (
        x - betas_t * self.model(x, t, label) / sqrt_one_minus_alphas_cumprod_t
    )
    if t_index == 0:
        return model_mean
    posterior_variance_t = self._extract(self.posterior_variance, t, x.shape)
    noise = torch.randn_like(x)
    return model_mean + torch.sqrt(posterior_variance_t) * noise

# in: unet.forward
def forward(self, x, time, label):
    # embed time and label
    t = self.time_embd(time)
    c = self.label_embd(label).unsqueeze(1)

    x = self.conv_in(x)

    h = []
    for resblock, transformer, downsample in self.encoder:
        x = resblock(x, t)
        if transformer is not None:
            x = transformer(x, c)
        h.append(x)
        if downsample is not None:
            x = downsample(x)

    x = self.mid_res_block1(x, t)
    x = self.mid_attn(x, c)
    x = self.mid_res_block2(x, t)

    for resblock, transformer, upsample in self.decoder:
        x = torch.cat([x, h.pop()], dim=1)
        x = resblock(x, t)
        if transformer is not None:
            x = transformer(x, c)
        if upsample is not None:
            x = upsample(x)

    return self.final_conv(x)


# ==== right_fall2024_weights_opened_by_hand
# about: Fall 2024 with an autoencoder that checks its files and drops a prefix of their names.
# base: fall2024
# file: code/libs/tiny_autoencoder.py
import os

import torch
from torch import nn


def half(channels_in, channels_out, stride):
    layers = [nn.Conv2d(channels_in, 16, 3, padding=1)]
    for _ in range(3):
        if stride > 1:
            layers += [nn.ReLU(), nn.Conv2d(16, 16, 3, stride=stride, padding=1)]
        else:
            layers += [nn.ReLU(), nn.Upsample(scale_factor=2), nn.Conv2d(16, 16, 3, padding=1)]
    return nn.Sequential(*layers, nn.Conv2d(16, channels_out, 1))


def load(path):
    if not os.path.isfile(path):
        raise FileNotFoundError(path)
    weights = torch.load(path, map_location="cpu", weights_only=True)
    return {name.removeprefix("module."): value for name, value in weights.items()}


class AutoEncoder(nn.Module):
    def __init__(self, files):
        super().__init__()
        self.encoder = half(3, 4, 2)
        self.decoder = half(4, 3, 1)
        for part, path in zip((self.encoder, self.decoder), files):
            print(part.load_state_dict(load(path)))
        self.eval()


def TAESD(encoder_path, decoder_path):
    return AutoEncoder([encoder_path, decoder_path])


# ==== right_fall2025
# about: A whole hand-in of fall 2025, with its own code/libs.
# base: fall2025


# ==== right_fall2025_stratified_times
# about: Fall 2025 with time steps that are spread over the batch, one in each of its shares.
# base: fall2025
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    b = x_start.shape[0]
    share = (torch.randperm(b) + torch.rand(b)) / b
    t = (share * self.timesteps).long().clamp(max=self.timesteps - 1).to(x_start.device)
    if noise is None:
        noise = torch.randn_like(x_start)
    return F.mse_loss(noise, self.model(self.q_sample(x_start, t, noise), label, t))


# ==== right_fall2025_x_t_written_out
# about: Fall 2025 with eq. 4 written out in the loss, at the time steps that it draws.
# base: fall2025
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, noise=None):
    if self.use_vae:
        x_start = self.vae.encoder(x_start).detach()
    noise = torch.randn_like(x_start) if noise is None else noise
    t = torch.randint(self.timesteps, (len(x_start),), device=x_start.device)
    alpha_bar = (1 - self.betas.double()).cumprod(0)[t.cpu()].float().view(-1, 1, 1, 1)
    alpha_bar = alpha_bar.to(x_start.device)
    x_t = alpha_bar.sqrt() * x_start + (1 - alpha_bar).sqrt() * noise
    return ((self.model(x_t, label, t) - noise) ** 2).mean()


# ==== right_lone_files
# about: Hands in ddpm.py and unet.py alone, as the kit had them once.
# base: lone_files
