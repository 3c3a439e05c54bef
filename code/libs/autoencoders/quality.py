"""How close reconstructions are to their images: PSNR and SSIM, each image by itself."""

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW, SIGMA = 11, 1.5  # pixels
K1, K2 = 0.01, 0.03


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB; infinite for equal images.

    Args:
        a, b: images in [0, 1], [B, C, H, W].

    Returns:
        [B]
    """
    mse = (a.double() - b.double()).square().mean(dim=(1, 2, 3))
    return (-10 * mse.log10()).float()


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity, at most 1 and 1 for equal images (Wang et al. 2004, eq. 13).

    Means, variances and covariance are those under a Gaussian window, which stays inside the image;
    the index is averaged over pixels and channels.

    Args:
        a, b: images in [0, 1], [B, C, H, W].

    Returns:
        [B]

    Raises:
        ValueError: the images are smaller than the window, 11x11 pixels.
    """
    height, width = a.shape[2:]
    if min(height, width) < WINDOW:
        raise ValueError(
            f"SSIM needs images of at least {WINDOW}x{WINDOW} pixels, not {height}x{width}"
        )
    a, b = a.double(), b.double()  # variances as differences of squares cancel in float32
    mu_a, mu_b = _blur(a), _blur(b)
    var_a = _blur(a * a) - mu_a**2
    var_b = _blur(b * b) - mu_b**2
    cov = _blur(a * b) - mu_a * mu_b
    c1, c2 = K1**2, K2**2
    similarity = (2 * mu_a * mu_b + c1) * (2 * cov + c2)
    similarity /= (mu_a**2 + mu_b**2 + c1) * (var_a + var_b + c2)
    return similarity.mean(dim=(1, 2, 3)).float()


def _blur(x: Tensor) -> Tensor:
    """Average under the window, wherever it is inside the image."""
    offsets = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    window = torch.exp(-0.5 * (offsets / SIGMA) ** 2)
    window = (window / window.sum()).expand(x.shape[1], 1, 1, WINDOW)
    x = F.conv2d(x, window, groups=x.shape[1])
    return F.conv2d(x, window.transpose(2, 3), groups=x.shape[1])
