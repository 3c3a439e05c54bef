"""A browser that is driven: clicks, keys, sizes and pictures, over Chrome's DevTools protocol.

The protocol's messages go through two pipes (--remote-debugging-pipe), so no package is needed.
"""

import base64
import contextlib
import itertools
import json
import os
import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.browser import find_browser

PATIENCE = 120  # seconds until something that should happen is missed; only what hangs takes them


class Tab:
    """One page of a browser."""

    def __init__(self, sending: int, receiving: int):
        self.sending, self.receiving = sending, receiving
        self.numbers, self.left, self.session = itertools.count(1), b"", None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """What a method of the protocol returns; AssertionError where it fails."""
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": parameters}
        message |= {"sessionId": self.session} if self.session else {}
        os.write(self.sending, json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != number:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self.left:
            assert select.select([self.receiving], [], [], PATIENCE)[0], "the browser is silent"
            self.left += os.read(self.receiving, 2**16)
        message, self.left = self.left.split(b"\0", 1)
        return json.loads(message)

    def show(self, width: int, height: int, dark: bool) -> None:
        """Have a screen of this size, by day or by night."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)

    def ask(self, script: str) -> Any:
        """The value of an expression in JavaScript."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait_for(self, script: str) -> Any:
        """The value of an expression as soon as it is true."""
        end = time.monotonic() + PATIENCE
        while not (found := self.ask(script)):
            assert time.monotonic() < end, f"never true: {script}"
            time.sleep(0.05)
        return found

    def click(self, selector: str) -> None:
        """Click on the middle of an element, which is scrolled into view."""
        x, y, *_ = self.place(selector)
        self.drag([(x, y)])

    def place(self, selector: str) -> list[float]:
        """An element's middle, width and height in the window."""
        find = f"document.querySelector({json.dumps(selector)})"
        self.wait_for(f"!!{find}")
        return self.ask(
            f"(() => {{const e = {find}; e.scrollIntoView({{block: 'center'}});"
            "const r = e.getBoundingClientRect();"
            "return [r.x + r.width / 2, r.y + r.height / 2, r.width, r.height]})()"
        )

    def drag(self, points: list[tuple[float, float]]) -> None:
        """Press the mouse at the first point, move over the others, and let go at the last."""
        kinds = ["mousePressed", *["mouseMoved"] * (len(points) - 1), "mouseReleased"]
        self._mouse("mouseMoved", points[0], held=False)
        for kind, point in zip(kinds, [*points, points[-1]], strict=True):
            self._mouse(kind, point, held=kind != "mouseReleased")

    def _mouse(self, kind: str, point: tuple[float, float], held: bool) -> None:
        self.call(
            "Input.dispatchMouseEvent",
            type=kind,
            x=point[0],
            y=point[1],
            button="left",
            buttons=int(held),
            clickCount=1,
        )

    def screenshot(self, file: Path) -> None:
        found = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(found["data"]))


@contextlib.contextmanager
def driven_tab(folder: Path) -> Iterator[Tab]:
    """A tab of a headless browser with a profile in a folder; skips the test without a browser."""
    if os.name != "posix":
        pytest.skip("the browser is driven through pipes, which needs POSIX")
    browser = find_browser()
    (read_commands, sending), (receiving, write_answers) = os.pipe(), os.pipe()
    # The browser reads commands from 3 and answers on 4
    script = f'exec "$@" 3<&{read_commands} 4>&{write_answers}'
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    process = subprocess.Popen(
        ["bash", "-c", script, "bash", browser, "--headless", "--remote-debugging-pipe", *root,
         "--enable-unsafe-swiftshader", f"--user-data-dir={folder / 'profile'}"],
        pass_fds=(read_commands, write_answers), stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(read_commands), os.close(write_answers)
    try:
        yield Tab(sending, receiving)
    finally:
        process.kill()
        process.wait()
        os.close(sending), os.close(receiving)
