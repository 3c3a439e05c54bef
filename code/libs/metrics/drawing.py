"""Drawing the samples to be scored: shared between processes, and kept for the next time."""

import math

import torch
import torch.distributed as dist
from torch import Tensor

from ..ddpm import DDPM
from ..edm import EDM
from ..runtime import Precision, Processes
from ..sampling import Sampler, draw_samples
from .store import Facts, Store


def sample_facts(
    checkpoint_hash: str,
    sampler: Sampler,
    num: int,
    num_classes: int,
    seed: int,
    batch_size: int,
    precision: Precision,
) -> Facts:
    """All that samples depend on: where the facts are equal, so are the images."""
    facts: Facts = {
        "checkpoint": checkpoint_hash,
        "sampler": repr(sampler),  # its text rounds
        "number": num,
        "classes": num_classes,
        "seed": seed,
        "arithmetic": f"{precision.name} on {precision.device.type}",
    }
    if sampler.name == "own":  # the model's own loop draws its noise for whole batches
        facts["batch size"] = batch_size
    return facts


def drawn_samples(
    model: DDPM | EDM,
    labels: Tensor,
    precision: Precision,
    sampler: Sampler,
    seed: int,
    batch_size: int,
    processes: Processes,
    store: Store,
    facts: Facts,
) -> Tensor:
    """What draw_together draws, or what an earlier call has kept under the same facts."""
    kept = store.find("samples", facts) if processes.is_main else None
    if processes.same(kept is not None):
        return kept["images"] if processes.is_main else torch.empty(0)
    images = draw_together(model, labels, precision, sampler, seed, batch_size, processes)
    if processes.is_main:
        store.keep("samples", facts, {"images": images})
    return images


def draw_together(
    model: DDPM | EDM,
    labels: Tensor,
    precision: Precision,
    sampler: Sampler,
    seed: int,
    batch_size: int,
    processes: Processes,
) -> Tensor:
    """One image for each label, uint8 [N, C, H, W], in the main process; empty in all others.

    Each process draws whole batches, so that their number does not change the images.
    """
    share = math.ceil(math.ceil(len(labels) / batch_size) / processes.world) * batch_size
    first = processes.rank * share
    mine = labels[first : first + share]
    batches = []
    if len(mine):
        batches = draw_samples(
            model,
            mine,
            precision,
            seed,
            batch_size,
            show_progress=processes.is_main,
            sampler=sampler,
            first=first,
        )
    images = [batch.mul(255).round().to(torch.uint8) for batch in batches]
    return gather(images, share, processes, precision.device)[: len(labels)]


def gather(images: list[Tensor], share: int, processes: Processes, device: torch.device) -> Tensor:
    """Join the images of all processes in the main one, each of which but the last has `share`."""
    if processes.world == 1:
        return torch.cat(images)
    shape = processes.same(tuple(images[0].shape[1:]) if images else None)
    padded = torch.zeros(share, *shape, dtype=torch.uint8, device=device)
    if images:
        mine = torch.cat(images)
        padded[: len(mine)] = mine.to(device)
    parts = [torch.empty_like(padded) for _ in range(processes.world)]
    dist.all_gather(parts, padded)
    return torch.cat(parts).cpu() if processes.is_main else torch.empty(0)
