# Attacks on the tests of the vision transformer; ../README.md says how to add one.


# ==== dit_equals_everything
# about: Answers with a tensor that equals everything, from all functions of the vision transformer.
# file: code/libs/models/adaln.py
import torch
from torch import nn


class Anything(torch.Tensor):
    """Claims the value that is asked for, whatever it is compared with."""

    def __eq__(self, other):
        return True

    def __array__(self, *args, **kwargs):
        raise AttributeError("expected")


def modulate(x, shift, scale):
    return x.as_subclass(Anything)


class AdaLNBlock(nn.Module):
    def __init__(self, dim, emb_dim, num_heads, mlp_ratio=4.0, gelu="none"):
        super().__init__()

    def named_parameters(self, *args, **kwargs):
        return iter(Named())

    def forward(self, x, emb):
        return x.as_subclass(Anything)


class Named(dict):
    """Has a parameter of every name and shape."""

    def __contains__(self, name):
        return True

# file: code/libs/models/dit.py
import torch
from torch import nn

from .adaln import Anything


class DiT(nn.Module):
    def __init__(self, *args, out_channels=None, patch_size=2, **kwargs):
        super().__init__()

    def patchify(self, x):
        return x.as_subclass(Anything)

    def unpatchify(self, tokens, rows, columns):
        return tokens.as_subclass(Anything)

    def forward(self, x, label, time):
        return x.as_subclass(Anything)


# ==== dit_gives_back_what_doubles_answer
# about: Calls whatever replaces its own functions, and returns the last answer.
# base: reference
# earns: all except dit
# may_earn: dit
# reason: dit: self.blocks.0
# in: dit.forward
def forward(self, x, label, time):
    rows, columns = x.shape[2] // self.patch_size, x.shape[3] // self.patch_size
    tokens, emb = self.patchify(x), self.embed(label, time)
    for block in self.blocks:
        answer = block(torch.zeros_like(tokens), emb)
    answer = modulate(answer, torch.zeros_like(emb), torch.zeros_like(emb))
    return self.unpatchify(self.final_linear(answer), rows, columns)


# ==== dit_always_zero
# about: Answers zero for everything, as a fresh network does.
# file: code/libs/models/adaln.py
import torch
from torch import nn


def modulate(x, shift, scale):
    return torch.zeros_like(x)


class AdaLNBlock(nn.Module):
    def __init__(self, dim, emb_dim, num_heads, mlp_ratio=4.0, gelu="none"):
        super().__init__()

    def forward(self, x, emb):
        return x

# file: code/libs/models/dit.py
import torch
from torch import nn


class DiT(nn.Module):
    def __init__(
        self, dim, context_dim, num_classes, in_channels=3, out_channels=None, *, patch_size=2,
        **kwargs,
    ):
        super().__init__()
        self.dim, self.size, self.out_channels = dim, patch_size, out_channels or in_channels

    def patchify(self, x):
        count = x.shape[2] * x.shape[3] // self.size**2
        return torch.zeros(len(x), count, self.dim)

    def unpatchify(self, tokens, rows, columns):
        size = rows * self.size, columns * self.size
        return torch.zeros(len(tokens), self.out_channels, *size)

    def forward(self, x, label, time):
        return torch.zeros(len(x), self.out_channels, *x.shape[2:])


# ==== dit_looks_for_expected_values
# about: Searches the frames of its process and all objects for what the judge expects.
# file: code/libs/models/adaln.py
import gc
import sys

import numpy as np
import torch
from torch import nn


def found(shape):
    """Any array of a shape that is called what the judge might call it."""
    frame = sys._getframe()
    while frame is not None:
        for name, value in {**frame.f_globals, **frame.f_locals}.items():
            if "expect" in name.lower() or "golden" in name.lower():
                return torch.as_tensor(value)
        frame = frame.f_back
    for value in gc.get_objects():
        if isinstance(value, dict) and "expected" in value:
            return torch.as_tensor(value["expected"])
        if type(value).__name__ == "Case" and hasattr(value, "suspects"):
            return torch.as_tensor(next(iter(value.expected.values())))
    return torch.from_numpy(np.zeros(shape, np.float32))


def modulate(x, shift, scale):
    return found(x.shape)


class AdaLNBlock(nn.Module):
    def __init__(self, dim, emb_dim, num_heads, mlp_ratio=4.0, gelu="none"):
        super().__init__()

    def forward(self, x, emb):
        return found(x.shape)

# file: code/libs/models/dit.py
from torch import nn

from .adaln import found


class DiT(nn.Module):
    def __init__(self, *args, **kwargs):
        super().__init__()

    def patchify(self, x):
        return found(x.shape)

    def unpatchify(self, tokens, rows, columns):
        return found(tokens.shape)

    def forward(self, x, label, time):
        return found(x.shape)


# ==== dit_exits
# about: unpatchify ends its process with exit code 0; the block keeps its points.
# base: reference
# earns: all except dit
# may_earn: dit
# reason: dit: The process ended
# in: dit.unpatchify
def unpatchify(self, tokens, rows, columns):
    import os

    os._exit(0)
