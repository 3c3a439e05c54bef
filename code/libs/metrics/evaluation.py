"""From the flags of evaluate.py to what the metrics look at: networks, real images, samples."""

import contextlib
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..metrics import OF_CLASSES
from ..models.build import load_model
from ..runtime.cache import STATE, Facts, Store
from ..runtime.device import Precision, pick_device
from ..runtime.hashes import hash_of_file
from ..runtime.processes import Processes
from ..samplers.draw import draw_together, fitting_batch_size
from ..samplers.flags import SamplerFlags
from ..samplers.sampler import Sampler
from ..text.contexts import number_prompts
from ..utils import UserError, default, shown
from .evidence import Captioned, Evidence, RealImages
from .kept_samples import drawn_samples, sample_facts
from .networks import NEED_FEATURES, Looks, load_networks, needs_features
from .report import Setup
from .scoring import check_enough

OWN_BATCH = 250  # samples of the model's own loop that are drawn at once, which changes them
PER_CAPTION = 4  # samples of each caption at least, for their consistency


@dataclass(frozen=True)
class Request:
    """What to score, and how.

    Attributes:
        checkpoint: a file, or a run folder for its newest one.
        metrics: their names; None for those that suit the model and need no download.
        looks: which networks look at images.
        sampler: what draws the samples.
        num: of samples.
        seed: of their noise.
        batch_size: samples drawn at once; None for as many as fit into memory.
        device: a name, as `runtime.device.pick_device` takes it.
        fresh: draw samples even where an earlier call has kept them.
    """

    checkpoint: Path
    metrics: Sequence[str] | None
    looks: Looks
    sampler: SamplerFlags = field(default_factory=SamplerFlags)
    num: int = 500
    seed: int = 0
    batch_size: int | None = None
    device: str = "auto"
    fresh: bool = False


def gather_evidence(request: Request) -> tuple[Evidence, Setup] | None:
    """Load the model and the data, prepare the networks, draw the samples.

    Mistakes are found before a sample is drawn. Under torchrun all processes draw; only the
    main one gets a result, the others None.

    Raises:
        UserError: flags, checkpoint and data do not fit each other, or a file is missing.
    """
    num = request.num
    device = pick_device([request.device])
    trained = load_model(request.checkpoint, device)
    config, shape = trained.config, trained.config.model.img_shape
    sampler = Sampler.from_flags(request.sampler, trained.model, Sampler.of_run(config.train_cfg))
    real = RealImages.load(config)
    reads_text = real.train.captions is not None
    conditional = config.model.conditional and not reads_text
    names = request.metrics
    names = suited_metrics(num, real, conditional) if names is None else list(names)
    check_enough(names, num, real, conditional)

    captioned = _choose_captions(real, num) if reads_text else None
    columns = len(captioned.texts if reads_text else trained.classes)
    labels = torch.arange(num) % columns
    precision = Precision.pick(config.dtype, device)
    own_batch = default(request.batch_size, OWN_BATCH)
    facts = sample_facts(
        hash_of_file(trained.path), sampler, num, columns, request.seed, own_batch, precision
    )
    if reads_text:
        facts |= _facts_of_captions(captioned)
    store = Store(config.output_folder / "feature_cache")
    with Processes.joined(device) as processes:
        if processes.is_main:
            networks = load_networks(request.looks, names, real, shape, device, store)

        def draw() -> Tensor:
            given = labels
            if reads_text:
                given = torch.tensor(number_prompts(trained, captioned.texts))[labels]
            size = request.batch_size
            size = size or fitting_batch_size(trained.model, sampler, precision, OWN_BATCH)
            options = request.seed, processes.same(size), processes
            return draw_together(trained.model, given, precision, sampler, *options)

        samples = drawn_samples(draw, processes, store, facts, request.fresh)
    if not processes.is_main:
        return None
    setup = Setup(
        checkpoint=shown(trained.path.resolve()),
        metrics=names,
        samples=num,
        sampler=str(sampler),
        seed=request.seed,
        features=request.looks.features if needs_features(names, shape) else None,
        captions=columns if reads_text else None,
        **_data_of(real),
    )
    evidence = Evidence(samples, labels, facts, real, conditional, networks, captioned=captioned)
    return evidence, setup


def _facts_of_captions(captioned: Captioned) -> Facts:
    """What samples of captions depend on beside what those of classes do."""
    facts: Facts = {"captions": hashlib.sha256(repr(captioned.texts).encode()).hexdigest()}
    with contextlib.suppress(PackageNotFoundError):  # what is kept needs no package
        facts[f"{STATE}text encoder"] = version("transformers")
    return facts


def _data_of(real: RealImages) -> dict[str, Any]:
    """The real images as fields of Setup."""
    held_out, reads_text = real.held_out, real.train.captions is not None
    return {
        "training_images": len(real.train),
        "held_out_images": 0 if held_out is None else len(held_out),
        "held_out": "training" if reads_text and held_out is None else real.held_out_name,
    }


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
    """Captions for `num` samples: the first ones of held-out images, or else of training images."""
    images = real.train if real.held_out is None else real.held_out
    images = images.at_most(math.ceil(num / PER_CAPTION))
    return Captioned([images.captions.texts[i] for i in images.labels.tolist()], images)
