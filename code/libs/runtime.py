"""The machine a script runs on: device, precision, processes, and random numbers."""

import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from .utils import UserError

T = TypeVar("T")
LONGEST_WAIT = timedelta(days=1)  # of processes, while the first one encodes a data set or draws
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
                name = "bf16" if device.type == "cpu" and _cpu_has_bf16() else "fp32"
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


def _cpu_has_bf16() -> bool:
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, check, lambda: False)() for check in checks)


@dataclass
class Processes:
    """This process among those that torchrun started; alone without torchrun.

    Attributes:
        rank: its number among all, on one machine or more.
        world: how many there are.
        local_rank: its number among those of its machine.
        machines: how many machines there are.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    machines: int = 1

    @classmethod
    @contextmanager
    def joined(cls, device: torch.device) -> Iterator["Processes"]:
        """Within this context, be part of the group that torchrun describes in the environment."""
        if int(os.environ.get("WORLD_SIZE", 1)) == 1:
            yield cls()
            return
        if device.type == "cuda":
            torch.cuda.set_device(device)
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=LONGEST_WAIT)
        world = dist.get_world_size()
        local_rank = int(os.environ.get("LOCAL_RANK", 0))
        local_world = int(os.environ.get("LOCAL_WORLD_SIZE", world))
        try:
            yield cls(dist.get_rank(), world, local_rank, world // local_world)
        finally:
            dist.destroy_process_group()

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a tensor over all processes."""
        if self.world > 1:
            dist.all_reduce(value)
            value = value / self.world
        return value

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether the flag is set in any process."""
        if self.world == 1:
            return flag
        return self.mean(torch.tensor(float(flag), device=device)).item() > 0

    def share(self, batch: Tensor) -> Tensor:
        """This process's slice of a batch that all processes hold."""
        return batch.chunk(self.world)[self.rank]

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.world > 1:
            dist.barrier()

    def same(self, value: T) -> T:
        """The first process's value of a Python object."""
        values = [value]
        if self.world > 1:
            dist.broadcast_object_list(values)
        return values[0]

    def ask_first(self, question: Callable[[], T]) -> T:
        """What a function returns in the first process, which alone has the run's folder, in all.

        Raises in all the UserError that it raises there.
        """
        answer = error = None
        if self.is_main:
            try:
                answer = question()
            except UserError as raised:
                error = raised
        answer, error = self.same((answer, error))
        if error is not None:
            raise error
        return answer

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Within this context the first process goes first, then the first of each other machine.

        The rest follow. So the files that it writes are written once, or once on each machine if
        they share no folder, and the other processes find them.
        """
        turn = 0 if self.is_main else 1 if self.local_rank == 0 else 2
        for _ in range(turn):
            self.wait()
        yield
        for _ in range(2 - turn):
            self.wait()

    def must_agree(self, facts: Mapping[str, object], advice: str) -> None:
        """Refuse to go on where processes, maybe on different machines, work with different things.

        Args:
            facts: small values by name.
            advice: what to do, for the message.

        Raises:
            UserError: in all processes, with the facts that differ.
        """
        if self.world == 1:
            return
        everyone: list = [None] * self.world
        dist.all_gather_object(everyone, (socket.gethostname(), dict(facts)))
        (host, expected), *others = everyone
        for rank, (other_host, found) in enumerate(others, start=1):
            differences = [
                f"{name} is {expected.get(name)!r} in process 0 on {host} and {found.get(name)!r} "
                f"in process {rank} on {other_host}"
                for name in expected | found
                if expected.get(name) != found.get(name)
            ]
            if differences:
                raise UserError(f"{'; '.join(differences[:5])}: {advice}")


def generator_for(*key: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A random generator that depends on the integers of the key alone, e.g. (seed, epoch)."""
    mixed = 0
    for number in key:  # constants of a 64-bit linear congruential generator (Knuth, MMIX)
        mixed = ((mixed ^ number) * 6364136223846793005 + 1442695040888963407) % 2**63
    return torch.Generator(device).manual_seed(mixed)


def rng_state() -> dict[str, Tensor]:
    """The state of torch's global generators."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_rng_state(state: dict[str, Tensor]) -> None:
    """Put back what rng_state returned."""
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


@contextmanager
def fork_rng(seed: int, device: torch.device) -> Iterator[None]:
    """A context with global generators seeded anew, which leaves the outer state untouched."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
