"""Batches in an order that depends on (seed, epoch) alone, so that a run can stop and go on."""

import hashlib
import signal
from collections.abc import Iterator, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from ..config import DatasetConfig
from ..datasets import FOLDER_DATASETS, Images, Key, MemoryImages, Splits, load_splits
from ..runtime.processes import Processes
from ..runtime.streams import generator_for


def load_together(
    config: DatasetConfig,
    shape: Sequence[int],
    processes: Processes,
    num_classes: int | None = None,
) -> Splits:
    """What `datasets.load_splits` loads, downloaded by one process of each machine.

    Raises UserError, besides, where the machines have different images.
    """
    with nullcontext() if config.name in FOLDER_DATASETS else processes.in_turn():
        splits = load_splits(config, shape, num_classes)
    facts: dict[str, object] = {}
    for name, dataset in vars(splits).items():
        if dataset is not None:
            labels = hashlib.sha256(dataset.labels.numpy().tobytes())
            if dataset.captions is not None:
                labels.update(repr(dataset.captions.texts).encode())
            facts[f"the number of {name} images"] = len(dataset)
            facts[f"the hash of the {name} images' labels"] = labels.hexdigest()[:8]
    processes.must_agree(facts, "all machines need the same images in their 'dataset.data_folder'")
    return splits


class EpochBatches(Sampler[list[Key]]):
    """Batches of one epoch for one process, each a list of (image index, augmentation seed).

    All processes draw the same order and take their slices of each batch. Images that do not fill
    a last batch are left out for this epoch; the order changes every epoch.
    """

    def __init__(self, num_images: int, batch_size: int, seed: int, processes: Processes):
        self.num_images = num_images
        self.batch_size = batch_size
        self.seed = seed
        self.processes = processes
        self.epoch = 0
        self.start = 0  # batches of this epoch that are done already

    def __len__(self) -> int:
        return self.num_images // self.batch_size

    def __iter__(self) -> Iterator[list[Key]]:
        generator = generator_for(self.seed, self.epoch)
        order = torch.randperm(self.num_images, generator=generator)
        seeds = torch.randint(2**62, (self.num_images,), generator=generator)
        for batch in range(self.start, len(self)):
            chosen = slice(batch * self.batch_size, (batch + 1) * self.batch_size)
            mine = self.processes.share(order[chosen]), self.processes.share(seeds[chosen])
            yield list(zip(mine[0].tolist(), mine[1].tolist(), strict=True))


def make_loader(dataset: Images, batches: EpochBatches, num_workers: int, pin: bool) -> DataLoader:
    """A loader of (images, labels); data in memory needs no worker processes."""
    if isinstance(dataset, MemoryImages):
        num_workers = 0
    return DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=num_workers,
        collate_fn=_as_is,
        worker_init_fn=_leave_signals_to_the_parent,
        pin_memory=pin,
        persistent_workers=num_workers > 0,
    )


def _leave_signals_to_the_parent(worker: int) -> None:
    """On Ctrl-C the training process finishes its step, for which it needs its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _as_is(batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return batch
