"""LPIPS, also as a training loss: how different two images look to a network that knows images.

Paper: Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric".
"""

import warnings
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from ..runtime.downloads import PRETRAINED, local_weights
from ..utils import shown
from ..weights import load_strictly, read_file

SMALLEST = {"alex": 64, "vgg": 16}  # pixels that the networks need
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
        """Ignore the mode: always stay in evaluation mode, since the network has dropout."""
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
    """The perceptual loss, or the reason why it is not available; nothing is downloaded.

    Args:
        network: "vgg" or "alex".
        weights: a file with torchvision's network; None looks in `folder` for the official one.
        key: the config's key for `weights`, for messages.
        folder: where official files are.

    Returns:
        The loss and an empty text; or None and one sentence to say, where the package is not
        installed or there is no file.

    Raises:
        UserError: `weights` names a file that is not there, or the file holds something else.
    """
    try:
        import lpips  # noqa: F401
    except ImportError:
        return None, f"{WITHOUT}it needs a package, pip install -r requirements/metrics.txt"
    from torchvision.models import AlexNet_Weights, VGG16_Weights

    official = {"alex": AlexNet_Weights.IMAGENET1K_V1, "vgg": VGG16_Weights.IMAGENET1K_V1}
    url = official[network].url
    path = local_weights(url, weights, f"'{key}'", folder)
    if path is None:
        return None, f"{WITHOUT}get {url} into {shown(folder)}, or name the file with '{key}'"
    return PerceptualLoss(network, path), ""


def make_lpips(network: str, backbone: Path) -> nn.Module:
    """The network of the lpips package, with its own linear layers.

    Args:
        network: "alex" or "vgg".
        backbone: a file with torchvision's AlexNet or VGG-16.

    Raises:
        UserError: the file holds something else.
    """
    import lpips

    with warnings.catch_warnings():  # lpips calls torchvision in an outdated way
        warnings.simplefilter("ignore")
        net = lpips.LPIPS(net=network, pnet_rand=True, verbose=False)
    load_strictly(net.net, _as_slices(net.net, read_file(backbone)), backbone)
    return net


def _as_slices(net: nn.Module, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename torchvision's features.6.weight to the slice3.6.weight of lpips."""
    names = {f"features.{name.split('.', 1)[1]}": name for name in net.state_dict()}
    return {names[name]: tensor for name, tensor in weights.items() if name in names}


def fit(images: Tensor, smallest: int) -> Tensor:
    """Bring images to three channels and to the size that a network needs."""
    images = images.expand(-1, 3, -1, -1)
    factor = smallest / min(images.shape[2:])
    if factor > 1:
        images = F.interpolate(images, scale_factor=factor, mode="bilinear")
    return images
