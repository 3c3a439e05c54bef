"""What a run's page says at a checkpoint, from what the trainer and its learner know."""

import math
import shlex
from dataclasses import dataclass
from pathlib import Path

import torch

from ..config import Config, dump_config
from ..datasets import MemoryImages
from ..metrics.distances import nearest
from ..page.charts import Chart, chart_of
from ..page.pictures import cells, data_url, film_strip
from ..page.run_page import FilmStrip, Grid, RunPage, write_page
from ..runtime.visualize import POINT, Panel, curve_panels
from ..settings.autoencoder import AutoencoderConfig
from ..utils import ROOT
from .learner import Learner, Picture
from .run_log import History

MOST_SAMPLES, MOST_FILM, MOST_NEIGHBOURS = 600_000, 1_000_000, 300_000  # bytes of each picture
NAMED_COLUMNS, LONGEST_NAME = 20, 12  # more columns, or longer names, are drawn into the picture
COMPARED, NEIGHBOURS = 10, 2  # samples, and the training images shown of each


@dataclass
class Progress:
    """How far a run is: steps done and to do, steps per epoch, and what is trained on what."""

    step: int
    last_step: int
    steps_per_epoch: int
    about: str


def write_run_page(
    learner: Learner,
    config: Config | AutoencoderConfig,
    folder: Path,
    history: History,
    progress: Progress,
    picture: Picture | None,
) -> None:
    """Write index.html into a run's folder; OSError where that fails."""
    page = RunPage(
        name=folder.name,
        status=_status(config, progress),
        config=dump_config(config, folder),
        figures=_figures(history, progress),
        charts=[c for panel in curve_panels(history.values) if (c := chart_of(panel))],
        levels=_levels(learner),
        commands=_commands(config, folder, progress),
    )
    if picture is not None:
        page.samples = _samples(picture)
        page.film = _film(picture)
        page.neighbours = _neighbours(learner, picture)
    write_page(page, folder)


def _status(config: Config | AutoencoderConfig, progress: Progress) -> str:
    done = "finished" if progress.step == progress.last_step else "in training"
    epoch = progress.step / progress.steps_per_epoch
    return f"{done}, epoch {epoch:.4g} of {config.train_cfg.epochs}; {progress.about}"


def _figures(history: History, progress: Progress) -> list[tuple[str, str]]:
    """The newest numbers: steps and losses."""
    found = [("Steps", f"{progress.step:,}")]
    for label, key in (
        ("Loss in training", "epoch_loss"),
        ("Validation loss", "val_loss"),
        ("Test loss", "test_loss"),
    ):
        values = [value for value in history.values[key] if value is not None]
        found += [(label, f"{values[-1]:.4g}")] if values else []
    return found


def _levels(learner: Learner) -> Chart | None:
    found = learner.noise_levels()
    if found is None:
        return None
    pairs = sorted(zip(found.levels, found.losses, strict=True))
    points = [(x, y) for x, y in pairs if 0 < x < math.inf and math.isfinite(y)]
    line = "", [x for x, _ in points], [y for _, y in points], {}
    axis = "noise for each part of signal"
    return chart_of(Panel(f"{learner.loss_name}, by noise level", [line]), axis, log_x=True)


def _samples(picture: Picture) -> Grid:
    names = picture.columns
    is_short = len(names) <= NAMED_COLUMNS and all(len(name) <= LONGEST_NAME for name in names)
    if picture.images is None or (names and not is_short):
        return Grid(data_url(picture.grid, MOST_SAMPLES), "")
    height, width = picture.images.shape[-2:]
    columns = len(names) or math.ceil(math.sqrt(len(picture.images)))
    url = data_url(cells(picture.images, columns), MOST_SAMPLES)
    kind = "one class per column" if names else "in no particular order"
    return Grid(url, f"Samples of {height} x {width} pixels, {kind}, by averaged weights.", names)


def _film(picture: Picture) -> FilmStrip | None:
    if not picture.film:
        return None
    url = data_url(film_strip(picture.film), MOST_FILM)
    number = len(picture.film[0])
    names = [
        picture.columns[i % len(picture.columns)] if picture.columns else "" for i in range(number)
    ]
    return FilmStrip(url, len(picture.film), names, picture.steps)


def _neighbours(learner: Learner, picture: Picture) -> Grid | None:
    """A few samples above their nearest training images, where these are all in memory."""
    train = learner.splits.train
    if picture.images is None or not isinstance(train, MemoryImages):
        return None
    samples = picture.images[:COMPARED]
    if samples.shape[1:] != train.images.shape[1:] or len(train) < NEIGHBOURS:
        return None
    _, indices = nearest(samples * 255, train.images, NEIGHBOURS)
    alike = train.images[indices.T.flatten()].float() / 255  # the nearest ones first
    url = data_url(cells(torch.cat([samples, alike]), len(samples)), MOST_NEIGHBOURS)
    caption = (
        "By the distance of pixels. A sample that equals a training image was memorised; "
        "evaluate.py tests for that."
    )
    return Grid(url, caption, rows=["sample", "nearest", "second"])


def _commands(
    config: Config | AutoencoderConfig, folder: Path, progress: Progress
) -> list[tuple[str, str]]:
    """What to do next, typed in the repository's folder; nothing for an autoencoder's stage."""
    if not isinstance(config, Config):
        return []
    place = folder.resolve()
    shown = place.relative_to(ROOT) if ROOT in place.parents else place
    run = shlex.quote(shown.as_posix())
    train = f"python code/train.py {run}/config.yaml --resume {run}"
    if progress.step == progress.last_step:
        train += f" --set train_cfg.epochs={2 * config.train_cfg.epochs}"
        if config.train_cfg.max_steps is not None:
            train += f" --set train_cfg.max_steps={2 * config.train_cfg.max_steps}"
    if tuple(config.model.img_shape) == POINT:
        return [
            ("Draw more points:", f"python code/sample.py {run} --num 2000"),
            ("Train on:", train),
        ]
    return [
        (
            "Draw more, and their way from noise:",
            f"python code/sample.py {run} --film {run}/chain.gif",
        ),
        ("Score it; the scores appear on this page:", f"python code/evaluate.py {run}"),
        ("Train on:", train),
        ("Compare runs:", "tensorboard --logdir logs"),
    ]
