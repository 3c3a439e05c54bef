"""Scores of a diffusion model while it is trained: those that evaluate.py gives afterwards."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..config import Config
from ..datasets import Splits, spread_evenly
from ..models.variants import PromptTable
from ..runtime.cache import Store
from ..runtime.processes import Processes
from ..runtime.streams import fork_rng
from ..utils import UserError, default
from .evidence import Evidence, RealImages
from .networks import Looks, load_networks
from .scoring import check_enough, score

FLAGS = ("train_cfg.eval_features", "train_cfg.inception_weights", "train_cfg.alexnet_weights")


class SampleScores:
    """Scores samples of a model, as `train_cfg.eval_metrics` asks.

    The samples of each call have the same labels. They and what the networks see in them are not
    kept; the fitted classifier and the features of real images are.

    Args:
        config: of the run.
        splits: its images, not latents.
        device: where the networks look at images.
        processes: this process among all, which share the drawing; the main one scores.

    Raises:
        UserError: the data is too small for a metric, or a network cannot be had.
    """

    def __init__(self, config: Config, splits: Splits, device: torch.device, processes: Processes):
        self.device, self.seed = device, config.seed
        train, self.conditional = config.train_cfg, config.model.conditional
        self.names = list(dict.fromkeys(train.eval_metrics))
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
            options = self.names, real, config.model.img_shape, device, store
            with fork_rng(0, device):  # networks draw weights before they read them
                self.networks = load_networks(looks, *options)

    def __call__(self, draw: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """The scores by name, in the main process; empty in all others.

        A metric's only score has the metric's name; pr gives precision and recall.

        Args:
            draw: one sample for each of the labels [N], uint8 [N, C, H, W], by all processes
                together; those other than the main one ignore what it returns.
        """
        with fork_rng(self.seed, self.device):
            samples = draw(self.labels)
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
