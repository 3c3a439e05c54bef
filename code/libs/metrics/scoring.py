"""From samples and real images to scores: each metric on the samples, and on held-out real images.

A score says little alone. Beside each is the same statistic of real images that the model has
not seen, against the same training images and for as many images where there are as many: the
floor of FID and KID, the best that a model can reach.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from .. import datasets
from ..config import Config
from ..data.batches import in_order
from ..datasets import Images, Points, Splits
from ..runtime.cache import Facts
from ..utils import UserError, check_result, default
from .clip import Clip, clip_score, consistency, recall_at, similarity_of_nearest
from .features import Seen, Viewer
from .fid import frechet_distance, statistics
from .grain import difference_counts, grain_distance
from .inception_score import NUM_SPLITS, inception_score
from .kid import kernel_distance
from .lpips_diversity import Lpips, diversity
from .memorization import ENOUGH
from .precision_recall import K, precision_recall
from .variety import mean_distance
from .verdict import NUM_NEIGHBOURS, Verdict, judge

BATCH = 100  # images read at once
MOST_PIXELS = 3 * 64 * 64  # images up to this size are compared pixel by pixel
MOST_COMPARED = 2000  # training images that CLIP looks at
MOST_HELD_OUT = 2000  # images that calibrate the tests of memorization
NEEDED = {  # samples, and training images, that a metric needs at least
    "fid": (2, 2),
    "kid": (2, 2),
    "is": (NUM_SPLITS, 0),
    "pr": (K + 1, K + 1),
    "variety": (2, 0),
    "grain": (1, 1),
    "accuracy": (1, 0),
    "memorization": (ENOUGH, NUM_NEIGHBOURS),
    "lpips": (2, 0),
    "clip": (1, 0),
    "retrieval": (1, 0),
    "similarity": (1, 2),
    "consistency": (2, 0),
}
OF_CAPTIONS = ("clip", "retrieval", "similarity", "consistency")
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


def check_enough(
    names: Sequence[str], num: int, real: RealImages, conditional: bool, flag: str = "--num"
) -> None:
    """Refuse, before any sample is drawn, what the metrics could not be computed from.

    `flag` is what the user calls the number of samples.
    """
    if isinstance(real.train, Points):
        raise UserError(
            "the metrics look at images, and this model draws points in the plane: "
            "notebooks/toy.ipynb compares them with the truth"
        )
    reads_text = real.train.captions is not None
    num_classes = len(real.train.classes) if conditional else 1
    for name in names:
        samples, train = NEEDED[name]
        if name in ("lpips", "variety"):
            samples = num_classes + 1  # so that two are of one class
        if num < samples:
            raise UserError(f"the metric {name} needs at least {samples} samples: raise {flag}")
        if len(real.train) < train:
            raise UserError(
                f"the metric {name} needs at least {train} training images, the data set has "
                f"{len(real.train)}"
            )
    if "accuracy" in names and not conditional:
        raise UserError(
            "the metric accuracy needs a model with labels, and this one was trained without: "
            "choose others with --metrics" + (", such as clip" if reads_text else "")
        )
    if not reads_text and (asked := set(names) & set(OF_CAPTIONS)):
        raise UserError(
            f"the metric {min(asked)} needs a model that draws captions: choose others with "
            "--metrics"
        )
    if "memorization" in names and (real.held_out is None or len(real.held_out) < 2 * ENOUGH):
        raise UserError(
            f"the metric memorization needs at least {2 * ENOUGH} held-out images to compare with: "
            "a test split, or a model trained with dataset.val_fraction"
        )


def score(names: Sequence[str], evidence: Evidence) -> list[Score]:
    """The scores of the metrics of these names, in their order."""
    return [score for name in names for score in SCORERS[name](evidence)]


def _fid(evidence: Evidence) -> list[Score]:
    return [Score("FID", *evidence.compare(frechet_of_features, needed=2))]


def frechet_of_features(x: Tensor, y: Tensor) -> float:
    """The Fréchet distance between features [N, D] and [M, D].

    Raises UserError where a function of fid.py gives something else than it should.
    """
    gaussians = []
    for features in (x, y):
        found, size = statistics(features), features.shape[1]
        is_pair = isinstance(found, tuple | list) and len(found) == 2
        mean, covariance = found if is_pair else (None, None)
        gaussians.append(check_result(mean, statistics, "the mean", (size,)))
        gaussians.append(check_result(covariance, statistics, "the covariance", (size, size)))
    distance = frechet_distance(*gaussians)
    if not isinstance(distance, int | float):
        check_result(distance, frechet_distance, "a number", ())
    return float(distance)


def _kid(evidence: Evidence) -> list[Score]:
    (value, error), floor = evidence.compare(kernel_distance, needed=2)
    return [Score("KID", value, floor and floor[0], error)]


def _inception_score(evidence: Evidence) -> list[Score]:
    value, deviation = inception_score(evidence.generated.logits)
    real = evidence.real
    enough = real is not None and len(real.logits) >= NUM_SPLITS
    return [Score("IS", value, inception_score(real.logits)[0] if enough else None, deviation)]


def _precision_recall(evidence: Evidence) -> list[Score]:
    found, real = evidence.compare(precision_recall, needed=K + 1)
    real = real or (None, None)
    return [Score("precision", found[0], real[0]), Score("recall", found[1], real[1])]


def _variety(evidence: Evidence) -> list[Score]:
    found, real = evidence.variety
    real = None if evidence.images.held_out is None else real
    return [Score(f"distance {evidence.pairs}", found, real)]


def _grain(evidence: Evidence) -> list[Score]:
    def counts_of(images: Images) -> Tensor:
        chosen = images.at_most(len(evidence.samples))
        return difference_counts(batch for batch, _ in _batches(chosen))

    train, held_out = evidence.images.train, evidence.images.held_out
    reference, found = counts_of(train), difference_counts(evidence.samples.split(BATCH))
    real = held_out and grain_distance(counts_of(held_out), reference)
    return [Score("grain", grain_distance(found, reference), real)]


def _accuracy(evidence: Evidence) -> list[Score]:
    def share(seen: Seen, labels: Tensor) -> float:
        return (seen.logits.argmax(dim=1) == labels).double().mean().item()

    viewer, held_out = evidence.networks.classifier, evidence.images.held_out
    same = viewer is evidence.networks.viewer
    found = evidence.generated if same else viewer.look_at_samples(evidence.samples, evidence.facts)
    real = held_out and share(viewer.look_at(held_out), held_out.labels)
    return [Score("conditional accuracy", share(found, evidence.labels), real)]


def _lpips(evidence: Evidence) -> list[Score]:
    held_out, real = evidence.images.held_out, None
    if held_out is not None:
        images, labels = all_images(held_out.at_most(len(evidence.samples)))
        labels = evidence.groups(labels)
        if labels.bincount().max() > 1:
            real = diversity(images, labels, evidence.networks.lpips)
    labels = evidence.groups(evidence.labels)
    found = diversity(evidence.samples, labels, evidence.networks.lpips)
    return [Score(f"LPIPS {evidence.pairs}", found, real)]


def _memorization(evidence: Evidence) -> list[Score]:
    train, held_out = evidence.images.train, evidence.images.held_out.at_most(MOST_HELD_OUT)
    if compares_pixels(evidence.samples.shape[1:]):
        sets = [evidence.samples.float() / 255, all_images(train)[0].float() / 255]
        sets += [all_images(held_out)[0].float() / 255]
    else:
        sets = [evidence.generated.features]
        sets += [evidence.networks.viewer.look_at(images).features for images in (train, held_out)]
    evidence.verdict = judge(*(x.to(evidence.networks.device) for x in sets))
    return [Score(f.statistic, f.samples, f.held_out) for f in evidence.verdict.findings]


def _clip(evidence: Evidence) -> list[Score]:
    texts = evidence.clip_texts
    found = clip_score(evidence.clip_samples, texts[evidence.labels])
    return [Score("CLIP score", found, clip_score(evidence.clip_real, texts))]


def _retrieval(evidence: Evidence) -> list[Score]:
    """R@1 and R@5; captions that several images share count once."""
    texts = evidence.captioned.texts
    places = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    right = torch.tensor([places[text] for text in texts])
    captions = evidence.clip_texts[[texts.index(text) for text in places]]
    return [
        Score(
            f"caption R@{k}",
            recall_at(k, evidence.clip_samples, captions, right[evidence.labels]),
            recall_at(k, evidence.clip_real, captions, right),
        )
        for k in (1, 5)
    ]


def _similarity(evidence: Evidence) -> list[Score]:
    """Samples may be most like their captions' own pictures, real images only like others."""
    clip, known = evidence.networks.clip, evidence.images.train.at_most(MOST_COMPARED)
    pictures = clip.look(all_images(known)[0])
    captions = clip.read([known.captions.texts[i] for i in known.labels.tolist()])
    own = evidence.clip_texts
    found = similarity_of_nearest(evidence.clip_samples, own[evidence.labels], pictures, captions)
    same = None
    if evidence.images.held_out is None:
        same = evidence.captioned.images.labels[:, None] == known.labels
    real = similarity_of_nearest(evidence.clip_real, own, pictures, captions, same)
    return [Score("caption similarity", found, real)]


def _consistency(evidence: Evidence) -> list[Score]:
    found = consistency(evidence.clip_samples, evidence.labels)
    return [Score("CLIP consistency", found, None)]


SCORERS = {
    "fid": _fid,
    "kid": _kid,
    "is": _inception_score,
    "pr": _precision_recall,
    "variety": _variety,
    "grain": _grain,
    "accuracy": _accuracy,
    "memorization": _memorization,
    "lpips": _lpips,
    "clip": _clip,
    "retrieval": _retrieval,
    "similarity": _similarity,
    "consistency": _consistency,
}


def compares_pixels(shape: Sequence[int]) -> bool:
    """Whether memorization is looked for in the pixels of images [C, H, W], not in features."""
    return torch.Size(shape).numel() <= MOST_PIXELS


def all_images(dataset: Images) -> tuple[Tensor, Tensor]:
    """The images of a data set, uint8 [N, C, H, W], and their labels [N]."""
    images, labels = zip(*_batches(dataset), strict=True)
    return torch.cat(images), torch.cat(labels)


def _batches(dataset: Images) -> Iterator[tuple[Tensor, Tensor]]:
    """A data set in its own order: images, uint8 [B, C, H, W], and their labels [B]."""
    for images, labels in in_order(dataset, BATCH):
        yield images.mul(255).round().to(torch.uint8), labels
