"""What the doctor looks at: a model with its averaged weights, some data, what training left."""

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from ..config import Config
from ..datasets import Images, MemoryImages

MOST_IMAGES, MOST_FILES = 1000, 200  # for the statistics of the data; where files are opened
LOOKED_AT = 64  # by the network


@dataclass
class Patient:
    """A run at some step.

    Attributes:
        model: with averaged weights, in evaluation mode.
        config: of the run.
        images: training images, up to MOST_IMAGES in random order: in [0, 1], or latents where
            `are_latents`, [N, C, H, W] on the CPU.
        labels: their classes, [N].
        step: updates so far; 0 for a run that begins.
        is_over: whether no step will follow, so that what was not learned is missing.
        current: the weights by name, which the averaged ones follow; empty where not known.
        first: the weights that it started with, by name; empty where not known.
        losses: the mean loss of each epoch so far, None where none was finite.
        samples, sample_labels: what the model draws, in [0, 1], [M, C, H, W], and of which class;
            None where nothing was drawn.
    """

    model: nn.Module
    config: Config
    images: Tensor
    labels: Tensor
    are_latents: bool = False
    step: int = 0
    is_over: bool = True
    current: dict[str, Tensor] = field(default_factory=dict)
    first: dict[str, Tensor] = field(default_factory=dict)
    losses: list[float | None] = field(default_factory=list)
    samples: Tensor | None = None
    sample_labels: Tensor | None = None

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def has_classes(self) -> bool:
        """Whether labels say something: neither one class alone, nor texts."""
        section = self.config.model
        return section.conditional and section.context == "class" and section.num_classes > 1

    @cached_property
    @torch.no_grad()
    def x_start(self) -> Tensor:
        """The images as they are diffused, [N, C, H, W]: in [-1, 1], or latents."""
        if self.are_latents:
            return self.images.to(self.device)
        if not self.model.use_vae:
            return 2 * self.images.to(self.device) - 1
        return torch.cat([self.model.vae.encoder(x.to(self.device)) for x in self.images.split(32)])

    @cached_property
    def eigenvalues(self) -> Tensor:
        """Those of the covariance of `x_start`, float64 [C * H * W]."""
        centred = (self.x_start - self.x_start.mean(dim=0)).flatten(1).cpu().double()
        values = torch.linalg.svdvals(centred) ** 2 / max(1, len(centred) - 1)
        return torch.cat([values, values.new_zeros(max(0, centred.shape[1] - len(values)))])

    def condition(self, number: int) -> Tensor:
        """What the network takes for the first so many images, [number]; no text for all."""
        labels = self.labels[:number].to(self.device)
        return labels if self.config.model.context == "class" else torch.zeros_like(labels)


def looked_at(train: Images) -> tuple[Tensor, Tensor]:
    """Training images in random order, [N, C, H, W] in [0, 1] or latents, and their labels [N]."""
    most = MOST_IMAGES if isinstance(train, MemoryImages) else MOST_FILES
    chosen = train.plain().at_most(most)
    images, labels = next(iter(chosen.batches(len(chosen))))
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    return images[order], labels[order]
