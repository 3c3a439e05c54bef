"""From samples and real images to scores: each metric on the samples, and on held-out real images.

A score says little alone. Beside each is the same statistic of real images that the model has
not seen, against the same training images and for as many images where there are as many: the
floor of FID and KID, the best that a model can reach.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..datasets import Images, Points
from ..utils import UserError, check_result
from . import OF_CAPTIONS
from .clip import clip_score, consistency, recall_at, similarity_of_nearest
from .evidence import BATCH, Evidence, RealImages, Score, all_images, compares_pixels, in_bytes
from .features import Seen
from .fid import frechet_distance, statistics
from .grain import difference_counts, grain_distance
from .inception_score import NUM_SPLITS, inception_score
from .kid import kernel_distance
from .lpips_diversity import diversity
from .memorization import ENOUGH
from .precision_recall import K, precision_recall
from .verdict import NUM_NEIGHBOURS, judge

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
        return difference_counts(batch for batch, _ in in_bytes(chosen))

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
