"""Do the tests of memorization fire on copies, and only on copies?"""

import math

import pytest
import torch

from helpers.files import find_asset
from libs import config as configs
from libs import datasets
from libs.metrics.distances import k_means
from libs.metrics.memorization import (
    c_t,
    calibrated_distance,
    mann_whitney_z,
    nearest_neighbour_ratio,
)
from libs.metrics.verdict import judge
from libs.utils import UserError

TESTS = ["nearest-neighbour ratio", "calibrated distance", "C_T"]


def real_digits():
    """scikit-learn's digits, in random order: training, held-out, and other held-out images."""
    images = torch.cat([datasets.load_digits(split)[0] for split in ("train", "test")])
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    return (images[order].float() / 255).split([997, 400, 400])


def mnist(tmp_path):
    """6,000 training images of MNIST, and two sets of 1,000 test images."""
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    for file in find_asset("data/MNIST").rglob("*.gz"):  # torchvision unpacks beside them
        (tmp_path / "MNIST" / "raw" / file.name).write_bytes(file.read_bytes())
    config = configs.DatasetConfig(name="MNIST", data_folder=tmp_path)
    train = datasets.load_dataset(config, "train", (1, 28, 28)).at_most(6000).images
    test = datasets.load_dataset(config, "test", (1, 28, 28)).at_most(2000).images
    order = torch.randperm(2000, generator=torch.Generator().manual_seed(0))
    return (train.float() / 255, *(test[order].float() / 255).split(1000))


@pytest.fixture(params=["digits", pytest.param("MNIST", marks=pytest.mark.slow)])
def images(request, tmp_path):
    return real_digits() if request.param == "digits" else mnist(tmp_path)


def fired(verdict):
    return [finding.test for finding in verdict.findings if finding.fires]


def noisy(images, amount):
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    return (images + amount * noise).clamp(0, 1)


@pytest.mark.parametrize("amount", [0.0, 0.05])
def test_copies_fire_every_test(images, amount):
    """Positive control: training images, and training images with a little noise, are found."""
    train, held_out, _ = images
    verdict = judge(noisy(train[:300], amount), train, held_out)
    assert fired(verdict) == TESTS
    assert str(verdict) == f"memorized, by {', '.join(TESTS)}"
    # the picture shows what was copied
    assert torch.equal(verdict.neighbours[:, 0], verdict.suspects)


def test_held_out_images_fire_none(images):
    """Negative control: real images that are not among the training images are not copies."""
    train, held_out, others = images
    verdict = judge(others, train, held_out)
    assert fired(verdict) == []
    assert str(verdict).startswith("no sign by")


def test_some_copies_among_new_images(images):
    """A fifth of copies is enough for the tests that look at the lowest values."""
    train, held_out, others = images
    samples = torch.cat([others[:240], noisy(train[:60], 0.02)])
    verdict = judge(samples, train, held_out)
    assert fired(verdict)[:2] == TESTS[:2]
    assert (verdict.suspects >= 240).all()


def test_wrong_samples_are_no_copies():
    """Noise and a model that draws one grey blur are bad, but copy nothing."""
    train, held_out, _ = real_digits()
    assert fired(judge(torch.rand(300, 1, 8, 8), train, held_out)) == []
    blur = noisy(train.mean(dim=0).expand(300, 1, 8, 8), 0.02)
    assert fired(judge(blur, train, held_out)) == []


def test_ratio_and_calibrated_distance_by_hand():
    """Points on a line, where every distance can be read off."""
    train = torch.tensor([[0.0], [4.0], [10.0]])
    samples = torch.tensor([[1.0], [2.0], [10.0]])
    torch.testing.assert_close(
        nearest_neighbour_ratio(samples, train), torch.tensor([1 / 3, 1.0, 0.0])
    )
    expected = torch.tensor([1 / (0.5 * 2), 2 / (0.5 * 2), 0.0])  # means of 1, 3 and of 2, 2
    torch.testing.assert_close(calibrated_distance(samples, train, num_neighbours=2), expected)
    mean = (1 + 3 + 9) / 3
    all_of_them = calibrated_distance(samples[:1], train, num_neighbours=50, alpha=1.0)
    torch.testing.assert_close(all_of_them, torch.tensor([1 / mean]))


def test_a_copy_of_a_repeated_image():
    """An image that the training data holds twice does not hide its copies."""
    train = torch.tensor([[0.0], [0.0], [5.0]])
    assert nearest_neighbour_ratio(torch.zeros(1, 1), train).tolist() == [0.0]
    assert calibrated_distance(torch.zeros(1, 1), train).tolist() == [0.0]


def test_mann_whitney_agrees_with_scipy():
    """The z-score equals SciPy's without its correction for ties, and ties count half."""
    stats = pytest.importorskip("scipy.stats", reason="SciPy is not installed")
    x, y = torch.randn(40).double(), 0.5 + torch.randn(60).double()
    ours = mann_whitney_z(x, y)
    theirs = stats.mannwhitneyu(x, y, method="asymptotic", use_continuity=False).pvalue
    assert math.erfc(abs(ours) / math.sqrt(2)) == pytest.approx(theirs)
    assert ours < 0
    assert mann_whitney_z(torch.zeros(9), torch.zeros(12)) == 0


def test_c_t_averages_over_cells():
    """Copies in one of two far cells, new images in the other: the statistic lies between."""
    generator = torch.Generator().manual_seed(0)

    def cloud(number, at):
        return at + torch.randn(number, 4, generator=generator)

    train, test = (torch.cat([cloud(200, 0.0), cloud(200, 100.0)]) for _ in range(2))
    copied, new = train[:100] + 0.001, cloud(100, 100.0)
    one, other = (c_t(x, train, test, 2, seed=0) for x in (copied, new))
    assert one < -8
    assert abs(other) < 3
    both = c_t(torch.cat([copied, new]), train, test, 2, seed=0)
    assert both == pytest.approx((one + other) / 2)


def test_c_t_needs_enough_in_a_cell():
    """Too few samples for the test are refused, with what to do."""
    points = torch.randn(100, 2)
    with pytest.raises(UserError, match="draw more with --num"):
        c_t(points[:19], points, points, 1, seed=0)


def test_k_means_finds_clusters():
    """Well separated clusters get a centre each, and the seed decides everything."""
    points = torch.tensor([0.0, 1.0, 100.0, 101.0]).repeat(50)[:, None]
    assert sorted(k_means(points, 2, seed=0).flatten().tolist()) == [0.5, 100.5]
    assert torch.equal(k_means(points, 3, seed=5), k_means(points, 3, seed=5))
