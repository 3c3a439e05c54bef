"""FID of as many samples of each class, against all test images."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..config import Config
from ..models.build import load_model
from ..models.trained import TrainedModel
from ..runtime.cache import Facts, Store
from ..runtime.device import Precision, pick_device
from ..runtime.hashes import hash_of_file
from ..runtime.progress import say
from ..samplers.draw import draw_samples
from ..samplers.flags import SamplerFlags
from ..samplers.sampler import Sampler
from ..utils import UserError
from .evidence import RealImages
from .kept_samples import sample_facts
from .networks import Looks, load_networks
from .scoring import frechet_of_features


@dataclass(frozen=True)
class Drawing:
    """How samples are drawn: how many per class, in which batches, on which device."""

    per_class: int = 500
    batch_size: int = 250
    seed: int = 0
    device: str = "auto"
    fresh: bool = False  # draw, even if an earlier call has kept the samples


@dataclass(frozen=True)
class TestFid:
    """The FID of samples, and of as many training images, against the test images."""

    __test__ = False  # not a test class for pytest

    samples: float
    train: float
    num_samples: int
    num_test: int


def fid_per_class(config: Config, checkpoint: Path, drawing: Drawing, looks: Looks) -> TestFid:
    """Draw samples, or take those that an earlier call has kept, and compare them.

    Args:
        config: of the run; its data, sampler and number format count.
        checkpoint: a file, or a run folder for its newest one.

    Raises:
        UserError: the checkpoint is of another model than the config's, or there are no classes
            or no test images.
    """
    device = pick_device([drawing.device])
    trained = load_model(checkpoint, device)
    if trained.config.model_name != config.model_name:
        raise UserError(
            f"{trained.path} is of 'model_name: {trained.config.model_name}', the config of "
            f"'model_name: {config.model_name}'; name the config that it was trained with"
        )
    if trained.config.model.img_shape != config.model.img_shape:
        raise UserError(
            f"{trained.path} draws images of {trained.config.model.img_shape}, the config has "
            f"{config.model.img_shape}; name the config that it was trained with"
        )
    real = RealImages.load(config)
    if real.train.captions is not None or not config.model.conditional:
        raise UserError("eval.py draws each class, and this model knows none; take evaluate.py")
    if real.held_out is None:
        raise UserError(f"{config.dataset.name} has no test images here to compare with")
    store = Store(config.output_folder / "feature_cache")
    networks = load_networks(looks, ["fid"], real, config.model.img_shape, device, store)
    samples = _samples(trained, config, drawing, store)

    def look(images: Tensor) -> Tensor:
        batches = (batch.float() / 255 for batch in images.split(100))
        return networks.viewer.look(batches, len(images)).features

    test = networks.viewer.look_at(real.held_out).features
    train = networks.viewer.look_at(real.train.at_most(len(samples))).features
    of_samples, of_train = (frechet_of_features(x, test) for x in (look(samples), train))
    return TestFid(of_samples, of_train, len(samples), len(test))


def _samples(trained: TrainedModel, config: Config, drawing: Drawing, store: Store) -> Tensor:
    """Samples class by class, uint8 [N, C, H, W]; each batch is kept as soon as it is drawn."""
    classes = len(trained.classes)
    labels = torch.arange(classes).repeat_interleave(drawing.per_class)
    of_run = Sampler.of_run(config.train_cfg)
    sampler = Sampler.from_flags(SamplerFlags(), trained.model, of_run)
    precision = Precision.pick(config.dtype, next(trained.model.parameters()).device)
    facts = sample_facts(
        hash_of_file(trained.path),
        sampler,
        len(labels),
        classes,
        drawing.seed,
        drawing.batch_size,
        precision,
    )
    found, done = [], 0
    for batch in labels.split(drawing.batch_size):
        place: Facts = {"labels": "class by class", "batch size": drawing.batch_size, "first": done}
        kept = None if drawing.fresh else store.find("samples", facts | place)
        if kept is None:
            options = precision, drawing.seed, drawing.batch_size
            drawn = draw_samples(trained.model, batch, *options, sampler=sampler, first=done)
            images = torch.cat(list(drawn)).mul(255).round().to(torch.uint8)
            store.keep("samples", facts | place, {"images": images})
        found.append(images if kept is None else kept["images"])
        done += len(batch)
        origin = "" if kept is None else ", kept from an earlier call; --fresh draws them again"
        say(f"{done} of {len(labels)} samples{origin}")
    return torch.cat(found)
