"""Progress: tqdm's bars on a terminal; elsewhere, and without tqdm, a line now and then."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from ..utils import reason, visible

try:
    from tqdm import tqdm
except ImportError:  # optional: lines say how far a script is
    tqdm = None

T = TypeVar("T", bound=Sized)
SILENCE = 30  # seconds without a line, after which a bar that is not drawn prints one
now = time.perf_counter  # one clock for all that is timed here, which tests replace
last_line: float | None = None  # when a script last said something


class _Silent:
    """The bar of a process that does not report."""

    def update(self, n: int = 1) -> None: ...

    def set_postfix_str(self, text: str, refresh: bool = True) -> None: ...

    def close(self) -> None: ...

    def __enter__(self) -> "_Silent":
        return self

    def __exit__(self, *error: object) -> None: ...


class _Lines(_Silent):
    """Prints the progress, as "training: 128 of 4000 images", after some time without other output.

    The time counts from the last line of any bar, or of `say`.
    """

    def __init__(self, total: int, what: str, unit: str, initial: int):
        self.total, self.what, self.unit, self.done = total, what, unit, initial
        self.postfix = ""
        if last_line is None:
            _note_line()

    def set_postfix_str(self, text: str, refresh: bool = True) -> None:
        self.postfix = f", {text}"

    def update(self, n: int = 1) -> None:
        self.done += n
        if now() - last_line >= SILENCE:
            of_total = f" of {self.total}" if self.total else ""  # 0: unknown
            unit = f" {self.unit}s" if self.unit else ""
            say(f"{self.what}: {self.done}{of_total}{unit}{self.postfix}")


def progress_bar(total: int, what: str, unit: str, initial: int = 0, enabled: bool = True) -> Any:
    """A bar from `initial` to `total`; call update(n) and use it in a `with` statement."""
    if not enabled:
        return _Silent()
    if tqdm is None or not sys.stderr.isatty():
        return _Lines(total, what, unit, initial)
    return tqdm(total=total, desc=what, unit=unit, initial=initial, leave=False)


def counted(
    batches: Iterable[T], total: int, what: str, unit: str = "image", enabled: bool = True
) -> Iterator[T]:
    """The batches, tensors or tuples of them, of `total` examples in all; a bar counts these."""
    with progress_bar(total, what, unit, enabled=enabled) as bar:
        for batch in batches:
            yield batch
            bar.update(len(batch[0] if isinstance(batch, tuple) else batch))


def say(text: str) -> None:
    """Print a line without breaking a progress bar, and without what a terminal would obey."""
    _note_line()
    text = visible(text)
    if tqdm is None:
        print(text, flush=True)
    else:
        tqdm.write(text)
        sys.stdout.flush()  # in a file, a line is of use while the script runs


@contextmanager
def going_on_without(file: Path) -> Iterator[None]:
    """Say where a file that a run can do without cannot be written, and go on."""
    try:
        yield
    except OSError as error:
        say(f"could not write {file} ({reason(error)}): going on without it")


def _note_line() -> None:
    global last_line
    last_line = now()


class Pace:
    """How long the parts of a run took, and an estimate for those to come.

    A part is a name such as "step"; its time is the mean over those that were timed.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.counts: dict[str, int] = {}

    def add(self, part: str, seconds: float) -> None:
        """Note that a part took so long once."""
        self.seconds[part] = self.seconds.get(part, 0.0) + seconds
        self.counts[part] = self.counts.get(part, 0) + 1

    @contextmanager
    def timing(self, part: str) -> Iterator[None]:
        """Note how long the body takes."""
        started = now()
        yield
        self.add(part, now() - started)

    def each(self, part: str) -> float | None:
        """Seconds that a part takes, or None where none was timed."""
        return self.seconds[part] / self.counts[part] if part in self.counts else None

    def left(self, to_come: dict[str, int]) -> tuple[float, list[str]]:
        """The seconds that the given numbers of parts will take, and the parts not yet timed."""
        each = {part: self.each(part) for part, number in to_come.items() if number > 0}
        unknown = [part for part, seconds in each.items() if seconds is None]
        return sum(to_come[p] * s for p, s in each.items() if s is not None), unknown


def duration(seconds: float) -> str:
    """Seconds as "1:02" or "1:02:03"."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
