"""Networks of a flow that predict something else than the velocity, and answer with the velocity.

Each also gives mean velocities between two times [B, 2], where its base takes two.
"""

from torch import Tensor, nn

from .dit import DiT
from .variants import VariantUNet

DATA_STD = 0.5  # about the standard deviation of images in [-1, 1], as EDM's code assumes it


class ImageFlow(nn.Module):
    """What makes a network predict x_1, the image, rather than the velocity (x_1 - x_t) / (1 - t).

    Images are simpler than velocities, which hold all of the noise: that helps a network of little
    capacity (Li and He 2025, "Back to Basics: Let Denoising Generative Models Denoise"). In the
    last `shortest` of the time the network predicts x_t + `shortest` times the velocity instead,
    so that its error is not divided by nothing. It comes before the network among the bases of a
    class.
    """

    @property
    def shortest(self) -> float:
        """What is left of the time when the network stops predicting the image."""
        return 0.05

    def forward(self, x: Tensor, label: Tensor, time: Tensor) -> Tensor:
        """The velocity at x, [B, C, H, W], at times [B] in [0, 1]; labels as the network's."""
        start = time if time.ndim == 1 else time[:, 0]
        left = (1 - start).clamp(min=self.shortest)[:, None, None, None]
        return (self.image(x, label, time) - x) / left

    def image(self, x: Tensor, label: Tensor, time: Tensor) -> Tensor:
        """What the network predicts, [B, C, H, W]; arguments as of `forward`."""
        return super().forward(x, label, time)


class ImageUNet(ImageFlow, VariantUNet):
    """A UNet that predicts images."""


class ImageDiT(ImageFlow, DiT):
    """A DiT that predicts images."""


class BoundedFlow(ImageFlow):
    """What keeps the image that a network predicts within [-1, 1].

    Most pixels of a digit are black, but a small network does not predict -1 to the last grey
    level, and the rest stays in the pictures as grain. Here black is whatever is -1 or less. The
    gradient passes as if nothing were cut: it leads back to a target inside, and is 0 for one on
    the border.

    What `ImageFlow` asks for in the end has noise in it, and is not within [-1, 1]. So training
    asks for it late, and drawing in the last thousandth alone: it leaves the noise in the picture.
    """

    @property
    def shortest(self) -> float:
        return 0.01 if self.training else 1e-3

    def image(self, x: Tensor, label: Tensor, time: Tensor) -> Tensor:
        image = super().image(x, label, time)
        return image + (image.clamp(-1, 1) - image).detach()


class BoundedUNet(BoundedFlow, VariantUNet):
    """A UNet that predicts images in [-1, 1]."""


class BoundedDiT(BoundedFlow, DiT):
    """A DiT that predicts images in [-1, 1]."""


class ResidualFlow(nn.Module):
    """What makes a network predict what the best linear guess leaves of the velocity.

    For x_t = t x_1 + (1 - t) x_0 with x_0 ~ N(0, I) and x_1 of variance s^2 = `DATA_STD`^2 the
    variance of x_t is t^2 s^2 + (1 - t)^2, and the guess (t s^2 - (1 - t)) / variance x_t. What it
    leaves has the deviation s / sqrt(variance). The network gets x_t scaled to variance 1, and its
    output is scaled to what is left: EDM's preconditioning (Karras et al. 2022, appendix B.6) in
    the terms of a flow. So the noise of x_t need not pass through the network. It comes before the
    network among the bases of a class.
    """

    def forward(self, x: Tensor, label: Tensor, time: Tensor) -> Tensor:
        """The velocity at x, [B, C, H, W], at times [B] in [0, 1]; labels as the network's."""
        start, end = (time, time) if time.ndim == 1 else time.unbind(dim=1)
        std, std_at_end = (
            (t**2 * DATA_STD**2 + (1 - t) ** 2).sqrt()[:, None, None, None] for t in (start, end)
        )
        # (std_at_end / std - 1) / (end - start), which has a limit where both times are one
        slope = ((1 + DATA_STD**2) * (start + end) - 2)[:, None, None, None]
        guess = slope / ((std + std_at_end) * std) * x
        return guess + DATA_STD / std * super().forward(x / std, label, time)


class ResidualUNet(ResidualFlow, VariantUNet):
    """A UNet that predicts the residual of the velocity."""


class ResidualDiT(ResidualFlow, DiT):
    """A DiT that predicts the residual of the velocity."""
