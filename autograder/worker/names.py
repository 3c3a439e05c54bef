"""What a submission calls the things of the contract."""

import functools
import inspect
import sys
from typing import Any

from autograder.sandbox.wire import CHAIN
from autograder.worker.building import HollowUNet

LABELS = {"label", "labels", "y", "c", "class_label", "class_labels", "classes"}
TIMES = {"time", "times", "t", "timestep", "timesteps", "step"}
NOISES = {"noise", "eps", "epsilon"}
HALVES = {  # names of an autoencoder's halves, as modules or methods, in the order of the search
    "vae.encoder": ("encoder", "encode", "vae_encoder"),
    "vae.decoder": ("decoder", "decode", "vae_decoder"),
}


def own_path(built: Any, path: str) -> str:
    """The attribute that is vae.encoder or vae.decoder in the contract; other paths stay.

    The autoencoder may have another name; its halves may be methods, or belong to the model itself.
    """
    if path not in HALVES:
        return path
    children = [name for name, _ in built.named_children() if name != "model"]
    for name in (*dict.fromkeys(["vae", *children]), ""):
        owner = getattr(built, name, None) if name else built
        for half in HALVES[path]:
            if hasattr(owner, half):
                return f"{name}.{half}" if name else half
    return path


def method_of(built: Any, name: str) -> Any:
    """A method by its name in the contract, or by its name in another edition."""
    if name in CHAIN and not hasattr(built, name):
        return getattr(built, next((other for other in CHAIN if hasattr(built, other)), name))
    return getattr(built, name)


def lacks_time(function: Any, place: int) -> bool:
    """Whether a function takes the noise, and not the time step, at this position."""
    named = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    if len(named) <= place:
        return False
    there, is_last = named[place], len(named) == place + 1
    is_noise = there.name in NOISES or (is_last and not there.name.startswith("t"))
    return there.default is not there.empty and is_noise


def own_names(network: Any) -> dict[str, str]:
    """The contract's argument names, by the network's own, if it takes the time before the label.

    Empty for all other networks.
    """
    kind: Any = type(network)
    if issubclass(kind, HollowUNet):
        kind = kind.real or getattr(sys.modules.get("libs.unet"), "UNet", kind)
    try:
        names = inputs_of(kind)
    except (TypeError, ValueError, AttributeError):
        return {}
    if len(names) == 3 and names[1] in TIMES and names[2] in LABELS:
        return dict(zip(names, ("x", "time", "label"), strict=True))
    return {}


@functools.lru_cache
def inputs_of(kind: Any) -> list[str]:
    """The names of the first three inputs of a network's class."""
    return list(inspect.signature(kind.forward).parameters)[1:4]


def in_own_order(network: Any, arguments: list[Any]) -> list[Any]:
    """The arguments x, label and time in the order in which a network takes them."""
    if len(arguments) != 3 or not own_names(network):
        return arguments
    x, label, time = arguments
    return [x, time, label]
