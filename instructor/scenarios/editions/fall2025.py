# An earlier edition of the assignment: a whole submission, right in every part.


# ==== fall2025
# about: Fall 2025. The chain is called generate, the loss draws t, and FM is there beside DDPM.
# lacks: bonus_evaluation, bonus_sampling, bonus_edm, bonus_scaling, dit
# text: code/configs/afhq_ddpm.yaml
#| devices: [0]
#| dtype: fp16
#| model_type: DDPM
#| output_folder: afhq
#| dataset:
#|   name: AFHQ
#|   split: train
#|   data_folder: ../data/afhq/train
#| loader:
#|   batch_size: 64
#|   num_workers: 4
#| model:
#|   img_shape: [3, 128, 128]
#|   timesteps: 1000
#|   dim: 128
#|   context_dim: 128
#|   num_classes: 3
#|   dim_mults: [1, 2, 4]
#|   attn_levels: [0, 1]
#|   use_vae: true
#|   vae_encoder_weights: ../pretrained/taesd_encoder.pth
#|   vae_decoder_weights: ../pretrained/taesd_decoder.pth
#| train_cfg:
#|   lr: 0.0002
#|   epochs: 300
#|   num_eval_samples: 12

# text: code/configs/afhq_fm.yaml
#| devices: [0]
#| dtype: fp16
#| model_type: FM
#| output_folder: afhq_fm
#| dataset:
#|   name: AFHQ
#|   split: train
#|   data_folder: ../data/afhq/train
#| loader:
#|   batch_size: 64
#|   num_workers: 4
#| model:
#|   img_shape: [3, 128, 128]
#|   timesteps: 10
#|   dim: 128
#|   context_dim: 128
#|   num_classes: 3
#|   dim_mults: [1, 2, 4]
#|   attn_levels: [0, 1]
#|   use_vae: true
#|   vae_encoder_weights: ../pretrained/taesd_encoder.pth
#|   vae_decoder_weights: ../pretrained/taesd_decoder.pth
#| train_cfg:
#|   lr: 0.0002
#|   epochs: 300
#|   num_eval_samples: 12

# text: code/configs/mnist_ddpm.yaml
#| devices: [0]
#| dtype: fp32
#| model_type: DDPM
#| output_folder: mnist
#| dataset:
#|   name: MNIST
#|   split: train
#|   data_folder: ../data
#| loader:
#|   batch_size: 128
#|   num_workers: 4
#| model:
#|   img_shape: [1, 28, 28]
#|   timesteps: 500
#|   dim: 32
#|   context_dim: 64
#|   num_classes: 10
#|   dim_mults: [1, 2, 4]
#|   attn_levels: [0, 1]
#|   use_vae: false
#| train_cfg:
#|   lr: 0.001
#|   epochs: 30
#|   num_eval_samples: 10

# text: code/configs/mnist_fm.yaml
#| devices: [0]
#| dtype: fp32
#| model_type: FM
#| output_folder: mnist_fm
#| dataset:
#|   name: MNIST
#|   split: train
#|   data_folder: ../data
#| loader:
#|   batch_size: 128
#|   num_workers: 4
#| model:
#|   img_shape: [1, 28, 28]
#|   timesteps: 10
#|   dim: 32
#|   context_dim: 64
#|   num_classes: 10
#|   dim_mults: [1, 2, 4]
#|   attn_levels: [0, 1]
#|   use_vae: false
#| train_cfg:
#|   lr: 0.001
#|   epochs: 30
#|   num_eval_samples: 10

# file: code/eval.py
"""Draws 500 samples of each class: python eval.py CONFIG CHECKPOINT"""

import sys

import torch
import yaml

from libs.ddpm import DDPM
from libs.fm import FM


def main(config, checkpoint):
    with open(config) as f:
        cfg = yaml.safe_load(f)
    model = {"DDPM": DDPM, "FM": FM}[cfg["model_type"]](**cfg["model"])
    model.load_state_dict(torch.load(checkpoint, map_location="cpu"))
    model.eval()
    for label in range(cfg["model"]["num_classes"]):
        imgs = torch.cat([model.generate(torch.full((100,), label)) for _ in range(5)])
        torch.save(imgs, f"samples_{label}.pt")


if __name__ == "__main__":
    main(*sys.argv[1:3])

# file: code/libs/__init__.py

# file: code/libs/blocks.py
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

from libs.utils import default


class SinusoidalPE(nn.Module):
    def __init__(self, dim):
        super().__init__()
        half = dim // 2
        freqs = torch.exp(-math.log(10000) * torch.arange(half) / half)
        self.register_buffer("freqs", freqs, persistent=False)

    def forward(self, time):
        angles = time.float().unsqueeze(1) * self.freqs
        return torch.cat([torch.cos(angles), torch.sin(angles)], dim=1)


class LabelEmbedding(nn.Module):
    def __init__(self, num_classes, embed_dim):
        super().__init__()
        self.embed = nn.Embedding(num_classes, embed_dim)
        self.mlp = nn.Sequential(
            nn.Linear(embed_dim, embed_dim), nn.SiLU(), nn.Linear(embed_dim, embed_dim)
        )

    def forward(self, label):
        return self.mlp(self.embed(label))


class ResBlock(nn.Module):
    def __init__(self, in_channel, time_emb_dim, out_channel=None, groups=4):
        super().__init__()
        out_channel = default(out_channel, in_channel)
        self.block1 = nn.Sequential(
            nn.GroupNorm(groups, in_channel), nn.SiLU(),
            nn.Conv2d(in_channel, out_channel, 3, padding=1),
        )
        self.t_proj = nn.Sequential(nn.SiLU(), nn.Linear(time_emb_dim, out_channel))
        self.block2 = nn.Sequential(
            nn.GroupNorm(groups, out_channel), nn.SiLU(),
            nn.Conv2d(out_channel, out_channel, 3, padding=1),
        )
        self.res = (
            nn.Conv2d(in_channel, out_channel, 1) if in_channel != out_channel else nn.Identity()
        )

    def forward(self, x, t_emb):
        h = self.block1(x) + self.t_proj(t_emb)[..., None, None]
        return self.block2(h) + self.res(x)


class Attention(nn.Module):
    def __init__(self, dim, context_dim, num_heads, qkv_bias):
        super().__init__()
        self.heads = num_heads
        self.q = nn.Linear(dim, dim, bias=qkv_bias)
        self.k = nn.Linear(context_dim, dim, bias=qkv_bias)
        self.v = nn.Linear(context_dim, dim, bias=qkv_bias)
        self.out = nn.Linear(dim, dim)

    def forward(self, x, context):
        q, k, v = (
            layer(y).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer, y in ((self.q, x), (self.k, context), (self.v, context))
        )
        y = F.scaled_dot_product_attention(q, k, v)
        return self.out(y.transpose(1, 2).flatten(2))


class SpatialTransformer(nn.Module):
    def __init__(self, dim, context_dim, num_heads=4, mlp_ratio=4.0, qkv_bias=True,
                 norm_layer=nn.LayerNorm, groups=4):
        super().__init__()
        self.norm = nn.GroupNorm(groups, dim)
        self.proj_in = nn.Linear(dim, dim)
        self.norms = nn.ModuleList([norm_layer(dim) for _ in range(3)])
        self.self_attn = Attention(dim, dim, num_heads, qkv_bias)
        self.cross_attn = Attention(dim, context_dim, num_heads, qkv_bias)
        hidden = int(mlp_ratio * dim)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))
        self.proj_out = nn.Linear(dim, dim)

    def forward(self, x, context):
        h, w = x.shape[-2:]
        y = self.proj_in(self.norm(x).flatten(2).mT)
        z = self.norms[0](y)
        y = y + self.self_attn(z, z)
        y = y + self.cross_attn(self.norms[1](y), context)
        y = y + self.mlp(self.norms[2](y))
        return x + self.proj_out(y).mT.unflatten(2, (h, w))


class Upsample(nn.Module):
    def __init__(self, dim, dim_out=None):
        super().__init__()
        self.conv = nn.ConvTranspose2d(dim, default(dim_out, dim), 4, stride=2, padding=1)

    def forward(self, x):
        return self.conv(x)


class Downsample(nn.Module):
    def __init__(self, dim, dim_out=None):
        super().__init__()
        self.conv = nn.Conv2d(4 * dim, default(dim_out, dim), 1)

    def forward(self, x):
        return self.conv(F.pixel_unshuffle(x, 2))

# file: code/libs/datasets.py
import os

from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.datasets import MNIST


class AFHQ(Dataset):
    def __init__(self, root, transform):
        self.classes = sorted(os.listdir(root))
        self.files = [
            (os.path.join(root, c, name), i)
            for i, c in enumerate(self.classes)
            for name in sorted(os.listdir(os.path.join(root, c)))
        ]
        self.transform = transform

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        path, label = self.files[i]
        return self.transform(Image.open(path).convert("RGB")), label


def build_dataset(name, split, img_size, data_folder, use_vae):
    steps = [transforms.Resize(img_size), transforms.ToTensor()]
    if not use_vae:
        steps.append(transforms.Lambda(lambda x: x * 2 - 1))
    transform = transforms.Compose(steps)
    if name == "MNIST":
        return MNIST(data_folder, train=split == "train", transform=transform, download=True)
    return AFHQ(data_folder, transform)


def build_dataloader(dataset, batch_size, num_workers):
    return DataLoader(dataset, batch_size, shuffle=True, num_workers=num_workers, drop_last=True)

# file: code/libs/ddpm.py
import torch
import torch.nn as nn
import torch.nn.functional as F

from libs.tiny_autoencoder import TAESD
from libs.unet import UNet


def linear_beta_schedule(timesteps, beta_start=0.0001, beta_end=0.02):
    return torch.linspace(beta_start, beta_end, timesteps)


def quadratic_beta_schedule(timesteps, beta_start=0.00085, beta_end=0.012):
    return torch.linspace(beta_start**0.5, beta_end**0.5, timesteps) ** 2


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
        if use_vae:
            assert vae_encoder_weights is not None and vae_decoder_weights is not None
            self.vae = TAESD(vae_encoder_weights, vae_decoder_weights)
            for p in self.vae.parameters():
                p.requires_grad_(False)
            img_shape = (4, img_shape[1] // 8, img_shape[2] // 8)
        self.img_shape = tuple(img_shape)

        self.model = UNet(
            dim=dim,
            context_dim=context_dim,
            num_classes=num_classes,
            in_channels=self.img_shape[0],
            dim_mults=dim_mults,
            attn_levels=attn_levels,
        )

        schedule = quadratic_beta_schedule if use_vae else linear_beta_schedule
        self.betas = schedule(timesteps)
        alphas = 1.0 - self.betas
        alphas_cumprod = alphas.cumprod(0)
        alphas_cumprod_prev = F.pad(alphas_cumprod[:-1], (1, 0), value=1.0)
        self.sqrt_recip_alphas = alphas.rsqrt()
        self.sqrt_alphas_cumprod = alphas_cumprod.sqrt()
        self.sqrt_one_minus_alphas_cumprod = (1.0 - alphas_cumprod).sqrt()
        self.posterior_variance = self.betas * (1.0 - alphas_cumprod_prev) / (1.0 - alphas_cumprod)

    def _extract(self, a, t, x_shape):
        out = a.gather(-1, t.cpu())
        return out.reshape(t.shape[0], *((1,) * (len(x_shape) - 1))).to(t.device)

    def q_sample(self, x_start, t, noise=None):
        if noise is None:
            noise = torch.randn_like(x_start)
        signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
        sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
        return signal * x_start + sigma * noise

    def compute_loss(self, x_start, label, noise=None):
        if self.use_vae:
            with torch.no_grad():
                x_start = self.vae.encoder(x_start)
        t = torch.randint(0, self.timesteps, (x_start.shape[0],), device=x_start.device).long()
        if noise is None:
            noise = torch.randn_like(x_start)
        x_t = self.q_sample(x_start, t, noise)
        return F.mse_loss(self.model(x_t, label, t), noise)

    @torch.no_grad()
    def p_sample(self, x, label, t, t_index):
        beta = self._extract(self.betas, t, x.shape)
        recip = self._extract(self.sqrt_recip_alphas, t, x.shape)
        sigma = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
        mean = recip * (x - beta / sigma * self.model(x, label, t))
        if t_index == 0:
            return mean
        variance = self._extract(self.posterior_variance, t, x.shape)
        return mean + variance.sqrt() * torch.randn_like(x)

    @torch.no_grad()
    def generate(self, labels):
        device = next(self.model.parameters()).device
        imgs = torch.randn((len(labels), *self.img_shape), device=device)
        for i in reversed(range(0, self.timesteps)):
            t = torch.full((len(labels),), i, device=device, dtype=torch.long)
            imgs = self.p_sample(imgs, labels, t, i)
        if self.use_vae:
            imgs = self.vae.decoder(imgs)
        return self.postprocess(imgs)

    def postprocess(self, imgs):
        if not self.use_vae:
            imgs = (imgs + 1) / 2
        return imgs.clamp(0.0, 1.0)

# file: code/libs/fm.py
import torch
import torch.nn as nn
import torch.nn.functional as F

from libs.tiny_autoencoder import TAESD
from libs.unet import UNet


class FM(nn.Module):
    """Rectified flow: x_tau = tau x_1 + (1 - tau) x_0 from noise x_0 to images x_1."""

    def __init__(
        self,
        img_shape=(3, 32, 32),
        timesteps=10,
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
        if use_vae:
            assert vae_encoder_weights is not None and vae_decoder_weights is not None
            self.vae = TAESD(vae_encoder_weights, vae_decoder_weights)
            for p in self.vae.parameters():
                p.requires_grad_(False)
            img_shape = (4, img_shape[1] // 8, img_shape[2] // 8)
        self.img_shape = tuple(img_shape)
        self.model = UNet(
            dim=dim,
            context_dim=context_dim,
            num_classes=num_classes,
            in_channels=self.img_shape[0],
            dim_mults=dim_mults,
            attn_levels=attn_levels,
        )

    def compute_loss(self, x_start, label, noise=None):
        if self.use_vae:
            with torch.no_grad():
                x_start = self.vae.encoder(x_start)
        if noise is None:
            noise = torch.randn_like(x_start)
        tau = torch.rand(len(x_start), device=x_start.device)
        weight = tau[:, None, None, None]
        x_tau = weight * x_start + (1 - weight) * noise
        return F.mse_loss(self.model(x_tau, label, tau), x_start - noise)

    @torch.no_grad()
    def generate(self, labels):
        device = next(self.model.parameters()).device
        x = torch.randn((len(labels), *self.img_shape), device=device)
        for i in range(self.timesteps):
            tau = torch.full((len(labels),), i / self.timesteps, device=device)
            x = x + self.model(x, labels, tau) / self.timesteps
        if self.use_vae:
            x = self.vae.decoder(x)
        else:
            x = (x + 1) / 2
        return x.clamp(0.0, 1.0)

# file: code/libs/tiny_autoencoder.py
"""The tiny autoencoder of Stable Diffusion."""

import torch
from torch import nn


def conv(n_in, n_out, **kwargs):
    return nn.Conv2d(n_in, n_out, 3, padding=1, **kwargs)


class Clamp(nn.Module):
    def forward(self, x):
        return torch.tanh(x / 3) * 3


class Block(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.conv = nn.Sequential(
            conv(n_in, n_out), nn.ReLU(), conv(n_out, n_out), nn.ReLU(), conv(n_out, n_out)
        )
        self.skip = nn.Conv2d(n_in, n_out, 1, bias=False) if n_in != n_out else nn.Identity()
        self.fuse = nn.ReLU()

    def forward(self, x):
        return self.fuse(self.conv(x) + self.skip(x))


def Encoder(latent_channels=4):
    layers = [conv(3, 64), Block(64, 64)]
    for _ in range(3):
        layers.append(conv(64, 64, stride=2, bias=False))
        layers.extend(Block(64, 64) for _ in range(3))
    return nn.Sequential(*layers, conv(64, latent_channels))


def Decoder(latent_channels=4):
    layers = [Clamp(), conv(latent_channels, 64), nn.ReLU()]
    for _ in range(3):
        layers.extend(Block(64, 64) for _ in range(3))
        layers.extend([nn.Upsample(scale_factor=2), conv(64, 64, bias=False)])
    return nn.Sequential(*layers, Block(64, 64), conv(64, 3))


class TAESD(nn.Module):
    def __init__(self, encoder_path, decoder_path):
        super().__init__()
        self.encoder = Encoder()
        self.decoder = Decoder()
        self.encoder.load_state_dict(torch.load(encoder_path, map_location="cpu"))
        self.decoder.load_state_dict(torch.load(decoder_path, map_location="cpu"))

# file: code/libs/unet.py
import torch
import torch.nn as nn

from libs.blocks import (
    Downsample,
    LabelEmbedding,
    ResBlock,
    SinusoidalPE,
    SpatialTransformer,
    Upsample,
)
from libs.utils import default


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
        init_dim, out_channels = default(init_dim, dim), default(out_channels, in_channels)
        groups, heads = default(num_groups, 4), default(num_heads, 4)
        time_dim = 4 * dim
        channels = [init_dim] + [dim * mult for mult in dim_mults]
        last = len(dim_mults) - 1

        self.conv_in = nn.Conv2d(in_channels, init_dim, 3, padding=1)
        self.time_embd = nn.Sequential(
            SinusoidalPE(dim), nn.Linear(dim, time_dim), nn.SiLU(), nn.Linear(time_dim, time_dim)
        )
        self.label_embd = LabelEmbedding(num_classes, context_dim)

        def attention(level, width):
            if level not in attn_levels:
                return None
            return SpatialTransformer(width, context_dim, heads, groups=groups)

        self.encoder = nn.ModuleList()
        for i in range(last + 1):
            self.encoder.append(nn.ModuleList([
                ResBlock(channels[i], time_dim, channels[i + 1], groups),
                attention(i, channels[i + 1]),
                Downsample(channels[i + 1]) if i < last else None,
            ]))

        self.mid_res_block1 = ResBlock(channels[-1], time_dim, groups=groups)
        self.mid_attn = SpatialTransformer(channels[-1], context_dim, heads, groups=groups)
        self.mid_res_block2 = ResBlock(channels[-1], time_dim, groups=groups)

        self.decoder = nn.ModuleList()
        for i in range(last, -1, -1):
            self.decoder.append(nn.ModuleList([
                ResBlock(2 * channels[i + 1], time_dim, channels[i], groups),
                attention(i, channels[i]),
                Upsample(channels[i]) if i else None,
            ]))

        self.final_conv = nn.Sequential(
            nn.GroupNorm(groups, init_dim), nn.SiLU(), nn.Conv2d(init_dim, out_channels, 3, padding=1)
        )

    def forward(self, x, label, time):
        t_emb = self.time_embd(time)
        context = self.label_embd(label).unsqueeze(1)
        x = self.conv_in(x)

        skips = []
        for level in self.encoder:
            x = level[0](x, t_emb)
            if level[1] is not None:
                x = level[1](x, context)
            skips.append(x)
            if level[2] is not None:
                x = level[2](x)

        x = self.mid_res_block1(x, t_emb)
        x = self.mid_attn(x, context)
        x = self.mid_res_block2(x, t_emb)

        for level, skip in zip(self.decoder, reversed(skips)):
            x = level[0](torch.cat([x, skip], dim=1), t_emb)
            if level[1] is not None:
                x = level[1](x, context)
            if level[2] is not None:
                x = level[2](x)

        return self.final_conv(x)

# file: code/libs/utils.py
import torch


def default(val, d):
    return d if val is None else val


class AverageMeter:
    def __init__(self):
        self.reset()

    def reset(self):
        self.sum = 0.0
        self.count = 0

    def update(self, val, n=1):
        self.sum += val * n
        self.count += n

    @property
    def avg(self):
        return self.sum / max(self.count, 1)


def save_checkpoint(state, path):
    torch.save(state, path)

# file: code/train.py
import argparse
import os

import torch
import yaml
from torchvision.utils import save_image

from libs.datasets import build_dataloader, build_dataset
from libs.ddpm import DDPM
from libs.fm import FM
from libs.utils import AverageMeter, save_checkpoint


def main(args):
    with open(args.config) as f:
        cfg = yaml.safe_load(f)
    device = torch.device(f"cuda:{cfg['devices'][0]}" if torch.cuda.is_available() else "cpu")
    model_cfg = cfg["model"]
    dataset = build_dataset(
        img_size=model_cfg["img_shape"][1:], use_vae=model_cfg["use_vae"], **cfg["dataset"]
    )
    loader = build_dataloader(dataset, **cfg["loader"])
    model = {"DDPM": DDPM, "FM": FM}[cfg["model_type"]](**model_cfg).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=cfg["train_cfg"]["lr"])
    out = os.path.join("../logs", cfg["output_folder"])
    os.makedirs(out, exist_ok=True)
    for epoch in range(cfg["train_cfg"]["epochs"]):
        meter = AverageMeter()
        model.train()
        for imgs, labels in loader:
            loss = model.compute_loss(imgs.to(device), labels.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            meter.update(loss.item(), len(imgs))
        print(epoch, meter.avg)
        model.eval()
        labels = torch.arange(cfg["train_cfg"]["num_eval_samples"], device=device)
        save_image(model.generate(labels % model_cfg["num_classes"]), f"{out}/{epoch}.png")
        save_checkpoint(model.state_dict(), os.path.join(out, "last.pth"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("config")
    main(parser.parse_args())
