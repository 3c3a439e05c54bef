"""A simulated second device, for every machine: tensors keep their values and know their device.

On a GPU, code fails if it makes a tensor on the CPU and adds it to its input. Torch's own "meta"
device has no values, and its first sum imports torch's compiler, which takes seconds. Here tensors
really stay on the CPU, and `Devices` checks what they are mixed with. Asked in any of torch's ways,
they say that they are on a GPU.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack
from torch.utils._device import DeviceContext

AWAY = torch.device("cuda", 0)  # the device that tensors on the second device report
MISMATCH = "Expected all tensors to be on the same device"
CHANGES = ("to", "type", "type_as", "cpu")  # methods that may move a tensor
MOVES = (*CHANGES, "cuda", "copy_", "__setitem__")


class Away(torch.Tensor):
    """A tensor on the second device."""


class Home(torch.Tensor):
    """A tensor made without naming a device, or moved to the CPU.

    The device of other tensors, such as those that compiled code returns, is unknown.
    """


ANSWERS: dict[Any, tuple[Any, Any]] = {  # on the CPU, on the second device
    torch.Tensor.device: (torch.device("cpu"), AWAY),
    torch.Tensor.is_cpu: (True, False),
    torch.Tensor.is_cuda: (False, True),
    torch.Tensor.get_device: (-1, AWAY.index),
    torch.get_device: (-1, AWAY.index),
}


class Devices(TorchFunctionMode):
    """Within this context tensors know their device, and those of different devices do not mix."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        given = list(tensors_in((args, kwargs)))
        is_away = any(isinstance(value, Away) for value in given)
        asked = func if func in ANSWERS else getattr(func, "__self__", None)
        if asked in ANSWERS and len(args) == 1:
            return ANSWERS[asked][is_away]
        if name == "type" and len(args) == 1 and is_away:
            return args[0].type().replace("torch.", "torch.cuda.")
        if type(kwargs.get("device")) is int:
            kwargs["device"] = AWAY
        picks = name == "__getitem__" and isinstance(args[0], Away)  # an index may be on any device
        if name not in MOVES and not picks:
            check(given)
        default = Away if is_away_by_default() else Home
        kind = Away if is_away else None if given and not all_home(given) else default
        if name == "cuda":
            return args[0].as_subclass(Away)
        if name in CHANGES:
            kind = {AWAY: Away, None: kind}.get(target_of(name, args, kwargs), Home)
            args = tuple(here(AWAY if type(value) is int else value) for value in args)
        elif kwargs.get("device") is not None:
            kind = Away if is_away_name(kwargs["device"]) else Home
        kwargs = {key: here(value) for key, value in kwargs.items()}
        with torch._C.DisableTorchFunctionSubclass():
            result = func(*args, **kwargs)
            if name in CHANGES:
                return result.as_subclass(kind) if kind else result
            return placed(result, kind) if kind else result


def check(values: list[torch.Tensor]) -> None:
    """Raise torch's own error unless the tensors are on one device; scalars may be anywhere.

    Raises:
        RuntimeError: tensors of both devices are mixed.
    """
    homes = [value for value in values if isinstance(value, Home) and value.ndim]
    if homes and any(isinstance(value, Away) for value in values):
        raise RuntimeError(f"{MISMATCH}, but found at least two devices, {AWAY} and cpu!")


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """All tensors in nested lists and dictionaries."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, dict):
        yield from tensors_in(list(value.values()))


def all_home(values: list[torch.Tensor]) -> bool:
    """Whether all tensors are known to be on the CPU."""
    return all(isinstance(value, Home) for value in values)


def is_away_name(value: Any) -> bool:
    """Whether a value names the second device."""
    return isinstance(value, str | torch.device) and str(value).partition(":")[0] == AWAY.type


def is_away_by_default() -> bool:
    """Whether new tensors are on the second device by default, because the code asked for that."""
    modes = _get_current_function_mode_stack()
    return any(
        isinstance(mode, DeviceContext) and getattr(mode, "is_away", False) for mode in modes
    )


def here(value: Any) -> Any:
    """The value, or the CPU if it names the second device; a type's name without the device."""
    if isinstance(value, str) and value.startswith("torch.cuda."):
        return value.replace("torch.cuda.", "torch.")
    return torch.device("cpu") if is_away_name(value) else value


def target_of(name: str, args: tuple, kwargs: dict[str, Any]) -> torch.device | None:
    """The device that `to` and similar methods move to; None if they do not move."""
    if name == "cpu":
        return torch.device("cpu")
    for value in (*args[1:], kwargs.get("device"), kwargs.get("other")):
        if isinstance(value, torch.Tensor):
            return AWAY if isinstance(value, Away) else torch.device("cpu")
        if type(value) is int:
            return AWAY
        if name == "type" and isinstance(value, str):
            return AWAY if value.startswith("torch.cuda.") else torch.device("cpu")
        if isinstance(value, torch.device) or (isinstance(value, str) and name == "to"):
            return AWAY if is_away_name(value) else torch.device(value)
    return None


def placed(value: Any, kind: type[torch.Tensor]) -> Any:
    """A result with its tensors on a device, except those that already have one."""
    if isinstance(value, torch.Tensor):
        return value if isinstance(value, Away | Home) else value.as_subclass(kind)
    if isinstance(value, list | tuple) and next(tensors_in(value), None) is not None:
        return getattr(value, "_make", type(value))([placed(item, kind) for item in value])
    return value
