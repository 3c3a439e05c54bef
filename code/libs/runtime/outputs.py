"""The files of a script that draws: a grid, single pictures, a film."""

import contextlib
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from ..utils import UserError, reason, save_result, shown
from . import cli
from .visualize import save_film, save_image


class Outputs:
    """Where the pictures that a script draws go: a grid, single files, a film.

    Args:
        names: of the columns; single pictures go to folder/NAME/NUMBER.png.
        rows: how many pictures each column gets.
        grid, film: files, or None.
        folder: for single pictures, or None.
        force: files that exist may be overwritten.

    Raises:
        UserError: something cannot be written, or exists already.
    """

    def __init__(
        self,
        names: Sequence[str],
        rows: int,
        grid: str | None = None,
        film: str | None = None,
        folder: str | None = None,
        force: bool = False,
    ):
        files = (Path(name) if name else None for name in (grid, film, folder))
        self.grid, self.film, self.folder = files
        self.problems: list[str] = []
        self.paths: Iterator[Path] = iter(())
        cli.check_pictures({"--out": grid, "--film": film}, force)
        if folder is not None:
            cli.check_folder("--out-dir", self.folder)
            cli.refuse_existing("--out-dir", _numbered(self.folder, names, rows), force)
            self.paths = _numbered(Path(), names, rows)

    def take(self, batches: Iterable[Tensor]) -> list[Tensor]:
        """Write single pictures as they are drawn, if asked for, and return all for a grid.

        On a disk that is full, from then on they go to a folder for temporary files.

        Args:
            batches: images [N, C, H, W] in [0, 1], row by row.

        Returns:
            One tensor of all images, or none where no grid was asked for.

        Raises:
            UserError: there is no room for temporary files either.
        """
        kept = []
        for images in batches:
            for image, path in zip(images, self.paths, strict=False):  # there may be no paths
                self._write(image, path)
            kept += [images] if self.grid else []
        return [torch.cat(kept)] if kept else []

    def _write(self, image: Tensor, path: Path) -> None:
        try:
            save_image(image, self.folder / path)
        except OSError as error:
            problem = f"could not write {self.folder / path} ({reason(error)})"
            if not self.problems:
                with contextlib.suppress(OSError):
                    self.folder = Path(tempfile.mkdtemp(prefix="samples-"))
                    self.problems = [f"{problem}; the pictures from there on are in {self.folder}"]
                    return self._write(image, path)
            raise UserError("; ".join([problem, *self.problems])) from None

    def finish(self, grid: Tensor | None = None, film: Sequence[Tensor] = ()) -> None:
        """Write the grid, uint8 [3, H, W], and the film, and say where all is.

        Raises:
            UserError: something is not where it was asked for; says where it is instead.
        """
        wrote = [self.folder] if self.folder and not self.problems else []
        for path, write in (
            (self.film, partial(save_film, film)),
            (self.grid, partial(save_image, grid)),
        ):
            try:
                if path is not None:
                    save_result(path, write, suffix=".png")
                    wrote.append(path)
            except UserError as error:
                self.problems.append(str(error))
        for path in wrote:
            print(f"wrote {shown(path.resolve())}")
        if self.problems:
            raise UserError("; ".join(self.problems))


def _numbered(folder: Path, names: Sequence[str], rows: int) -> Iterator[Path]:
    """The files of single pictures, row by row, numbered within each name."""
    numbers = Counter()
    for _ in range(rows):
        for name in names:
            yield folder / name / f"{numbers[name]:05d}.png"
            numbers[name] += 1
