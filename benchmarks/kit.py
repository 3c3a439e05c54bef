"""Imported first by each script here: finds the kit's code, and names a package that is missing."""

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "code"))

from libs.runtime import cli
from libs.utils import UserError


def check_packages() -> None:
    """Raise ModuleNotFoundError unless what every script needs is installed."""
    for name in ("numpy", "torch", "yaml"):
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure of matplotlib's, of this many inches; UserError where that is missing."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError("the plot needs a package: pip install matplotlib") from None
    return Figure(figsize=(width, height), layout="constrained")


cli.run(check_packages)
