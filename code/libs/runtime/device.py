"""The machine a script runs on: device and precision."""

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from ..utils import UserError

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
    """The number format of the network's arithmetic; weights stay in float32."""

    name: str
    device: torch.device

    @classmethod
    def pick(cls, name: str, device: torch.device) -> "Precision":
        """Resolve "auto": bf16 where the hardware computes in it, else fp16 on CUDA, else fp32."""
        if name == "auto":
            if device.type == "cuda":
                name = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
            else:
                name = "bf16" if device.type == "cpu" and cpu_has_bf16() else "fp32"
        if name == "fp16" and device.type == "cpu":
            raise UserError("dtype fp16 is for GPUs: use dtype auto, bf16 or fp32 on a CPU")
        return cls(name, device)

    @property
    def needs_scaler(self) -> bool:
        """Whether gradients would underflow without a loss scaler."""
        return self.name == "fp16"

    def autocast(self) -> AbstractContextManager:
        """The context in which to run the network."""
        enabled = self.name != "fp32"
        return torch.autocast(self.device.type, DTYPES[self.name], enabled=enabled)


def cpu_has_bf16() -> bool:
    """Whether this processor multiplies matrices in bfloat16 itself."""
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, check, lambda: False)() for check in checks)
