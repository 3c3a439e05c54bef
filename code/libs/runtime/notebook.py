"""For the notebooks: a cell that fails says why in one sentence, and scripts run in cells.

`%load_ext libs.runtime.notebook` turns it on.
"""

import contextlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from ..utils import ROOT
from . import cli


class Stop(RuntimeError):
    """Ends a cell with what a script said when it failed."""


def load_ipython_extension(shell: Any) -> None:
    """Have each cell that fails end with the sentence of a script, see `show_error`.

    Args:
        shell: IPython's InteractiveShell, which calls this for `%load_ext`.
    """
    shell.set_custom_exc((Exception,), show_error)


def show_error(
    shell: Any,
    kind: type[Exception],
    error: Exception,
    trace: TracebackType | None,
    tb_offset: int | None = None,
) -> None:
    """Show a cell's error as one sentence, and as the traceback it has if it is none of the user's.

    `%tb` shows the traceback in any case. The arguments are those of IPython's `set_custom_exc`.
    """
    sentence = sentence_of(error)
    if sentence is None:
        shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
    else:
        sys.last_type, sys.last_value, sys.last_traceback = kind, error, trace  # %tb reads these
        shell._showtraceback(kind, sentence, [sentence])


@contextlib.contextmanager
def going_on(what: str = "") -> Iterator[None]:
    """Print the sentence of an error in place of ending the cell, so that all cells can be run.

    Args:
        what: was tried, to begin the line with.
    """
    try:
        yield
    except Exception as error:
        sentence = sentence_of(error)
        if sentence is None:
            raise
        print(f"{what}: {sentence}" if what else sentence)


def sentence_of(error: Exception) -> str | None:
    """What a cell's error means for a student; None for a mistake of ours."""
    if isinstance(error, Stop):
        return str(error)
    if isinstance(error, NameError) and _in_a_cell(error.__traceback__):
        return f"{error.name} is not there yet: run the cells above first, and see what they say"
    return cli.sentence_of(error, debug="%tb shows the traceback")


def _in_a_cell(trace: TracebackType | None) -> bool:
    """Whether an error comes from a notebook's own lines."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals.get("__name__") == "__main__"


def run_script(*arguments: object) -> None:
    """Run a script of the kit in the root of the project, and print its lines as they come.

    An interrupt goes to the script, which saves a checkpoint and ends; that is no error.

    Raises:
        Stop: the script failed, with what it said.
    """
    command = [sys.executable, "-u", *map(str, arguments)]
    interrupted = False
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,  # it gets Ctrl-C from us alone, once
        ) as process,
    ):
        try:
            for line in process.stdout or ():
                print(line, end="", flush=True)
        except KeyboardInterrupt:
            interrupted = True
            process.send_signal(signal.SIGINT)
            process.communicate()
        code = process.wait()
        errors.seek(0)
        said = errors.read().strip()
    if code != 0 and not interrupted:
        raise Stop(said)
    if interrupted:
        print(said)
