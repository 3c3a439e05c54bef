# An earlier edition of the assignment: a whole submission, right in every part.


# ==== fall2023
# about: Fall 2023. Pixels only; decoder and chain were given, and the chain returns [-1, 1].
# lacks: all except unet, q_sample, p_sample, compute_loss
# text: code/configs/mnist.yaml
#| devices: [0]
#| model_name: DDPM
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
#| train_cfg:
#|   lr: 0.001
#|   epochs: 30

# file: code/libs/__init__.py

# file: code/libs/blocks.py
import math

import torch
import torch.nn.functional as F
from torch import nn


class SinusoidalPE(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def forward(self, time):
        half = self.dim // 2
        freqs = torch.exp(-math.log(10000) * torch.arange(half, device=time.device) / (half - 1))
        args = time[:, None].float() * freqs[None]
        return torch.cat([args.sin(), args.cos()], dim=-1)


class LabelEmbedding(nn.Module):
    def __init__(self, num_classes, embed_dim):
        super().__init__()
        self.table = nn.Embedding(num_classes, embed_dim)
        self.fc1 = nn.Linear(embed_dim, embed_dim)
        self.fc2 = nn.Linear(embed_dim, embed_dim)

    def forward(self, label):
        return self.fc2(F.gelu(self.fc1(self.table(label))))  # B x C


class Upsample(nn.Module):
    def __init__(self, dim, dim_out=None):
        super().__init__()
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.conv = nn.Conv2d(dim, dim if dim_out is None else dim_out, 3, padding=1)

    def forward(self, x):
        return self.conv(self.up(x))


class Downsample(nn.Module):
    def __init__(self, dim, dim_out=None):
        super().__init__()
        self.conv = nn.Conv2d(dim, dim if dim_out is None else dim_out, 4, 2, 1)

    def forward(self, x):
        return self.conv(x)


class ResBlock(nn.Module):
    def __init__(self, in_channel, time_emb_dim, out_channel=None, groups=4):
        super().__init__()
        out_channel = in_channel if out_channel is None else out_channel
        self.time_mlp = nn.Linear(time_emb_dim, out_channel)
        self.norm1 = nn.GroupNorm(groups, in_channel)
        self.conv1 = nn.Conv2d(in_channel, out_channel, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, out_channel)
        self.conv2 = nn.Conv2d(out_channel, out_channel, 3, padding=1)
        if in_channel != out_channel:
            self.shortcut = nn.Conv2d(in_channel, out_channel, 1)
        else:
            self.shortcut = None

    def forward(self, x, t_emb):
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.time_mlp(F.silu(t_emb)).unsqueeze(-1).unsqueeze(-1)
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (x if self.shortcut is None else self.shortcut(x))


class Attention(nn.Module):
    def __init__(self, dim, kv_dim, num_heads=4, qkv_bias=True):
        super().__init__()
        self.num_heads = num_heads
        self.scale = (dim // num_heads) ** -0.5
        self.q = nn.Linear(dim, dim, bias=qkv_bias)
        self.kv = nn.Linear(kv_dim, 2 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x, context):
        B, N, C = x.shape
        M = context.shape[1]
        q = self.q(x).reshape(B, N, self.num_heads, -1).permute(0, 2, 1, 3)
        kv = self.kv(context).reshape(B, M, 2, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        k, v = kv[0], kv[1]
        attn = (torch.einsum("bhnd,bhmd->bhnm", q, k) * self.scale).softmax(dim=-1)
        out = torch.einsum("bhnm,bhmd->bhnd", attn, v).permute(0, 2, 1, 3).reshape(B, N, C)
        return self.proj(out)


class SpatialTransformer(nn.Module):
    def __init__(self, dim, context_dim, num_heads=4, mlp_ratio=4.0, qkv_bias=True,
                 norm_layer=nn.LayerNorm, groups=4):
        super().__init__()
        self.norm = nn.GroupNorm(groups, dim)
        self.proj_in = nn.Conv2d(dim, dim, 1)
        self.norm1, self.norm2, self.norm3 = norm_layer(dim), norm_layer(dim), norm_layer(dim)
        self.self_attn = Attention(dim, dim, num_heads, qkv_bias)
        self.cross_attn = Attention(dim, context_dim, num_heads, qkv_bias)
        hidden = int(dim * mlp_ratio)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))
        self.proj_out = nn.Conv2d(dim, dim, 1)

    def forward(self, x, context):
        B, C, H, W = x.shape
        h = self.proj_in(self.norm(x)).flatten(2).transpose(1, 2)  # B x HW x C
        n = self.norm1(h)
        h = h + self.self_attn(n, n)
        h = h + self.cross_attn(self.norm2(h), context)
        h = h + self.mlp(self.norm3(h))
        h = h.transpose(1, 2).reshape(B, C, H, W)
        return x + self.proj_out(h)

# file: code/libs/datasets.py
import torchvision
from torch.utils.data import DataLoader
from torchvision import transforms


def make_loader(data_folder, split, batch_size, num_workers):
    transform = transforms.Compose([transforms.ToTensor(), transforms.Lambda(lambda x: 2 * x - 1)])
    data = torchvision.datasets.MNIST(
        data_folder, train=split == "train", transform=transform, download=True
    )
    return DataLoader(data, batch_size, shuffle=True, num_workers=num_workers, drop_last=True)

# file: code/libs/ddpm.py
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from .unet import UNet


def linear_beta_schedule(timesteps, beta_start=1e-4, beta_end=0.02):
    return torch.linspace(beta_start, beta_end, timesteps)


class DDPM(nn.Module):
    def __init__(self, img_shape=(3, 32, 32), timesteps=100, dim=64, context_dim=64,
                 num_classes=10, dim_mults=(1, 2, 4), attn_levels=(0, 1)):
        super().__init__()
        self.timesteps = timesteps
        self.img_shape = img_shape
        self.model = UNet(dim, context_dim, num_classes, in_channels=img_shape[0],
                          out_channels=img_shape[0], dim_mults=dim_mults, attn_levels=attn_levels)

        # the schedule lives on the CPU
        self.betas = linear_beta_schedule(timesteps)
        alphas = 1.0 - self.betas
        alphas_cumprod = torch.cumprod(alphas, dim=0)
        alphas_cumprod_prev = F.pad(alphas_cumprod[:-1], (1, 0), value=1.0)
        self.sqrt_recip_alphas = torch.sqrt(1.0 / alphas)
        self.sqrt_alphas_cumprod = torch.sqrt(alphas_cumprod)
        self.sqrt_one_minus_alphas_cumprod = torch.sqrt(1.0 - alphas_cumprod)
        self.posterior_variance = self.betas * (1.0 - alphas_cumprod_prev) / (1.0 - alphas_cumprod)

    def _extract(self, a, t, x_shape):
        out = a.gather(-1, t.cpu())
        return out.reshape(t.shape[0], *((1,) * (len(x_shape) - 1))).to(t.device)

    @torch.no_grad()
    def p_sample(self, x, label, t, t_index):
        betas_t = self._extract(self.betas, t, x.shape)
        sqrt_one_minus_alphas_cumprod_t = self._extract(
            self.sqrt_one_minus_alphas_cumprod, t, x.shape
        )
        sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
        pred = self.model(x, label, t)
        x_prev = sqrt_recip_alphas_t * (x - betas_t * pred / sqrt_one_minus_alphas_cumprod_t)
        if t_index > 0:
            variance = self._extract(self.posterior_variance, t, x.shape)
            x_prev = x_prev + torch.sqrt(variance) * torch.randn_like(x)
        return x_prev

    @torch.no_grad()
    def p_sample_loop(self, labels):
        device = next(self.model.parameters()).device
        b = labels.shape[0]
        img = torch.randn((b, *self.img_shape), device=device)
        for i in tqdm(reversed(range(0, self.timesteps)), total=self.timesteps):
            img = self.p_sample(
                img, labels, torch.full((b,), i, device=device, dtype=torch.long), i
            )
        return img

    def q_sample(self, x_start, t, noise=None):
        if noise is None:
            noise = torch.randn_like(x_start)
        a = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
        b = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
        return a * x_start + b * noise

    def compute_loss(self, x_start, label, t, noise=None):
        if noise is None:
            noise = torch.randn_like(x_start)
        x_noisy = self.q_sample(x_start=x_start, t=t, noise=noise)
        predicted_noise = self.model(x_noisy, label, t)
        return F.mse_loss(predicted_noise, noise)

# file: code/libs/unet.py
import torch
from torch import nn

from .blocks import (
    Downsample, LabelEmbedding, ResBlock, SinusoidalPE, SpatialTransformer, Upsample
)


class UNet(nn.Module):
    def __init__(self, dim, context_dim, num_classes, in_channels=3, out_channels=None,
                 dim_mults=(1, 2, 4), attn_levels=(0, 1), init_dim=None, num_groups=None,
                 num_heads=None):
        super().__init__()
        init_dim = init_dim or dim
        num_groups = num_groups or 4
        num_heads = num_heads or 4
        out_channels = out_channels or in_channels
        dims = [init_dim, *map(lambda m: dim * m, dim_mults)]
        in_out = list(zip(dims[:-1], dims[1:]))
        t_dim = dim * 4

        self.conv_in = nn.Conv2d(in_channels, init_dim, 7, padding=3)
        self.time_embd = nn.Sequential(
            SinusoidalPE(dim), nn.Linear(dim, t_dim), nn.GELU(), nn.Linear(t_dim, t_dim)
        )
        self.label_embd = LabelEmbedding(num_classes, context_dim)

        self.encoder = nn.ModuleList([])
        self.decoder = nn.ModuleList([])
        n_levels = len(in_out)
        for i, (d_in, d_out) in enumerate(in_out):
            has_attn = i in attn_levels
            self.encoder.append(nn.ModuleList([
                ResBlock(d_in, t_dim, d_out, num_groups),
                SpatialTransformer(d_out, context_dim, num_heads, groups=num_groups)
                if has_attn else None,
                Downsample(d_out) if i < n_levels - 1 else None,
            ]))
        mid = dims[-1]
        self.mid_res_block1 = ResBlock(mid, t_dim, mid, num_groups)
        self.mid_attn = SpatialTransformer(mid, context_dim, num_heads, groups=num_groups)
        self.mid_res_block2 = ResBlock(mid, t_dim, mid, num_groups)
        for i, (d_in, d_out) in reversed(list(enumerate(in_out))):
            has_attn = i in attn_levels
            self.decoder.append(nn.ModuleList([
                ResBlock(d_out * 2, t_dim, d_in, num_groups),
                SpatialTransformer(d_in, context_dim, num_heads, groups=num_groups)
                if has_attn else None,
                Upsample(d_in) if i > 0 else None,
            ]))
        self.final_conv = nn.Sequential(
            nn.GroupNorm(num_groups, init_dim), nn.SiLU(), nn.Conv2d(init_dim, out_channels, 1)
        )

    def forward(self, x, label, time):
        t = self.time_embd(time)
        c = self.label_embd(label).unsqueeze(1)  # B x 1 x C

        x = self.conv_in(x)
        feats = []
        for res, attn, down in self.encoder:
            x = res(x, t)
            x = attn(x, c) if attn is not None else x
            feats.append(x)
            x = down(x) if down is not None else x

        x = self.mid_res_block1(x, t)
        x = self.mid_attn(x, c)
        x = self.mid_res_block2(x, t)

        for res, attn, up in self.decoder:
            x = res(torch.cat((x, feats.pop()), dim=1), t)
            x = attn(x, c) if attn is not None else x
            x = up(x) if up is not None else x
        return self.final_conv(x)

# file: code/train.py
import argparse
import os

import torch
import torchvision
import yaml

from libs.datasets import make_loader
from libs.ddpm import DDPM


def main(args):
    with open(args.config) as f:
        cfg = yaml.safe_load(f)
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    loader = make_loader(**{k: cfg["dataset"][k] for k in ("data_folder", "split")}, **cfg["loader"])
    model = DDPM(**cfg["model"]).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=cfg["train_cfg"]["lr"])
    out = os.path.join("../logs", cfg["output_folder"])
    os.makedirs(out, exist_ok=True)
    for epoch in range(cfg["train_cfg"]["epochs"]):
        model.train()
        for imgs, labels in loader:
            imgs, labels = imgs.to(device), labels.to(device)
            t = torch.randint(0, model.timesteps, (len(imgs),), device=device).long()
            loss = model.compute_loss(imgs, labels, t)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        imgs = model.p_sample_loop(torch.arange(10, device=device))
        torchvision.utils.save_image((imgs + 1) * 0.5, os.path.join(out, f"{epoch}.png"), nrow=10)
        torch.save(model.state_dict(), os.path.join(out, "last.pth"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("config")
    main(parser.parse_args())
