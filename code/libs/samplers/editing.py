"""Editing: starting from an image, keeping a part of it, mixing, turning, finding its noise.

All of it is a few lines around DDIM's walk: `ddim.sample_ddim` and `ddim.ddim_step` do the steps. A
`Chain` is the model's way from noise to data, see `models/denoisers.py`; images are in the model's
own range, [-1, 1] for pixels, or latents, [B, C, H, W].

Papers: Meng et al. 2022, "SDEdit"; Lugmayr et al. 2022, "RePaint"; Song, Meng and Ermon 2021,
"Denoising Diffusion Implicit Models"; Geng, Park and Owens 2024, "Visual Anagrams".
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..ddim import ddim_step, sample_ddim
from ..models.denoisers import Chain

EpsModel = Callable[[Tensor, Tensor], Tensor]  # (x, t) -> the noise in x, t as in Chain
REPEATS = 5  # RePaint's resampling, r = 10 in the paper for jumps of 10 steps
ITERATIONS, TOLERANCE = 50, 1e-5  # of each step of an inversion


def for_labels(chain: Chain, label: Tensor) -> EpsModel:
    """The chain's noise predictor for labels [B]."""
    return lambda x, t: chain.eps_model(x, label, t)


def add_noise(chain: Chain, x: Tensor, index: int, noise: Tensor) -> Tensor:
    """Clean images at the noise level of chain.times[index]; at len(chain.times), as they are."""
    if index == len(chain.times):
        return x
    alpha_bar = chain.alphas_cumprod[chain.times[index]].item()
    return math.sqrt(alpha_bar) * x + math.sqrt(1 - alpha_bar) * noise


def sdedit(
    chain: Chain, eps_model: EpsModel, image: Tensor, noise: Tensor, strength: float, clip_x0: bool
) -> Tensor:
    """Redraw an image from a noisy version of it (SDEdit, Algorithm 1).

    Args:
        chain, eps_model: the model's way, and what it predicts.
        image: to start from, [B, C, H, W].
        noise: Gaussian noise of variance 1, [B, C, H, W].
        strength: share of the chain that is walked: 0 changes nothing, 1 keeps next to nothing.
        clip_x0: see `ddim.ddim_step`.

    Returns:
        [B, C, H, W]
    """
    start = len(chain.times) - round(strength * len(chain.times))
    if start == len(chain.times):
        return image
    x = add_noise(chain, image, start, noise)
    return sample_ddim(eps_model, x, chain.alphas_cumprod, chain.times[start:], clip_x0=clip_x0)


def inpaint(
    chain: Chain,
    eps_model: EpsModel,
    image: Tensor,
    mask: Tensor,
    draw_noise: Callable[[Tensor], Tensor],
    clip_x0: bool,
    repeats: int = REPEATS,
) -> Tensor:
    """Draw the masked part of an image so that it fits the rest (RePaint, Algorithm 1).

    After each step the known part is put in at that step's noise level. Then, to let both parts
    agree, the step's noise is added again and the step repeated.

    Args:
        chain, eps_model, clip_x0: see `sdedit`.
        image: with the known part, [B, C, H, W].
        mask: 1 where to draw and 0 where the image is known, [B, 1, H, W].
        draw_noise: gives Gaussian noise of the shape of its argument.
        repeats: how often each step is done, at least 1.

    Returns:
        [B, C, H, W], exactly the image where the mask is 0.
    """
    x, levels = draw_noise(image), [chain.alphas_cumprod[t].item() for t in chain.times] + [1.0]
    for i, time in enumerate(chain.times):
        for left in reversed(range(repeats)):
            eps = eps_model(x, torch.full((len(x),), time, device=x.device))
            noise = draw_noise(x)
            drawn = ddim_step(
                x, eps, levels[i], levels[i + 1], eta=1.0, noise=noise, clip_x0=clip_x0
            )
            known = add_noise(chain, image, i + 1, draw_noise(x))
            x = torch.where(mask > 0.5, drawn, known)
            if left:  # back by one step of the forward process
                kept = levels[i] / levels[i + 1]
                x = math.sqrt(kept) * x + math.sqrt(1 - kept) * draw_noise(x)
    return x


def invert(chain: Chain, eps_model: EpsModel, image: Tensor) -> Tensor:
    """The noise from which DDIM without noise draws an image (DDIM, section 4.3).

    Each step is undone by itself: the state x before it must give `after = ddim_step(x, eps(x))`.
    For a given eps the step is a x + b eps, whose a and b come from the step itself; what is left,
    x = (after - b eps(x)) / a, is iterated to its fixed point (Pan et al. 2023, "Effective Real
    Image Editing with Accelerated Iterative Diffusion Inversion"), half a step at a time.

    Args:
        chain, eps_model: see `sdedit`; a chain of many steps.
        image: [B, C, H, W].

    Returns:
        [B, C, H, W], from which `ddim.sample_ddim` draws about the image.
    """
    levels = [chain.alphas_cumprod[t].item() for t in chain.times] + [1.0]
    one, nothing = torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, 1)
    x = image
    for i in reversed(range(len(chain.times))):
        a = ddim_step(one, nothing, levels[i], levels[i + 1]).item()
        b = ddim_step(nothing, one, levels[i], levels[i + 1]).item()
        t = torch.full((len(x),), chain.times[i], device=x.device)
        after, best, error = x, x / a, math.inf
        x = best
        for _ in range(ITERATIONS):
            found = (after - b * eps_model(x, t)) / a
            change = (found - x).abs().max().item()
            if change < error:
                best, error = x, change
            if change < TOLERANCE:
                break
            x = (x + found) / 2
        x = best
    return x


def between(first: Tensor, last: Tensor, number: int) -> Tensor:
    """Noises from one to another, both included, each of the length that Gaussian noise has.

    They turn evenly from one to the other (Shoemake 1985, slerp): a straight line leads through
    shorter ones, which no model has seen.

    Args:
        first, last: [C, H, W].
        number: at least 2.

    Returns:
        [number, C, H, W]
    """
    lengths = first.norm(), last.norm()
    first, last = first / lengths[0], last / lengths[1]
    angle = (first * last).sum().clamp(-1, 1).acos()
    share = torch.linspace(0, 1, number, device=first.device)[:, None, None, None]
    turned = ((1 - share) * angle).sin() * first + (share * angle).sin() * last
    return turned / angle.sin() * ((1 - share) * lengths[0] + share * lengths[1])


def blended(chain: Chain, first: Tensor, last: Tensor, share: Tensor) -> EpsModel:
    """A noise predictor between two classes: from `first`, at share 0, to `last`, at share 1.

    Args:
        first, last: labels [B].
        share: [B].
    """
    weight = share[:, None, None, None]

    def eps_model(x: Tensor, t: Tensor) -> Tensor:
        ends = chain.eps_model(x, first, t), chain.eps_model(x, last, t)
        return (1 - weight) * ends[0] + weight * ends[1]

    return eps_model


def turned(x: Tensor) -> Tensor:
    """Images [B, C, H, W] upside down, by half a turn."""
    return x.flip(-1, -2)


def anagram(chain: Chain, upright: Tensor, upside_down: Tensor) -> EpsModel:
    """A noise predictor for images that show one class upright and another one when turned.

    It is the mean of what the model sees in both views (Visual Anagrams, section 3.2).

    Args:
        upright, upside_down: labels [B].
    """

    def eps_model(x: Tensor, t: Tensor) -> Tensor:
        seen = chain.eps_model(turned(x), upside_down, t)
        return (chain.eps_model(x, upright, t) + turned(seen)) / 2

    return eps_model
