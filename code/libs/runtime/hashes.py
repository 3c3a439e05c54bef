"""Short texts that change when tensors, files or code do."""

import hashlib
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType

from torch import Tensor, nn


def hash_of(tensors: Mapping[str, Tensor]) -> str:
    """A short text that changes when a name or a value does."""
    digest = hashlib.sha256()
    for name, tensor in tensors.items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def hash_of_files(paths: Iterable[Path]) -> str:
    """A short text that changes when what is in one of the files does."""
    return hashlib.sha256("".join(map(hash_of_file, sorted(paths))).encode()).hexdigest()[:16]


def hash_of_code(*parts: nn.Module | ModuleType) -> str:
    """A short text that changes when the code of networks or modules does.

    Of our own files the content counts, of a package its version. A network's code is that of the
    classes of all its layers, and of what they inherit from.
    """
    names = set()
    for part in parts:
        layers = part.modules() if isinstance(part, nn.Module) else ()
        names |= {kind.__module__ for layer in layers for kind in type(layer).__mro__}
        names |= {part.__name__} if isinstance(part, ModuleType) else set()
    found = set()
    for name in names:
        package = name.split(".")[0]
        version = getattr(sys.modules.get(package), "__version__", None)
        file = getattr(sys.modules.get(name), "__file__", None)
        if version is not None:
            found.add(f"{package} {version}")
        elif file is not None:
            found.add(f"{name} {hash_of_file(Path(file))}")
    return hashlib.sha256(repr(sorted(found)).encode()).hexdigest()[:16]


def hash_of_file(path: Path) -> str:
    """The SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
