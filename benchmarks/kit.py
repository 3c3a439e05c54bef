"""Imported first by each script here: finds the kit's code, and names a package that is missing."""

import importlib.util
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "code"))

from libs.runtime import cli


def check_packages() -> None:
    """Raise ModuleNotFoundError unless what every script needs is installed."""
    for name in ("numpy", "torch", "yaml"):
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)


cli.run(check_packages)
