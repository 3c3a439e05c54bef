"""An exponential moving average of a model's weights, which samples better than the weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class EMA:
    """Average of all trained parameters, warmed up so that it forgets the first steps quickly.

    After n updates the decay is min(decay, (1 + n) / (10 + n)): with a fixed decay of 0.999 the
    random initial weights would dominate for about a thousand steps.
    """

    def __init__(self, model: nn.Module, decay: float = 0.999):
        self.decay = decay
        self.updates = 0
        self.parameters = {k: p for k, p in model.named_parameters() if p.requires_grad}
        self.average = {k: p.detach().clone() for k, p in self.parameters.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the current weights."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        average, current = list(self.average.values()), list(self.parameters.values())
        torch._foreach_lerp_(average, current, 1 - decay)

    @torch.no_grad()
    def restart(self) -> None:
        """Begin again with the current weights."""
        self.updates = 0
        for key, parameter in self.parameters.items():
            self.average[key].copy_(parameter)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within this context the model has the averaged weights."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for key, parameter in self.parameters.items():
            current = parameter.clone()
            parameter.copy_(self.average[key])
            self.average[key].copy_(current)

    def state_dict(self) -> dict[str, int | dict[str, Tensor]]:
        """What a checkpoint needs to go on."""
        return {"updates": self.updates, "average": self.average}

    @torch.no_grad()
    def load_state_dict(self, state: dict) -> None:
        """Go on from what state_dict returned."""
        self.updates = state["updates"]
        for key, value in state["average"].items():
            self.average[key].copy_(value)
