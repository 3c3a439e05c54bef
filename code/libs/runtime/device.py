"""The machine a script runs on: device and precision."""

import os
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import nn

from ..utils import UserError
from .attention import ProductAttention
from .processes import Processes

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def pick_device(names: Sequence[str] = ("auto",)) -> torch.device:
    """Return the one device that is named; "auto" takes CUDA, then Apple's MPS, then the CPU.

    Raises UserError for several devices, a name that torch does not know, or a device that is not
    there.
    """
    if len(names) != 1:
        raise UserError(
            f"one process uses one device, found devices {list(names)}; for several set "
            f"'devices: auto' and run torchrun --nproc_per_node {max(1, len(names))} "
            "code/train.py CONFIG"
        )
    name = names[0]
    if name == "auto":
        name = "mps" if torch.backends.mps.is_available() else "cpu"
        name = "cuda" if torch.cuda.is_available() else name
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps"):
        raise UserError(f"unknown device '{name}': use auto, cpu, cuda, cuda:0 or mps")
    if device.type == "cuda":
        if device.index is None:  # each process of torchrun takes its own
            device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        if device.index >= torch.cuda.device_count():
            raise UserError(
                f"device {device} was asked for, but torch finds {torch.cuda.device_count()} CUDA "
                "devices: use --device auto, start fewer processes, or check nvidia-smi and the "
                "build of torch"
            )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UserError("device mps was asked for, but this machine has none: use --device auto")
    return device


@dataclass
class Precision:
    """The number format of the network's arithmetic; weights stay in float32.

    Attributes:
        name: fp32, bf16 or fp16.
        device: what computes in it.
        by_speed: whether it was chosen because it is the fastest at the time.
        by_products: whether attention in bf16 on a CPU goes by `ProductAttention`.
    """

    name: str
    device: torch.device
    by_speed: bool = False
    by_products: bool = True

    @classmethod
    def pick(cls, name: str, device: torch.device) -> "Precision":
        """Resolve "auto": bf16 where the hardware gains from it, else fp16 on CUDA, else fp32."""
        by_speed = name == "auto" and device.type == "cpu" and cpu_has_bf16()
        if name == "auto":
            if device.type == "cuda":
                name = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
            else:
                name = "bf16" if by_speed and gain_at_start() > 1 else "fp32"
        if name == "fp16" and device.type == "cpu":
            raise UserError("dtype fp16 is for GPUs: use dtype auto, bf16 or fp32 on a CPU")
        return cls(name, device, by_speed)

    def agree(self, processes: Processes) -> None:
        """Take fp32 in all processes if bf16, chosen for its speed, has none in one of them."""
        if self.by_speed and processes.any(self.name == "fp32", self.device):
            self.name = "fp32"

    def leave_if_slow(self) -> bool:
        """Take fp32 if bf16 was chosen for its speed and has none now; say whether that was so."""
        slow = self.by_speed and self.name == "bf16" and bf16_gain() < 1
        if slow:
            self.name = "fp32"
        return slow

    @property
    def needs_scaler(self) -> bool:
        """Whether gradients would underflow without a loss scaler."""
        return self.name == "fp16"

    def compile(self, *networks: nn.Module) -> None:
        """Have networks compiled when they first run, with attention as PyTorch computes it."""
        self.by_products = False  # PyTorch would compile `ProductAttention` again and again
        for network in networks:
            network.compile()

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """The context in which to run the network."""
        products = self.by_products and self.name == "bf16" and self.device.type == "cpu"
        with (
            torch.autocast(self.device.type, DTYPES[self.name], enabled=self.name != "fp32"),
            ProductAttention() if products else nullcontext(),
        ):
            yield


def cpu_has_bf16() -> bool:
    """Whether this processor multiplies matrices in bfloat16 itself."""
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, check, lambda: False)() for check in checks)


def bf16_gain() -> float:
    """How many times as fast as in float32 the processor trains a convolution in bfloat16, now.

    Having instructions for it says little: a step of one network took 0.7 times as long with them
    on one processor, 1.6 times on another, and beside other programs a gain can become a loss. The
    call takes about 0.1 s and draws no random numbers.
    """
    images, kernels = torch.ones(16, 64, 16, 16), torch.full((64, 64, 3, 3), 0.01)
    images = images.to(memory_format=torch.channels_last).requires_grad_()
    kernels.requires_grad_()

    def seconds(name: str) -> float:
        begin = time.perf_counter()
        with Precision(name, images.device).autocast():
            features = F.conv2d(images, kernels, padding=1)
        torch.autograd.grad(features.float().sum(), (images, kernels))
        return time.perf_counter() - begin

    taken = [(seconds("fp32"), seconds("bf16")) for _ in range(6)][1:]  # the first call is slow
    fp32, bf16 = (statistics.median(times) for times in zip(*taken, strict=True))
    return fp32 / bf16


@cache
def gain_at_start() -> float:
    """`bf16_gain` when it was first asked for: a process computes in one number format."""
    return bf16_gain()
