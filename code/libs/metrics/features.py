"""What a network sees in images: features and logits, computed once and kept."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import PIL
import torch
import torchvision
from torch import Tensor

from .. import datasets
from ..data import image_folder
from ..datasets import Images
from ..runtime import pictures
from ..runtime.cache import STATE, Facts, Store
from ..runtime.hashes import hash_of, hash_of_code
from ..runtime.progress import progress_bar

BATCH = 100
PREPARES_IMAGES = (datasets, image_folder, pictures, torchvision, PIL)


class Network(Protocol):
    """What can look at images: LeNet and Inception."""

    def features_and_logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map images [B, C, H, W] in [0, 1] to features [B, D] and logits [B, K]."""

    def state_dict(self) -> dict[str, Tensor]: ...


@dataclass
class Seen:
    """Features [N, D] and logits [N, K] of images, float32 on the CPU."""

    features: Tensor
    logits: Tensor


class Viewer:
    """Looks at images with a network on a device; the store keeps what it has seen."""

    def __init__(self, net: Network, device: torch.device, store: Store):
        self.net, self.device, self.store = net, device, store
        self.hash, self.code = hash_of(net.state_dict()), hash_of_code(net, *PREPARES_IMAGES)

    def look_at_samples(self, images: Tensor, facts: Facts | None) -> Seen:
        """Look at images, uint8 [N, C, H, W], that were drawn as the facts say.

        Without facts, what is seen is not kept. What is kept holds for these very pixels alone.
        """
        batches = (batch.float() / 255 for batch in images.split(BATCH))
        if facts is None:
            return self.look(batches, len(images))
        pixels: Facts = {f"{STATE}pixels": hash_of({"images": images})}
        return self._look(batches, len(images), facts | pixels)

    def look_at(self, dataset: Images) -> Seen:
        """Look at the images of a data set, in its order."""
        batches = (images for images, _ in dataset.batches(BATCH))
        return self._look(batches, len(dataset), {"data set": dataset.fingerprint()})

    def _look(self, batches: Iterable[Tensor], number: int, facts: Facts) -> Seen:
        facts = {**facts, "network": self.hash, "images": number}
        facts[f"{STATE}network's code"] = self.code
        kept = self.store.get("features", facts, lambda: vars(self.look(batches, number)))
        return Seen(**kept)

    @torch.no_grad()
    def look(self, batches: Iterable[Tensor], number: int) -> Seen:
        """Look at batches of images [B, C, H, W] in [0, 1], `number` in all, and keep nothing."""
        seen = []
        with progress_bar(number, "looking at images", "image") as bar:
            for images in batches:
                features, logits = self.net.features_and_logits(images.to(self.device))
                seen.append((features.float().cpu(), logits.float().cpu()))
                bar.update(len(images))
        features, logits = zip(*seen, strict=True)
        return Seen(torch.cat(features), torch.cat(logits))
