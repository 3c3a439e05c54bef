# An earlier edition of the assignment: a whole submission, right in every part.


# ==== fall2024
# about: Fall 2024. Latents of a TAESD whose weights the constructor insists on; the loss is given
#   t.
# lacks: bonus_evaluation, bonus_sampling, bonus_edm, bonus_scaling, fm_loss, fm_generate, dit
# text: code/configs/afhq.yaml
#| devices: [0]
#| dtype: fp16
#| model_name: DDPM
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
#|   epochs: 200
#|   num_eval_samples: 12

# text: code/configs/mnist.yaml
#| devices: [0]
#| dtype: fp32
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
#|   use_vae: false
#| train_cfg:
#|   lr: 0.001
#|   epochs: 30
#|   num_eval_samples: 10

# file: code/libs/__init__.py

# file: code/libs/blocks.py
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

from .utils import default


class SinusoidalPE(nn.Module):
    """Sinusoidal embeddings of time steps."""

    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def forward(self, time):
        device = time.device
        half_dim = self.dim // 2
        step = math.log(10000) / (half_dim - 1)
        embeddings = torch.exp(torch.arange(half_dim, device=device) * -step)
        embeddings = time[:, None] * embeddings[None, :]
        return torch.cat((embeddings.sin(), embeddings.cos()), dim=-1)


class LabelEmbedding(nn.Module):
    """Embeds class labels: [B] -> [B, C]."""

    def __init__(self, num_classes, embed_dim):
        super().__init__()
        self.embedding = nn.Embedding(num_classes, embed_dim)
        self.mlp = nn.Sequential(
            nn.Linear(embed_dim, embed_dim), nn.GELU(), nn.Linear(embed_dim, embed_dim)
        )

    def forward(self, label):
        return self.mlp(self.embedding(label))


class ResBlock(nn.Module):
    def __init__(self, in_channel, time_emb_dim, out_channel=None, groups=4):
        super().__init__()
        out_channel = default(out_channel, in_channel)
        self.in_layers = nn.Sequential(
            nn.GroupNorm(groups, in_channel), nn.SiLU(),
            nn.Conv2d(in_channel, out_channel, 3, padding=1),
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(time_emb_dim, out_channel))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(groups, out_channel), nn.SiLU(),
            nn.Conv2d(out_channel, out_channel, 3, padding=1),
        )
        self.skip_connection = (
            nn.Identity() if in_channel == out_channel else nn.Conv2d(in_channel, out_channel, 1)
        )

    def forward(self, x, t_emb):
        h = self.in_layers(x)
        emb = self.emb_layers(t_emb)
        h = h + emb[:, :, None, None]
        h = self.out_layers(h)
        return h + self.skip_connection(x)


class CrossAttention(nn.Module):
    def __init__(self, dim, context_dim=None, num_heads=4, qkv_bias=True):
        super().__init__()
        context_dim = default(context_dim, dim)
        self.num_heads = num_heads
        self.head_dim = dim // num_heads
        self.to_q = nn.Linear(dim, dim, bias=qkv_bias)
        self.to_k = nn.Linear(context_dim, dim, bias=qkv_bias)
        self.to_v = nn.Linear(context_dim, dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)

    def split(self, y):
        return y.view(y.shape[0], -1, self.num_heads, self.head_dim).transpose(1, 2)

    def forward(self, x, context=None):
        context = default(context, x)
        q, k, v = self.split(self.to_q(x)), self.split(self.to_k(context)), self.split(
            self.to_v(context)
        )
        attn = torch.matmul(q, k.transpose(-2, -1)) / math.sqrt(self.head_dim)
        out = torch.matmul(attn.softmax(dim=-1), v)
        out = out.transpose(1, 2).reshape(x.shape)
        return self.proj(out)


class MLP(nn.Module):
    def __init__(self, dim, ratio):
        super().__init__()
        self.fc1 = nn.Linear(dim, int(dim * ratio))
        self.fc2 = nn.Linear(int(dim * ratio), dim)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class SpatialTransformer(nn.Module):
    def __init__(self, dim, context_dim, num_heads=4, mlp_ratio=4.0, qkv_bias=True,
                 norm_layer=nn.LayerNorm, groups=4):
        super().__init__()
        self.norm = nn.GroupNorm(groups, dim)
        self.proj_in = nn.Conv2d(dim, dim, 1)
        self.norm1 = norm_layer(dim)
        self.attn1 = CrossAttention(dim, None, num_heads, qkv_bias)
        self.norm2 = norm_layer(dim)
        self.attn2 = CrossAttention(dim, context_dim, num_heads, qkv_bias)
        self.norm3 = norm_layer(dim)
        self.mlp = MLP(dim, mlp_ratio)
        self.proj_out = nn.Conv2d(dim, dim, 1)

    def forward(self, x, context):
        b, c, h, w = x.shape
        y = self.proj_in(self.norm(x))
        y = y.permute(0, 2, 3, 1).reshape(b, h * w, c)
        y = self.attn1(self.norm1(y)) + y
        y = self.attn2(self.norm2(y), context) + y
        y = self.mlp(self.norm3(y)) + y
        y = y.reshape(b, h, w, c).permute(0, 3, 1, 2)
        return self.proj_out(y) + x


def Upsample(dim, dim_out=None):
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest"),
        nn.Conv2d(dim, default(dim_out, dim), 3, padding=1),
    )


def Downsample(dim, dim_out=None):
    return nn.Conv2d(dim, default(dim_out, dim), 3, stride=2, padding=1)

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

from .tiny_autoencoder import TAESD
from .unet import UNet


def linear_beta_schedule(timesteps, beta_start=0.0001, beta_end=0.02):
    """
    linear schedule, for pixel space
    """
    return torch.linspace(beta_start, beta_end, timesteps)


def quadratic_beta_schedule(timesteps, beta_start=0.00085, beta_end=0.012):
    """
    quadratic schedule, for latent space
    """
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

    def _extract(self, a, t, x_shape):
        batch_size = t.shape[0]
        out = a.gather(-1, t.cpu())
        return out.reshape(batch_size, *((1,) * (len(x_shape) - 1))).to(t.device)

    def q_sample(self, x_start, t, noise=None):
        if noise is None:
            noise = torch.randn_like(x_start)

        sqrt_alphas_cumprod_t = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
        sqrt_one_minus_alphas_cumprod_t = self._extract(
            self.sqrt_one_minus_alphas_cumprod, t, x_start.shape
        )
        return sqrt_alphas_cumprod_t * x_start + sqrt_one_minus_alphas_cumprod_t * noise

    @torch.no_grad()
    def p_sample(self, x, label, t, t_index):
        betas_t = self._extract(self.betas, t, x.shape)
        sqrt_one_minus_alphas_cumprod_t = self._extract(
            self.sqrt_one_minus_alphas_cumprod, t, x.shape
        )
        sqrt_recip_alphas_t = self._extract(self.sqrt_recip_alphas, t, x.shape)
        model_mean = sqrt_recip_alphas_t * (
            x - betas_t * self.model(x, label, t) / sqrt_one_minus_alphas_cumprod_t
        )
        if t_index == 0:
            return model_mean
        posterior_variance_t = self._extract(self.posterior_variance, t, x.shape)
        noise = torch.randn_like(x)
        return model_mean + torch.sqrt(posterior_variance_t) * noise

    @torch.no_grad()
    def p_sample_loop(self, labels):
        device = next(self.model.parameters()).device
        b = len(labels)
        imgs = torch.randn((b, *self.img_shape), device=device)
        for i in reversed(range(self.timesteps)):
            t = torch.full((b,), i, device=device, dtype=torch.long)
            imgs = self.p_sample(imgs, labels, t, i)
        if self.use_vae:
            imgs = self.vae.decoder(imgs)
        return self.postprocess(imgs)

    def postprocess(self, imgs):
        """
        [-1, 1] -> [0, 1]; the decoder's output is in [0, 1] already
        """
        if not self.use_vae:
            imgs = (imgs + 1) * 0.5
        return torch.clamp(imgs, min=0.0, max=1.0)

    def compute_loss(self, x_start, label, t, noise=None):
        if self.use_vae:
            with torch.no_grad():
                x_start = self.vae.encoder(x_start)
        if noise is None:
            noise = torch.randn_like(x_start)
        x_noisy = self.q_sample(x_start, t, noise)
        predicted_noise = self.model(x_noisy, label, t)
        return F.mse_loss(noise, predicted_noise)

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
    """
    Conditional UNet. Each level of the encoder and of the decoder holds a residual block, a
    transformer (None where there is no attention) and a resampling layer (None at the end).
    """

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
                level.append(None)
            level.append(None if is_last else Downsample(out_dim, out_dim))
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
                level.append(None)
            level.append(None if is_last else Upsample(in_dim, in_dim))
            self.decoder.append(level)

        self.final_conv = nn.Sequential(
            nn.GroupNorm(num_groups, init_dim),
            nn.SiLU(),
            nn.Conv2d(init_dim, out_channels, 3, padding=1),
        )

    def forward(self, x, label, time):
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
    model = DDPM(**model_cfg).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=cfg["train_cfg"]["lr"])
    out = os.path.join("../logs", cfg["output_folder"])
    os.makedirs(out, exist_ok=True)
    for epoch in range(cfg["train_cfg"]["epochs"]):
        meter = AverageMeter()
        model.train()
        for imgs, labels in loader:
            imgs, labels = imgs.to(device), labels.to(device)
            t = torch.randint(0, model.timesteps, (len(imgs),), device=device).long()
            loss = model.compute_loss(imgs, labels, t)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            meter.update(loss.item(), len(imgs))
        print(epoch, meter.avg)
        model.eval()
        labels = torch.arange(cfg["train_cfg"]["num_eval_samples"], device=device)
        imgs = model.p_sample_loop(labels % model_cfg["num_classes"])
        save_image(imgs, os.path.join(out, f"{epoch}.png"))
        save_checkpoint(model.state_dict(), os.path.join(out, "last.pth"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("config")
    main(parser.parse_args())
