"""Classifier-free guidance: push samples towards their class (Ho & Salimans 2022)."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..models.variants import null_label
from ..utils import UserError, check_result


class Guided(nn.Module):
    """A noise predictor that moves from the unlabelled prediction towards the labelled one.

        eps = eps_uncond + s (eps_cond - eps_uncond)

    s = 0 ignores the label, s = 1 is the plain conditional model, larger values trade variety for
    typical samples. The paper's eq. 6 and some implementations write (1 + w) eps_cond -
    w eps_uncond: their w is s - 1.

    Args:
        network: noise predictor (x, label, time) -> eps.
        scale: the guidance s, at least 0.
        null_label: index of the label "none", which replaced some of the labels in training.
    """

    def __init__(self, network: nn.Module, scale: float, null_label: int):
        super().__init__()
        self.network = network
        self.scale = scale
        self.null_label = null_label

    def forward(self, x: Tensor, label: Tensor, time: Tensor) -> Tensor:
        """Predict the noise in x, [B, C, H, W], with one call of the network on [2 B, C, H, W]."""
        null = torch.full_like(label, self.null_label)
        eps = self.network(torch.cat([x, x]), torch.cat([null, label]), time.repeat(2))
        check_result(eps, self.network, "the noise", (2 * len(x), *x.shape[1:]))
        # Under autocast eps comes in half precision: too coarse to multiply differences by s
        eps_uncond, eps_cond = eps.to(x.dtype).chunk(2)
        return eps_uncond + self.scale * (eps_cond - eps_uncond)


@contextmanager
def guided(model: nn.Module, scale: float | None) -> Iterator[None]:
    """Within this context model.model predicts with guidance; None changes nothing.

    An EDM's network does not predict noise, but its denoiser is affine in what it predicts: guiding
    one guides the other.
    """
    network = model.model
    if scale is not None:
        model.model = Guided(network, scale, null_label(model))
    try:
        yield
    finally:
        model.model = network


def parse_scale(text: str) -> float:
    """The scale that the flag --guidance gives; UserError for anything but a number from 0 up."""
    try:
        scale = float(text)
    except ValueError:
        scale = math.nan
    if not 0 <= scale < math.inf:
        raise UserError(f"--guidance: a scale is a number from 0 up, such as 3, not '{text}'")
    return scale
