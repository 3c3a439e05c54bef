"""How varied the samples of a class are: their mean perceptual distance, LPIPS.

Paper: Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric".
"""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from ..autoencoders.perceptual import SMALLEST, fit, make_lpips
from ..runtime.downloads import weights_file
from ..runtime.progress import counted
from ..utils import UserError

BATCH = 50

Distance = Callable[[Tensor, Tensor], Tensor]  # two batches in [0, 1] -> distances [B]


def same_class_pairs(labels: Tensor, seed: int = 0) -> Tensor:
    """Random pairs of images of one class, each image in at most one pair: int64 [P, 2]."""
    generator = torch.Generator().manual_seed(seed)
    pairs = []
    for label in labels.unique():
        members = (labels == label).nonzero()[:, 0]
        members = members[torch.randperm(len(members), generator=generator)]
        pairs.append(members[: len(members) // 2 * 2].view(-1, 2))
    return torch.cat(pairs)


@torch.no_grad()
def diversity(images: Tensor, labels: Tensor, distance: Distance, seed: int = 0) -> float:
    """The mean distance between images of the same class.

    Args:
        images: uint8 [N, C, H, W].
        labels: int64 [N]; some class holds at least two images.
        distance: between images.
        seed: of the pairs.
    """
    pairs = same_class_pairs(labels, seed)
    batches = counted(pairs.split(BATCH), len(pairs), "comparing images", "pair")
    distances = [distance(*(images[i].float() / 255 for i in p.T)) for p in batches]
    return torch.cat(distances).mean().item()


class Lpips(nn.Module):
    """LPIPS with AlexNet.

    Args:
        backbone: a file with torchvision's AlexNet; None takes the official one, see
            `weights_file`.
        flag: what the user calls the file, for messages.

    Raises:
        UserError: the package or the weights are missing, or the file holds something else.
    """

    def __init__(self, backbone: Path | None = None, flag: str = "--alexnet-weights"):
        super().__init__()
        try:
            import lpips  # noqa: F401
        except ImportError:
            raise UserError(
                "the metric lpips needs a package: pip install -r requirements/metrics.txt"
            ) from None
        from torchvision.models import AlexNet_Weights

        path = weights_file(AlexNet_Weights.IMAGENET1K_V1.url, backbone, flag)
        self.net = make_lpips("alex", path)

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        """Distances [B] between images [B, 1 or 3, H, W] in [0, 1]."""
        device = next(self.parameters()).device
        one, other = (fit(images, SMALLEST["alex"]).to(device) for images in (one, other))
        return self.net(one, other, normalize=True).flatten().cpu()
