"""What evaluate.py shows: a table, a JSON file, a folder with a report, and the run's page."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from ..datasets import Images
from ..page.pictures import cells, data_url
from ..page.run_page import Grid, ScoreSection, ShownScore, add_scores
from ..runtime.visualize import PADDING_GREY, image_grid, save_image, with_margins
from ..utils import UserError, save_json, save_result, save_text
from .evidence import Evidence, Score, all_images, compares_pixels
from .meanings import explain

SUSPECTS = ("sample", "nearest", "second", "third")  # columns of the picture of suspects
MOST_SUSPECTS = 300_000  # bytes of their picture on the page
ROWS, PER_CLASS = 10, 5  # classes in the picture of samples, and pictures of each
COLUMNS = 2 * PER_CLASS + 1  # samples, a gap, real images


@dataclass
class Setup:
    """What the scores were computed from, in words."""

    checkpoint: str
    metrics: list[str]
    samples: int
    sampler: str
    seed: int
    features: str | None  # of which network; None where no metric compares features
    training_images: int
    held_out_images: int
    held_out: str  # "test" or "validation"; for captions also "training"
    captions: int | None = None  # number of captions drawn, those of these images

    @property
    def floor(self) -> str:
        """How many images the distances between sets of features are between."""
        train = min(self.samples, self.training_images)
        text = f"Sets compared: {self.samples} samples with {train} training images"
        if self.held_out_images:
            real = min(self.samples, self.held_out_images)
            text += f"; {real} {self.held_out} images with {min(real, train)} training images"
        if self.captions is not None:
            text += f"; captions drawn: {self.captions} of {self.held_out} images"
        return text

    @property
    def looks(self) -> str:
        """Which network's features were compared."""
        return "" if self.features is None else f"; features of {self.features}"


def table(scores: Sequence[Score], setup: Setup) -> str:
    """The scores as text, one per line."""
    rows = [_header(setup), *(_cells(score) for score in scores)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    )


def write(
    scores: Sequence[Score],
    setup: Setup,
    evidence: Evidence,
    file: Path | None,
    folder: Path | None,
) -> None:
    """Write what --json and --out ask for, each even if the other cannot be written, and say so.

    Raises UserError for what could not be written.
    """
    failed = []
    for place, write_it in ((file, write_json), (folder, write_report)):
        try:
            if place is not None:
                write_it(scores, setup, evidence, place)
                print(f"wrote {place}")
        except UserError as error:
            failed.append(str(error))
    if failed:
        raise UserError(f"{'; '.join(failed)}; the scores above are complete")


def write_to_page(
    scores: Sequence[Score], setup: Setup, evidence: Evidence, folder: Path
) -> Path | None:
    """Put the scores into the page of a run's folder; None where there is no page.

    Raises UserError where that fails.
    """
    shown = []
    for score in scores:
        name, samples, real = _cells(score)
        shown.append(ShownScore(name, samples, real, explain(score)))
    remarks = [equality_line(evidence, setup)] if evidence.nearly_equal else []
    suspects = None
    if evidence.verdict:
        remarks.append(f"{memorization_line(evidence)}.")
        images, columns = _suspects(evidence)
        url = data_url(cells(images.float() / 255, columns), MOST_SUSPECTS)
        caption = "A sample per row, and its nearest training images."
        suspects = Grid(url, caption, SUSPECTS[:columns])
    source = (
        f"{setup.samples} samples of {Path(setup.checkpoint).name}; sampler: {setup.sampler}; seed "
        f"{setup.seed}{setup.looks}. {setup.floor}."
    )
    return add_scores(ScoreSection(shown, source, setup.held_out, remarks, suspects), folder)


def write_json(scores: Sequence[Score], setup: Setup, evidence: Evidence, file: Path) -> None:
    """Write everything that the report says, for programs; UserError where that fails."""
    content = {
        **asdict(setup),
        "scores": {
            score.name: {"samples": score.samples, "real": score.real, "error": score.error}
            for score in scores
        },
    }
    if evidence.verdict:
        content["memorized"] = evidence.verdict.memorized
        content["verdict"] = str(evidence.verdict)
    content["nearly_equal"] = evidence.nearly_equal
    save_json(content, file)


def write_report(scores: Sequence[Score], setup: Setup, evidence: Evidence, folder: Path) -> None:
    """Write report.md, samples.png and, where memorization was tested, memorization.png.

    Raises UserError where that fails.
    """
    columns = [_header(setup), ["---", "---:", "---:"], *(_cells(score) for score in scores)]
    lines = [
        f"### {setup.samples} samples of {setup.checkpoint}",
        "",
        *("| " + " | ".join(cells) + " |" for cells in columns),
        "",
        f"Sampler: {setup.sampler}; seed {setup.seed}{setup.looks}.",
        f"{setup.floor}.",
        "",
        f"![Samples, left, beside real images{_of_the_same(evidence)}](samples.png)",
    ]
    pictures = {"samples.png": samples_beside_real(evidence)}
    if evidence.nearly_equal:
        lines += ["", equality_line(evidence, setup)]
    if evidence.verdict:
        lines += ["", f"{memorization_line(evidence)}.", ""]
        lines += [
            "![Suspicious samples, left, and their nearest training images](memorization.png)"
        ]
        pictures["memorization.png"] = suspects_beside_train(evidence)
    save_text("\n".join(lines), folder / "report.md")
    for name, picture in pictures.items():
        save_result(folder / name, partial(save_image, picture))


def equality_line(evidence: Evidence, setup: Setup) -> str:
    """For samples that hardly differ: what that means."""
    found, real = evidence.variety
    which = "Samples of one class" if evidence.conditional else "Samples"
    images = f"{setup.held_out if setup.held_out_images else 'training'} images"
    return (
        f"{which} are nearly equal: two of them differ by {found / real:.0%} of what two real "
        f"{images} differ by, so that the other scores mean little. Does every sample start from "
        "its own noise, and does each step add noise?"
    )


def memorization_line(evidence: Evidence) -> str:
    """The verdict in words."""
    where = "pixels" if compares_pixels(evidence.samples.shape[1:]) else "features"
    return f"Memorization, by distances of {where}: {evidence.verdict}"


def samples_beside_real(evidence: Evidence) -> Tensor:
    """A picture with one class per row: samples on the left, real training images on the right."""
    order = torch.randperm(len(evidence.images.train), generator=torch.Generator().manual_seed(0))
    labels = evidence.images.train.labels[order]
    blank = torch.full_like(evidence.samples[:1], round(PADDING_GREY * 255))
    rows, names = [], []
    for label in evidence.labels.unique()[:ROWS]:
        drawn = evidence.samples[evidence.labels == label][:PER_CLASS]
        alike = order[labels == label] if evidence.conditional else order[len(rows) * PER_CLASS :]
        images, alike = evidence.images.train, alike[:PER_CLASS]
        if evidence.conditional:
            names.append(images.classes[label])
        if evidence.captioned is not None:
            images, alike = evidence.captioned.images, label[None]
            names.append(evidence.captioned.texts[label])
        real = [_pick(images, index[None]) for index in alike]
        row = torch.cat([drawn, *[blank] * (PER_CLASS + 1 - len(drawn)), *real])
        rows.append(torch.cat([row, blank.expand(COLUMNS - len(row), -1, -1, -1)]))
    above = [""] * COLUMNS
    above[PER_CLASS // 2], above[-(PER_CLASS // 2) - 1] = "samples", "real"
    return with_margins(image_grid(torch.cat(rows).float() / 255, COLUMNS), above, names)


def suspects_beside_train(evidence: Evidence) -> Tensor:
    """A picture with the most suspicious samples, each followed by its nearest training images."""
    images, columns = _suspects(evidence)
    return with_margins(image_grid(images.float() / 255, columns), SUSPECTS[:columns])


def _suspects(evidence: Evidence) -> tuple[Tensor, int]:
    """The same as images, uint8 [N, C, H, W], and how many are in a row."""
    verdict, rows = evidence.verdict, []
    for sample, neighbours in zip(verdict.suspects, verdict.neighbours, strict=True):
        rows += [evidence.samples[sample][None], _pick(evidence.images.train, neighbours)]
    return torch.cat(rows), 1 + verdict.neighbours.shape[1]


def _of_the_same(evidence: Evidence) -> str:
    if evidence.captioned is not None:
        return " of the same captions"
    return " of the same classes" if evidence.conditional else ""


def _pick(dataset: Images, indices: Tensor) -> Tensor:
    return all_images(dataset.select(indices))[0]


def _header(setup: Setup) -> list[str]:
    return ["", "samples", f"real {setup.held_out} images"]


def _cells(score: Score) -> list[str]:
    error = f" ± {score.error:.2g}" if score.error is not None else ""
    real = f"{score.real:.4g}" if score.real is not None else "-"
    return [score.name, f"{score.samples:.4g}{error}", real]
