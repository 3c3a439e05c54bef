"""Images with captions: COCO's annotation files, and captions.json beside your own pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..runtime.documents import read_json
from ..runtime.progress import say
from ..runtime.streams import CAPTION_STREAM, generator_for
from ..utils import UserError, shown_value

MAX_BYTES = 500_000_000  # of a file of captions; COCO's have 91 MB
NO_PROMPT = ""  # where training drops a caption; its number is PromptTable.null_label


@dataclass
class Captions:
    """The captions of a data set's images; a caption's number is its place in `texts`.

    Attributes:
        texts: NO_PROMPT, then the captions, those of one image in a row.
        counts: how many captions each image has, LongTensor [N].
    """

    texts: list[str]
    counts: Tensor

    def draw(self, keys: Sequence[tuple[int, int]]) -> Tensor:
        """Which of its captions each image gets, counted from 0, LongTensor [B].

        `keys` are pairs of an image's index and a seed, which decides.
        """
        chosen = [
            torch.randint(int(self.counts[index]), (), generator=generator_for(CAPTION_STREAM, s))
            for index, s in keys
        ]
        return torch.stack(chosen)

    def select(self, indices: Tensor) -> "Captions":
        """The captions of these images, under the same numbers."""
        return Captions(self.texts, self.counts[indices])


def read_captions(folder: Path, annotations: Path | None) -> list[tuple[Path, list[str]]]:
    """The images that a file of captions lists, each with its captions, none of them empty.

    Images without a caption are skipped and reported once. Whether there is such a file of each
    image is not looked at here.

    Args:
        folder: of the images.
        annotations: COCO's file of captions, or one that maps file names to a caption or a list of
            them; by default ../annotations/captions_FOLDER.json or captions.json in the folder.

    Raises:
        UserError: there is no such folder, no such file, or no caption in it.
    """
    if not folder.is_dir():
        raise UserError(
            f"the data folder {folder} does not exist: put the images there, or set "
            "dataset.data_folder and dataset.split"
        )
    file = _annotations_of(folder) if annotations is None else annotations
    found = _parse(file)
    listed = {name: kept for name, texts in found.items() if (kept := _clean(name, texts, file))}
    if len(listed) < len(found):
        say(f"{len(found) - len(listed)} of {len(found)} images in {file} have no caption: skipped")
    if not listed:
        raise UserError(f"no image has a caption in {file}")
    return [(folder / name, texts) for name, texts in listed.items()]


def number_captions(captions: Sequence[list[str]]) -> tuple[Tensor, Captions]:
    """The number of each image's first caption, LongTensor [N], and all captions as one record."""
    counts = torch.tensor([len(texts) for texts in captions])
    first = 1 + counts.cumsum(0) - counts  # 0 is NO_PROMPT
    return first, Captions([NO_PROMPT, *(text for texts in captions for text in texts)], counts)


def _annotations_of(folder: Path) -> Path:
    places = [folder.parent / "annotations" / f"captions_{folder.name}.json"]
    places += [folder / "captions.json"]
    for place in places:
        if place.is_file():
            return place
    raise UserError(
        f"there are no captions for {folder}: expected {places[0]} as COCO has it, or {places[1]}, "
        'such as {"cat.jpg": ["a cat", "a grey cat"]}; or name a file with dataset.annotations'
    )


def _parse(file: Path) -> Mapping[str, object]:
    """What a file says of each image, by its file name."""
    content = read_json(file, f"the file of captions {file}", MAX_BYTES)
    try:
        if "annotations" not in content or "images" not in content:
            return dict(content.items())
        names = {image["id"]: image["file_name"] for image in content["images"]}
        captions: dict[str, list[object]] = {name: [] for name in names.values()}
        for annotation in content["annotations"]:
            captions[names[annotation["image_id"]]].append(annotation["caption"])
    except (TypeError, AttributeError, KeyError) as error:
        raise UserError(
            f"{file} holds no captions ({type(error).__name__}: {error}): expected COCO's "
            "images[id, file_name] and annotations[image_id, caption], or names of files with "
            "their captions"
        ) from None
    return captions


def _clean(name: str, texts: object, file: Path) -> list[str]:
    """The captions of one image without blanks at their ends, and without empty ones."""
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise UserError(
            f"{file}: '{name}' must have a caption or a list of them, found {shown_value(texts)}"
        )
    return [text.strip() for text in texts if text.strip()]
