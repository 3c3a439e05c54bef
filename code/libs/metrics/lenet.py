"""A small convolutional classifier, fitted on a data set's real images in seconds to a minute."""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..datasets import Images
from ..loading import EpochBatches, in_order
from ..progress import progress_bar
from ..runtime import Processes

BATCH = 128
MIN_STEPS = 400  # small data sets are seen more often
MIN_EPOCHS = 3


class LeNet(nn.Module):
    """Two convolutions and two linear layers (after LeCun et al. 1998), for images of any size."""

    def __init__(self, channels: int, num_classes: int):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, 32, 3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
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
        return self.classify(self.features(2 * images - 1))


def fit_lenet(train: Images, shape: tuple[int, int, int], device: torch.device) -> LeNet:
    """Fit a LeNet on images of `shape` (C, H, W); the same data gives the same network."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = LeNet(shape[0], len(train.classes)).to(device)
    batches = EpochBatches(len(train), min(BATCH, len(train)), seed=0, processes=Processes())
    epochs = max(MIN_EPOCHS, math.ceil(MIN_STEPS / len(batches)))
    steps = epochs * len(batches)
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps)
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


@torch.no_grad()
def accuracy(net: LeNet, batches: Iterator[tuple[Tensor, Tensor]], device: torch.device) -> float:
    """The share of images that the classifier gives their own label, over (images, labels)."""
    right = total = 0
    for images, labels in batches:
        right += (net(images.to(device)).argmax(dim=1).cpu() == labels).sum().item()
        total += len(labels)
    return right / total


def accuracy_on(net: LeNet, dataset: Images, device: torch.device) -> float:
    """The accuracy on a data set's images."""
    return accuracy(net, in_order(dataset, BATCH), device)
