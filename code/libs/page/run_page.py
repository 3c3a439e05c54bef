"""A run's index.html: what it has learned so far, for a person, in one file without links."""

import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from ..utils import replacing, save_text, shown
from .charts import Chart

NAME = "index.html"
TEMPLATES = Path(__file__).with_name("templates")
BEGIN, END = "<!-- scores -->\n", "<!-- end of scores -->\n"


@dataclass
class Grid:
    """A picture of images in columns.

    Attributes:
        url: of the picture, a data: URL.
        caption: below it.
        columns: names above its columns, or none.
        rows: names beside its rows, or none.
    """

    url: str
    caption: str
    columns: Sequence[str] = ()
    rows: Sequence[str] = ()


@dataclass
class FilmStrip:
    """The chain of some samples: a picture with a frame per row, a sample per column."""

    url: str
    frames: int
    names: Sequence[str]  # of the samples
    steps: int  # of the chain, which the frames are spread over


@dataclass
class RunPage:
    """What a page says.

    Attributes:
        name: of the run.
        status: how far it is.
        figures: (label, value) of the numbers on top.
        samples, film, neighbours: pictures, where there are any.
        charts: losses and scores over epochs.
        levels: the loss by noise level.
        config: as YAML.
        commands: (what for, command) of how to go on.
    """

    name: str
    status: str
    config: str
    figures: Sequence[tuple[str, str]] = ()
    samples: Grid | None = None
    film: FilmStrip | None = None
    charts: Sequence[Chart] = ()
    levels: Chart | None = None
    neighbours: Grid | None = None
    commands: Sequence[tuple[str, str]] = ()


@dataclass
class ShownScore:
    """A score in words: of samples, of real images ("" where there is none), and its meaning."""

    name: str
    samples: str
    real: str
    sentence: str


@dataclass
class ScoreSection:
    """What evaluate.py found out.

    Attributes:
        scores: one entry each.
        source: what they were computed from.
        held_out: what the real images are called.
        remarks: sentences, such as the verdict on memorization.
        suspects: the most suspicious samples beside training images.
    """

    scores: Sequence[ShownScore]
    source: str
    held_out: str
    remarks: Sequence[str] = field(default_factory=list)
    suspects: Grid | None = None


def write_page(page: RunPage, folder: Path) -> Path:
    """Write a run's page, without scores: its weights are new. Returns the file."""
    file = folder / NAME
    with replacing(file) as partial:
        partial.write_text(_render("page.html", page=page), encoding="utf-8")
    return file


def add_scores(section: ScoreSection, folder: Path) -> Path | None:
    """Put scores into a run's page, replacing earlier ones.

    Returns:
        The file; None where the folder has no page of a run.

    Raises:
        UserError: the page cannot be written; says where it is instead.
    """
    file = folder / NAME
    try:
        before, _, rest = file.read_text(encoding="utf-8").partition(BEGIN)
    except (OSError, UnicodeDecodeError):
        return None
    _, found, after = rest.partition(END)
    if not found:
        return None
    text = before + _render("scores.html", section=section).removesuffix("\n") + after
    save_text(text.removesuffix("\n"), file)
    return file


def say_where(folder: Path, opens: bool = False) -> None:
    """Print where a run's page is, if there is one, and open it in the user's browser if asked."""
    file = folder / NAME
    if not file.is_file():
        return
    print(f"the run's page: {shown(file)}")
    if opens and not webbrowser.open(file.resolve().as_uri()):
        print(f"no browser was found here; open {file.resolve()} in one")


def _render(template: str, **values: Any) -> str:
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )

    def inline(name: str) -> Markup:
        return Markup((TEMPLATES / name).read_text(encoding="utf-8"))

    environment.globals.update(inline=inline, begin=Markup(BEGIN), end=Markup(END))
    return environment
