"""A small convolutional classifier, fitted on a data set's real images in seconds to a minute."""

import hashlib
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data.batches import EpochBatches
from ..datasets import Images
from ..runtime.cache import STATE, Facts, Store
from ..runtime.hashes import hash_of_code
from ..runtime.processes import Processes
from ..runtime.progress import progress_bar
from ..runtime.streams import fork_rng
from .features import PREPARES_IMAGES

BATCH = 128
MIN_STEPS = 400  # small data sets are seen more often
MIN_EPOCHS = 3
LEARNING_RATE = 3e-3


class LeNet(nn.Module):
    """Two convolutions and two linear layers (after LeCun et al. 1998), for images of any size."""

    def __init__(self, channels: int, num_classes: int):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, 32, 3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(4),
            nn.Flatten(),
            nn.Linear(64 * 4 * 4, 128),
            nn.ReLU(),
        )
        self.classify = nn.Linear(128, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map images [B, C, H, W] in [0, 1] to logits [B, num_classes]."""
        return self.features_and_logits(images)[1]

    def features_and_logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map images [B, C, H, W] in [0, 1] to features [B, 128] and logits [B, num_classes]."""
        features = self.features(2 * images - 1)
        return features, self.classify(features)


def fit_lenet(train: Images, shape: Sequence[int], device: torch.device) -> LeNet:
    """Fit a LeNet on images of `shape` (C, H, W); the same data gives the same network."""
    with fork_rng(0, device):
        net = LeNet(shape[0], len(train.classes)).to(device)
    batches = EpochBatches(len(train), min(BATCH, len(train)), seed=0, processes=Processes())
    epochs = max(MIN_EPOCHS, math.ceil(MIN_STEPS / len(batches)))
    steps = epochs * len(batches)
    optimizer = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    with progress_bar(steps, "fitting a classifier", "step") as bar:
        for epoch in range(epochs):
            batches.epoch = epoch
            for keys in batches:
                images, labels = train.__getitems__(keys)
                loss = F.cross_entropy(net(images.to(device)), labels.to(device))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                bar.update()
    return net.eval()


def fitted_lenet(train: Images, shape: Sequence[int], device: torch.device, store: Store) -> LeNet:
    """The LeNet for these images, read from the store where an earlier call has fitted it."""
    net = LeNet(shape[0], len(train.classes)).to(device)
    facts: Facts = {
        "data set": train.fingerprint(),
        "labels": hashlib.sha256(train.labels.numpy().tobytes()).hexdigest(),
        f"{STATE}code": hash_of_code(net, *PREPARES_IMAGES),
        "recipe": f"{net} {BATCH} {MIN_STEPS} {MIN_EPOCHS} {LEARNING_RATE}",
    }
    weights = store.get("classifier", facts, lambda: fit_lenet(train, shape, device).state_dict())
    net.load_state_dict(weights)
    return net.eval()
