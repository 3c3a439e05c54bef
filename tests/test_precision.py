"""Which device and which number format a run takes, and what is refused."""

import pytest
import torch
from torch import nn

from libs.runtime import device as devices
from libs.runtime.device import Precision, pick_device
from libs.utils import UserError


@pytest.fixture
def machine(monkeypatch):
    """A function that makes this machine look like one with some CUDA devices."""

    def pretend(cuda: int, bf16: bool = True, mps: bool = False) -> None:
        def bf16_supported(including_emulation: bool = True) -> bool:
            return bf16 or including_emulation

        monkeypatch.delenv("LOCAL_RANK", raising=False)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", bf16_supported)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return pretend


@pytest.mark.parametrize(
    ("name", "cuda", "mps", "expected"),
    [
        ("auto", 0, False, "cpu"),
        ("auto", 0, True, "mps"),
        ("auto", 2, False, "cuda:0"),
        ("cpu", 2, False, "cpu"),
        ("cuda", 1, False, "cuda:0"),
        ("cuda:1", 2, False, "cuda:1"),
        ("mps", 0, True, "mps"),
    ],
)
def test_pick_device(machine, name, cuda, mps, expected):
    """A named device is taken; auto takes CUDA, then MPS, then the CPU."""
    machine(cuda, mps=mps)
    assert str(pick_device([name])) == expected


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_processes_take_a_device_each(machine, monkeypatch, name):
    """Under torchrun each process takes the CUDA device of its local rank."""
    machine(4)
    monkeypatch.setenv("LOCAL_RANK", "2")
    assert str(pick_device([name])) == "cuda:2"


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_more_processes_than_devices(machine, monkeypatch, name):
    """Under torchrun with more processes than CUDA devices, a sentence gives their number."""
    machine(2)
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(UserError, match="2 CUDA"):
        pick_device([name])


@pytest.mark.parametrize(
    ("names", "cuda", "words"),
    [
        (["cuda"], 0, "torch finds 0 CUDA devices: use --device auto"),
        (["cuda:2"], 2, "device cuda:2 was asked for, but torch finds 2 CUDA"),
        (["mps"], 0, "device mps was asked for, but this machine has none"),
        (["gpu"], 0, "unknown device 'gpu': use auto, cpu, cuda"),
        (["0"], 0, "unknown device '0'"),
        (["meta"], 0, "unknown device 'meta'"),
        (["cuda:0", "cuda:1"], 2, r"torchrun --nproc_per_node 2 code/train\.py"),
        ([], 0, "one process uses one device"),
    ],
)
def test_pick_device_refuses(machine, names, cuda, words):
    """A device that is unknown or not there, or several of them, are refused with a way out."""
    machine(cuda)
    with pytest.raises(UserError, match=words):
        pick_device(names)


@pytest.mark.parametrize(
    ("name", "device", "bf16", "expected"),
    [
        ("auto", "cuda", True, "bf16"),
        ("auto", "cuda", False, "fp16"),
        ("auto", "cpu", True, "bf16"),
        ("auto", "cpu", False, "fp32"),
        ("auto", "mps", True, "fp32"),
        ("fp32", "cuda", True, "fp32"),
        ("fp16", "cuda", True, "fp16"),
        ("bf16", "cpu", False, "bf16"),
    ],
)
def test_pick_precision(machine, monkeypatch, name, device, bf16, expected):
    """Auto is bf16 where the hardware has it, else fp16 on CUDA, else fp32; a name is kept."""
    machine(1, bf16)
    monkeypatch.setattr(devices, "cpu_has_bf16", lambda: bf16)
    precision = Precision.pick(name, torch.device(device))
    assert precision.name == expected
    assert precision.needs_scaler == (expected == "fp16")


def test_fp16_on_cpu_refused():
    """fp16 on a CPU is refused with the formats to use instead."""
    with pytest.raises(UserError, match="dtype auto, bf16 or fp32"):
        Precision.pick("fp16", torch.device("cpu"))


@pytest.mark.parametrize(("name", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_autocast(name, dtype):
    """Within `autocast` a network computes in the format, its weights stay float32."""
    layer = nn.Linear(2, 2)
    with Precision(name, torch.device("cpu")).autocast():
        assert layer(torch.ones(1, 2)).dtype == dtype
    assert layer.weight.dtype == torch.float32
