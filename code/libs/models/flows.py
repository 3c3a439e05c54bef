"""Networks of a rectified flow that predict the image, and answer with the velocity it implies."""

from torch import Tensor, nn

from .dit import DiT
from .variants import VariantUNet

SHORTEST = 0.05  # of the times that are left; by less nothing is divided


class ImageFlow(nn.Module):
    """What makes a network predict x_1, the image, rather than the velocity (x_1 - x_t) / (1 - t).

    Images are simpler than velocities, which hold all of the noise: that helps a network of little
    capacity (Li and He 2025, "Back to Basics: Let Denoising Generative Models Denoise"). In the
    last `SHORTEST` of the time the network predicts x_t + `SHORTEST` times the velocity instead,
    so that its error is not divided by nothing. It comes before the network among the bases of a
    class.
    """

    def forward(self, x: Tensor, label: Tensor, time: Tensor) -> Tensor:
        """The velocity at x, [B, C, H, W], at times [B] in [0, 1]; labels as the network's."""
        left = (1 - time).clamp(min=SHORTEST)[:, None, None, None]
        return (super().forward(x, label, time) - x) / left


class ImageUNet(ImageFlow, VariantUNet):
    """A UNet that predicts images."""


class ImageDiT(ImageFlow, DiT):
    """A DiT that predicts images."""
