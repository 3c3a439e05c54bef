"""Image files in folders: finding the good ones, and decoding them."""

import hashlib
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from PIL import Image

from ..runtime.pictures import BadPicture, opened
from ..runtime.progress import progress_bar, say
from ..utils import UserError, visible_line

T = TypeVar("T")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".ppm", ".tif", ".tiff")
# The last bytes of a complete file. A file that ends otherwise may still be good: it is decoded.
ENDINGS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xae\x42\x60\x82"}


@dataclass
class ImageFiles:
    """A list of image files that can be opened by index."""

    paths: list[Path]

    def open(self, index: int, mode: str, resize: int) -> tuple[Image.Image, int]:
        """Decode an image in a PIL mode, at a reduced scale where that still exceeds `resize`.

        A file that cannot be decoded after all is reported, and its successor is used.

        Returns:
            The image, and the index of the file that it is from.
        """
        for offset in range(len(self.paths)):
            used = (index + offset) % len(self.paths)
            path = self.paths[used]
            try:
                with opened(path) as image:
                    if min(image.size) > resize:
                        image.draft(mode, (resize, resize))  # JPEG: decode at a smaller scale
                    if image.mode.startswith("I;16"):  # PIL would cut 16-bit values off at 255
                        image = image.point(lambda value: value / 257).convert("L")
                    return image.convert(mode), used
            except BadPicture as why:
                name = visible_line(str(path))
                print(f"warning: {name} cannot be used ({why}), using the next", file=sys.stderr)
        raise UserError("none of the images can be decoded any more: has the data folder changed?")

    def fingerprint(self) -> str:
        """A text that changes when a file is added, removed, or rewritten."""
        listed = [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in self.paths]
        return hashlib.sha256(repr(listed).encode()).hexdigest()

    def select(self, indices: Iterable[int]) -> "ImageFiles":
        """The files at these indices."""
        return ImageFiles([self.paths[i] for i in indices])


def scan_folder(folder: Path, min_bytes: int, name: str) -> tuple[ImageFiles, list[int], list[str]]:
    """List the good image files of a class-per-folder tree, in alphabetical order.

    Files that are not images, truncated, huge or smaller than `min_bytes` are skipped and reported
    once.

    Returns:
        The files, their labels, and the class names.

    Raises:
        UserError: the folder is missing, has no class folders, or holds no good image.
    """
    if not folder.is_dir():
        how = "run `sh ./download_dataset.sh afhq`" if name == "AFHQ" else "put the images there"
        raise UserError(
            f"the data folder {folder} does not exist: {how}, or set dataset.data_folder"
        )
    classes = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not classes:
        raise UserError(f"{folder} has no class folders: expected {folder.name}/CLASS/IMAGE.jpg")
    candidates = [
        (path, label)
        for label, name in enumerate(classes)
        for path in sorted((folder / name).rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    ]
    good = good_files(folder, candidates, min_bytes)
    return ImageFiles([path for path, _ in good]), [label for _, label in good], classes


def good_files(
    folder: Path, candidates: Sequence[tuple[Path, T]], min_bytes: int
) -> list[tuple[Path, T]]:
    """Those of the files in a folder that can be used; the others are reported once.

    Args:
        candidates: each file with what belongs to it.

    Raises:
        UserError: none can be used.
    """
    good, bad = [], []
    with progress_bar(len(candidates), f"checking {folder.name}", "file") as bar:
        for path, label in candidates:
            why = _what_is_wrong(path, min_bytes)
            if why is None:
                good.append((path, label))
            else:
                bad.append((path, why))
            bar.update()
    if bad:
        names = [(visible_line(str(path.relative_to(folder))), why) for path, why in bad[:10]]
        shown = "".join(f"\n  {name}: {why}" for name, why in names)
        more = f"\n  and {len(bad) - 10} more" if len(bad) > 10 else ""
        say(f"skipped {len(bad)} of {len(candidates)} files in {folder}:{shown}{more}")
    if not good:
        raise UserError(f"no usable image in {folder}: {len(candidates)} files found, all skipped")
    return good


def _what_is_wrong(path: Path, min_bytes: int) -> str | None:
    """Say why a file cannot be used, or None. Cheap: complete-looking files are not decoded."""
    if not path.is_file():
        return "missing"
    size = path.stat().st_size
    if size < min_bytes:
        return f"{size} bytes, fewer than min_bytes {min_bytes}"
    if path.suffix.lower() not in SUFFIXES:
        return "no image by its name"
    try:
        with opened(path) as image:
            ending = ENDINGS.get(image.format or "")
            if ending is None or not _ends_with(path, ending):
                image.load()
    except BadPicture as why:
        return str(why)
    return None


def _ends_with(path: Path, ending: bytes) -> bool:
    with path.open("rb") as file:
        file.seek(-min(path.stat().st_size, len(ending)), 2)
        return file.read() == ending
