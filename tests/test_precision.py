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
    ("name", "device", "bf16", "gain", "expected"),
    [
        ("auto", "cuda", True, None, "bf16"),
        ("auto", "cuda", False, None, "fp16"),
        ("auto", "cpu", True, 1.4, "bf16"),
        ("auto", "cpu", True, 0.6, "fp32"),
        ("auto", "cpu", False, None, "fp32"),
        ("auto", "mps", True, None, "fp32"),
        ("fp32", "cuda", True, None, "fp32"),
        ("fp16", "cuda", True, None, "fp16"),
        ("bf16", "cpu", True, None, "bf16"),
        ("bf16", "cpu", False, None, "bf16"),
    ],
)
def test_pick_precision(machine, monkeypatch, name, device, bf16, gain, expected):
    """Auto is bf16 where the hardware has it, on a CPU where it is faster too, else fp16 on CUDA,
    else fp32; a name is kept. Speed is measured where it decides."""
    machine(1, bf16)
    monkeypatch.setattr(devices, "cpu_has_bf16", lambda: bf16)
    monkeypatch.setattr(devices, "gain_at_start", lambda: gain or pytest.fail("not asked for"))
    precision = Precision.pick(name, torch.device(device))
    assert precision.name == expected
    assert precision.needs_scaler == (expected == "fp16")
    assert precision.by_speed == (gain is not None)


@pytest.mark.parametrize(("in_fp32", "in_bf16"), [(2, 1), (1, 4)])
def test_gain_is_a_ratio_of_times(monkeypatch, in_fp32, in_bf16):
    """On a clock that goes by the number format of each convolution, bf16 gains what it should,
    whatever the first calls take; and runs with a seed go on as if nothing had been measured."""
    clock, calls, convolve = [0.0], [], devices.F.conv2d
    takes = {torch.float32: in_fp32, torch.bfloat16: in_bf16}

    def timed(*args, **options):
        features = convolve(*args, **options)
        calls.append(features.dtype)
        clock[0] += 50 if len(calls) <= 2 else takes[features.dtype]
        return features

    monkeypatch.setattr(devices.F, "conv2d", timed)
    monkeypatch.setattr(devices.time, "perf_counter", lambda: clock[0])
    before = torch.get_rng_state()
    assert devices.bf16_gain() == in_fp32 / in_bf16
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("name", "by_speed", "gain", "left"),
    [
        ("bf16", True, 0.5, True),
        ("bf16", True, 1.5, False),
        ("fp32", True, 0.5, False),
        ("bf16", False, 0.5, False),
    ],
)
def test_leaves_a_format_that_has_become_slow(monkeypatch, name, by_speed, gain, left):
    """bf16 that was chosen for its speed is left where it has none; one asked for is kept."""
    monkeypatch.setattr(devices, "bf16_gain", lambda: gain)
    precision = Precision(name, torch.device("cpu"), by_speed)
    assert precision.leave_if_slow() == left
    assert precision.name == ("fp32" if left else name)


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
