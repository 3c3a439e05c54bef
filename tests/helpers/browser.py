"""A real browser for tests of pages: finds one, opens a page in it, reads what a script saw."""

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ["chromium", "chromium-browser", "google-chrome", "chrome"]


def find_browser() -> str:
    """The program of a browser; skips the test where none is installed."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"no browser here: none of {', '.join(BROWSERS)} is installed")
    return browser


def open_in_browser(page: str, folder: Path, *flags: str) -> Any:
    """Open a page headless, and return what its script wrote into <pre id="found"> as JSON.

    Skips the test where no browser is installed.

    Args:
        page: HTML, written into `folder`.
        flags: of the browser, besides those that keep it quiet.
    """
    browser = find_browser()
    file = folder / "opened.html"
    file.write_text(page, encoding="utf-8")
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    process = subprocess.run(
        [browser, "--headless", "--disable-gpu", "--hide-scrollbars", *root, *flags, "--dump-dom",
         f"--user-data-dir={folder / 'profile'}", file.as_uri()],
        capture_output=True, encoding="utf-8", timeout=120, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    found = re.search(r'<pre id="found">(.+?)</pre>', process.stdout, re.S)
    assert found, process.stderr[-2000:]
    return json.loads(html.unescape(found[1]))


def luminance(colour: str) -> float:
    """Relative luminance as WCAG defines it, of #rgb or #rrggbb."""
    digits = colour if len(colour) == 7 else "#" + "".join(c * 2 for c in colour[1:])
    channels = [int(digits[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(ink: str, ground: str) -> float:
    """The ratio of WCAG between two colours, 1 to 21."""
    dark, light = sorted((luminance(ink), luminance(ground)))
    return (light + 0.05) / (dark + 0.05)


def colour_sets(style: Path) -> list[dict[str, str]]:
    """The named colours of a style sheet: those by day, and those by night."""
    blocks = re.findall(r":root \{.*?\}", style.read_text(encoding="utf-8"), re.S)
    return [dict(re.findall(r"--([\w-]+): (#\w+);", block)) for block in blocks]
