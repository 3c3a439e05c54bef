"""What all commands share: what a terminal lacks is spelled out, and how they end."""

import contextlib
import io
import os
import select
import sys
from collections.abc import Callable, Iterator
from typing import NoReturn


def run_command(main: Callable[[], int | None]) -> NoReturn:
    """Run a command's main, and exit with what it returns, see `ending_with_its_reader`."""
    for stream in (sys.stdout, sys.stderr):  # a terminal's encoding may lack letters or symbols
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    with ending_with_its_reader():
        sys.exit(main())


@contextlib.contextmanager
def ending_with_its_reader() -> Iterator[None]:
    """Within this context, exit without a traceback once nobody reads the output (`| head`)."""
    try:
        yield
    except BrokenPipeError:
        if not _drop_unread():  # another pipe, such as a worker's
            raise
        sys.exit(141)  # as a shell says of a program that SIGPIPE ended
    finally:
        try:
            print(end="", flush=True)  # what is left for Python's own end would show a traceback
        except BrokenPipeError:
            _drop_unread()


def _drop_unread() -> bool:
    """Let what is written to pipes without a reader go nowhere; whether there are any."""
    found = False
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # no poll, or no file
            pipe = select.poll()
            pipe.register(stream.fileno(), 0)  # 0: errors alone, which are always reported
            if pipe.poll(0):
                with open(os.devnull, "wb") as nowhere:
                    os.dup2(nowhere.fileno(), stream.fileno())
                found = True
    return found
