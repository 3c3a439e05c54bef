"""Floating-point operations, counted."""

from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

FLASH = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
FLASH_BACKWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
ON_CPU = {  # attention as the CPU computes it, which the counter does not know by itself
    FLASH: lambda *shapes, **_: sdpa_flop_count(*shapes[:3]),
    FLASH_BACKWARD: lambda *shapes, **_: sdpa_backward_flop_count(*shapes[:4]),
}


def count_flops(work: Callable[[], object]) -> int:
    """Multiplications and additions of products of matrices, convolutions and attention."""
    with FlopCounterMode(display=False, custom_mapping=ON_CPU) as counter:
        work()
    return counter.get_total_flops()
