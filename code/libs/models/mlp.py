"""A multilayer perceptron as the network of a diffusion model, for points instead of images."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..blocks import LabelEmbedding, SinusoidalPE

# A network of few layers learns slowly what changes fast with its input, so that it is given waves
# of its input, too (Tancik et al. 2020, "Fourier Features Let Networks Learn High Frequencies").
FREQUENCIES = (1.5, 3.0, 6.0, 12.0)


class MLP(nn.Module):
    """Residual layers on all numbers of an input at once; takes the arguments of `UNet`.

    Args:
        dim: width of the layers.
        context_dim: width of the label's embedding.
        num_classes, in_channels: see `UNet`; an input has in_channels numbers, [C, 1, 1].
        dim_mults, attn_levels: mean nothing here.
        depth: layers.
        conditional: look at the label.
    """

    def __init__(
        self,
        dim: int,
        context_dim: int,
        num_classes: int,
        in_channels: int,
        dim_mults: Sequence[int] = (1,),
        attn_levels: Sequence[int] = (),
        *,
        depth: int = 4,
        conditional: bool = True,
    ):
        super().__init__()
        self.conditional = conditional
        self.enter = nn.Linear((1 + 2 * len(FREQUENCIES)) * in_channels, dim)
        self.time_embd = nn.Sequential(SinusoidalPE(dim), nn.Linear(dim, dim), nn.SiLU())
        if conditional:
            self.label_embd = LabelEmbedding(num_classes, context_dim)
            self.label_in = nn.Linear(context_dim, dim)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, dim))
            for _ in range(depth)
        )
        self.leave = nn.Sequential(nn.LayerNorm(dim), nn.SiLU(), nn.Linear(dim, in_channels))

    def forward(self, x: Tensor, label: Tensor, time: Tensor) -> Tensor:
        """Predict the noise in x, [B, C, 1, 1]; see `UNet.forward`."""
        embedding = self.time_embd(time)
        if self.conditional:
            embedding = embedding + self.label_in(self.label_embd(label)).flatten(1)
        x_in = x.flatten(1)
        waves = [wave(f * x_in) for f in FREQUENCIES for wave in (torch.sin, torch.cos)]
        hidden = self.enter(torch.cat([x_in, *waves], dim=1))
        for layer in self.layers:
            hidden = hidden + layer(hidden + embedding)
        return self.leave(hidden).reshape(x.shape)
