"""Made-up submissions' own code in this process, whatever libs it has imported before."""

import contextlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path


def is_libs(name: str) -> bool:
    return name.split(".")[0] == "libs"


@contextlib.contextmanager
def libs_of(code_folder: Path) -> Iterator[None]:
    """Within this context `libs` is that of a submission."""
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if is_libs(name)}
    sys.path.insert(0, str(code_folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(code_folder))
        for name in [name for name in sys.modules if is_libs(name)]:
            del sys.modules[name]
        sys.modules.update(kept)
