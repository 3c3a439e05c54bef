"""The pretended second device: what fails on a GPU fails there, and nothing else does."""

import subprocess
import sys

import pytest
import torch
from autograder.worker.devices import AWAY, MISMATCH, Away, Devices

from helpers.files import ROOT
from libs.ddim import sample_ddim
from libs.edm import heun_step
from libs.metrics.fid import frechet_distance
from libs.stable_diffusion import guided_eps


@torch.jit.script
def scripted(x: torch.Tensor) -> torch.Tensor:
    return x * 2


def away(*shape: int) -> torch.Tensor:
    """Random numbers on the second device."""
    return torch.randn(shape).as_subclass(Away)


SOUND = {
    "moved": lambda x: x + torch.randn(x.shape).to(x.device),
    "moved as another": lambda x: x + torch.zeros(x.shape, dtype=torch.float64).to(x),
    "like": lambda x: x + torch.randn_like(x).double(),
    "new": lambda x: x * x.new_ones(3)[:, None],
    "named": lambda x: x + torch.full(x.shape, 2.0, device=x.device),
    "a number": lambda x: x * torch.tensor(2.0),
    "an index": lambda x: x[torch.arange(2)],
    "a slice filled": lambda x: x.clone().index_fill_(0, torch.tensor([0], device=x.device), 1.0),
    "joined": lambda x: torch.cat([x, x.flip(0)]).chunk(2)[1] + torch.stack(list(x)),
    "numbers": lambda x: torch.tensor([float(row.sum()) for row in x]),
    "scripted": lambda x: x + scripted(x),
    "if on a GPU": lambda x: x + torch.randn(x.shape, device="cuda" if x.is_cuda else "cpu"),
    "unless on a CPU": lambda x: x + (torch.ones(4) if x.is_cpu else torch.ones(4).cuda()),
    "by number": lambda x: x + torch.randn(x.shape).to(x.get_device()),
    "made by number": lambda x: x + torch.randn(x.shape, device=torch.get_device(x)),
    "by type": lambda x: x + torch.randn(x.shape).type(x.type()),
    "another type": lambda x: x + x.type(torch.float64) + x.type("torch.cuda.DoubleTensor"),
    "eigenvalues": lambda x: torch.linalg.eigh(x @ x.T).eigenvalues[:, None] + x,
}
FAULTY = {
    "randn": lambda x: x + torch.randn(x.shape),
    "arange": lambda x: x * torch.arange(4),
    "zeros": lambda x: torch.zeros(6, 4).add_(torch.cat([x, x])),
    "brought back": lambda x: x.cpu() + x,
    "joined": lambda x: torch.cat([x, torch.zeros(1, 4)]),
    "by type": lambda x: x + torch.randn(x.shape).type("torch.FloatTensor"),
    "in double": lambda x: x + torch.randn(x.shape).type(torch.float64),
    "in a function": lambda x: torch.nn.functional.mse_loss(x, torch.ones(3, 4)),
}


@pytest.mark.parametrize("name", SOUND)
def test_what_a_gpu_allows_works(name):
    """Operations that work on a GPU work on the pretended device."""
    with Devices():
        x = away(3, 4)
        assert x.device == AWAY
        assert (x.is_cuda, x.is_cpu, x.get_device()) == (True, False, 0)
        assert (torch.ones(2).is_cuda, torch.ones(2).get_device()) == (False, -1)
        SOUND[name](x)


@pytest.mark.parametrize("name", FAULTY)
def test_what_a_gpu_refuses_fails(name):
    """Operations that mix devices fail as on a GPU."""
    with Devices(), pytest.raises(RuntimeError, match=MISMATCH):
        FAULTY[name](away(3, 4))


def test_the_reference_works_there():
    """The bonus functions of the reference pass on the pretended device."""
    with Devices():
        x, bars = away(2, 1, 4, 4), torch.linspace(0.9, 0.1, 9).as_subclass(Away)
        found = [
            sample_ddim(lambda x, t: x * t[:, None, None, None], x, bars, [8, 3], eta=1.0),
            heun_step(lambda x, sigma: x / 2, x, 3.0, 1.0),
            guided_eps(lambda x, c, t: x / 2, x, torch.arange(2, device=x.device), x, x, 2.0),
        ]
        assert all(isinstance(value, Away) for value in found)
        square = torch.eye(3, device=x.device, dtype=torch.float64)
        assert frechet_distance(square[0], square, square[0], square) == pytest.approx(0, abs=1e-9)


def test_nothing_of_torchs_compiler_is_imported():
    """It would take seconds in each worker."""
    code = "import torch; from autograder.worker.devices import *\nwith Devices():\n"
    code += "  x = torch.ones(3).as_subclass(Away); x = (x * torch.zeros_like(x)).sum()\n"
    code += "import sys; assert 'torch._dynamo' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
