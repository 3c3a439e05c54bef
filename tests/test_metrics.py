"""The metrics on features, and where networks, weights and features come from."""

import functools
import hashlib
import http.server
import itertools
import math
import threading
from unittest import mock

import pytest
import torch

from helpers.files import find_asset
from libs import config as configs
from libs import datasets
from libs.metrics import OF_CLASSES, lenet, report, scoring
from libs.metrics import features as feature_files
from libs.metrics.distances import nearest
from libs.metrics.evaluation import suited_metrics
from libs.metrics.evidence import Evidence, Networks, RealImages, all_images
from libs.metrics.fid import frechet_distance, statistics
from libs.metrics.grain import difference_counts, grain_distance
from libs.metrics.inception import Inception
from libs.metrics.inception_score import inception_score
from libs.metrics.kid import kernel_distance, squared_mmd
from libs.metrics.lpips_diversity import Lpips, diversity, same_class_pairs
from libs.metrics.precision_recall import precision_recall
from libs.metrics.variety import mean_distance
from libs.runtime import downloads as weight_files
from libs.runtime.cache import Store
from libs.runtime.hashes import hash_of_code
from libs.utils import UserError

CPU = torch.device("cpu")


def clouds(n, m, dim, shift=0.3):
    """Two overlapping sets of features, one wider than the other."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, dim, generator=generator)
    return x, shift + 1.2 * torch.randn(m, dim, generator=generator)


def digits(split="train", number=None):
    images = datasets.MemoryImages(*datasets.load_digits(split))
    return images if number is None else images.at_most(number)


def test_frechet_distance_of_known_gaussians():
    """Diagonal covariances commute: the distance is a sum over axes that one can write down."""
    mean1, mean2 = torch.tensor([0.0, 1.0]).double(), torch.tensor([3.0, 1.0]).double()
    cov1, cov2 = (torch.diag(torch.tensor(v).double()) for v in ([1.0, 4.0], [9.0, 0.25]))
    expected = 3**2 + (1 - 3) ** 2 + (2 - 0.5) ** 2
    assert frechet_distance(mean1, cov1, mean2, cov2) == pytest.approx(expected)
    assert frechet_distance(mean1, cov1, mean1, cov1) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_with_fewer_images_than_features():
    """Covariances without full rank give the value of the rank that they have."""
    x, y = clouds(20, 30, 8)
    wide = torch.linalg.qr(torch.randn(64, 8).double())[0].T  # orthogonal: keeps distances
    small = frechet_distance(*statistics(x), *statistics(y))
    large = frechet_distance(*statistics(x.double() @ wide), *statistics(y.double() @ wide))
    assert large == pytest.approx(small, rel=1e-5)


def test_squared_mmd_is_the_mean_over_pairs():
    """The estimate equals the double sum over different images of Binkowski et al., eq. 4."""
    x, y = (z.double() for z in clouds(5, 7, 3))

    def mean(a, b, skip):
        values = [
            (sum(p * q for p, q in zip(u, v, strict=True)) / 3 + 1) ** 3
            for i, u in enumerate(a.tolist())
            for j, v in enumerate(b.tolist())
            if not (skip and i == j)
        ]
        return sum(values) / len(values)

    expected = mean(x, x, True) + mean(y, y, True) - 2 * mean(x, y, False)
    assert squared_mmd(x, y) == pytest.approx(expected)


def test_kernel_distance_knows_what_it_cannot_tell():
    """Subsets that hold everything do not vary, so no error is claimed."""
    x, y = clouds(40, 40, 4)
    assert kernel_distance(x, y) == (pytest.approx(squared_mmd(x.double(), y.double())), None)
    value, error = kernel_distance(x, clouds(40, 400, 4)[1])
    assert abs(value - squared_mmd(x.double(), y.double())) < 1
    assert 0 < error < abs(value)


def test_inception_score_bounds():
    """A classifier that knows nothing scores 1, one that is sure of K equal classes scores K."""
    assert inception_score(torch.zeros(100, 5))[0] == pytest.approx(1)
    sure = 50 * torch.eye(4)[torch.arange(40_000) % 4]
    assert inception_score(sure)[0] == pytest.approx(4, rel=1e-2)


def test_precision_and_recall_tell_different_faults():
    """Half the modes: precise but not complete. Added noise: complete but not precise."""
    generator = torch.Generator().manual_seed(1)
    centres = torch.tensor([[0.0, 0.0], [50.0, 0.0]]).repeat(100, 1)
    real, same = (centres + torch.randn(200, 2, generator=generator) for _ in range(2))
    half = same[::2]
    outliers = torch.cat([same, 1000 * torch.randn(200, 2, generator=generator)])
    precision, recall = precision_recall(half, real)
    assert precision > 0.9
    assert recall == pytest.approx(0.5, abs=0.1)
    precision, recall = precision_recall(outliers, real)
    assert precision == pytest.approx(0.5, abs=0.1)
    assert recall > 0.9


def test_agreement_with_torch_fidelity(monkeypatch):
    """FID, KID, IS, precision and recall equal an independent implementation's to 1e-3."""
    pytest.importorskip("torch_fidelity", reason="torch-fidelity is not installed")
    from torch_fidelity import metric_fid, metric_isc, metric_kid, metric_prc

    x, y = clouds(300, 350, 48)
    theirs = metric_fid.fid_statistics_to_metric(
        *(metric_fid.fid_features_to_statistics(z.double()) for z in (x, y)), verbose=False
    )
    ours = frechet_distance(*statistics(x), *statistics(y))
    assert ours == pytest.approx(theirs["frechet_inception_distance"], rel=1e-3)

    quiet = {"verbose": False, "kid_subset_size": 300, "kid_subsets": 1}
    theirs = metric_kid.kid_features_to_metric(x.double(), y[:300].double(), **quiet)
    assert kernel_distance(x, y[:300])[0] == pytest.approx(
        theirs["kernel_inception_distance_mean"], rel=1e-3
    )

    monkeypatch.setattr("libs.metrics.inception_score.NUM_SPLITS", 1)  # theirs are other parts
    theirs = metric_isc.isc_features_to_metric(3 * x, splits=1)["inception_score_mean"]
    assert inception_score(3 * x)[0] == pytest.approx(theirs, rel=1e-3)

    low_dimensional = [z[:, :6].contiguous() for z in (x, y)]
    theirs = metric_prc.prc_features_to_metric(*low_dimensional, verbose=False)
    precision, recall = precision_recall(*low_dimensional)
    assert precision == pytest.approx(theirs["precision"], abs=1e-3)
    assert recall == pytest.approx(theirs["recall"], abs=1e-3)


def test_grain_distance_by_hand():
    """Pixels above and beside each other count; the distance is that of log2(1 + difference)."""
    image = torch.tensor([[0, 0, 3], [0, 255, 255]], dtype=torch.uint8).view(1, 1, 2, 3)
    counts = difference_counts([image, image])
    expected = {0: 6, 3: 2, 255: 4, 252: 2}  # of two images
    assert {i: n for i, n in enumerate(counts.tolist()) if n} == expected

    ones, threes = (torch.eye(256, dtype=torch.long)[level] for level in (1, 3))
    assert grain_distance(ones, 5 * ones) == 0
    assert grain_distance(ones, threes) == pytest.approx(1)  # log2(4) - log2(2)
    assert grain_distance(ones + threes, 2 * threes) == pytest.approx(0.5)


def with_grain(images, deviation):
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    return (images + deviation * noise).clamp(0, 255).round().to(torch.uint8)


@pytest.mark.parametrize("kind", ["digits", pytest.param("photographs", marks=pytest.mark.slow)])
def test_grain_of_two_levels_is_seen(kind):
    """Real images with noise of 2 of 255 levels, or slightly blurred, are far above the floor."""
    if kind == "digits":
        train, test = (datasets.load_digits(split)[0] for split in ("train", "test"))
    else:
        config = configs.DatasetConfig(name="ImageFolder", data_folder=find_asset("data/cifar10"))
        splits = (datasets.load_dataset(config, split, (3, 32, 32)) for split in ("train", "test"))
        train, test = (all_images(images.at_most(600))[0] for images in splits)
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    reference, others = (difference_counts([train[i]]) for i in order[:600].chunk(2))
    floor = grain_distance(difference_counts([test]), reference)
    assert grain_distance(others, reference) < 2 * floor
    blurred = (test.float() + test.roll(1, dims=3)).div(2).to(torch.uint8)
    for worse in (with_grain(test, 2), blurred):
        assert grain_distance(difference_counts([worse]), reference) > 2 * floor


def test_mean_distance_is_that_of_all_pairs(monkeypatch):
    """The root mean square over all pairs of a class, over classes; None without any pair."""
    monkeypatch.setattr("libs.metrics.variety.PIXELS", 5)
    images, labels = digits(number=9).images, torch.tensor([0, 1, 0, 1, 0, 2, 1, 1, 0])
    squares = []
    for label in (0, 1):  # of class 2 there is no pair
        pairs = itertools.combinations(images[labels == label].double() / 255, 2)
        squares.append(sum((a - b).square().mean() for a, b in pairs) / 6)
    assert mean_distance(images, labels) == pytest.approx((sum(squares) / 2).sqrt().item())
    assert mean_distance(images[:1].expand(4, -1, -1, -1), labels[:4]) == 0
    assert mean_distance(images[:3], torch.arange(3)) is None


def evidence_of(samples, conditional=True):
    """Samples of the ten classes in turn, beside the digits; features are pixels."""
    labels = torch.arange(len(samples)) % 10
    real = RealImages(digits(), digits("test"), "test", digits())
    networks = Networks(CPU, viewer=Pixels(), classifier=Pixels())
    return Evidence(samples, labels, None, real, conditional, networks)


class Pixels(feature_files.Viewer):
    """Looks at images as they are, and keeps nothing."""

    def __init__(self):
        self.net, self.device = self, CPU

    def features_and_logits(self, images):
        return images.flatten(1), images.flatten(1)[:, :10]

    def look_at(self, dataset):
        return self.look([all_images(dataset)[0] / 255], len(dataset))


def of_each_class(number, alike=False):
    """Digits of the ten classes in turn; `alike` takes one of each class."""
    images = digits()
    of_class = [images.images[images.labels == label] for label in range(10)]
    return torch.stack([of_class[i % 10][0 if alike else i // 10] for i in range(number)])


@pytest.mark.parametrize("conditional", [True, False])
def test_nearly_equal_samples_are_called_so(conditional):
    """Real digits are not nearly equal, ten of the same with a little noise are; of a model without
    classes, all pictures count as one class."""
    setup = mock.Mock(held_out="test", held_out_images=299)
    assert not evidence_of(of_each_class(100), conditional).nearly_equal
    alike = of_each_class(100, alike=True) if conditional else of_each_class(1)
    evidence = evidence_of(with_grain(alike.expand(100, -1, -1, -1), 10), conditional)
    assert evidence.nearly_equal
    line = report.equality_line(evidence, setup)
    assert line.startswith("Samples of one class are" if conditional else "Samples are nearly")
    assert "real test images" in line


def test_default_metrics_show_collapse_and_need_no_stub(monkeypatch):
    """What evaluate.py measures without --metrics works before students have written the FID, and
    tells one picture per class from real digits by more than a sentence."""

    def stub(*args):
        raise NotImplementedError

    for name in ("frechet_distance", "statistics", "judge"):
        monkeypatch.setattr(scoring, name, stub)
    good, bad = (
        {s.name: s for s in scoring.score(OF_CLASSES, evidence_of(of_each_class(100, alike)))}
        for alike in (False, True)
    )
    assert good["recall"].samples > 0.7
    assert bad["recall"].samples < 0.3
    assert good["distance within a class"].samples > 0.8 * good["distance within a class"].real
    assert bad["distance within a class"].samples == 0


@pytest.mark.parametrize(
    ("number", "conditional", "expected"),
    [
        (500, True, "variety pr grain accuracy"),
        (500, False, "variety pr grain"),
        (10, True, "pr grain accuracy"),
        (1, True, "grain accuracy"),
    ],
)
def test_default_metrics_suit_the_model(number, conditional, expected):
    """Without --metrics nothing is refused: what samples or labels do not allow is left out."""
    real = RealImages(digits(), digits("test"), "test", digits())
    assert suited_metrics(number, real, conditional) == expected.split()


def test_pairs_are_called_what_they_are(monkeypatch):
    """A class is spoken of only where pairs are of one class: captions and models without labels
    have all samples compared."""
    monkeypatch.setattr(scoring, "diversity", lambda images, labels, net: len(labels.unique()))
    for conditional, words, groups in (
        (True, "within a class", 10),
        (False, "between all samples", 1),
    ):
        evidence = evidence_of(of_each_class(100), conditional)
        lpips, distance = scoring.score(["lpips", "variety"], evidence)
        assert lpips.name == f"LPIPS {words}"
        assert (lpips.samples, lpips.real) == (groups, groups)
        assert distance.name == f"distance {words}"


def test_hash_of_code(tmp_path, monkeypatch):
    """A network's code is that of its layers' classes and their bases; of packages, the version."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "base_of_layer.py").write_text(
        "from torch import nn\nclass Base(nn.Module): pass\n"
    )
    (tmp_path / "layer.py").write_text("import base_of_layer\nclass L(base_of_layer.Base): pass\n")
    import layer

    net = torch.nn.Sequential(layer.L())
    found = [hash_of_code(net, torch)]
    assert hash_of_code(net, torch) == found[0]
    for name in ("layer.py", "base_of_layer.py"):
        (tmp_path / name).write_text((tmp_path / name).read_text() + "# changed\n")
        found.append(hash_of_code(net, torch))
    monkeypatch.setattr(torch, "__version__", "1.0")
    found.append(hash_of_code(net, torch))
    assert len(set(found)) == 4


def test_nearest_in_chunks(monkeypatch):
    """Chunks of any size find the neighbours of a full sort, copies at distance 0 included."""
    monkeypatch.setattr("libs.metrics.distances.QUERIES", 7)
    monkeypatch.setattr("libs.metrics.distances.POINTS", 5)
    queries, points = clouds(20, 33, 50)
    queries[3] = points[17]
    distances, indices = nearest(queries.view(20, 2, 25), points, 4)
    every = (queries[:, None].double() - points[None].double()).norm(dim=2)
    expected, order = every.sort(dim=1)
    torch.testing.assert_close(distances.double(), expected[:, :4], rtol=1e-5, atol=1e-6)
    assert torch.equal(indices, order[:, :4])
    assert distances[3, 0] == 0


def test_pairs_are_of_one_class():
    """No pair mixes classes or repeats an image, and the mean is over their distances alone."""
    labels = torch.tensor([0, 1, 0, 1, 0, 2])
    pairs = same_class_pairs(labels)
    assert (labels[pairs[:, 0]] == labels[pairs[:, 1]]).all()
    assert len(pairs) == 2
    assert len(pairs.unique()) == 4
    images = (labels * 100).to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 8, 8)
    assert diversity(images, labels, lambda a, b: (a - b).abs().mean(dim=(1, 2, 3))) == 0


def test_fitted_lenet_is_kept_and_survives_damage(tmp_path, capsys, monkeypatch):
    """The second call reads the first one's weights; a damaged file is fitted again, equally."""
    monkeypatch.setattr(lenet, "MIN_STEPS", 10)
    train, store = digits(number=200), Store(tmp_path)
    first = lenet.fitted_lenet(train, (1, 8, 8), CPU, store)
    (file,) = tmp_path.iterdir()
    written = file.stat().st_mtime_ns
    again = lenet.fitted_lenet(train, (1, 8, 8), CPU, store)
    assert file.stat().st_mtime_ns == written
    file.write_bytes(file.read_bytes()[:1000])
    anew = lenet.fitted_lenet(train, (1, 8, 8), CPU, store)
    assert "damaged" in capsys.readouterr().out
    for name, weight in first.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name])
        assert torch.equal(weight, anew.state_dict()[name])
    relabelled = datasets.MemoryImages(train.images, train.labels.flip(0), train.classes)
    other = lenet.fitted_lenet(relabelled, (1, 8, 8), CPU, store)
    assert not torch.equal(first.classify.weight, other.classify.weight)


@pytest.mark.slow
def test_lenet_on_mnist(tmp_path):
    """The classifier knows at least 98.5% of MNIST's test digits."""
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    source = find_asset("data/MNIST")
    for file in source.rglob("*.gz"):  # torchvision unpacks beside them
        (tmp_path / "MNIST" / "raw" / file.name).write_bytes(file.read_bytes())
    config = configs.DatasetConfig(name="MNIST", data_folder=tmp_path)
    train, test = (datasets.load_dataset(config, s, (1, 28, 28)) for s in ("train", "test"))
    net = lenet.fit_lenet(train, (1, 28, 28), CPU)
    with torch.no_grad():
        batches = test.batches(500)
        right = sum((net(x).argmax(dim=1) == labels).sum().item() for x, labels in batches)
    assert right / len(test) >= 0.985


def test_features_of_another_origin_are_not_mixed_in(tmp_path, capsys):
    """A file in another's place is recognised by its facts, and computed again."""
    store = Store(tmp_path)
    nets = [lenet.LeNet(1, 10).eval() for _ in range(2)]
    viewers = [feature_files.Viewer(net, CPU, store) for net in nets]
    data = digits(number=30)
    one = viewers[0].look_at(data)
    (file,) = tmp_path.iterdir()
    other = viewers[1].look_at(data)
    assert not torch.equal(one.features, other.features)
    foreign = next(path for path in tmp_path.iterdir() if path != file)
    foreign.write_bytes(file.read_bytes())
    assert torch.equal(viewers[1].look_at(data).features, other.features)
    assert "another network" in capsys.readouterr().out
    assert not torch.equal(viewers[0].look_at(digits("test", 30)).features, one.features)


def test_features_are_those_of_these_pixels(tmp_path):
    """Where samples come out otherwise under the same facts, earlier features are not used, and
    their file is replaced."""
    viewer = feature_files.Viewer(lenet.LeNet(1, 10).eval(), CPU, Store(tmp_path))
    found = [
        viewer.look_at_samples(images, {"seed": 0}).features
        for images in (of_each_class(20), of_each_class(20, alike=True), of_each_class(20))
    ]
    assert torch.equal(found[0], found[2])
    assert not torch.equal(found[0], found[1])
    assert len(list(tmp_path.iterdir())) == 1


def test_store_that_cannot_be_written_only_warns(tmp_path, capsys):
    """What cannot be kept is still returned."""
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file" / "cache")
    assert store.get("features", {}, lambda: {"x": torch.ones(1)})["x"] == 1
    assert "could not keep the features" in capsys.readouterr().out


@pytest.fixture
def server(tmp_path):
    """A local web server of a folder; its address and the folder."""
    folder = tmp_path / "www"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    handler.log_message = lambda *args: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{web.server_port}", folder
        web.shutdown()


def test_weights_are_downloaded_once_and_checked(server, tmp_path):
    """A good file arrives and is not asked for again; one with another hash leaves nothing."""
    address, www = server
    content = b"weights" * 1000
    name = f"net-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    (www / name).write_bytes(content)
    (www / "net-00000000.pth").write_bytes(content)
    target = tmp_path / "pretrained"
    path = weight_files.weights_file(f"{address}/{name}", None, "--w", target)
    assert path.read_bytes() == content
    (www / name).unlink()
    assert weight_files.weights_file(f"{address}/{name}", None, "--w", target) == path
    with pytest.raises(UserError, match=r"net-00000000\.pth is not the file"):
        weight_files.weights_file(f"{address}/net-00000000.pth", None, "--w", target)
    with pytest.raises(UserError, match=r"could not be downloaded.*--w FILE"):
        weight_files.weights_file(f"{address}/{name.replace('net', 'no')}", None, "--w", target)
    assert list(target.iterdir()) == [path]
    path.write_bytes(b"cut short")
    with pytest.raises(UserError, match="delete the file"):
        weight_files.weights_file(f"{address}/{name}", None, "--w", target)


def test_inception_needs_its_own_weights(tmp_path):
    """A missing, a foreign and a code-holding file are refused with a sentence."""
    pytest.importorskip("torch_fidelity", reason="torch-fidelity is not installed")
    with pytest.raises(UserError, match=r"there is no file.*--features lenet"):
        Inception(tmp_path / "none.pth")
    torch.save({"weight": torch.ones(1)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match="does not hold the weights"):
        Inception(tmp_path / "other.pth")
    torch.save(torch.nn.Linear(1, 1), tmp_path / "code.pth")
    with pytest.raises(UserError, match="refused"):
        Inception(tmp_path / "code.pth")


@pytest.mark.slow
def test_lpips_with_given_backbone(tmp_path):
    """AlexNet's file is renamed to what lpips expects; the distance is 0 for equals only."""
    pytest.importorskip("lpips", reason="lpips is not installed")
    from torchvision.models import alexnet

    torch.manual_seed(0)
    backbone = alexnet()
    torch.save(backbone.state_dict(), tmp_path / "alexnet.pth")
    net = Lpips(tmp_path / "alexnet.pth").eval()
    assert torch.equal(net.net.net.slice3[1].weight, backbone.features[6].weight)
    images = digits(number=2).images.float() / 255
    distances = net(images, images.flip(0))
    assert distances.shape == (2,)
    assert (distances > 0).all()
    assert net(images, images).abs().max() == 0
    assert math.isclose(*distances.tolist(), rel_tol=1e-4)  # symmetric
    torch.save({"features.0.weight": torch.ones(1)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match="does not match"):
        Lpips(tmp_path / "other.pth")
