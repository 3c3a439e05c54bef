"""Models of a config with random weights, and comparing what they were trained to."""

import torch
from torch import nn

from libs.config import Config, ModelConfig
from libs.ddpm import DDPM
from libs.edm import EDM
from libs.fm import FM
from libs.models.build import build_model


def make_model(model_name: str = "DDPM", **section: object) -> DDPM | EDM | FM:
    """The model that a config with this section `model` describes, with random weights."""
    config = Config(model_name=model_name, model=ModelConfig(**section))
    return build_model(config, pretrained=False)


def randomize(module: nn.Module, seed: int = 0) -> nn.Module:
    """Fill all parameters with noise, those that start as zeros or ones too."""
    generator = torch.Generator().manual_seed(seed)
    for p in module.parameters():
        p.data = 0.3 * torch.randn(p.shape, generator=generator, dtype=p.dtype)
    return module


def assert_same_state(one, two):
    """Two checkpoints hold bit-equal weights and averages."""
    for a, b in (
        (one["model"], two["model"]),
        (one["ema"]["average"], two["ema"]["average"]),
    ):
        assert a.keys() == b.keys()
        for key in a:
            assert torch.equal(a[key], b[key]), key
