"""Makes a worker resemble the machine on which a submission was written, as far as possible.

Nothing here judges; it keeps code that ran before it was handed in from failing. Compiled code runs
uncompiled, command-line arguments get their defaults, and what only shows pictures and progress is
replaced by something that shows nothing.
"""

import argparse
import code
import contextlib
import importlib
import importlib.abc
import importlib.machinery
import os
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.utils._device
from torch.overrides import TorchFunctionMode

from autograder.worker.devices import here, is_away_name

# Packages that only show or log; a stand-in replaces each that is not installed.
SHOWS = {"IPython", "ipywidgets", "matplotlib", "seaborn", "tensorboard", "tensorboardX", "wandb"}
MAX_LINKS = 50  # to the contents of the folder code
NOTHING_TO_DO = (
    "empty_cache manual_seed manual_seed_all reset_peak_memory_stats set_device synchronize"
).split()
ZERO = "current_device max_memory_allocated memory_allocated max_memory_reserved".split()


def spare() -> None:
    """Turn off what pays only in long runs: bytecode files, and oneDNN, which compiles code for
    every new shape."""
    sys.dont_write_bytecode = True
    torch.backends.mkldnn.set_flags(False)


def furnish(code_folder: str) -> None:
    """Prepare this process for a submission's modules, and change to a folder to run them in."""
    sys.path.insert(0, code_folder)
    sys.meta_path.insert(0, OtherNames(code_folder))
    sys.meta_path.append(StandIns())
    torch.compile = uncompiled
    with_defaults(argparse.ArgumentParser)
    move_in(code_folder)


def move_in(code_folder: str) -> None:
    """Change to a folder from which relative paths work as they did for the authors.

    It contains links to the contents of the top folder and of `code`; so does its parent folder.
    """
    os.makedirs("top/run", exist_ok=True)
    names = [name for name in sorted(os.listdir(code_folder)) if name not in ("code", "run")]
    for folder in ("top", "top/run"):
        links = {name: f"{code_folder}/{name}" for name in names[:MAX_LINKS]}
        links["code"] = code_folder
        for name, target in links.items():
            with contextlib.suppress(OSError):
                os.symlink(target, f"{folder}/{name}")
    os.chdir("top/run")


class OtherNames(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds `libs` also as `code.libs`, and tqdm.notebook as plain tqdm.

    Python has a module named `code`, so the name would lead to the submission only from the
    submission's top folder.
    """

    def __init__(self, code_folder: str) -> None:
        code.__path__ = [code_folder]
        self.specs: dict[str, Any] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """A spec for these other names."""
        if name in ("code.libs", "tqdm.notebook") or name.startswith("code.libs."):
            return importlib.machinery.ModuleSpec(name, self)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """The module that the other name means."""
        other = "tqdm.std" if spec.name == "tqdm.notebook" else spec.name.removeprefix("code.")
        module = importlib.import_module(other)
        self.specs[spec.name] = module.__spec__
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        """The module has already run under its own name; restore its spec."""
        module.__spec__ = self.specs[module.__spec__.name]


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Replaces packages that only show things, if they are missing, by modules that do nothing."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """A spec if nothing else has found the package."""
        if name.partition(".")[0] not in SHOWS:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """A module that has every name."""
        return Showing(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """There is nothing to execute."""


class Showing(types.ModuleType):
    """A module whose every name is a `Nothing`."""

    __version__ = "99.0"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Nothing()


class Nothing:
    """Can be called, entered, indexed and unpacked, and does nothing."""

    def __call__(self, *args: Any, **kwargs: Any) -> "Nothing":
        return self

    def __getattr__(self, name: str) -> "Nothing":
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __enter__(self) -> "Nothing":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __getitem__(self, key: Any) -> "Nothing":
        return self

    def __setitem__(self, key: Any, value: Any) -> None:
        return None

    def __iter__(self) -> Any:
        return iter((self, self))


def uncompiled(model: Any = None, **_: Any) -> Any:
    """Replaces torch.compile, which takes minutes and needs files that a worker lacks."""
    return model if model is not None else lambda function: function


def with_defaults(parser: type[argparse.ArgumentParser]) -> None:
    """Let modules parse the command line at import: required arguments get their defaults."""
    parse = parser.parse_known_args

    def lenient(self: Any, args: Any = None, namespace: Any = None) -> Any:
        if args is None:
            for wanted in (*self._actions, *self._mutually_exclusive_groups):
                wanted.required = False
        return parse(self, args, namespace)

    parser.parse_known_args = lenient  # type: ignore[method-assign]  # for earlier importers, too


class Gpu(TorchFunctionMode):
    """Within this context, naming a GPU means the CPU."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") == "cuda":
            return args[0]
        if func is torch.device:  # only the name
            return func(*args, **(kwargs or {}))
        kwargs = {name: here(value) for name, value in (kwargs or {}).items()}
        return func(*[here(value) for value in args], **kwargs)


def pretend_gpu() -> None:
    """From now on, pretend that there is a GPU, which is really the CPU."""
    device_context = torch.utils._device.DeviceContext
    start = device_context.__init__

    def begin(self: Any, device: Any) -> None:
        self.is_away = is_away_name(device)  # for the pretended second device
        start(self, here(device))

    device_context.__init__ = begin
    answers: dict[str, Callable] = {
        "is_available": lambda: True,
        "is_bf16_supported": lambda *_: True,
        "device_count": lambda: 1,
        "get_device_name": lambda *_: "GPU",
        **{name: lambda *_, **__: None for name in NOTHING_TO_DO},
        **{name: lambda *_: 0 for name in ZERO},
    }
    for name, answer in answers.items():
        setattr(torch.cuda, name, answer)
    Gpu().__enter__()
