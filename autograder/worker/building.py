"""Importing a submission's modules and constructing their classes, with empty networks inside."""

import contextlib
import importlib
import os
import sys
import tempfile
import types
from typing import Any
from unittest import mock

import torch
from torch import nn


def submitted(module: str) -> types.ModuleType:
    """Import libs.MODULE.

    A broken libs/ddim.py must not cost the points of libs/stable_diffusion.py, whose calls to it go
    to a double. If importing the latter fails because of it, an empty module replaces it.
    """
    try:
        return importlib.import_module(f"libs.{module}")
    except Exception:
        if module != "stable_diffusion" or "libs.ddim" in sys.modules:
            raise
    sys.modules["libs.ddim"] = stand_in_module("libs.ddim")
    try:
        return importlib.import_module(f"libs.{module}")
    finally:
        del sys.modules["libs.ddim"]


def construct(module: str, made: Any, kwargs: dict[str, Any]) -> Any:
    """Construct a class with empty networks inside; with real ones if that fails."""
    try:
        with hollow_networks(module) if module != "unet" else contextlib.nullcontext():
            return made(**kwargs)
    except Exception:
        return made(**kwargs)


@contextlib.contextmanager
def files_without_weights() -> Any:
    """The path of an empty checkpoint; within this context any module can load it."""
    load = nn.Module.load_state_dict

    def lenient(self: nn.Module, state: Any, *args: Any, **kwargs: Any) -> Any:
        return load(self, state, *args, **kwargs) if state else load(self, {}, strict=False)

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "weights.pth")
        torch.save({}, path)
        with mock.patch.object(nn.Module, "load_state_dict", lenient):
            yield path


class HollowUNet(nn.Module):
    """Replaces a UNet whose output is not used; its one parameter has the device.

    Code may ask it for anything that the real one has, which is built then.
    """

    real: type[nn.Module] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.parameter = nn.Parameter(torch.zeros(1))
        self.__dict__.update(given=(args, kwargs), whole=None)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if self.real is None or "given" not in vars(self) or name.startswith("_"):
                raise
        if self.whole is None:
            args, kwargs = self.given
            self.__dict__["whole"] = self.real(*args, **kwargs)
        return getattr(self.whole, name)


class HollowAutoencoder(HollowUNet):
    """Replaces a TAESD, whose two halves doubles will replace."""

    factor, channels = 8, 4

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.encoder, self.decoder = HollowUNet(), HollowUNet()


@contextlib.contextmanager
def hollow_networks(module: str) -> Any:
    """Within this context libs.MODULE uses empty networks, since building real ones is slow."""
    names = ("unet", "tiny_autoencoder", "latent_space", "ddpm", module)
    libs = {name: sys.modules.get(f"libs.{name}") for name in names}
    hollow = {"UNet": ("unet", HollowUNet), "TAESD": ("tiny_autoencoder", HollowAutoencoder)}
    with contextlib.ExitStack() as stack:
        for name, (home, stand_in) in hollow.items():
            real = getattr(libs[home], name, None)
            if hasattr(real, "encode") or hasattr(real, "decode"):
                continue  # it has methods of its own that matter
            posing: Any = type(name, (stand_in,), {"real": real})
            for user in map(libs.get, dict.fromkeys((home, "latent_space", "ddpm", module))):
                if real is not None and getattr(user, name, None) is real:
                    stack.enter_context(mock.patch.object(user, name, posing))
            if real is not None:
                for initialise in (*initialisers(libs["ddpm"]), *initialisers(libs[module])):
                    stack.enter_context(default_replaced(initialise, real, posing))
        yield


def initialisers(module: Any) -> list[types.FunctionType]:
    """The __init__ of each class that a module defines; none if it is not imported."""
    if module is None:
        return []
    classes: list[Any] = [kind for kind in vars(module).values() if isinstance(kind, type)]
    own = [kind.__init__ for kind in classes if kind.__module__ == module.__name__]
    return [made for made in own if isinstance(made, types.FunctionType)]


@contextlib.contextmanager
def default_replaced(function: types.FunctionType, real: Any, stand_in: Any) -> Any:
    """Within this context, a stand-in replaces the real class in a function's defaults."""
    before = function.__defaults__, function.__kwdefaults__
    positional, named = before[0] or (), before[1] or {}
    function.__defaults__ = tuple(stand_in if value is real else value for value in positional)
    function.__kwdefaults__ = {k: stand_in if v is real else v for k, v in named.items()}
    try:
        yield
    finally:
        function.__defaults__, function.__kwdefaults__ = before


def stand_in_module(path: str) -> types.ModuleType:
    """A module that replaces the network's; each of its classes is an empty network."""
    module: Any = types.ModuleType(path)
    module.UNet = HollowUNet
    module.sized = lambda *args, **kwargs: {}  # of the former kit's variants: options of the UNet

    def other(name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return HollowUNet

    module.__getattr__ = other
    return module
