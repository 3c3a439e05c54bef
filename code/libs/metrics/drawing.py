"""Drawing the samples to be scored: shared between processes, and kept for the next time."""

import math
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..runtime.cache import STATE, Facts, Store, hash_of_files
from ..runtime.device import Precision
from ..runtime.processes import Processes
from ..runtime.progress import say
from ..samplers.draw import draw_samples
from ..samplers.sampler import Sampler
from ..utils import ROOT, shown

CODE = ROOT / "code"


def code_that_draws(code: Path = CODE) -> str:
    """A text that changes when a source file that samples may depend on does, or torch.

    These are all files below `code`, its metrics and hidden folders excepted: the model, its
    samplers, what they import, and whatever file a student adds to them.
    """
    metrics = code / "libs" / "metrics"
    files = [f for f in code.rglob("*.py") if metrics not in f.parents and f.is_file()]
    files = [f for f in files if not any(p.startswith(".") for p in f.relative_to(code).parts)]
    return f"{hash_of_files([*files, metrics / Path(__file__).name])}, torch {torch.__version__}"


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
        f"{STATE}code": code_that_draws(),
    }
    if sampler.name == "own":  # the model's own loop draws its noise for whole batches
        facts["batch size"] = batch_size
    return facts


def drawn_samples(
    draw: Callable[[], Tensor], processes: Processes, store: Store, facts: Facts, fresh: bool
) -> Tensor:
    """What an earlier call has kept under the same facts, or what `draw` returns, kept from now on.

    Args:
        draw: draws together with the other processes, see `draw_together`.
        fresh: draw in any case.
    """
    kept = store.find("samples", facts) if processes.is_main and not fresh else None
    if processes.same(kept is not None):
        if not processes.is_main:
            return torch.empty(0)
        file = shown(store.path("samples", facts))
        say(f"samples: kept from an earlier call, {file}; --fresh draws them again")
        return kept["images"]
    images = draw()
    if processes.is_main:
        store.keep("samples", facts, {"images": images})
    return images


def draw_together(
    model: nn.Module,
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
    batches: Iterable[Tensor] = []
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
