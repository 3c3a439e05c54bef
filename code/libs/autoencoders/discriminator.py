"""The adversary of an autoencoder's training: its network and its losses."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MAX_WEIGHT = 1e4
DELTA = 1e-6


class PatchDiscriminator(nn.Module):
    """PatchGAN: one score for each patch of an image (Isola et al. 2017, section 3.2.2).

    With three layers a patch has 70x70 pixels. Features are normalised over each image by itself,
    which is what the paper's batch normalization does at its batch size of one: a score depends on
    no other image, and so not on how a batch is spread over processes.

    Args:
        in_channels: channels of the images.
        dim: channels after the first layer; they double with each layer, up to eight times as many.
        num_layers: layers that halve height and width.
    """

    def __init__(self, in_channels: int = 3, dim: int = 64, num_layers: int = 3):
        super().__init__()
        self.smallest = 3 * 2**num_layers
        layers = [nn.Conv2d(in_channels, dim, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        dim_in = dim
        for i in range(1, num_layers + 1):
            dim_out = dim * min(2**i, 8)
            stride = 2 if i < num_layers else 1
            layers += [
                nn.Conv2d(dim_in, dim_out, 4, stride=stride, padding=1, bias=False),
                nn.InstanceNorm2d(dim_out, affine=True),
                nn.LeakyReLU(0.2),
            ]
            dim_in = dim_out
        layers.append(nn.Conv2d(dim_in, 1, 4, padding=1))
        self.layers = nn.Sequential(*layers)
        self.apply(_init)

    def forward(self, x: Tensor) -> Tensor:
        """Scores [B, 1, h, w] of images [B, in_channels, H, W] in [-1, 1]; high means real.

        Raises:
            ValueError: the images are too small for one whole score.
        """
        height, width = x.shape[2:]
        if min(height, width) < self.smallest:
            raise ValueError(
                f"images of {height}x{width} pixels are too small for the discriminator: it needs "
                f"{self.smallest}x{self.smallest}, and half of that with one layer less"
            )
        return self.layers(x)


@torch.no_grad()
def _init(module: nn.Module) -> None:
    """Weights from N(0, 0.02), Isola et al. 2017, section 6.2; gains around 1."""
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.InstanceNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


def hinge_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Mean of max(0, 1 - real) and max(0, 1 + fake), halved (Lim & Ye 2017), a scalar.

    Args:
        real, fake: scores of real images and of reconstructions, of any shape.
    """
    return 0.5 * (F.relu(1 - real).mean() + F.relu(1 + fake).mean())


def hinge_generator_loss(fake: Tensor) -> Tensor:
    """Minus the mean score of reconstructions, a scalar."""
    return -fake.mean()


def adaptive_weight(
    reconstruction_loss: Tensor, adversarial_loss: Tensor, last_layer: nn.Parameter
) -> Tensor:
    """The weight at which the adversary pulls as strongly at the decoder as reconstruction does.

    lambda = |grad L_rec| / (|grad L_GAN| + delta), the gradients taken at the decoder's last layer
    (Esser et al. 2021, VQGAN, eq. 7), at most 10,000.

    Args:
        reconstruction_loss: a scalar, of pixels and features.
        adversarial_loss: a scalar, see `hinge_generator_loss`.
        last_layer: the weight of the decoder's last convolution.

    Returns:
        A scalar without gradient. The graphs of both losses stay usable.
    """
    (rec,) = torch.autograd.grad(reconstruction_loss, last_layer, retain_graph=True)
    (gan,) = torch.autograd.grad(adversarial_loss, last_layer, retain_graph=True)
    return (rec.norm() / (gan.norm() + DELTA)).clamp(0, MAX_WEIGHT).detach()
