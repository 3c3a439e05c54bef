"""From the flags of evaluate.py to what the metrics look at: networks, real images, samples."""

import contextlib
import hashlib
import math
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from torch import Tensor

from ..metrics import OF_CLASSES, PUBLISHED_CLIP
from ..models.build import load_model
from ..runtime import checkpoint
from ..runtime.cache import STATE, Store, hash_of_file
from ..runtime.device import Precision, pick_device
from ..runtime.processes import Processes
from ..samplers.batch_size import fitting_batch_size
from ..samplers.sampler import Sampler
from ..text.contexts import number_prompts
from ..utils import UserError, default, shown
from .clip import load_clip
from .drawing import draw_together, drawn_samples, sample_facts
from .features import Viewer
from .inception import Inception
from .lenet import fitted_lenet
from .lpips_diversity import Lpips
from .report import Setup
from .scoring import (
    OF_CAPTIONS,
    Captioned,
    Evidence,
    Networks,
    RealImages,
    check_enough,
    compares_pixels,
)

NEED_FEATURES = {"fid", "kid", "is", "pr"}
OWN_BATCH = 250  # samples of the model's own loop that are drawn at once, which changes them
PER_CAPTION = 4  # samples of each caption at least, for their consistency


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


def gather_evidence(
    args: Namespace, names: Sequence[str] | None, fresh: bool = False
) -> tuple[Evidence, Setup] | None:
    """Load the model and the data, prepare the networks, draw the samples.

    What can be wrong is found before a sample is drawn. Under torchrun all processes draw; only the
    main one gets a result, the others None.

    Args:
        args: the flags of evaluate.py.
        names: of the metrics; None for those that suit the model and need no download.
        fresh: draw samples even where an earlier call has kept them.

    Raises:
        UserError: flags, checkpoint and data do not fit each other, or a file is missing.
    """
    device = pick_device([args.device])
    path = Path(args.checkpoint)
    path = checkpoint.newest(path) if path.is_dir() else path
    model, config, classes = load_model(path, device)
    sampler = Sampler.from_args(args, model, Sampler.of_run(config.train_cfg))
    real = RealImages.load(config)
    reads_text = real.train.captions is not None
    conditional = config.model.conditional and not reads_text
    names = suited_metrics(args.num, real, conditional) if names is None else list(names)
    check_enough(names, args.num, real, conditional)

    precision = Precision.pick(config.dtype, device)
    captioned = _choose_captions(real, args.num) if reads_text else None
    columns = len(captioned.texts if reads_text else classes)
    labels = torch.arange(args.num) % columns
    own_batch = default(args.batch_size, OWN_BATCH)
    facts = sample_facts(
        hash_of_file(path), sampler, args.num, columns, args.seed, own_batch, precision
    )
    if reads_text:
        facts["captions"] = hashlib.sha256(repr(captioned.texts).encode()).hexdigest()
        with contextlib.suppress(PackageNotFoundError):  # what is kept needs no package
            facts[f"{STATE}text encoder"] = version("transformers")
    store = Store(config.output_folder / "feature_cache")
    with Processes.joined(device) as processes:
        if processes.is_main:
            weights = args.inception_weights, args.alexnet_weights
            looks = Looks(args.features, *weights, clip=args.clip)
            networks = load_networks(looks, names, real, config.model.img_shape, device, store)

        def draw() -> Tensor:
            told = labels
            if reads_text:
                told = torch.tensor(number_prompts(path, model, config, captioned.texts))[labels]
            fitting = args.batch_size or fitting_batch_size(model, sampler, precision, OWN_BATCH)
            options = args.seed, processes.same(fitting), processes
            return draw_together(model, told, precision, sampler, *options)

        samples = drawn_samples(draw, processes, store, facts, fresh)
    if not processes.is_main:
        return None
    held_out = real.held_out
    setup = Setup(
        checkpoint=shown(path.resolve()),
        metrics=names,
        samples=args.num,
        sampler=str(sampler),
        seed=args.seed,
        features=args.features if needs_features(names, config.model.img_shape) else None,
        training_images=len(real.train),
        held_out_images=0 if held_out is None else len(held_out),
        held_out="training" if reads_text and held_out is None else real.held_out_name,
        captions=columns if reads_text else None,
    )
    evidence = Evidence(samples, labels, facts, real, conditional, networks, captioned=captioned)
    return evidence, setup


def suited_metrics(num: int, real: RealImages, conditional: bool) -> list[str]:
    """What is measured unless the user chooses: what model, data and number of samples allow."""
    names = []
    for name in OF_CLASSES:
        if name in NEED_FEATURES and real.train.captions is not None:
            continue  # lenet learns from classes
        with contextlib.suppress(UserError):
            check_enough([name], num, real, conditional)
            names.append(name)
    return names


def _choose_captions(real: RealImages, num: int) -> Captioned:
    """Captions for so many samples: each the first of a held-out image, or of a training image."""
    images = real.train if real.held_out is None else real.held_out
    images = images.at_most(math.ceil(num / PER_CAPTION))
    return Captioned([images.captions.texts[i] for i in images.labels.tolist()], images)


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
            f"{looks.flags[0]}: lenet learns from classes, which captions have not; choose "
            "inception"
        )
    if "accuracy" in names or (needed and networks.viewer is None):
        net = fitted_lenet(real.whole, shape, device, store)
        networks.classifier = Viewer(net, device, store)
        networks.viewer = networks.viewer or networks.classifier
    return networks
