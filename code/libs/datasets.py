"""Data sets of images: in memory (digits, MNIST), in class folders (AFHQ), or with captions (COCO);
and points in the plane, as images of two channels and one pixel.

Every data set hands out whole batches: `__getitems__` takes pairs of an image's index and a seed
for its augmentation, and returns images [B, C, H, W] in [0, 1] and labels [B]. An augmentation
depends on its seed alone, so that a resumed run, or one on several processes, sees the same images.
"""

import contextlib
import dataclasses
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import datasets as tv
from torchvision.transforms import v2

from .config import DatasetConfig
from .data.captions import Captions, number_captions, read_captions
from .data.image_folder import ImageFiles, good_files, scan_folder
from .data.toy import TOYS, toy_points
from .runtime.streams import fork_rng
from .runtime.visualize import POINT
from .utils import UserError

Key = tuple[int, int]  # index of an image, seed of its augmentation
CAPTIONED = "COCOCaptions"
FOLDER_DATASETS = ("AFHQ", "MiniImageNet", "ImageFolder", CAPTIONED)
SPLITS = ("train", "val", "test")  # as folders of data sets are called
SPLIT_SEED = 0  # subsets and validation splits are the same in every run


class Images(Dataset):
    """What all data sets have: labels, class names, and selection of a part.

    Attributes:
        labels: classes [N]; of images with captions the number of each one's first caption.
        classes: names of the classes; none for images with captions.
        captions: those of the images, or None.
        augmented: see `plain`.
    """

    labels: Tensor
    classes: list[str]
    captions: Captions | None
    augmented: bool

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, keys: Sequence[Key]) -> tuple[Tensor, Tensor]:
        """Return images [B, C, H, W] in [0, 1] and labels [B]."""
        raise NotImplementedError

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All batches (images, labels) in the data set's own order, the last one maybe smaller."""
        for start in range(0, len(self), size):
            end = min(start + size, len(self))
            yield self.__getitems__([(index, 0) for index in range(start, end)])

    def labels_of(self, keys: Sequence[Key]) -> Tensor:
        """Classes [B], or numbers of captions: one of each image's where augmented, or its first"""
        labels = self.labels[[index for index, _ in keys]]
        if self.captions is None or not self.augmented:
            return labels
        return labels + self.captions.draw(keys)

    def select(self, indices: Tensor) -> "Images":
        """The data set of these images only."""
        captions = self.captions and self.captions.select(indices)
        return dataclasses.replace(self, labels=self.labels[indices], captions=captions)

    def at_most(self, number: int) -> "Images":
        """A random choice of at most `number` images, the same one every time."""
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(SPLIT_SEED))
        return self.select(order[:number].sort().values)

    def fingerprint(self) -> str:
        """A text that changes when the images or their preparation change."""
        raise NotImplementedError

    def plain(self) -> "Images":
        """The same images without augmentation, each with its first caption if it has any."""
        return dataclasses.replace(self, augmented=False)


@dataclass
class MemoryImages(Images):
    """Images held as one tensor, uint8 [N, C, H, W]; the only augmentation is a random flip."""

    images: Tensor
    labels: Tensor
    classes: list[str]
    augmented: bool = False
    captions: Captions | None = None

    def __getitems__(self, keys: Sequence[Key]) -> tuple[Tensor, Tensor]:
        indices = torch.tensor([index for index, _ in keys])
        images = self.images[indices].float() / 255
        if self.augmented:
            flipped = torch.tensor([bool(seed & 1) for _, seed in keys])
            images = torch.where(flipped[:, None, None, None], images.flip(-1), images)
        return images, self.labels_of(keys)

    def fingerprint(self) -> str:
        digest = hashlib.sha256(self.images.numpy().tobytes()).hexdigest()
        return f"{digest} {self.augmented}"

    def select(self, indices: Tensor) -> "MemoryImages":
        return dataclasses.replace(super().select(indices), images=self.images[indices])


@dataclass
class Points(MemoryImages):
    """Points in the plane as images [N, 2, 1, 1]: float32 in [0, 1], which no rounding moves."""

    def __getitems__(self, keys: Sequence[Key]) -> tuple[Tensor, Tensor]:
        indices = [index for index, _ in keys]
        return self.images[indices], self.labels[indices]


@dataclass
class FolderImages(Images):
    """Images decoded from files on demand: resized, cropped, and flipped where augmented.

    Args:
        files: the image files.
        labels: their classes, [N].
        classes: names of the classes.
        shape: (C, H, W) of the images returned; C is 1 or 3.
        resize: length of the shorter side before the crop to H x W.
        flip: flip half of the images when augmented.
        augmented: crop at random and flip, instead of cropping at the centre.
        captions: of the images, which have no classes then.
    """

    files: ImageFiles
    labels: Tensor
    classes: list[str]
    shape: Sequence[int]
    resize: int
    flip: bool = False
    augmented: bool = False
    captions: Captions | None = None

    def __post_init__(self):
        size = tuple(self.shape[1:])
        steps = [v2.Resize(self.resize)]
        steps += [v2.RandomCrop(size) if self.augmented else v2.CenterCrop(size)]
        steps += [v2.RandomHorizontalFlip()] if self.augmented and self.flip else []
        self.transform = v2.Compose([*steps, v2.PILToTensor()])

    def __getitems__(self, keys: Sequence[Key]) -> tuple[Tensor, Tensor]:
        images, indices = zip(*(self._load(index, seed) for index, seed in keys), strict=True)
        keys = [(used, seed) for used, (_, seed) in zip(indices, keys, strict=True)]
        return torch.stack(images).float() / 255, self.labels_of(keys)

    def _load(self, index: int, seed: int) -> tuple[Tensor, int]:
        """The image, uint8 [C, H, W], and its index: another one where the file is broken."""
        image, index = self.files.open(index, "L" if self.shape[0] == 1 else "RGB", self.resize)
        with fork_rng(seed, torch.device("cpu")):
            return self.transform(image), index

    def fingerprint(self) -> str:
        return f"{self.files.fingerprint()} {self.transform} {list(self.shape)}"

    def select(self, indices: Tensor) -> "FolderImages":
        files = self.files.select(indices.tolist())
        return dataclasses.replace(super().select(indices), files=files)


@dataclass
class Splits:
    """The data sets of a run; `val` and `test` are None where the config has none."""

    train: Images
    val: Images | None
    test: Images | None


def load_splits(
    config: DatasetConfig, shape: Sequence[int], num_classes: int | None = None
) -> Splits:
    """Load the data sets that a config names, as images of `shape` (C, H, W).

    Raises UserError where the data is missing, empty, has more classes than the model, or other
    classes for validation or test than for training.
    """
    train = load_dataset(config, config.split, shape)
    if num_classes is not None and len(train.classes) > num_classes:
        raise UserError(
            f"data set {config.name} has {len(train.classes)} classes, but 'model.num_classes' is "
            f"{num_classes}: set it to {len(train.classes)}"
        )
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(SPLIT_SEED))
    order = order[: max(1, round(config.subset * len(train)))]
    num_train = max(1, len(order) - round(config.val_fraction * len(order)))
    val = test = None
    if config.val_data_folder is not None:
        load = load_captioned if config.name == CAPTIONED else load_folder
        val = load(config, config.val_data_folder, shape)
    elif num_train < len(order):
        val = train.select(order[num_train:].sort().values)
    if config.test_split is not None:
        test = load_dataset(config, config.test_split, shape)
    for other in (val, test):
        if other is not None and other.classes != train.classes:
            raise UserError(
                "the classes for validation or test differ from those of "
                f"{config.data_folder}: {_first_difference(other.classes, train.classes)}"
            )
    if train.captions is not None:
        val, test = (_numbered_with(train.captions.texts, other) for other in (val, test))
    train = train.select(order[:num_train].sort().values)
    return Splits(train, val and val.plain(), test and test.plain())


def load_dataset(config: DatasetConfig, split: str, shape: Sequence[int]) -> Images:
    """Load one split of a data set, augmented as the config says."""
    if config.name in FOLDER_DATASETS:
        folder = _folder_of_split(config, split)
        if config.name == CAPTIONED:
            annotations = config.annotations if split == config.split else None
            return load_captioned(config, folder, shape, annotations)
        return load_folder(config, folder, shape)
    if split not in ("train", "test"):
        raise UserError(f"data set {config.name} has the splits train and test, not '{split}'")
    if config.name in TOYS:
        return load_points(config.name, split, shape)
    if config.name == "Digits":
        images, labels, classes = load_digits(split)
    else:
        images, labels, classes = load_torchvision(config, split)
    images = _fit(images, shape)
    return MemoryImages(images, labels, classes, augmented=config.random_flip)


def has_test_split(config: DatasetConfig) -> bool:
    """Whether the data set comes with test images."""
    in_folders = config.name in FOLDER_DATASETS  # COCO has none, but test_split may name one
    return (config.data_folder / "test").is_dir() if in_folders else True


def load_points(name: str, split: str, shape: Sequence[int]) -> Points:
    """A split of a toy data set, of one class; UserError unless the shape is that of a point."""
    if tuple(shape) != POINT:
        raise UserError(
            f"data set {name} has points in the plane: set 'model.img_shape' to {list(POINT)}, not "
            f"{list(shape)}"
        )
    points = (toy_points(name, split) + 1) / 2
    return Points(points[:, :, None, None], torch.zeros(len(points), dtype=torch.long), [name])


def load_digits(split: str) -> tuple[Tensor, Tensor, list[str]]:
    """scikit-learn's 1,797 handwritten digits of 8x8 pixels; every sixth is a test image."""
    images, labels = read_digits()
    chosen = (torch.arange(len(labels)) % 6 == 5) == (split == "test")
    return images[chosen][:, None], labels[chosen], [str(d) for d in range(10)]


@cache
def read_digits() -> tuple[Tensor, Tensor]:
    """All digits, uint8 [1797, 8, 8], and their labels, int64: a text that is read only once."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise UserError("the Digits data set needs a package: pip install scikit-learn") from None
    digits = load_digits()
    images = torch.from_numpy(digits.images).div(16).mul(255).round().to(torch.uint8)
    return images, torch.from_numpy(digits.target).long()


def load_torchvision(config: DatasetConfig, split: str) -> tuple[Tensor, Tensor, list[str]]:
    """MNIST, EMNIST, FashionMNIST or CIFAR10, downloaded on first use, as uint8 [N, C, H, W]."""
    options = {"split": config.emnist_split} if config.name == "EMNIST" else {}
    reader = getattr(tv, config.name)
    raw = config.data_folder / config.name / "raw"  # torchvision's, made before it downloads
    missing = [folder for folder in (raw, *raw.parents) if not os.path.exists(folder)]
    try:
        config.data_folder.mkdir(parents=True, exist_ok=True)
        data = reader(config.data_folder, train=split == "train", download=True, **options)
    except PermissionError as error:
        raise UserError(f"cannot write to the data folder: {error}") from None
    except (OSError, RuntimeError) as error:
        for folder in missing:
            with contextlib.suppress(OSError):  # it has files, or was not made
                folder.rmdir()
        reason = " ".join(str(error).split())
        if "invalid for input of size" in reason:
            raise UserError(
                f"the files of {config.name} in {config.data_folder} are damaged, maybe cut "
                f"short ({reason}): delete them, and they will be downloaded again"
            ) from None
        raise UserError(
            f"{config.name} is not in {config.data_folder} and could not be downloaded "
            f"({reason}). Check the network and the disk, or train on the digits, which need no "
            "download: python code/train.py configs/digits.yaml"
        ) from None
    images = torch.as_tensor(data.data)
    images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)
    labels = torch.as_tensor(data.targets).long()
    classes = list(data.classes)
    if config.name == "EMNIST":
        images = images.transpose(-1, -2)  # EMNIST's files hold transposed images
        if config.emnist_split == "letters":  # labelled 1 .. 26, with a class 0 that has no image
            labels, classes = labels - 1, classes[1:]
    return images, labels, classes


def _folder_of_split(config: DatasetConfig, split: str) -> Path:
    """Where the images of a split are: data_folder/SPLIT, for data sets that come in folders.

    The data folder may be the one of `config.split` itself, as ../data/afhq/train: other splits are
    then beside it. An ImageFolder, or one with captions, needs no splits.

    Raises UserError where the data folder is that of another split.
    """
    root = config.data_folder
    if (root / split).is_dir():
        return root / split
    if root.name == config.split:
        return root.parent / split
    if config.name in ("ImageFolder", CAPTIONED) and split == config.split:
        return root  # a tree without splits
    if root.name in SPLITS and root.is_dir():
        raise UserError(
            f"'dataset.data_folder' {root} is the folder of the split {root.name}, but "
            f"'dataset.split' is {config.split}: set one of them to the other's, or name the "
            f"folder above, {root.parent}"
        )
    return root / split


def load_folder(config: DatasetConfig, folder: Path, shape: Sequence[int]) -> FolderImages:
    """A tree with one folder per class; broken and tiny files are left out and reported once."""
    resize = _resize(config, shape)
    files, labels, classes = scan_folder(folder, config.min_bytes, config.name)
    return FolderImages(
        files, torch.tensor(labels), classes, shape, resize, config.random_flip, augmented=True
    )


def load_captioned(
    config: DatasetConfig, folder: Path, shape: Sequence[int], annotations: Path | None = None
) -> FolderImages:
    """The good images of a folder that have captions, see `captions.read_captions`.

    Images that are missing, broken or too small are skipped and reported once.
    """
    resize = _resize(config, shape)
    good = good_files(folder, read_captions(folder, annotations), config.min_bytes)
    files = ImageFiles([path for path, _ in good])
    labels, captions = number_captions([texts for _, texts in good])
    flip = config.random_flip
    return FolderImages(files, labels, [], shape, resize, flip, augmented=True, captions=captions)


def _resize(config: DatasetConfig, shape: Sequence[int]) -> int:
    """The shorter side of images before they are cropped to `shape` (C, H, W)."""
    if shape[0] not in (1, 3):
        raise UserError(f"'model.img_shape' has {shape[0]} channels, images have 1 or 3")
    resize = config.resize or max(shape[1:])
    if resize < max(shape[1:]):
        raise UserError(
            f"'dataset.resize' {resize} is smaller than the images of {shape[1]}x{shape[2]} that "
            "'model.img_shape' asks for"
        )
    return resize


def _numbered_with(texts: list[str], other: Images | None) -> Images | None:
    """A data set whose captions are numbered in a list with others, to which they are added."""
    if other is None or other.captions.texts is texts:  # the latter: images of the same folder
        return other
    offset = len(texts) - 1  # the empty prompt is number 0 for all
    texts += other.captions.texts[1:]
    captions = Captions(texts, other.captions.counts)
    return dataclasses.replace(other, labels=other.labels + offset, captions=captions)


def _fit(images: Tensor, shape: Sequence[int]) -> Tensor:
    """Bring uint8 images [N, C, H, W] to (C, H, W) = shape."""
    channels, height, width = shape
    if images.shape[1] != channels:
        if channels not in (1, 3):
            raise UserError(f"'model.img_shape' has {channels} channels, images have 1 or 3")
        images = (
            v2.functional.grayscale_to_rgb(images)
            if channels == 3
            else v2.functional.rgb_to_grayscale(images)
        )
    if images.shape[2:] != (height, width):
        images = v2.functional.resize(images, [height, width], antialias=True)
    return images.contiguous()


def _first_difference(found: list[str], expected: list[str]) -> str:
    extra, missing = set(found) - set(expected), set(expected) - set(found)
    return f"{min(extra)} is new" if extra else f"{min(missing)} is missing"


def spread_evenly(number: int, total: int) -> Tensor:
    """So many of the classes 0 .. total - 1, at most all of them, int64."""
    number = min(number, total)
    return torch.arange(number) * total // number
