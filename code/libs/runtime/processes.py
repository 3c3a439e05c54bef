"""This process among those that torchrun started."""

import atexit
import ctypes
import os
import socket
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from ..utils import UserError

T = TypeVar("T")
LONGEST_WAIT = timedelta(days=1)  # of processes, while the first one encodes a data set or draws


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
        # Never freed: gloo's destructor, which DistributedDataParallel may be last to call, holds
        # Python's lock while it waits for a thread that may need this lock to end.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(dist.group.WORLD))
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
        """Return in all processes what a function returns in the first, which alone has the folder.

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


@contextmanager
def ending_at_once() -> Iterator[None]:
    """End the process after this context, with the exit code that Python would give.

    Python's own end takes its lock away for good. A thread of gloo that still needs the lock, to
    free the tensor of the last message, then aborts the process ("terminate called without an
    active exception"), and torchrun ends all others.
    """
    code: object = 0
    try:
        yield
    except SystemExit as stop:
        code = stop.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    if not isinstance(code, int):  # sys.exit("a sentence")
        print(code, file=sys.stderr)
        code = 1
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)
