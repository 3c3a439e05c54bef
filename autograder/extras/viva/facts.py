"""What was observed in a submission, as checked records, since a worker may send anything."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from autograder.sandbox.sandbox import Sandbox
from autograder.sandbox.wire import BadMessage, Channel, Closed, Slow

SERVE = "autograder.extras.viva.worker:serve"
SECONDS = 60.0
TRIES = 8  # number of statements that are left out, one at a time
FILES = ("libs/ddpm.py", "libs/unet.py")
OUTCOMES = ("same", "other", "shape", "nothing", "error", "endless")
SIDE = 24


@dataclass(frozen=True)
class Setting:
    """The setting of a submission's questions: the inputs' shape and the length of the chain."""

    seed: int
    steps: int
    shape: tuple[int, int, int]


@dataclass(frozen=True)
class Lines:
    """Lines of a file, counted from 1, both ends inclusive."""

    file: str
    first: int
    last: int


@dataclass(frozen=True)
class Shape:
    """The shape of what a statement assigns to a name, or returns if the name is empty."""

    lines: Lines
    name: str
    time: int  # how often the statement had run
    shape: tuple[int, ...]


@dataclass(frozen=True)
class LeftOut:
    """What happens to a call if a statement is left out."""

    lines: Lines
    call: str
    outcome: str
    error: str


@dataclass
class Facts:
    """What is known about a submission; what could not be found out is empty."""

    setting: Setting
    shapes: list[Shape] = field(default_factory=list)
    alpha_bar: tuple[float, float] | None = None  # alpha_bar and beta in the middle of the chain
    calls: int | None = None  # of the network, in the whole chain
    left_out: list[LeftOut] = field(default_factory=list)
    pictures: tuple[np.ndarray, np.ndarray] | None = None  # whole chain, every fourth step
    label: list[tuple[Lines, bool]] = field(default_factory=list)
    trouble: str = ""


def observe(sandbox: Sandbox, code_folder: Path, log: Path, setting: Setting) -> Facts:
    """Run a submission in a worker of a sandbox with SERVE; if that fails, pretend a GPU."""
    facts = _observe(sandbox, code_folder, log, setting, gpu=False)
    return facts if facts.shapes else _observe(sandbox, code_folder, log, setting, gpu=True)


def _observe(sandbox: Sandbox, code_folder: Path, log: Path, setting: Setting, gpu: bool) -> Facts:
    worker = sandbox.worker(code_folder, log)
    channel: Channel = worker.channel
    deadline = time.monotonic() + SECONDS
    request = {"seed": setting.seed, "steps": setting.steps, "shape": list(setting.shape)}
    try:
        channel.send({**request, "tries": TRIES, "gpu": gpu}, deadline)
        said = channel.receive(deadline)
    except (BadMessage, Closed, Slow) as error:
        return Facts(setting, trouble=f"its code gave no answer ({type(error).__name__})")
    finally:
        worker.kill()
    try:
        return read(said, setting)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        return Facts(
            setting,
            trouble=f"its code sent something that is not an answer ({type(error).__name__})",
        )


def read(said: dict[str, Any], setting: Setting) -> Facts:
    """Make checked records of an answer; raises KeyError, TypeError, ValueError, IndexError."""
    facts = Facts(setting)
    for file, first, last, name, times, shape in said.get("shapes", []):
        wanted(isinstance(name, str) and (not name or name.isidentifier()) and len(name) < 60)
        numbers = tuple(map(whole, shape))
        wanted(len(numbers) < 8)
        facts.shapes.append(Shape(lines(file, first, last), name, whole(times), numbers))
    if "alpha_bar" in said:
        bar, beta = map(float, said["alpha_bar"])
        wanted(0 < bar < 1 and 0 < beta < 1)
        facts.alpha_bar = bar, beta
    if "calls" in said:
        facts.calls = whole(said["calls"])
    for file, first, last, call, outcome, error in said.get("left_out", []):
        wanted(outcome in OUTCOMES and isinstance(error, str) and len(error) < 60)
        wanted(isinstance(call, str) and len(call) < 30 and (not error or error.isidentifier()))
        facts.left_out.append(LeftOut(lines(file, first, last), call, outcome, error))
    if "pictures" in said:
        facts.pictures = pictures(said["pictures"])
    for file, first, last, reads in said.get("label", []):
        wanted(isinstance(reads, bool))
        facts.label.append((lines(file, first, last), reads))
    return facts


def pictures(said: dict[str, Any]) -> tuple[np.ndarray, np.ndarray] | None:
    """The two pictures, if the second is clearly worse than the first; otherwise None."""
    both = said["whole"], said["skipped"]
    for image in both:
        wanted(isinstance(image, np.ndarray) and image.shape == (SIDE, SIDE))
        wanted(image.dtype == np.uint8)
    good, bad = map(float, said["errors"])
    return both if bad > 4 * good + 0.03 else None


def lines(file: Any, first: Any, last: Any) -> Lines:
    """Lines of one of the two files; raises ValueError."""
    wanted(file in FILES and 1 <= whole(first) <= whole(last) < 100_000)
    return Lines(file, first, last)


def whole(value: Any) -> int:
    """A whole number of sensible size; raises ValueError."""
    wanted(type(value) is int and 0 <= value < 10_000_000)
    return value


def wanted(condition: bool) -> None:
    """Raise ValueError unless what was sent meets a condition."""
    if not condition:
        raise ValueError("not what was asked")
