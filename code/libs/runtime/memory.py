"""How much memory a device has left, and how much of it a call takes."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

MEMINFO = Path("/proc/meminfo")  # Linux


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


def memory_taken(call: Callable[[], None], device: torch.device) -> int:
    """Bytes that a call takes at most, on CUDA; elsewhere a bound, several times too high.

    The bound is the outputs of all layers, as if none of them were freed.
    """
    if device.type != "cuda":
        return _outputs_of_layers(call)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    call()
    return torch.cuda.max_memory_allocated(device) - before


def _outputs_of_layers(call: Callable[[], None]) -> int:
    """Bytes of the outputs of all layers during a call."""
    total = 0

    def count(module: nn.Module, args: tuple, output: object) -> None:
        nonlocal total
        if isinstance(output, Tensor) and not any(module.children()):
            total += output.nbytes

    hook = register_module_forward_hook(count)
    try:
        call()
    finally:
        hook.remove()
    return total
