"""From the flags of evaluate.py to what the metrics look at: networks, real images, samples."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from .. import checkpoint
from ..config import shown
from ..runtime import Precision, Processes, pick_device
from ..sampling import Sampler
from .drawing import drawn_samples, sample_facts
from .features import Viewer
from .inception import Inception
from .lenet import fitted_lenet
from .lpips_diversity import Lpips
from .report import Setup
from .scoring import Evidence, Networks, RealImages, check_enough, compares_pixels
from .store import Store, hash_of_file

NEED_FEATURES = {"fid", "kid", "is", "pr"}


@dataclass(frozen=True)
class Looks:
    """Which networks look at images.

    Attributes:
        features: "lenet" or "inception".
        inception_weights, alexnet_weights: files; None for the official ones.
        flags: what the user calls these three, for messages.
    """

    features: str = "lenet"
    inception_weights: Path | None = None
    alexnet_weights: Path | None = None
    flags: tuple[str, str, str] = ("--features", "--inception-weights", "--alexnet-weights")


def gather_evidence(args: Namespace, names: Sequence[str]) -> tuple[Evidence, Setup] | None:
    """Load the model and the data, prepare the networks, draw the samples.

    What can be wrong is found before a sample is drawn. Under torchrun all processes draw; only the
    main one gets a result, the others None.

    Raises:
        UserError: flags, checkpoint and data do not fit each other, or a file is missing.
    """
    device = pick_device([args.device])
    path = Path(args.checkpoint)
    path = checkpoint.newest(path) if path.is_dir() else path
    model, config, classes = checkpoint.load_for_sampling(path, device)
    sampler = Sampler.from_args(args, model, config.train_cfg.guidance)
    conditional = config.model.conditional
    real = RealImages.load(config)
    check_enough(names, args.num, real, conditional)

    precision = Precision.pick(config.dtype, device)
    labels = torch.arange(args.num) % len(classes)
    facts = sample_facts(
        hash_of_file(path), sampler, args.num, len(classes), args.seed, args.batch_size, precision
    )
    store = Store(config.output_folder / "feature_cache")
    with Processes.joined(device) as processes:
        if processes.is_main:
            looks = Looks(args.features, args.inception_weights, args.alexnet_weights)
            networks = load_networks(looks, names, real, config.model.img_shape, device, store)
        samples = drawn_samples(
            model, labels, precision, sampler, args.seed, args.batch_size, processes, store, facts
        )
    if not processes.is_main:
        return None
    held_out = real.held_out
    setup = Setup(
        checkpoint=shown(path.resolve()),
        samples=args.num,
        sampler=str(sampler),
        seed=args.seed,
        features=args.features,
        training_images=len(real.train),
        held_out_images=0 if held_out is None else len(held_out),
        held_out=real.held_out_name,
    )
    return Evidence(samples, labels, facts, real, conditional, networks), setup


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
    needs_features = not NEED_FEATURES.isdisjoint(names) or (
        "memorization" in names and not compares_pixels(shape)
    )
    if needs_features and looks.features == "inception":
        inception = Inception(looks.inception_weights, looks.flags[:2])
        networks.viewer = Viewer(inception.to(device), device, store)
    if "accuracy" in names or (needs_features and networks.viewer is None):
        net = fitted_lenet(real.whole, shape, device, store)
        networks.classifier = Viewer(net, device, store)
        networks.viewer = networks.viewer or networks.classifier
    return networks
