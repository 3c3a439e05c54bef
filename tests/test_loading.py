"""Batches and their order, loaders with worker processes, and the cache of latents."""

import errno
import os
import signal

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from helpers.files import ROOT
from helpers.scripts import run_script
from libs.config import DatasetConfig
from libs.data.batches import EpochBatches, make_loader
from libs.datasets import MemoryImages, load_splits
from libs.runtime.device import Precision
from libs.runtime.processes import Processes
from libs.training import latent_cache
from libs.training.latent_cache import cache_latents
from libs.utils import UserError

FP32 = Precision("fp32", torch.device("cpu"))


def epoch(num_images=23, batch_size=4, seed=0, number=0, start=0, rank=0, world=1) -> list:
    """The batches of one epoch for one process."""
    batches = EpochBatches(num_images, batch_size, seed, Processes(rank, world))
    batches.epoch, batches.start = number, start
    return list(batches)


@pytest.fixture
def folder(tmp_path):
    """An augmented data set of 12 files in two class folders."""
    rng = np.random.default_rng(0)
    for name in ("ant", "bee"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(6):
            pixels = rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{i}.png")
    config = DatasetConfig(
        name="ImageFolder", data_folder=tmp_path / "images", resize=20, random_flip=True
    )
    return load_splits(config, (3, 16, 16), 10).train


# Batches


@pytest.mark.parametrize(("num_images", "batch_size"), [(23, 4), (24, 4), (5, 5), (3, 4)])
def test_every_image_at_most_once(num_images, batch_size):
    """In an epoch all batches are full, and no image comes twice."""
    batches = epoch(num_images, batch_size)
    seen = [index for batch in batches for index, _ in batch]
    assert all(len(batch) == batch_size for batch in batches)
    assert len(seen) == len(set(seen)) == num_images // batch_size * batch_size
    assert set(seen) <= set(range(num_images))
    assert len(EpochBatches(num_images, batch_size, 0, Processes())) == len(batches)


def test_images_left_out_change():
    """Images that one epoch leaves out come in others."""
    seen = {i for number in range(6) for batch in epoch(number=number) for i, _ in batch}
    assert seen == set(range(23))


def test_order_depends_on_seed_and_epoch_alone():
    """Order and augmentation follow from (seed, epoch), not from torch's global generator."""
    torch.manual_seed(1)
    first = epoch(seed=5, number=3)
    torch.manual_seed(2)
    assert epoch(seed=5, number=3) == first
    torch.manual_seed(1)
    state = torch.get_rng_state()
    epoch()
    assert torch.equal(torch.get_rng_state(), state)


def test_order_changes():
    """Another epoch or seed gives another order, and each image another augmentation."""
    runs = [epoch(24, seed=s, number=n) for s in range(3) for n in range(3)]
    orders = {tuple(i for batch in run for i, _ in batch) for run in runs}
    assert len(orders) == 9
    seeds = [dict(key for batch in run for key in batch)[0] for run in runs]
    assert len(set(seeds)) == 9


@pytest.mark.parametrize("world", [2, 4])
def test_processes_share_each_batch(world):
    """The slices of all processes, one after another, are the batch of a single process."""
    parts = [epoch(rank=rank, world=world) for rank in range(world)]
    joined = [[key for part in step for key in part] for step in zip(*parts, strict=True)]
    assert joined == epoch()


def test_resume_in_mid_epoch():
    """Started at batch 2, an epoch goes on with the very same remaining batches."""
    assert epoch(start=2) == epoch()[2:]
    assert epoch(start=2, rank=1, world=2) == epoch(rank=1, world=2)[2:]
    assert epoch(start=5) == []


# Loaders


def test_loader_with_workers_delivers_the_same(folder):
    """Two worker processes deliver the same tensors as none, in a second epoch too."""
    runs = []
    for num_workers in (0, 2):
        batches = EpochBatches(len(folder), 4, 0, Processes())
        loader = make_loader(folder, batches, num_workers, pin=False)
        delivered = []
        for number, start in ((0, 0), (1, 1)):
            batches.epoch, batches.start = number, start
            delivered += list(loader)
        runs.append(delivered)
    assert len(runs[0]) == len(runs[1]) == 3 + 2
    for (images, labels), (expected, expected_labels) in zip(*runs, strict=True):
        assert torch.equal(images, expected)
        assert torch.equal(labels, expected_labels)
    assert not torch.equal(runs[0][1][0], runs[0][3][0])


def test_loader_yields_the_batches(folder):
    """A loader's images and labels are those of the batches' keys."""
    batches = EpochBatches(len(folder), 5, 0, Processes())
    for keys, (images, labels) in zip(batches, make_loader(folder, batches, 0, False), strict=True):
        expected, expected_labels = folder.__getitems__(keys)
        assert torch.equal(images, expected)
        assert torch.equal(labels, expected_labels)


def test_no_workers_for_data_in_memory():
    """Data in memory is not sent through worker processes."""
    dataset = MemoryImages(torch.zeros(8, 1, 4, 4, dtype=torch.uint8), torch.zeros(8), ["a"])
    assert make_loader(dataset, EpochBatches(8, 4, 0, Processes()), 2, False).num_workers == 0


@pytest.mark.parametrize(("batch_size", "sizes"), [(5, [5, 5, 2]), (4, [4, 4, 4]), (50, [12])])
def test_batches_in_order(folder, batch_size, sizes):
    """`Images.batches` covers all images in their own order, with a smaller batch at the end."""
    plain = folder.plain()
    images, labels = zip(*plain.batches(batch_size), strict=True)
    assert [len(part) for part in images] == sizes
    expected, expected_labels = plain.__getitems__([(i, 0) for i in range(12)])
    assert torch.equal(torch.cat(images), expected)
    assert torch.equal(torch.cat(labels), expected_labels)


# Latents


class Encoder(nn.Module):
    """A stand-in for the autoencoder: a strided convolution that counts the images it sees."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 8, stride=8)
        self.images_seen = 0

    def forward(self, x):
        self.images_seen += len(x)
        return self.conv(x)


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return Encoder()


def test_second_call_reads_the_file(folder, encoder, tmp_path):
    """The data set is encoded once; later calls read the very same latents from the file."""
    first = cache_latents(folder, encoder, 3, tmp_path / "cache", FP32)
    assert encoder.images_seen == 36
    second = cache_latents(folder, encoder, 3, tmp_path / "cache", FP32)
    assert encoder.images_seen == 36
    assert torch.equal(first.images, second.images)
    assert first.images.shape == (12, 3, 4, 2, 2)
    assert first.images.dtype == torch.float16
    assert torch.equal(first.labels, folder.labels)
    assert first.classes == folder.classes
    assert len(list((tmp_path / "cache").iterdir())) == 1


def change_weights(folder, encoder):
    with torch.no_grad():
        encoder.conv.bias[0] += 1e-3
    return folder, 2, FP32


def change_images(folder, encoder):
    Image.new("RGB", (20, 20), (1, 2, 3)).save(folder.files.paths[3])
    return folder, 2, FP32


def change_variants(folder, encoder):
    return folder, 3, FP32


def change_augmentation(folder, encoder):
    return folder.plain(), 2, FP32


def change_selection(folder, encoder):
    return folder.at_most(5), 2, FP32


def change_precision(folder, encoder):
    return folder, 2, Precision("bf16", torch.device("cpu"))


def change_code(folder, encoder):
    class Other(type(encoder)):
        """The same layer, but from a file of another content."""

    Other.__module__ = "conftest"  # which is always imported
    encoder.__class__ = Other
    return folder, 2, FP32


@pytest.mark.parametrize(
    "change",
    [
        change_code,
        change_weights,
        change_images,
        change_variants,
        change_augmentation,
        change_selection,
        change_precision,
    ],
)
def test_changes_encode_anew(folder, encoder, tmp_path, change):
    """Other code, weights, images, variants, preparation or precision get latents of their own."""
    cache_latents(folder, encoder, 2, tmp_path, FP32)
    encoder.images_seen = 0
    dataset, variants, precision = change(folder, encoder)
    cached = cache_latents(dataset, encoder, variants, tmp_path, precision)
    assert encoder.images_seen == cached.images.shape[:2].numel()


def test_latents_are_those_of_the_variants(folder, encoder, tmp_path):
    """A batch's latents are the encoder's output for one augmented variant of each image."""
    cached = cache_latents(folder, encoder, 3, tmp_path, FP32)
    keys = [(7, 0), (2, 4), (2, 2**61 + 1), (11, 5)]
    latents, labels = cached.__getitems__(keys)
    assert latents.dtype == torch.float32
    assert labels.tolist() == [1, 0, 0, 1]
    for (index, seed), latent in zip(keys, latents, strict=True):
        image, _ = folder.__getitems__([(index, index * 3 + seed % 3)])
        assert torch.allclose(latent, encoder(image)[0], rtol=2e-3, atol=1e-3)


def test_variants_differ(folder, encoder, tmp_path):
    """Augmented images are stored in different variants, which seeds choose among evenly."""
    cached = cache_latents(folder, encoder, 4, tmp_path, FP32)
    for variants in cached.images:
        assert len({v.numpy().tobytes() for v in variants}) > 1
    chosen = cached.__getitems__([(0, seed) for seed in range(4)])[0]
    assert torch.equal(chosen.half(), cached.images[0])


def test_plain_images_have_one_variant(folder, encoder, tmp_path):
    """Images without augmentation are stored once, whatever the seed."""
    cached = cache_latents(folder.plain(), encoder, 4, tmp_path, FP32)
    assert cached.images.shape[1] == 1
    assert torch.equal(cached.__getitems__([(3, 5)])[0], cached.__getitems__([(3, 6)])[0])


def test_more_images_than_one_encoding_batch(encoder, tmp_path):
    """Latents keep the order of the images where these are encoded in several batches."""
    images = torch.randint(0, 256, (70, 3, 8, 8), dtype=torch.uint8)
    dataset = MemoryImages(images, torch.arange(70), ["a"])
    cached = cache_latents(dataset, encoder, 1, tmp_path, FP32)
    expected = encoder(images.float() / 255).detach()
    assert torch.allclose(cached.images[:, 0].float(), expected, rtol=2e-3, atol=1e-3)


def test_part_of_cached_latents(folder, encoder, tmp_path):
    """Choosing a part of cached latents keeps latents and labels together."""
    cached = cache_latents(folder, encoder, 2, tmp_path, FP32)
    part = cached.select(torch.tensor([8, 1]))
    assert torch.equal(part.images, cached.images[[8, 1]])
    assert part.labels.tolist() == [1, 0]


def test_unwritable_cache(folder, encoder, tmp_path):
    """A cache folder that cannot be made is reported with the key that turns the cache off."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"dataset\.latent_cache: false"):
        cache_latents(folder, encoder, 1, tmp_path / "file/cache", FP32)


def test_broken_cache_file(folder, encoder, tmp_path):
    """A damaged cache file is encoded again."""
    first = cache_latents(folder, encoder, 1, tmp_path, FP32)
    (file,) = tmp_path.glob("latents-*.pt")
    file.write_bytes(file.read_bytes()[:100])
    again = cache_latents(folder, encoder, 1, tmp_path, FP32)
    assert torch.equal(again.images, first.images)


# A build of the cache that is stopped


class Stopped(Exception):
    """What stands for a stop that a test can catch."""


def stop_after(encoder, images):
    """Have an encoder stop the process, or here the test, before it has seen so many images."""

    def check(module, args):
        if encoder.images_seen + len(args[0]) > images:
            raise Stopped

    return encoder.register_forward_pre_hook(check)


@pytest.fixture
def small_parts(monkeypatch):
    """Parts of 8 latents, encoded 4 at once."""
    monkeypatch.setattr(latent_cache, "BATCH", 4)
    monkeypatch.setattr(latent_cache, "PART", 8)


def many_images():
    """2,500 images, whose latents make three parts."""
    images = torch.arange(2500 * 3 * 64).mul(2654435761).remainder(251).to(torch.uint8)
    return MemoryImages(images.reshape(2500, 3, 8, 8), torch.arange(2500), ["a"])


def build_until_killed(folder):
    """Build the cache in a process that dies by SIGKILL after 2,240 images; see the test below."""
    torch.manual_seed(0)
    encoder = Encoder()

    def check(module, args):
        if encoder.images_seen == 2240:
            os.kill(os.getpid(), signal.SIGKILL)

    encoder.register_forward_pre_hook(check)
    cache_latents(many_images(), encoder, 1, folder, FP32)


@pytest.mark.slow
def test_killed_build_goes_on(encoder, tmp_path, capsys):
    """After a SIGKILL in the third part two are kept, and the result is that of one go."""
    code = "import test_loading; test_loading.build_until_killed(pathlib.Path(sys.argv[1]))"
    process = run_script(
        *("-c", f"import pathlib, sys; {code}", tmp_path / "killed"),
        PYTHONPATH=os.pathsep.join(str(ROOT / name) for name in ("code", "tests")),
        OMP_NUM_THREADS="1",
    )
    assert process.returncode == -signal.SIGKILL, process.stderr
    (parts,) = (tmp_path / "killed").iterdir()
    assert parts.suffix == ".parts"
    cached = cache_latents(many_images(), encoder, 1, tmp_path / "killed", FP32)
    assert encoder.images_seen == 2500 - 2048
    assert "going on with 2048 of 2500 latents" in capsys.readouterr().out
    whole = cache_latents(many_images(), encoder, 1, tmp_path / "whole", FP32)
    assert torch.equal(cached.images, whole.images)
    (file,), (expected,) = (list((tmp_path / f).iterdir()) for f in ("killed", "whole"))
    assert file.name == expected.name
    assert torch.equal(torch.load(file, weights_only=True), torch.load(expected, weights_only=True))


@pytest.mark.parametrize("seen", [0, 7, 8, 21, 35])
def test_stopped_build_loses_one_part(folder, encoder, tmp_path, small_parts, monkeypatch, seen):
    """Wherever a build stops, whole parts are kept, the bar starts there, and seeds stay right."""
    whole = cache_latents(folder, encoder, 3, tmp_path / "whole", FP32)
    encoder.images_seen = 0
    hook = stop_after(encoder, seen)
    with pytest.raises(Stopped):
        cache_latents(folder, encoder, 3, tmp_path / "stopped", FP32)
    hook.remove()
    started_at, bar = [], latent_cache.progress_bar
    monkeypatch.setattr(
        latent_cache, "progress_bar", lambda *args: started_at.append(args[3]) or bar(*args)
    )
    encoder.images_seen = 0
    cached = cache_latents(folder, encoder, 3, tmp_path / "stopped", FP32)
    assert started_at == [seen // 8 * 8]
    assert encoder.images_seen == 36 - seen // 8 * 8
    assert torch.equal(cached.images, whole.images)
    assert len(list((tmp_path / "stopped").iterdir())) == 1


def test_damaged_part_is_encoded_again(folder, encoder, tmp_path, small_parts):
    """Of the parts that a stopped build has left, a damaged one is encoded again, no other."""
    whole = cache_latents(folder, encoder, 3, tmp_path / "whole", FP32)
    encoder.images_seen = 0
    hook = stop_after(encoder, 30)
    with pytest.raises(Stopped):
        cache_latents(folder, encoder, 3, tmp_path / "stopped", FP32)
    hook.remove()
    files = sorted((tmp_path / "stopped").glob("*.parts/*.pt"))
    assert len(files) == 3
    files[1].write_bytes(files[1].read_bytes()[:200])
    encoder.images_seen = 0
    cached = cache_latents(folder, encoder, 3, tmp_path / "stopped", FP32)
    assert encoder.images_seen == 36 - 16
    assert torch.equal(cached.images, whole.images)


def test_full_disk_keeps_the_parts(folder, encoder, tmp_path, small_parts, monkeypatch):
    """A disk that is full in the third part is reported in a sentence; two parts are kept."""
    save = torch.save

    def fill_up(tensor, path):
        if "00000016" in path.name:
            path.write_bytes(b"some")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(tensor, path)

    monkeypatch.setattr(torch, "save", fill_up)
    with pytest.raises(UserError, match=r"No space left on device.*free some disk space") as error:
        cache_latents(folder, encoder, 3, tmp_path / "cache", FP32)
    assert len(str(error.value).splitlines()) == 1
    monkeypatch.setattr(torch, "save", save)
    assert len([*tmp_path.glob("cache/*.parts/*")]) == 2
    encoder.images_seen = 0
    cache_latents(folder, encoder, 3, tmp_path / "cache", FP32)
    assert encoder.images_seen == 36 - 16
