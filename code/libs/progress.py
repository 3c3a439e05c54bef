"""Progress bars: tqdm's on a terminal, silence elsewhere and where tqdm is not installed."""

from typing import Any

try:
    from tqdm import tqdm
except ImportError:  # optional: the lines that scripts print tell how far they are
    tqdm = None


class _Silent:
    """Stands in for tqdm where it is not installed."""

    def update(self, n: int = 1) -> None: ...

    def set_postfix_str(self, text: str, refresh: bool = True) -> None: ...

    def set_description_str(self, text: str, refresh: bool = True) -> None: ...

    def close(self) -> None: ...

    def __enter__(self) -> "_Silent":
        return self

    def __exit__(self, *error: object) -> None: ...


def progress_bar(total: int, what: str, unit: str, initial: int = 0, enabled: bool = True) -> Any:
    """A bar from `initial` to `total`; call update(n) and use it in a `with` statement."""
    if tqdm is None or not enabled:
        return _Silent()
    # disable=None: no bar where the output is not a terminal
    return tqdm(total=total, desc=what, unit=unit, initial=initial, disable=None, leave=False)


def say(text: str) -> None:
    """Print a line without breaking a progress bar."""
    if tqdm is None:
        print(text, flush=True)
    else:
        tqdm.write(text)
