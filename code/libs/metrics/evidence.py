"""What scores are computed from: samples, real images, and what networks see in them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from .. import datasets
from ..config import Config
from ..datasets import Images, Splits
from ..runtime.cache import Facts
from ..utils import default
from .clip import Clip
from .features import Seen, Viewer
from .lpips_diversity import Lpips
from .variety import mean_distance
from .verdict import Verdict

BATCH = 100  # images read at once
MOST_PIXELS = 3 * 64 * 64  # images up to this size are compared pixel by pixel
NEARLY_EQUAL = 1 / 3  # of the distance between real images; a good sampler's is above 2 / 3


@dataclass
class Score:
    """A number for the samples, and the same number for held-out real images, if there are any."""

    name: str
    samples: float
    real: float | None
    error: float | None = None


@dataclass
class Networks:
    """What looks at images, on a device; what no metric needs is None.

    Attributes:
        viewer: the network for all metrics but accuracy and lpips.
        classifier: the network for accuracy.
        lpips: the distance for diversity.
        clip: for captions.
    """

    device: torch.device
    viewer: Viewer | None = None
    classifier: Viewer | None = None
    lpips: Lpips | None = None
    clip: Clip | None = None


@dataclass
class RealImages:
    """The images that a model was trained on, and images of the same kind that it has not seen.

    Attributes:
        train: without augmentation.
        held_out: the test images, else those for validation, else None.
        held_out_name: "test" or "validation".
        whole: what a classifier may learn from: the training images, and those left out by the
            config's `subset` and `val_fraction`, unless they are the held-out ones.
    """

    train: Images
    held_out: Images | None
    held_out_name: str
    whole: Images

    def of_classes(self, chosen: Tensor) -> "RealImages":
        """Only the images of these classes, int64; a classifier may still learn from all."""

        def select(images: Images) -> Images:
            return images.select(torch.isin(images.labels, chosen).nonzero()[:, 0])

        held_out = self.held_out and select(self.held_out)
        return replace(self, train=select(self.train), held_out=held_out)

    @classmethod
    def load(cls, config: Config, splits: Splits | None = None) -> "RealImages":
        """The images of a run, see `datasets.load_splits` for what is raised.

        `splits` are the run's, where they have been loaded already.
        """
        data, shape = config.dataset, config.model.img_shape
        splits = splits or datasets.load_splits(data, shape, config.model.num_classes)
        train = splits.train.plain()
        if not datasets.has_test_split(data) or splits.train.captions is not None:
            if splits.val is None and splits.test is not None:
                return cls(train, splits.test, "test", train)
            return cls(train, splits.val, "validation", train)
        test = datasets.load_dataset(data, "test", shape).plain()
        if data.subset < 1 or data.val_fraction > 0:
            return cls(train, test, "test", datasets.load_dataset(data, data.split, shape).plain())
        return cls(train, test, "test", train)


@dataclass
class Captioned:
    """The captions that samples were drawn for, and the real images that they belong to.

    Attributes:
        texts: of the captions [N].
        images: [N], in the order of the captions.
    """

    texts: list[str]
    images: Images


@dataclass
class Evidence:
    """Samples and real images, and what networks see in them, each computed when it is needed.

    Attributes:
        samples: uint8 [N, C, H, W].
        labels: the classes that they were drawn for, or places among the captions, int64 [N].
        facts: what the samples depend on; None for samples that will not be looked at again.
        images: those of the run.
        conditional: whether the model knows classes.
        networks: what looks at the images.
        verdict: of memorization, once it has been tested.
        captioned: of a model that reads texts.
    """

    samples: Tensor
    labels: Tensor
    facts: Facts | None
    images: RealImages
    conditional: bool
    networks: Networks
    verdict: Verdict | None = None
    captioned: Captioned | None = None

    @cached_property
    def generated(self) -> Seen:
        return self.networks.viewer.look_at_samples(self.samples, self.facts)

    @cached_property
    def reference(self) -> Seen:
        """As many training images as there are samples."""
        return self.networks.viewer.look_at(self.images.train.at_most(len(self.samples)))

    @cached_property
    def real(self) -> Seen | None:
        """As many held-out images as there are samples, or all of them."""
        held_out = self.images.held_out
        return held_out and self.networks.viewer.look_at(held_out.at_most(len(self.samples)))

    @property
    def pairs(self) -> str:
        """Which samples are compared with each other, in words."""
        return "within a class" if self.conditional else "between all samples"

    def groups(self, labels: Tensor) -> Tensor:
        """Labels by which images are compared: classes, or one for all where there are none."""
        return labels if self.conditional else torch.zeros_like(labels)

    @cached_property
    def variety(self) -> tuple[float | None, float | None]:
        """The mean distance of samples, and of as many held-out or else training images."""
        images, labels = all_images(
            default(self.images.held_out, self.images.train).at_most(len(self.samples))
        )
        of_samples = mean_distance(self.samples, self.groups(self.labels))
        return of_samples, mean_distance(images, self.groups(labels))

    @property
    def nearly_equal(self) -> bool:
        """Whether samples that ought to differ hardly do: a sampler without noise draws such."""
        found, real = self.variety
        return None not in (found, real) and found < NEARLY_EQUAL * real

    @cached_property
    def clip_samples(self) -> Tensor:
        """CLIP's directions of the samples, [N, D]."""
        return self.networks.clip.look(self.samples)

    @cached_property
    def clip_real(self) -> Tensor:
        """Those of the captions' own images, [M, D]."""
        return self.networks.clip.look(all_images(self.captioned.images)[0])

    @cached_property
    def clip_texts(self) -> Tensor:
        """Those of the captions, [M, D]."""
        return self.networks.clip.read(self.captioned.texts)

    def compare(self, metric: Callable, needed: int) -> tuple:
        """A metric of (samples, training images), and of (held-out, training images) or None."""
        floor = None
        if self.real is not None and len(self.real.features) >= needed:
            features = self.reference.features
            order = torch.randperm(len(features), generator=torch.Generator().manual_seed(0))
            alike = features[order[: len(self.real.features)]]
            floor = metric(self.real.features, alike)
        return metric(self.generated.features, self.reference.features), floor


def compares_pixels(shape: Sequence[int]) -> bool:
    """Whether memorization is looked for in the pixels of images [C, H, W], not in features."""
    return torch.Size(shape).numel() <= MOST_PIXELS


def all_images(dataset: Images) -> tuple[Tensor, Tensor]:
    """The images of a data set, uint8 [N, C, H, W], and their labels [N]."""
    images, labels = zip(*in_bytes(dataset), strict=True)
    return torch.cat(images), torch.cat(labels)


def in_bytes(dataset: Images) -> Iterator[tuple[Tensor, Tensor]]:
    """A data set in its own order: images, uint8 [B, C, H, W], and their labels [B]."""
    for images, labels in dataset.batches(BATCH):
        yield images.mul(255).round().to(torch.uint8), labels
