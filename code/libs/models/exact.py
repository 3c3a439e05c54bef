"""Denoisers in closed form: the predictions of a perfect network, for data that allow it.

For a mixture of K Gaussians with a common spread s, x = x_0 + sigma noise is a mixture again, of
spread sqrt(s^2 + sigma^2), and the best guess of x_0 is

    D(x; sigma) = sum_k w_k(x) (mu_k + s^2 / (s^2 + sigma^2) (x - mu_k)),
    w_k(x) proportional to exp(-|x - mu_k|^2 / (2 (s^2 + sigma^2)))

With s = 0 and the training images as centres it is the best denoiser of the training set, which
draws nothing but training images (Karras et al. 2022, appendix B.3): a network that generalises
must be worse than that.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..ddpm import DDPM
from ..edm import EDM


class Mixture(nn.Module):
    """A mixture of Gaussians of equal weights and one spread.

    Args:
        centres: [K, ...], in [-1, 1] as a model sees images.
        spread: standard deviation s of each Gaussian, at least 0.
    """

    def __init__(self, centres: Tensor, spread: float = 0.0):
        super().__init__()
        self.centres = nn.Parameter(centres.flatten(1), requires_grad=False)
        self.spread = spread

    def denoised(self, x: Tensor, sigma: Tensor) -> Tensor:
        """E[x_0 | x] for x = x_0 + sigma noise.

        Args:
            x: [B, ...], with as many numbers as a centre.
            sigma: noise level of each, [B], above 0.

        Returns:
            As x.
        """
        points, variance = x.flatten(1), self.spread**2 + sigma[:, None] ** 2
        # By differences: a product of matrices would lose the digits of small distances
        exactly = "donot_use_mm_for_euclid_dist"
        distances = torch.cdist(points, self.centres.to(x.dtype), compute_mode=exactly) ** 2
        weights = (-distances / (2 * variance)).softmax(dim=1)
        mean = weights @ self.centres.to(x.dtype)
        found = mean + self.spread**2 / variance * (points - mean)
        return found.reshape(x.shape)


class ExactNetwork(nn.Module):
    """The noise that a perfect network of a DDPM would predict; takes the arguments of `UNet`.

    Args:
        mixture: of the data.
        betas: the DDPM's schedule, float64 [T].
        arguments: of `UNet`, which mean nothing here.
    """

    conditional = False

    def __init__(self, mixture: Mixture, betas: Tensor, **arguments: object):
        super().__init__()
        self.mixture = mixture
        self.register_buffer("alpha_bars", (1 - betas).cumprod(dim=0).float())

    def forward(self, x: Tensor, label: Tensor, time: Tensor) -> Tensor:
        """The noise in x, [B, C, H, W]; labels are not looked at."""
        alpha_bar = self.alpha_bars[time].reshape(-1, *[1] * (x.ndim - 1))
        signal, sigma = alpha_bar.sqrt(), (1 / alpha_bar - 1).sqrt()
        clean = self.mixture.denoised(x / signal, sigma.flatten())
        return (x / signal - clean) / sigma


class ExactEDM(EDM):
    """An EDM whose denoiser is that of a mixture, for any sampler.

    Args:
        mixture: of the data.
        img_shape: shape of an image, (C, H, W).
    """

    def __init__(self, mixture: Mixture, img_shape: Sequence[int]):
        super().__init__(img_shape, dim_mults=(1,), network=lambda **_: mixture)

    def denoise(self, x: Tensor, label: Tensor, sigma: Tensor) -> Tensor:
        return self.model.denoised(x, sigma)


def exact_ddpm(mixture: Mixture, img_shape: Sequence[int], betas: Tensor) -> DDPM:
    """A DDPM with a perfect network, for data in [-1, 1] that are a mixture."""

    def network(**arguments: object) -> ExactNetwork:
        return ExactNetwork(mixture, betas, **arguments)

    return DDPM(img_shape, len(betas), dim_mults=(1,), betas=betas, network=network)
