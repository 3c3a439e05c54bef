"""Data sets: what is read, how it is prepared, split and augmented, and what is refused."""

import functools
import http.server
import re
import shutil
import struct
import threading
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from helpers.files import find_asset
from libs.config import DatasetConfig, load_config
from libs.datasets import Splits, load_splits
from libs.utils import UserError

COLOURS = {"ant": (200, 40, 40), "bee": (40, 200, 40), "cow": (40, 40, 200)}


def noise(seed: int, size: tuple[int, int] = (24, 16)) -> Image.Image:
    """A picture of random RGB pixels, size as (width, height)."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def make_tree(root: Path, classes: str = "ant bee cow", number: int = 4) -> Path:
    """A folder for each class with PNG files of noise."""
    for c, name in enumerate(classes.split()):
        (root / name).mkdir(parents=True)
        for i in range(number):
            noise(100 * c + i).save(root / name / f"{i}.png")
    return root


def load(folder: Path, shape=(3, 8, 8), num_classes: int = 10, **options) -> Splits:
    """The data sets of an ImageFolder config."""
    config = DatasetConfig(**{"name": "ImageFolder", "data_folder": folder, **options})
    return load_splits(config, shape, num_classes)


def images_of(dataset, seed: int = 0) -> torch.Tensor:
    """All images of a data set, every one augmented with the same seed."""
    return dataset.__getitems__([(i, seed) for i in range(len(dataset))])[0]


# In memory


def test_digits_split(tmp_path):
    """Digits come in a fixed split of 1,498 and 299 different images with values in [0, 1]."""
    config = DatasetConfig(name="Digits", data_folder=tmp_path / "none", test_split="test")
    splits = load_splits(config, (1, 8, 8), 10)
    train, test = images_of(splits.train), images_of(splits.test)
    assert (len(train), len(test)) == (1498, 299)
    assert splits.val is None
    assert train.shape[1:] == (1, 8, 8)
    assert train.dtype == torch.float32
    assert (train.min(), train.max()) == (0, 1)
    assert splits.train.classes == [str(d) for d in range(10)]
    assert not (tmp_path / "none").exists()


def test_digits_are_scikit_learns():
    """No digit is lost or read twice: both parts together are scikit-learn's images and labels."""
    from sklearn.datasets import load_digits

    splits = load_splits(DatasetConfig(name="Digits", test_split="test"), (1, 8, 8), 10)
    digits = load_digits()
    is_test = np.arange(len(digits.target)) % 6 == 5
    for dataset, chosen in ((splits.train, ~is_test), (splits.test, is_test)):
        expected = torch.from_numpy(digits.images[chosen] / 16).float()
        assert torch.allclose(images_of(dataset)[:, 0], expected, atol=0.5 / 255)
        assert torch.equal(dataset.labels, torch.from_numpy(digits.target[chosen]).long())


def test_digits_resized_and_coloured():
    """Images in memory are brought to the size and channels that the model asks for."""
    images = images_of(load_splits(DatasetConfig(name="Digits"), (3, 16, 12), 10).train.at_most(9))
    assert images.shape == (9, 3, 16, 12)
    assert torch.equal(images[:, 0], images[:, 2])


def test_memory_flip_follows_seed():
    """In memory, a flip depends on the image's seed alone, and `plain` never flips."""
    train = load_splits(DatasetConfig(name="Digits", random_flip=True), (1, 8, 8), 10).train
    keys = [(5, seed) for seed in range(20)]
    images, original = train.__getitems__(keys)[0], train.plain().__getitems__([(5, 1)])[0][0]
    flipped = [torch.equal(image, original.flip(-1)) for image in images]
    assert 0 < sum(flipped) < 20
    assert all(f or torch.equal(image, original) for f, image in zip(flipped, images, strict=True))
    again = train.__getitems__(keys[::-1])[0].flip(0)
    assert torch.equal(images, again)


def test_unknown_split_of_memory_data():
    """A split that a ready-made data set does not have is refused by name."""
    with pytest.raises(UserError, match="splits train and test, not 'val'"):
        load_splits(DatasetConfig(name="Digits", split="val"), (1, 8, 8), 10)


@pytest.mark.parametrize("name", ["Digits", "ImageFolder"])
def test_two_channels_refused(name, tmp_path):
    """A model of 2 channels is refused: images have 1 or 3."""
    make_tree(tmp_path, number=1)
    with pytest.raises(UserError, match="2 channels, images have 1 or 3"):
        load_splits(DatasetConfig(name=name, data_folder=tmp_path), (2, 8, 8), 10)


def read_idx(path: Path, number: int) -> np.ndarray:
    """The first entries of an unpacked IDX file of bytes."""
    data = path.read_bytes()
    dimensions = struct.unpack(f">{data[3]}I", data[4 : 4 + 4 * data[3]])
    rest = np.frombuffer(data, np.uint8, offset=4 + 4 * data[3])
    return rest.reshape(dimensions)[:number]


def test_mnist(tmp_path):
    """MNIST is read from local files: 60,000 and 10,000 images, as an own reader finds them."""
    shutil.copytree(find_asset("data/MNIST"), tmp_path / "MNIST")
    config = DatasetConfig(name="MNIST", data_folder=tmp_path, test_split="test")
    splits = load_splits(config, (1, 28, 28), 10)
    assert (len(splits.train), len(splits.test)) == (60_000, 10_000)
    for dataset, prefix in ((splits.train, "train"), (splits.test, "t10k")):
        images, labels = dataset.__getitems__([(i, 0) for i in range(5)])
        expected = read_idx(tmp_path / f"MNIST/raw/{prefix}-images-idx3-ubyte", 5)
        assert torch.equal(images[:, 0], torch.from_numpy(expected.copy()).float() / 255)
        expected = read_idx(tmp_path / f"MNIST/raw/{prefix}-labels-idx1-ubyte", 5)
        assert labels.tolist() == expected.tolist()


@pytest.fixture
def no_network(monkeypatch):
    """Let every download of torchvision fail at once."""

    def fail(*args, **kwargs):
        raise RuntimeError("name resolution failed")

    monkeypatch.setattr(torchvision.datasets.mnist, "download_and_extract_archive", fail)


def test_mnist_downloads(tmp_path, monkeypatch):
    """MNIST that is absent is fetched over HTTP and unpacked, by torchvision's own code."""
    served = find_asset("data/MNIST/raw")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=str(served))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        mirror = f"http://127.0.0.1:{server.server_port}/"
        monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [mirror])
        config = DatasetConfig(name="MNIST", data_folder=tmp_path / "new" / "data")
        train = load_splits(config, (1, 28, 28), 10).train
        server.shutdown()
    assert len(train) == 60_000
    assert (tmp_path / "new/data/MNIST/raw/train-images-idx3-ubyte.gz").is_file()


def test_mnist_absent(tmp_path, no_network):
    """Without MNIST and a network, the sentence tells why and what trains without a download."""
    config = DatasetConfig(name="MNIST", data_folder=tmp_path)
    with pytest.raises(UserError, match=r"configs/digits\.yaml") as error:
        load_splits(config, (1, 28, 28), 10)
    assert str(tmp_path) in str(error.value)
    assert "name resolution failed" in str(error.value)


def test_mnist_cut_short(tmp_path, no_network):
    """MNIST files that an interrupted unpacking left are not a download problem: name the file."""
    raw = tmp_path / "MNIST/raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        images = struct.pack(">4I", 0x803, 10, 28, 28) + bytes(28 * 28 * 4)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(images)
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, 10) + bytes(10))
    with pytest.raises(UserError, match=r"damaged|broken|incomplete|delete|truncated|cut short"):
        load_splits(DatasetConfig(name="MNIST", data_folder=tmp_path), (1, 28, 28), 10)


def fake_reader(data, targets, classes):
    """A stand-in for a torchvision data set that records how it was called."""

    def read(root, **options):
        read.calls.append(options)
        return SimpleNamespace(data=data, targets=targets, classes=classes)

    read.calls = []
    return read


@pytest.mark.parametrize(
    ("emnist_split", "first_label", "classes"),
    [("letters", 1, ["N/A", "a", "b", "c"]), ("digits", 0, ["0", "1", "2"])],
)
def test_emnist(monkeypatch, tmp_path, emnist_split, first_label, classes):
    """EMNIST's images are turned upright, and letters' labels count from 0 like all others."""
    raw = torch.randint(0, 256, (3, 28, 28), dtype=torch.uint8)
    reader = fake_reader(raw, torch.arange(first_label, first_label + 3), classes)
    monkeypatch.setattr(torchvision.datasets, "EMNIST", reader)
    config = DatasetConfig(name="EMNIST", data_folder=tmp_path, emnist_split=emnist_split)
    train = load_splits(config, (1, 28, 28), 10).train
    assert torch.equal(images_of(train)[:, 0], raw.float().transpose(1, 2) / 255)
    assert train.labels.tolist() == [0, 1, 2]
    assert train.classes == classes[-3:]
    assert reader.calls[0]["split"] == emnist_split
    assert reader.calls[0]["train"] is True


def test_fashion_mnist(monkeypatch, tmp_path):
    """FashionMNIST's images are read as they are, from the split asked for."""
    raw = torch.randint(0, 256, (3, 28, 28), dtype=torch.uint8)
    reader = fake_reader(raw, torch.tensor([2, 0, 1]), ["Top", "Coat", "Bag"])
    monkeypatch.setattr(torchvision.datasets, "FashionMNIST", reader)
    config = DatasetConfig(name="FashionMNIST", data_folder=tmp_path, split="test")
    test = load_splits(config, (1, 28, 28), 3).train
    assert torch.equal(images_of(test)[:, 0], raw.float() / 255)
    assert test.labels.tolist() == [2, 0, 1]
    assert reader.calls[0]["train"] is False
    assert "split" not in reader.calls[0]


def test_cifar10(monkeypatch, tmp_path):
    """CIFAR-10's arrays [N, H, W, C] become [N, C, H, W], and grey where the model is grey."""
    raw = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    reader = fake_reader(raw, [1, 0, 1], ["plane", "car"])
    monkeypatch.setattr(torchvision.datasets, "CIFAR10", reader)
    config = DatasetConfig(name="CIFAR10", data_folder=tmp_path)
    train = load_splits(config, (3, 32, 32), 10).train
    assert torch.equal(images_of(train), torch.from_numpy(raw).permute(0, 3, 1, 2).float() / 255)
    assert train.labels.tolist() == [1, 0, 1]
    grey = images_of(load_splits(config, (1, 32, 32), 10).train)
    expected = raw @ np.array([0.299, 0.587, 0.114]) / 255
    assert np.allclose(grey[:, 0], expected, atol=1.5 / 255)


# Folders


def test_folder_classes_and_labels(tmp_path):
    """Class folders in alphabetical order are the classes, and every image has its folder's."""
    for name in ("cow", "ant", "bee"):
        (tmp_path / name).mkdir()
        for i in range(2):
            Image.new("RGB", (10, 10), COLOURS[name]).save(tmp_path / name / f"{i}.png")
    train = load(tmp_path).train
    assert train.classes == ["ant", "bee", "cow"]
    images, labels = train.__getitems__([(i, 0) for i in range(6)])
    assert labels.tolist() == [0, 0, 1, 1, 2, 2]
    for image, label in zip(images, labels, strict=True):
        colour = torch.tensor(list(COLOURS.values())[label]) / 255
        assert torch.allclose(image.mean((1, 2)), colour, atol=1e-6)


def test_folder_with_splits(tmp_path):
    """A tree with folders train/ and val/ gives the images of the split asked for."""
    make_tree(tmp_path / "train", number=3)
    make_tree(tmp_path / "val", number=2)
    splits = load(tmp_path, split="train", test_split="val")
    assert (len(splits.train), len(splits.test)) == (9, 6)
    assert splits.test.classes == ["ant", "bee", "cow"]
    assert not splits.test.augmented


@pytest.mark.parametrize("name", ["AFHQ", "MiniImageNet", "ImageFolder"])
@pytest.mark.parametrize("split", ["train", "val"])
def test_data_folder_may_be_that_of_the_split(tmp_path, name, split):
    """As in the course's configs, data_folder may end in /train, with or without a slash; the other
    splits are beside it."""
    other = {"train": "val", "val": "train"}[split]
    for number, folder in enumerate((split, other)):
        make_tree(tmp_path / "afhq" / folder, number=3 + number)
    expected = load(tmp_path / "afhq", name=name, split=split, test_split=other)
    text = f"dataset: {{name: {name}, data_folder: afhq/{split}/, split: {split}}}"
    (tmp_path / "c.yaml").write_text(text)
    folder = load_config(str(tmp_path / "c.yaml")).dataset.data_folder
    for splits in (
        load(folder, name=name, split=split, test_split=other),
        load(folder, name=name, split=split, test_split=other, val_fraction=0.3),
    ):
        assert splits.test.files.paths == expected.test.files.paths
        paths = splits.train.files.paths + (splits.val.files.paths if splits.val else [])
        assert sorted(paths) == sorted(expected.train.files.paths)


def test_data_folder_of_another_split(tmp_path):
    """Test images are not trained on because the folder above was left out; a tree of one's own
    without splits is taken as it is."""
    for folder in ("train", "test"):
        make_tree(tmp_path / folder)
    with pytest.raises(UserError, match=r"split test, but 'dataset.split' is train"):
        load(tmp_path / "test", name="AFHQ")
    assert load(tmp_path / "test").train.files.paths[0].parts[-3] == "test"
    with pytest.raises(UserError, match=r"data folder .*val does not exist"):
        load(tmp_path / "train", name="AFHQ", test_split="val")


def test_folder_without_test_split_refused(tmp_path):
    """A test split that has no folder is refused; training images are not test images."""
    make_tree(tmp_path, number=2)
    with pytest.raises(UserError, match=r"\btest\b"):
        load(tmp_path, test_split="test")


def test_test_split_with_other_classes_refused(tmp_path):
    """A test split with other class folders, so other meanings of labels, is refused."""
    make_tree(tmp_path / "train", "ant bee", 1)
    make_tree(tmp_path / "test", "bee cow", 1)
    with pytest.raises(UserError, match=r"\bclass.*(cow is new|ant is missing)"):
        load(tmp_path, test_split="test")


@pytest.mark.parametrize("size", [(40, 20), (20, 40), (30, 30), (8, 9)])
def test_centre_crop(tmp_path, size):
    """Plain images are the centre of the picture, resized so that the shorter side fits."""
    (tmp_path / "ant").mkdir()
    picture = noise(0, size)
    picture.save(tmp_path / "ant/0.png")
    image = images_of(load(tmp_path, shape=(3, 16, 16)).train.plain())[0]
    scale = 16 / min(size)
    width, height = (int(scale * side) for side in size)
    small = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))
    top, left = round((height - 16) / 2), round((width - 16) / 2)
    expected = torch.from_numpy(small[top : top + 16, left : left + 16].copy())
    assert torch.equal(image, expected.permute(2, 0, 1).float() / 255)


def test_resize_before_crop(tmp_path):
    """`resize` sets the shorter side before the crop: with twice the size, half the view."""
    (tmp_path / "ant").mkdir()
    noise(0, (16, 16)).save(tmp_path / "ant/0.png")
    whole = load(tmp_path, shape=(3, 8, 8), resize=16).train.plain()
    original = torch.from_numpy(np.asarray(noise(0, (16, 16))).copy()).permute(2, 0, 1)
    assert torch.equal(images_of(whole)[0], original[:, 4:12, 4:12].float() / 255)


def test_resize_below_crop_refused(tmp_path):
    """A `resize` smaller than the crop is refused with both numbers."""
    make_tree(tmp_path, number=1)
    with pytest.raises(UserError, match=r"resize' 7 .* 8x8"):
        load(tmp_path, resize=7)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pixel_formats(tmp_path, mode, channels):
    """Files of any pixel format show the same picture as grey and as RGB images."""
    pixels = np.zeros((8, 8, 3), dtype=np.uint8)
    pixels[:, 4:] = 255 if mode in ("1", "CMYK") else 100
    (tmp_path / "ant").mkdir()
    picture = Image.fromarray(pixels)
    if mode == "I;16":
        picture = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    elif mode == "P":
        picture = picture.quantize(4)
    else:
        picture = picture.convert(mode)
    picture.save(tmp_path / f"ant/0.{'tif' if mode == 'CMYK' else 'png'}")
    image = images_of(load(tmp_path, shape=(channels, 8, 8)).train)[0]
    expected = torch.from_numpy(pixels).permute(2, 0, 1).float()[:channels] / 255
    assert torch.allclose(image, expected, atol=1.5 / 255)


def test_large_jpeg_is_decoded_well(tmp_path):
    """Large JPEG files, decoded at a reduced scale, look as if decoded in full and shrunk."""
    (tmp_path / "ant").mkdir()
    x, y = np.meshgrid(np.linspace(0, 20, 160), np.linspace(0, 15, 120))
    waves = np.stack([np.sin(x), np.cos(y), np.sin(x + y)], axis=-1) * 100 + 128
    picture = Image.fromarray(waves.astype(np.uint8))
    picture.save(tmp_path / "ant/0.jpg", quality=95)
    image = images_of(load(tmp_path, shape=(3, 32, 32)).train.plain())[0]
    small = np.asarray(picture.resize((42, 32), Image.Resampling.BILINEAR))[:, 5:37] / 255
    assert np.abs(image.permute(1, 2, 0).numpy() - small).max() < 0.04


@pytest.fixture
def augmented(tmp_path):
    """Augmented images of 24x16, cropped at random to 8x8 and flipped."""
    return load(make_tree(tmp_path), resize=16, random_flip=True).train


def test_augmentation_follows_seed(augmented):
    """The same seed gives the same crop, alone or in any batch; another seed gives another."""
    keys = [(i, 10 * i + s) for i in range(4) for s in range(3)]
    batch = augmented.__getitems__(keys)[0]
    torch.manual_seed(99)
    alone = [augmented.__getitems__([key])[0][0] for key in reversed(keys)][::-1]
    assert torch.equal(batch, torch.stack(alone))
    crops = augmented.__getitems__([(0, seed) for seed in range(8)])[0]
    assert len({crop.numpy().tobytes() for crop in crops}) > 4


def test_augmentation_leaves_global_random_numbers(augmented, monkeypatch):
    """Loading augmented images draws nothing from torch's global generators, and seeds no GPU."""
    torch.manual_seed(3)
    before = torch.get_rng_state()
    seeded: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    augmented.__getitems__([(0, 1), (1, 2)])
    assert torch.equal(torch.get_rng_state(), before)
    assert not seeded


def test_folder_flip(tmp_path):
    """With `random_flip` about half of the seeds mirror an image, without it none."""
    (tmp_path / "ant").mkdir()
    noise(0, (8, 8)).save(tmp_path / "ant/0.png")
    keys = [(0, seed) for seed in range(40)]
    original = images_of(load(tmp_path).train.plain())[0]
    images = load(tmp_path, random_flip=True).train.__getitems__(keys)[0]
    flipped = [torch.equal(image, original.flip(-1)) for image in images]
    assert 10 <= sum(flipped) <= 30
    assert all(f or torch.equal(image, original) for f, image in zip(flipped, images, strict=True))
    unflipped = load(tmp_path).train.__getitems__(keys)[0]
    assert all(torch.equal(image, original) for image in unflipped)


def test_plain_ignores_seed(augmented):
    """`plain` gives the same images without augmentation, and leaves the data set as it was."""
    plain = augmented.plain()
    assert torch.equal(images_of(plain, seed=1), images_of(plain, seed=2))
    assert plain.classes == augmented.classes
    assert augmented.augmented
    assert not torch.equal(images_of(augmented, seed=1), images_of(augmented, seed=2))


# Files that cannot be used


def png_header(width: int, height: int) -> bytes:
    """A PNG file that claims a size and holds no pixels."""
    body = b"IHDR" + struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IEND\xae\x42\x60\x82"


def test_bad_files_are_skipped_and_reported(tmp_path, capsys):
    """Truncated and false images are left out and reported once, with reasons and their number."""
    make_tree(tmp_path, "ant", 2)
    for suffix in ("jpg", "png", "gif", "bmp"):
        whole = tmp_path / f"ant/cut.{suffix}"
        noise(1, (64, 64)).save(whole)
        whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    (tmp_path / "ant/text.jpg").write_text("no image at all")
    (tmp_path / "ant/empty.png").touch()
    (tmp_path / "ant/README.txt").write_text("about these images")
    train = load(tmp_path).train
    assert len(train) == 2
    output = capsys.readouterr().out
    assert output.count("skipped 7 of 9 files") == 1
    for suffix in ("jpg", "png", "gif", "bmp"):
        assert f"cut.{suffix}: truncated" in output
    for line in ("text.jpg: not a readable image", "empty.png: not a", "README.txt: no image"):
        assert line in output
    images_of(train)
    assert capsys.readouterr() == ("", "")


def test_gigantic_image_is_skipped(tmp_path, capsys):
    """A file whose header claims a gigantic picture is skipped, not a crash."""
    make_tree(tmp_path, "ant", 1)
    (tmp_path / "ant/huge.png").write_bytes(png_header(30_000, 30_000))
    assert len(load(tmp_path).train) == 1
    assert "skipped 1 of 2 files" in capsys.readouterr().out


def test_complete_files_with_trailing_bytes_are_used(tmp_path, capsys):
    """A whole image with other bytes after its end, as some cameras write, is used."""
    make_tree(tmp_path, "ant", 1)
    noise(1).save(tmp_path / "ant/1.jpg")
    for path in (tmp_path / "ant").iterdir():
        path.write_bytes(path.read_bytes() + b"\0\0\0\0")
    assert len(load(tmp_path).train) == 2
    assert capsys.readouterr().out == ""


def test_many_bad_files_are_summed_up(tmp_path, capsys):
    """Of many bad files only ten are listed, the rest are counted."""
    make_tree(tmp_path, "ant", 1)
    for i in range(25):
        (tmp_path / f"ant/{i:02}.jpg").write_bytes(b"x")
    load(tmp_path)
    output = capsys.readouterr().out
    assert "skipped 25 of 26 files" in output
    assert "and 15 more" in output
    assert len(re.findall(r"\.jpg:", output)) == 10


def test_hidden_files_and_folders_are_ignored(tmp_path, capsys):
    """Hidden files and folders, which file managers leave behind, are passed over in silence."""
    make_tree(tmp_path, "ant", 1)
    (tmp_path / ".thumbnails").mkdir()
    (tmp_path / "ant/.DS_Store").write_bytes(b"x")
    (tmp_path / "ant/._0.png").write_bytes(b"x")
    (tmp_path / "notes.txt").write_text("x")
    train = load(tmp_path).train
    assert (len(train), train.classes) == (1, ["ant"])
    assert capsys.readouterr().out == ""


def test_images_in_subfolders_and_capital_suffix(tmp_path):
    """Images deeper in a class folder, or named .JPG, count too."""
    (tmp_path / "ant/deep/down").mkdir(parents=True)
    noise(0).save(tmp_path / "ant/deep/down/a.png")
    noise(1).save(tmp_path / "ant/B.JPG")
    assert len(load(tmp_path).train) == 2


def test_min_bytes(tmp_path, capsys):
    """Files smaller than `min_bytes` are left out and reported; one of that very size is kept."""
    (tmp_path / "ant").mkdir()
    Image.new("RGB", (16, 16)).save(tmp_path / "ant/small.png")
    noise(0, (64, 64)).save(tmp_path / "ant/large.png")
    limit = (tmp_path / "ant/large.png").stat().st_size
    assert len(load(tmp_path, min_bytes=limit).train) == 1
    assert f"fewer than min_bytes {limit}" in capsys.readouterr().out
    with pytest.raises(UserError, match="2 files found, all skipped"):
        load(tmp_path, min_bytes=limit + 1)


def test_file_that_breaks_later_is_replaced(tmp_path, capsys):
    """A file that breaks after the scan is replaced by the next one, with a warning."""
    make_tree(tmp_path, "ant", 3)
    train = load(tmp_path).train.plain()
    expected = images_of(train)
    (tmp_path / "ant/1.png").write_bytes(b"gone")
    (tmp_path / "ant/2.png").unlink()
    images = images_of(train)
    assert torch.equal(images, expected[[0, 0, 0]])
    errors = capsys.readouterr().err
    assert "1.png cannot be used" in errors
    assert "2.png cannot be used" in errors


def test_replacement_keeps_its_label(tmp_path):
    """An image that stands in for a broken one of another class brings its own label."""
    make_tree(tmp_path, "ant bee", 1)
    train = load(tmp_path).train.plain()
    (tmp_path / "ant/0.png").write_bytes(b"gone")
    images, labels = train.__getitems__([(0, 0), (1, 0)])
    assert torch.equal(images[0], images[1])
    assert labels[0] == labels[1]


def test_all_files_break_later(tmp_path):
    """When no file can be decoded any more, a sentence says so."""
    train = load(make_tree(tmp_path, "ant", 2)).train
    shutil.rmtree(tmp_path / "ant")
    with pytest.raises(UserError, match="has the data folder changed"):
        images_of(train)


# Folders that cannot be used


def test_missing_afhq_names_the_download(tmp_path):
    """A missing AFHQ folder is reported with the command that downloads it."""
    config = DatasetConfig(name="AFHQ", data_folder=tmp_path / "afhq")
    with pytest.raises(UserError, match=r"download_dataset\.sh afhq"):
        load_splits(config, (3, 8, 8), 3)


def test_missing_folder(tmp_path):
    """A missing folder of one's own is reported with its path and the key that sets it."""
    with pytest.raises(UserError, match=r"elsewhere does not exist.*dataset\.data_folder"):
        load(tmp_path / "elsewhere")


def test_no_class_folders(tmp_path):
    """Images that lie in no class folder are refused with the layout that is expected."""
    noise(0).save(tmp_path / "0.png")
    with pytest.raises(UserError, match=r"no class folders.*CLASS/IMAGE"):
        load(tmp_path)


def test_no_usable_image(tmp_path):
    """A tree without any usable image is refused."""
    (tmp_path / "ant").mkdir()
    (tmp_path / "ant/0.jpg").write_text("no image")
    with pytest.raises(UserError, match=r"no usable image.*1 files found"):
        load(tmp_path)


def test_too_many_classes(tmp_path):
    """More classes than the model has are refused with the number to set; fewer are fine."""
    make_tree(tmp_path, number=1)
    with pytest.raises(UserError, match=r"3 classes, but 'model\.num_classes' is 2: set it to 3"):
        load(tmp_path, num_classes=2)
    assert len(load(tmp_path, num_classes=3).train) == 3


# Splits and parts


def paths(dataset) -> set[Path]:
    return set(dataset.files.paths)


def test_val_fraction(tmp_path):
    """Validation images are a fixed share, held out of training, and not augmented."""
    make_tree(tmp_path, number=10)
    splits = load(tmp_path, val_fraction=0.2)
    assert (len(splits.train), len(splits.val)) == (24, 6)
    assert not paths(splits.train) & paths(splits.val)
    assert paths(splits.val) == paths(load(tmp_path, val_fraction=0.2).val)
    assert splits.train.augmented
    assert torch.equal(images_of(splits.val, seed=1), images_of(splits.val, seed=2))
    labels = [splits.val.classes.index(p.parent.name) for p in splits.val.files.paths]
    assert splits.val.labels.tolist() == labels


@pytest.mark.parametrize("subset", [0.5, 1.0])
def test_val_fraction_leaves_training_images(tmp_path, subset):
    """However large the share, no validation image is trained on, and training keeps one."""
    make_tree(tmp_path, number=4)
    splits = load(tmp_path, val_fraction=0.99, subset=subset)
    assert not paths(splits.train) & paths(splits.val)
    assert len(splits.train) > 0


def test_subset(tmp_path):
    """A subset is a fixed share of the images, of several classes; a larger one holds it."""
    make_tree(tmp_path, number=10)
    fifth, half = (load(tmp_path, subset=share).train for share in (0.2, 0.5))
    assert (len(fifth), len(half)) == (6, 15)
    assert paths(fifth) <= paths(half)
    assert len(set(half.labels.tolist())) == 3
    assert len(load(tmp_path, subset=1e-6).train) == 1


def test_subset_is_split_for_validation(tmp_path):
    """With both, the validation images come out of the subset."""
    make_tree(tmp_path, number=10)
    splits = load(tmp_path, subset=0.5, val_fraction=0.2)
    assert (len(splits.train), len(splits.val)) == (12, 3)
    assert paths(splits.train) | paths(splits.val) == paths(load(tmp_path, subset=0.5).train)


def test_val_data_folder(tmp_path):
    """Validation images can come from a tree of their own; all others are then trained on."""
    make_tree(tmp_path / "a", number=2)
    make_tree(tmp_path / "b", number=1)
    splits = load(tmp_path / "a", val_data_folder=tmp_path / "b")
    assert len(splits.val) == 3
    assert not splits.val.augmented
    assert len(splits.train) == 6


@pytest.mark.parametrize(
    ("classes", "difference"),
    [("ant bee dog", "dog is new"), ("ant bee", "cow is missing"), ("ant bee cow d", "d is new")],
)
def test_val_data_folder_with_other_classes(tmp_path, classes, difference):
    """Validation folders that differ from the training folders are refused with the difference."""
    make_tree(tmp_path / "a", number=1)
    make_tree(tmp_path / "b", classes, 1)
    with pytest.raises(UserError, match=difference):
        load(tmp_path / "a", val_data_folder=tmp_path / "b")


@pytest.mark.parametrize("name", ["Digits", "ImageFolder"])
def test_at_most(name, tmp_path):
    """`at_most` chooses the same images every time, in order, and all where there are fewer."""
    make_tree(tmp_path, number=10)
    train = load_splits(DatasetConfig(name=name, data_folder=tmp_path), (1, 8, 8), 10).train.plain()
    few = train.at_most(7)
    assert len(few) == 7
    assert torch.equal(images_of(few), images_of(train.at_most(7)))
    everything = [image.numpy().tobytes() for image in images_of(train)]
    found = [everything.index(image.numpy().tobytes()) for image in images_of(few)]
    assert found == sorted(set(found))
    assert few.labels.tolist() == train.labels[found].tolist()
    assert len(train.at_most(10**6)) == len(train)


def test_fingerprint(tmp_path):
    """A fingerprint changes with files, preparation and augmentation, not between two scans."""
    make_tree(tmp_path, number=2)
    first = load(tmp_path).train
    assert load(tmp_path).train.fingerprint() == first.fingerprint()
    others = [
        first.plain(),
        first.select(torch.tensor([0, 1])),
        load(tmp_path, resize=16).train,
        load(tmp_path, random_flip=True).train,
        load(tmp_path, shape=(1, 8, 8)).train,
    ]
    noise(0).save(tmp_path / "ant/new.png")
    others.append(load(tmp_path).train)
    assert len({dataset.fingerprint() for dataset in [first, *others]}) == 7


def test_a_failed_download_removes_only_what_it_made(monkeypatch, tmp_path):
    """Empty folders of the user's own stay, and those that were made go, the data folder, too."""
    (tmp_path / "own" / "empty").mkdir(parents=True)

    def fail(root, **options):
        (Path(root) / "MNIST" / "raw").mkdir(parents=True)
        raise RuntimeError("no network")

    monkeypatch.setattr(torchvision.datasets, "MNIST", fail)
    for folder in (tmp_path, tmp_path / "new" / "data"):
        with pytest.raises(UserError, match="could not be downloaded"):
            load_splits(DatasetConfig(name="MNIST", data_folder=folder), (1, 28, 28), 10)
        assert [path.name for path in sorted(tmp_path.rglob("*"))] == ["own", "empty"]


def test_afhq_faces():
    """The real animal faces load as 128x128 colour images of three classes."""
    config = DatasetConfig(name="AFHQ", data_folder=find_asset("data/afhq"), resize=144)
    train = load_splits(config, (3, 128, 128), 3).train
    assert train.classes == ["cat", "dog", "wild"]
    assert set(train.labels.tolist()) == {0, 1, 2}
    images, labels = train.__getitems__([(0, 1), (len(train) - 1, 2)])
    assert images.shape == (2, 3, 128, 128)
    assert 0 <= images.min() < images.max() <= 1
    assert 0.2 < images.mean() < 0.8
    assert labels.tolist() == [0, 2]
