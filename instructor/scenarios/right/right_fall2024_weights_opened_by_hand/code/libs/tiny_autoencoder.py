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
