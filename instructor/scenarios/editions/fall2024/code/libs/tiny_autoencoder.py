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
