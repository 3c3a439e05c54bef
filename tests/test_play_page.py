"""The page of play.py in a real browser: buttons, sliders and the mouse do what they say."""

import os
import socket
import time
from unittest import mock
from urllib.parse import urlparse

import pytest
import torch

from helpers.devtools import PATIENCE, driven_tab
from libs.models.build import load_model
from libs.play.studio import Studio
from libs.utils import UserError

gradio = pytest.importorskip("gradio", reason="gradio is not installed: requirements/play.txt")

from libs.play.page import HOST, build, serve  # noqa: E402

SHARED = {"GRADIO_SHARE": "True", "GRADIO_SERVER_NAME": "0.0.0.0"}  # what would open it to others


@pytest.fixture(scope="module")
def url(run_folder):
    """The address of a page that is served, with an environment that asks to share it."""
    page = build(Studio(load_model(run_folder, torch.device("cpu"))), "digits_run")
    with mock.patch.dict(os.environ, SHARED):
        yield serve(page, None, share=False, opens=False, wait=False)
    page.close()


@pytest.fixture(scope="module")
def tab(url, tmp_path_factory):
    with driven_tab(tmp_path_factory.mktemp("browser")) as tab:
        tab.show(1280, 1000, dark=False)
        tab.open(url)
        tab.wait_for("!!document.querySelector('#draw')")
        yield tab


def shown_in(name):
    """JavaScript for where a picture of the page comes from, as soon as it shows."""
    picture = f"document.querySelector('#{name} img')"
    return f"(e => e && e.complete && e.naturalWidth && e.src)({picture})"


def source(tab, name):
    return tab.wait_for(shown_in(name))


def changed(tab, name, before):
    return tab.wait_for(f"document.querySelector('#{name} img').src !== '{before}'")


def go_to(tab, number):
    """Open one of the page's tabs, and wait for the button in it."""
    tab.ask(f"document.querySelectorAll('button[role=tab]')[{number}].click()")
    button = ("#draw", "#finish", "#fill")[number]
    tab.wait_for(f"!!(e => e && e.offsetWidth)(document.querySelector('{button}'))")


def paint(tab, name, points, button, result):
    """Move the mouse over a canvas, in shares of its picture's size from its middle; then press a
    button, and all again until there is a result: nothing says when a canvas is ready.
    """
    tab.wait_for(f"!!document.querySelector('#{name} canvas')")
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        x, y, *_ = tab.place(f"#{name} canvas")
        side = 250
        tab.drag([(x + side * right, y + side * down) for right, down in points])
        time.sleep(0.5)
        tab.click(button)
        until = time.monotonic() + 10
        while time.monotonic() < until:
            if found := tab.ask(shown_in(result)):
                return found
            time.sleep(0.1)
    raise AssertionError(f"no picture came in {result}")


def test_draws_two_settings_from_one_seed(tab):
    """Both pictures come; another seed gives others."""
    go_to(tab, 0)
    tab.click("#draw")
    first = source(tab, "picture-0")
    source(tab, "picture-1")
    tab.wait_for("!document.querySelector('.generating, .pending')")
    seed = "#seed input"
    tab.click(seed)
    tab.ask(f"document.querySelector('{seed}').select()")
    tab.call("Input.insertText", text="7")
    tab.click("#draw")
    assert changed(tab, "picture-0", first)


def test_finishes_what_the_mouse_draws(tab):
    """An empty canvas is refused in words; what the mouse has drawn is finished."""
    go_to(tab, 1)
    tab.click("#finish")
    said = tab.wait_for("(e => e && e.innerText)(document.querySelector('.toast-body'))")
    assert "nothing on the canvas" in said
    stroke = [(-0.2, -0.3), (0.2, -0.3), (0.0, 0.3)]
    assert paint(tab, "canvas", stroke, "#finish", "finished")


def test_fills_what_the_mouse_erases(tab):
    """A picture comes, is painted over, and is filled."""
    go_to(tab, 2)
    tab.click("#new")
    tab.wait_for("document.querySelector('#hint').innerText.includes('Now paint')")
    assert paint(tab, "gap", [(-0.3, 0.3), (0.3, 0.3), (-0.3, 0.1)], "#fill", "filled")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
def test_fits_the_window(tab, width, dark):
    """Nothing has to be scrolled sideways, on a phone or a desk."""
    tab.show(width, 1000, dark)
    for number in range(3):
        go_to(tab, number)
        root = "document.documentElement"
        assert tab.ask(f"{root}.scrollWidth - {root}.clientWidth") == 0
        assert width - 20 < tab.ask(f"{root}.clientWidth") <= width  # less a scroll bar
    tab.show(1280, 1000, dark=False)


def test_only_this_machine_is_served(url):
    """Whatever the environment asks for: the page listens on 127.0.0.1 alone."""
    place = urlparse(url)
    assert place.hostname == HOST == "127.0.0.1"
    with socket.create_connection((HOST, place.port), timeout=60):
        pass
    address = _own_address()
    if address is None:
        pytest.skip("this machine has no other address than 127.0.0.1")
    with pytest.raises((ConnectionError, TimeoutError)):
        socket.create_connection((address, place.port), timeout=5)


def _own_address() -> str | None:
    """An address by which others reach this machine; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        found = probe.getsockname()[0]
    return None if found.startswith("127.") else found


@pytest.mark.parametrize("share", [False, True])
def test_shared_only_if_asked_for(share):
    """Neither the environment nor a default gives the page a public address."""
    page = mock.Mock()
    page.launch.return_value = None, "http://127.0.0.1:1/", "https://public" if share else None
    with mock.patch.dict(os.environ, SHARED):
        serve(page, None, share, opens=False, wait=False)
    assert page.launch.call_args.kwargs["share"] is share
    assert page.launch.call_args.kwargs["server_name"] == HOST


def test_a_port_that_is_taken_is_named(run_folder):
    """The user learns which flag to change."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        page = build(Studio(load_model(run_folder, torch.device("cpu"))), "digits_run")
        with pytest.raises(UserError, match=f"{port} is taken"):
            serve(page, port, share=False, opens=False, wait=False)
