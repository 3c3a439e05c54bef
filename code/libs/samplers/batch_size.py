"""How many images to draw at once: as many as fit into memory, unless that would change them."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from ..runtime.device import Precision
from .draw import draw_samples
from .sampler import Sampler

MEMINFO = Path("/proc/meminfo")  # Linux
MOST = {"cuda": 500, "cpu": 100, "mps": 100}  # more at once is hardly faster
SHARE = 0.7  # of the free memory; the rest is for what is measured too low, and for others
TRIAL = 4  # images whose memory is measured


def fitting_batch_size(
    model: nn.Module, sampler: Sampler, precision: Precision, of_own: int
) -> int:
    """How many images to draw at once: the device's `MOST`, halved until they fit into memory.

    Args:
        of_own: what to return for the model's own loop, whose images follow from the batch they
            are drawn in, see `draw_samples`.
    """
    sampler = sampler.resolved(model)
    if sampler.name == "own":
        return of_own
    size, free = MOST[precision.device.type], free_memory(precision.device)
    if free is not None:
        each = memory_of_image(model, sampler, precision)
        while size > 1 and size * each > SHARE * free:
            size //= 2
    return size


def free_memory(device: torch.device) -> int | None:
    """Bytes that may still be used on a device, or None where the system does not say."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return free + kept
    if not MEMINFO.is_file():
        return None
    lines = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines() if ":" in line)
    found = lines.get("MemAvailable")
    return int(found.split()[0]) * 1024 if found else None


def memory_of_image(model: nn.Module, sampler: Sampler, precision: Precision) -> int:
    """Bytes for each image that is drawn at once with a sampler.

    On CUDA it is what one step takes at most. Elsewhere it is a bound, several times too high: the
    outputs of all layers, as if none of them were freed.
    """
    step = replace(sampler, steps=1, spacing=Sampler.spacing)
    if precision.device.type != "cuda":
        return _outputs_of_layers(model, step, precision)
    torch.cuda.reset_peak_memory_stats(precision.device)
    before = torch.cuda.memory_allocated(precision.device)
    _draw(TRIAL, model, step, precision)
    return (torch.cuda.max_memory_allocated(precision.device) - before) // TRIAL


def _outputs_of_layers(model: nn.Module, sampler: Sampler, precision: Precision) -> int:
    """Bytes of the outputs of all layers while one image is drawn."""
    total = 0

    def count(module: nn.Module, args: tuple, output: object) -> None:
        nonlocal total
        if isinstance(output, Tensor) and not any(module.children()):
            total += output.nbytes

    hook = register_module_forward_hook(count)
    try:
        _draw(1, model, sampler, precision)
    finally:
        hook.remove()
    return total


def _draw(number: int, model: nn.Module, sampler: Sampler, precision: Precision) -> None:
    labels = torch.zeros(number, dtype=torch.long)
    for _ in draw_samples(model, labels, precision, sampler=sampler, show_progress=False):
        pass
