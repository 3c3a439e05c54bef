"""Tensors, weights and modes: from what the judge sends to what a call gets, and back."""

import contextlib
from collections.abc import Iterator
from typing import Any, TypeVar
from unittest import mock

import numpy as np
import torch
from torch import nn

from autograder.sandbox.wire import DTYPES, NAMES
from autograder.worker.devices import Away, Devices

MOVED = 0.5  # added to the parameters that the judge gives no values for
SHORT = (type(None), bool, int, float)
PLAIN = (*SHORT, str)
Module = TypeVar("Module", bound=nn.Module)
BUFFERS = (
    "betas sqrt_recip_alphas sqrt_alphas_cumprod sqrt_one_minus_alphas_cumprod posterior_variance "
    "sigma_data"
).split()


class Weights:
    """Within this context a module's parameters hold the values that the judge gave.

    Parameters without given values are moved by MOVED, so that it shows if they matter.

    Raises:
        AttributeError: the module has no parameter with this name and shape.
    """

    def __init__(self, module: nn.Module, given: dict[str, np.ndarray]) -> None:
        self.own = dict(module.named_parameters()) if given else {}
        self.given = {name: tensor(array) for name, array in given.items()}
        for name, value in self.given.items():
            if name not in self.own or self.own[name].shape != value.shape:
                kind, shape = type(module).__name__, list(value.shape)
                raise AttributeError(f"{kind} has no attribute {name} of the shape {shape}")

    def __enter__(self) -> "Weights":
        self.before = {name: own.detach().clone() for name, own in self.own.items()}
        with torch.no_grad():
            for name, own in self.own.items():
                own.copy_(self.given[name] if name in self.given else own + MOVED)
                own.grad = None
        return self

    def __exit__(self, *error: object) -> None:
        with torch.no_grad():
            for name, own in self.own.items():
                own.copy_(self.before[name])
                own.grad = None

    def lost(self) -> list[str]:
        """The names of given parameters whose values have changed."""
        return [name for name, value in self.given.items() if not same(self.own[name], value)]

    def gradients(self) -> dict[str, float]:
        """The norm of the gradient that reached each given parameter."""
        grads = {name: self.own[name].grad for name in self.given}
        return {name: float(g.norm()) for name, g in grads.items() if g is not None}


def buffer_copies(built: Any) -> dict[str, torch.Tensor]:
    """Copies of the buffers of a model, by name, to see later whether a call changed them."""
    buffers = {name: getattr(built, name) for name in BUFFERS if hasattr(built, name)}
    return {n: b.detach().clone() for n, b in buffers.items() if torch.is_tensor(b)}


def in_mode(module: Module, training: bool) -> Module:
    """Set a module's mode. `train` is not called if all its parts are in this mode already."""
    waiting: list[nn.Module | None] = [module]
    seen = {id(None)}
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        if not isinstance(part, nn.Module) or part.training is not training:
            return module.train(training)
        seen.add(id(part))
        waiting += part._modules.values()
    return module


def tensor(array: np.ndarray) -> torch.Tensor:
    """A tensor with a copy of the array's values, always on the CPU."""
    return torch.from_numpy(np.array(array))


@contextlib.contextmanager
def moved_away(module: nn.Module) -> Iterator[None]:
    """Within this context a module is on the second device, and all tensors know their device."""
    with contextlib.ExitStack() as stack:
        for part in module.modules():
            for held in (part._buffers, part._parameters):
                stack.enter_context(mock.patch.dict(held, as_away(held)))
        stack.enter_context(Devices())
        yield


def as_away(named: dict[Any, Any]) -> dict[Any, Any]:
    """A copy with the tensors on the second device."""
    return {k: v.as_subclass(Away) if torch.is_tensor(v) else v for k, v in named.items()}


def as_tensors(given: dict[Any, Any], away: bool = False) -> dict[Any, Any]:
    """The arguments with arrays converted to tensors, and with copies of lists."""
    found = {k: tensor(v) if isinstance(v, np.ndarray) else v for k, v in given.items()}
    if away:
        found = as_away(found)
    return {k: list(v) if isinstance(v, list) else v for k, v in found.items()}


def changed(given: dict[Any, Any], tensors: dict[Any, Any]) -> list[Any]:
    """The positions and names of arguments that differ from what the judge sent."""
    arrays = {key: value for key, value in given.items() if isinstance(value, np.ndarray)}
    found = [key for key, array in arrays.items() if not same(tensor(array), tensors[key])]
    lists = {key: value for key, value in given.items() if isinstance(value, list)}
    return found + [key for key, value in lists.items() if pack(tensors[key]) != value]


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether shape, dtype and bits are equal, including NaN."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return a.detach().numpy().tobytes() == b.detach().numpy().tobytes()


def pack(value: Any) -> Any:
    """A value that the wire can carry: tensors as arrays, unknown objects as their type's name.

    Arrays are copies, since they may be sent after student code has changed the tensor.
    """
    if type(value) in PLAIN:
        return value
    if torch.is_tensor(value):
        name = str(value.dtype).removeprefix("torch.")
        if value.device.type != "cpu":
            return {"tensor": name, "device": value.device.type, "shape": list(value.shape)}
        plain = value.detach()
        array = (plain if name in DTYPES else plain.float()).numpy().copy()
        return {"tensor": name, "array": array}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray) and value.dtype in NAMES:
        return {"tensor": f"numpy {NAMES[value.dtype]}", "array": value.copy()}
    if isinstance(value, list | tuple):
        return [pack(item) for item in value]
    if isinstance(value, dict):
        return {str(key): pack(item) for key, item in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return {"type": type(value).__name__}
