"""Random numbers: streams that depend on their key alone, and states that are kept."""

import contextlib

import torch

from libs.runtime.streams import fork_rng, generator_for, rng_state, set_rng_state


def test_generator_depends_on_all_its_numbers():
    """Every number of the key, and its place, changes the stream; nothing else does."""
    keys = [(0,), (1,), (0, 0), (0, 1), (1, 0), (0, 0, 0), (0, 1, 0), (7, 2**40), (7, 2**40 + 1)]
    keys += [(3, step) for step in range(500)] + [(-1, 2), (1, 2)]
    draws = {}
    for i, key in enumerate(keys):
        torch.manual_seed(i)
        draws[key] = tuple(torch.rand(4, generator=generator_for(*key)).tolist())
    assert len(set(draws.values())) == len(keys)
    assert tuple(torch.rand(4, generator=generator_for(1, 0)).tolist()) == draws[1, 0]


def test_generators_of_neighbouring_steps_are_independent():
    """First draws of consecutive steps spread like random numbers."""
    first = torch.stack([torch.rand(3, generator=generator_for(0, 1, s)) for s in range(2000)])
    assert (first.mean(0) - 0.5).abs().max() < 4 / (12 * 2000) ** 0.5
    neighbours = torch.cat([first[1:], first[:-1]], dim=1)
    assert torch.corrcoef(neighbours.T).fill_diagonal_(0).abs().max() < 0.1


def test_fork_rng_leaves_outer_state():
    """Within `fork_rng` numbers follow from its seed; afterwards the outer stream goes on."""
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    drawn = [torch.rand(2)]
    inner = []
    for _ in range(2):
        with fork_rng(1, torch.device("cpu")):
            inner.append(torch.rand(3))
    drawn.append(torch.rand(2))
    assert torch.equal(torch.cat(drawn), expected)
    assert torch.equal(*inner)


def test_fork_rng_of_the_cpu_leaves_gpus_alone(monkeypatch):
    """Protects: noise drawn on a GPU between images, whose augmentation is seeded on the CPU."""
    seeded: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    monkeypatch.setattr(torch.random, "fork_rng", lambda devices: contextlib.nullcontext())
    with fork_rng(1, torch.device("cpu")):
        assert not seeded
    with fork_rng(2, torch.device("cuda")):
        assert seeded == [2]


def test_rng_state_round_trip():
    """The global generator goes on from a state that was kept."""
    torch.manual_seed(1)
    state = rng_state()
    expected = torch.rand(3)
    torch.manual_seed(2)
    set_rng_state(state)
    assert torch.equal(torch.rand(3), expected)
