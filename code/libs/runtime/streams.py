"""Random numbers: generators that depend on their key alone, and torch's own put back."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

# What random numbers are for: the number in a generator's key that keeps one use apart from others.
STEP_STREAM = 1  # time steps and noise of training
EVAL_STREAM = 2  # those of validation
SAMPLE_STREAM = 3  # the noise of samples
DROPOUT_STREAM = 5
LATENT_STREAM = 6  # the noise of an autoencoder's latents, in its training
CAPTION_STREAM = 6  # which of an image's captions is drawn; its key has no seed


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
    """A context with freshly seeded global generators, of the CPU and of a device.

    Afterwards they go on as if nothing had been drawn. For the CPU alone those of GPUs are left as
    they are: what is drawn there, such as noise, would repeat itself after each such context.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        if device.type == "cpu":
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)  # of all devices
        yield
