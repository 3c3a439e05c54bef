"""The kit's own folder, real data and weights where they are, and names of any letters."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SANDBOXED = Path(__file__).with_name("sandboxed")  # what workers import and run in the sandbox

# Where the locale is plain ASCII, Python can give no file a name of other letters.
any_name = pytest.mark.skipif(
    sys.getfilesystemencoding().lower() != "utf-8", reason="file names here are not UTF-8"
)


def find_asset(relative: str) -> Path:
    """A real file or folder below the project's root or below ../shared; skips where neither is."""
    for base in (ROOT, ROOT.parent / "shared"):
        if (base / relative).exists():
            return base / relative
    pytest.skip(f"needs the real files in {relative}, which are not here")
