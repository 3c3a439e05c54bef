"""Scores of a diffusion model while it is trained: those that evaluate.py gives afterwards."""

import torch
from torch import nn

from ..config import Config
from ..datasets import Splits
from ..models.variants import PromptTable
from ..runtime.cache import Store
from ..runtime.device import Precision
from ..runtime.processes import Processes
from ..runtime.streams import fork_rng
from ..samplers.draw import spread_evenly
from ..samplers.sampler import Sampler
from ..utils import UserError, default
from .drawing import draw_together
from .evaluation import Looks, load_networks
from .scoring import Evidence, RealImages, check_enough, score

BATCH = 250  # samples drawn at once, as by evaluate.py
FLAGS = ("train_cfg.eval_features", "train_cfg.inception_weights", "train_cfg.alexnet_weights")


class SampleScores:
    """Draws samples of a model and scores them, as `train_cfg.eval_metrics` asks.

    The samples of each call have the same labels and the same random numbers. They and what the
    networks see in them are not kept; the fitted classifier and the features of real images are.

    Args:
        config: of the run.
        splits: its images, not latents.
        precision: device and number format.
        processes: this process among all, which share the drawing; the main one scores.

    Raises:
        UserError: the data is too small for a metric, or a network cannot be had.
    """

    def __init__(self, config: Config, splits: Splits, precision: Precision, processes: Processes):
        self.precision, self.processes = precision, processes
        train, self.conditional = config.train_cfg, config.model.conditional
        self.names, self.seed = list(dict.fromkeys(train.eval_metrics)), config.seed
        self.sampler = Sampler.of_scores(train)
        real = RealImages.load(config, splits)
        num_classes, first = len(splits.train.classes), 0
        if splits.train.captions is not None:  # numbered from 1, see DiffusionLearner
            self.conditional, first = False, PromptTable.null_label + 1
            num_classes = min(train.eval_samples, len(splits.train))
        drawn = default(train.eval_classes, num_classes)
        if drawn > num_classes:
            raise UserError(
                f"'train_cfg.eval_classes' is {drawn}, and the data set has {num_classes} classes"
            )
        chosen = spread_evenly(drawn, num_classes)
        self.labels = first + chosen[torch.arange(train.eval_samples) % drawn]
        self.real = real if drawn == num_classes else real.of_classes(chosen)
        num = train.eval_samples
        check_enough(self.names, num, self.real, self.conditional, "'train_cfg.eval_samples'")
        self.networks = None
        if processes.is_main:
            looks = Looks(
                train.eval_features, train.inception_weights, train.alexnet_weights, FLAGS
            )
            store = Store(config.output_folder / "feature_cache")
            options = self.names, real, config.model.img_shape, precision.device, store
            with fork_rng(0, precision.device):  # networks draw weights before they read them
                self.networks = load_networks(looks, *options)

    def __call__(self, model: nn.Module) -> dict[str, float]:
        """The scores by name, in the main process; empty in all others.

        A metric's only score has the metric's name; pr gives precision and recall.
        """
        options = self.labels, self.precision, self.sampler, self.seed, BATCH, self.processes
        with fork_rng(self.seed, self.precision.device):
            samples = draw_together(model, *options)
            if self.networks is None:
                return {}
            evidence = Evidence(
                samples, self.labels, None, self.real, self.conditional, self.networks
            )
            found = {}
            for name in self.names:
                scores = score([name], evidence)
                found |= {s.name if len(scores) > 1 else name: s.samples for s in scores}
        return found
