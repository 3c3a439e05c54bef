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
