"""The networks that look at images, loaded or fitted where a metric needs them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ..metrics import OF_CAPTIONS, PUBLISHED_CLIP
from ..runtime.cache import Store
from ..utils import UserError
from .clip import load_clip
from .evidence import Networks, RealImages, compares_pixels
from .features import Viewer
from .inception import Inception
from .lenet import fitted_lenet
from .lpips_diversity import Lpips

NEED_FEATURES = {"fid", "kid", "is", "pr"}


@dataclass(frozen=True)
class Looks:
    """Which networks look at images.

    Attributes:
        features: "lenet" or "inception".
        inception_weights, alexnet_weights: files; None for the official ones.
        flags: what the user calls these three, for messages.
        clip: a folder, or a name on Hugging Face's hub.
    """

    features: str = "lenet"
    inception_weights: Path | None = None
    alexnet_weights: Path | None = None
    flags: tuple[str, str, str] = ("--features", "--inception-weights", "--alexnet-weights")
    clip: str = PUBLISHED_CLIP


def needs_features(names: Sequence[str], shape: Sequence[int]) -> bool:
    """Whether one of the metrics compares features of images of `shape` (C, H, W)."""
    return not NEED_FEATURES.isdisjoint(names) or (
        "memorization" in names and not compares_pixels(shape)
    )


def load_networks(
    looks: Looks,
    names: Sequence[str],
    real: RealImages,
    shape: Sequence[int],
    device: torch.device,
    store: Store,
) -> Networks:
    """The network for features, the classifier, and LPIPS, each where a metric needs it.

    Args:
        names: of the metrics.
        real: images of `shape` (C, H, W), for a classifier to learn from.

    Raises:
        UserError: a package or a file of weights is missing.
    """
    networks = Networks(device)
    if "lpips" in names:
        networks.lpips = Lpips(looks.alexnet_weights, looks.flags[2]).to(device)
    if not set(OF_CAPTIONS).isdisjoint(names):
        networks.clip = load_clip(looks.clip).to(device)
    has_classes = real.train.captions is None
    needed = needs_features(names, shape)
    if needed and looks.features == "inception":
        inception = Inception(looks.inception_weights, looks.flags[:2], has_classes)
        networks.viewer = Viewer(inception.to(device), device, store)
    elif needed and not has_classes:
        raise UserError(
            f"{looks.flags[0]}: lenet learns from classes, which captions do not have; choose "
            "inception"
        )
    if "accuracy" in names or (needed and networks.viewer is None):
        net = fitted_lenet(real.whole, shape, device, store)
        networks.classifier = Viewer(net, device, store)
        networks.viewer = networks.viewer or networks.classifier
    return networks
