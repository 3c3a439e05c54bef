"""LPIPS as a training loss: how different two images look to a network that knows images.

Paper: Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric".
"""

from pathlib import Path

from torch import Tensor, nn

from ..config import shown
from ..metrics.lpips_diversity import SMALLEST, fit, make_lpips
from ..metrics.weight_files import PRETRAINED, local_weights

WITHOUT = "training goes on without the perceptual loss: "


class PerceptualLoss(nn.Module):
    """The distance LPIPS, frozen: gradients reach the images, not its weights.

    Args:
        network: "alex" or "vgg", which Stable Diffusion's autoencoder was trained with.
        backbone: a file with torchvision's AlexNet or VGG-16.

    Raises:
        UserError: the file does not hold that network.
    """

    def __init__(self, network: str, backbone: Path):
        super().__init__()
        self.smallest = SMALLEST[network]
        self.net = make_lpips(network, backbone).requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> "PerceptualLoss":
        """Stay in evaluation mode, whatever is asked: the network has dropout."""
        return super().train(False)

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        """Distances [B] between images [B, 1 or 3, H, W] in [-1, 1].

        Images smaller than the network can take are enlarged.
        """
        return self.net(fit(one, self.smallest), fit(other, self.smallest)).flatten()


def perceptual_loss(
    network: str = "vgg",
    weights: Path | None = None,
    *,
    key: str = "perceptual_weights",
    folder: Path = PRETRAINED,
) -> tuple[PerceptualLoss | None, str]:
    """The perceptual loss, or the reason why it cannot be had; nothing is downloaded.

    Args:
        network: "vgg" or "alex".
        weights: a file with torchvision's network; None looks in `folder` for the official one.
        key: the config's key for `weights`, for messages.
        folder: where official files lie.

    Returns:
        The loss and an empty text; or None and one sentence to say, where the package is not
        installed or there is no file.

    Raises:
        UserError: `weights` names a file that is not there, or the file holds something else.
    """
    try:
        import lpips  # noqa: F401
    except ImportError:
        return None, f"{WITHOUT}it needs a package, pip install -r requirements-metrics.txt"
    from torchvision.models import AlexNet_Weights, VGG16_Weights

    official = {"alex": AlexNet_Weights.IMAGENET1K_V1, "vgg": VGG16_Weights.IMAGENET1K_V1}
    url = official[network].url
    path = local_weights(url, weights, f"'{key}'", folder)
    if path is None:
        return None, f"{WITHOUT}get {url} into {shown(folder)}, or name the file with '{key}'"
    return PerceptualLoss(network, path), ""
