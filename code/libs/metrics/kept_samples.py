"""Samples that are kept for the next scores: what they depend on, and finding them again."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ..runtime.cache import STATE, Facts, Store
from ..runtime.device import Precision
from ..runtime.hashes import hash_of_files
from ..runtime.processes import Processes
from ..runtime.progress import say
from ..samplers.sampler import Sampler
from ..utils import ROOT, shown

CODE = ROOT / "code"


def code_that_draws(code: Path = CODE) -> str:
    """A text that changes when a source file that samples may depend on does, or torch.

    These are all files below `code` except its metrics and hidden folders: the model, its
    samplers, what they import, and any file that a student adds.
    """
    metrics = code / "libs" / "metrics"
    files = [f for f in code.rglob("*.py") if metrics not in f.parents and f.is_file()]
    files = [f for f in files if not any(p.startswith(".") for p in f.relative_to(code).parts)]
    return f"{hash_of_files(files)}, torch {torch.__version__}"


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
        draw: draws together with the other processes, see `draw.draw_together`.
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
