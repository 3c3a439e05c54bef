"""evaluate.py as users call it: what it prints and writes, and what it refuses."""

import errno
import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from helpers.scripts import assert_refused, call_script, run_script
from libs import datasets
from libs.metrics import evaluation, kept_samples, scoring
from libs.metrics.evidence import RealImages
from libs.metrics.inception import Inception
from libs.runtime.downloads import PRETRAINED
from libs.utils import UserError

ALL_BUT_LPIPS = "fid,kid,is,pr,accuracy,memorization"
DDIM = ("--sampler", "ddim", "--steps", "5")


def evaluate(run_folder, *args):
    process = call_script("code/evaluate.py", run_folder, "--device", "cpu", *args)
    assert process.returncode == 0, process.stderr
    return process.stdout


def scores_in(output):
    """The lines from the table on, without the names of files; before are those of progress."""
    lines = output.splitlines()
    start = next(i for i, line in enumerate(lines) if line.endswith("  real test images"))
    return [line for line in lines[start:] if not line.startswith("wrote")]


@pytest.mark.slow
def test_report_and_pictures(run_folder, tmp_path):
    """--out holds the report and two pictures, --json the same numbers; a repeat draws nothing."""
    args = ["--metrics", ALL_BUT_LPIPS, "--num", "60", *DDIM]
    out, file = tmp_path / "out", tmp_path / "new" / "scores.json"
    first = evaluate(run_folder, *args, "--out", out, "--json", file)
    assert {p.name for p in out.iterdir()} == {"report.md", "samples.png", "memorization.png"}
    content = json.loads(file.read_text(encoding="utf-8"))
    scores = content["scores"]
    assert content["sampler"].startswith("ddim, 5 steps")
    assert content["memorized"] is False  # a model that has hardly been trained draws noise
    assert scores["FID"]["samples"] > 3 * scores["FID"]["real"] > 0
    assert scores["precision"]["real"] > 0.7
    report = (out / "report.md").read_text(encoding="utf-8")
    for name, score in scores.items():
        assert f"| {name} | {score['samples']:.4g}" in report
    assert "no sign" in report
    for name, columns in (("samples", 11), ("memorization", 4)):
        width, height = Image.open(out / f"{name}.png").size
        assert 0 < height - (10 * 68 + 4) < 30  # names of the columns
        assert 0 <= width - (columns * 68 + 4) < 30  # of samples, names of the classes

    before = {p: p.stat().st_mtime_ns for p in (run_folder.parent / "feature_cache").iterdir()}
    again = evaluate(run_folder, *args)
    assert "samples: kept from an earlier call" in again
    assert scores_in(again) == scores_in(first)
    after = {p: p.stat().st_mtime_ns for p in (run_folder.parent / "feature_cache").iterdir()}
    assert after == before


@pytest.mark.slow
def test_copies_are_called_memorized(run_folder, tmp_path):
    """The verdict of the whole script turns where the kept samples are training images."""
    args = ["--metrics", "memorization", "--num", "50", "--seed", "7"]
    evaluate(run_folder, *args)
    cache = run_folder.parent / "feature_cache"
    drawn = max(cache.glob("samples-*.pth"), key=lambda p: p.stat().st_mtime_ns)
    content = torch.load(drawn, weights_only=True)
    content["tensors"]["images"] = datasets.load_digits("train")[0][:50]
    torch.save(content, drawn)
    output = evaluate(run_folder, *args)
    assert "memorized, by nearest-neighbour ratio, calibrated distance, C_T" in output


@pytest.mark.slow
@pytest.mark.parametrize("sampler", [(), DDIM])
def test_two_processes_score_like_one(run_folder, tmp_path, sampler):
    """What two processes draw together is what one draws, and only one of them prints."""
    args = ["--metrics", "fid,accuracy", "--num", "35", "--batch-size", "10", "--device", "cpu"]
    scores = []
    for name, launch in (
        ("one", []),
        ("two", ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "--"]),
    ):
        shutil.rmtree(run_folder.parent / "feature_cache", ignore_errors=True)
        file = tmp_path / f"{name}.json"
        process = run_script(
            *launch, "code/evaluate.py", run_folder, *args, *sampler, "--json", file
        )
        assert process.returncode == 0, process.stderr
        assert process.stdout.count("accuracy of the classifier") == 1
        (drawn,) = (run_folder.parent / "feature_cache").glob("samples-*.pth")
        images = torch.load(drawn, weights_only=True)["tensors"]["images"]
        scores.append((images.int(), json.loads(file.read_text(encoding="utf-8"))["scores"]))
    # a picture may be rounded differently in a batch of another size
    assert (scores[0][0] - scores[1][0]).abs().max() <= 1
    for name, score in scores[0][1].items():
        assert scores[1][1][name]["samples"] == pytest.approx(score["samples"], rel=1e-2)


def kept_files(run_folder, seed):
    """The files of samples that were drawn with a seed."""
    found = (run_folder.parent / "feature_cache").glob("samples-*.pth")
    return [p for p in found if torch.load(p, weights_only=True)["facts"]["seed"] == seed]


def test_samples_are_kept_until_code_changes(run_folder, monkeypatch):
    """A repeat says that it draws nothing, and measures no memory either; other code and --fresh
    draw again, into the same file."""
    args = ["--metrics", "grain", "--num", "12", "--seed", "31", *DDIM]
    drawn, measured, whole = [], [], evaluation.draw_together

    def count(*args):
        drawn.append(1)
        return whole(*args)

    monkeypatch.setattr(evaluation, "draw_together", count)
    monkeypatch.setattr(evaluation, "fitting_batch_size", lambda *args: measured.append(1) or 10)
    first = evaluate(run_folder, *args)
    assert "kept" not in first
    (file,) = kept_files(run_folder, 31)
    again = evaluate(run_folder, *args)
    assert re.search(rf"samples: kept from an earlier call, .*{file.name}; --fresh draws", again)
    assert scores_in(again) == scores_in(first)
    assert (len(drawn), len(measured)) == (1, 1)
    monkeypatch.setattr(kept_samples, "code_that_draws", lambda: "repaired code")
    assert "samples: code has changed" in evaluate(run_folder, *args)
    assert "kept from" in evaluate(run_folder, *args)
    assert len(drawn) == 2
    assert "kept from" not in evaluate(run_folder, *args, "--fresh")
    assert len(drawn) == 3
    assert kept_files(run_folder, 31) == [file]


SOURCES_THAT_DRAW = (
    "ddpm unet blocks ddim edm schedules samplers/draw samplers/guidance models/variants "
    "runtime/streams autoencoders/latents tiny_autoencoder"
).split()


def test_any_source_that_draws_counts(tmp_path):
    """A change in any file that samples can depend on is seen, a new file too; metrics are not."""
    code = tmp_path / "code"
    shutil.copytree(kept_samples.CODE, code, ignore=shutil.ignore_patterns("__pycache__"))
    seen = [kept_samples.code_that_draws(code)]
    assert seen == [kept_samples.code_that_draws()]
    for name in [f"libs/{name}" for name in SOURCES_THAT_DRAW] + ["libs/mine", "mine"]:
        with (code / f"{name}.py").open("a") as file:
            file.write("\n# changed\n")
        seen.append(kept_samples.code_that_draws(code))
    assert len(set(seen)) == len(seen)
    (code / "libs" / "metrics" / "fid.py").write_text("# changed", encoding="utf-8")
    (code / "libs" / ".#ddpm.py").symlink_to("lock of an editor")
    (code / ".venv").mkdir()
    (code / ".venv" / "package.py").write_text("")
    assert kept_samples.code_that_draws(code) == seen[-1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "right", "wrong", "flags"),
    [
        ("ddim.py", "    return x\n", "    return 0 * x\n", DDIM),
        ("ddpm.py", "return self.postprocess(x)", "return self.postprocess(0 * x)", ()),
    ],
)
def test_repaired_code_is_scored(run_folder, tmp_path, file, right, wrong, flags):
    """Two trees of code that differ in one line of a sampler never see each other's samples: the
    one that draws grey pictures is told so, by other scores and in a sentence."""
    shutil.copytree(
        kept_samples.CODE, tmp_path / "code", ignore=shutil.ignore_patterns("__pycache__")
    )
    source = tmp_path / "code" / "libs" / file
    assert source.read_text(encoding="utf-8").count(right) == 1
    args = [tmp_path / "code" / "evaluate.py", run_folder, "--num", "40", "--seed", "33", *flags]
    outputs = []
    for change in (wrong, right, wrong):
        source.write_text(
            source.read_text(encoding="utf-8").replace(wrong, right).replace(right, change),
            encoding="utf-8",
        )
        process = run_script(*args, "--device", "cpu")
        assert process.returncode == 0, process.stderr
        outputs.append(process.stdout)
    bad, good, _ = outputs
    assert "Samples of one class are nearly equal: two of them differ by 0%" in bad
    assert "nearly equal" not in good
    assert "code has changed" in good
    scores = [output[output.index("distance within") :] for output in outputs]
    assert scores[0] == scores[2] != scores[1]


def test_full_disk_costs_no_score(run_folder, tmp_path, monkeypatch):
    """What cannot be written is told in one sentence, after the scores, and the rest is written."""
    place = tmp_path / "scores.json"
    args = ["--metrics", "grain", "--num", "12", "--seed", "31", *DDIM]
    args += ["--json", place, "--out", tmp_path / "out", "--device", "cpu"]
    write_text = Path.write_text

    def full(path, *args, **options):
        if path.name.startswith("scores.json"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_text(path, *args, **options)

    monkeypatch.setattr(Path, "write_text", full)
    process = call_script("code/evaluate.py", run_folder, *args)
    assert_refused(process, f"could not write {place} (No space left on device)")
    assert process.stderr.count("\n") == 1
    assert "grain" in process.stdout
    assert not place.exists()
    assert (tmp_path / "out" / "report.md").is_file()
    assert f"wrote {tmp_path / 'out'}" in process.stdout


@pytest.fixture
def random_inception(tmp_path, monkeypatch):
    """A file of weights for torch-fidelity's network, random ones."""
    published = pytest.importorskip(
        "torch_fidelity.feature_extractor_inceptionv3", reason="torch-fidelity is not installed"
    )
    kind = published.FeatureExtractorInceptionV3
    with monkeypatch.context() as patch:
        patch.setattr(published, "load_state_dict_from_url", lambda *args, **kwargs: {})
        patch.setattr(kind, "load_state_dict", lambda self, weights: None)
        torch.save(kind("inception", ["2048"]).state_dict(), tmp_path / "inception.pth")
    return tmp_path / "inception.pth"


def test_inception_sees_bytes(random_inception):
    """Grey images in [0, 1] give what torch-fidelity gives for the same bytes in three channels."""
    net = Inception(random_inception)
    images = datasets.load_digits("test")[0][:2]
    features, logits = net.features_and_logits(images.float() / 255)
    expected = net.net(images.repeat(1, 3, 1, 1))
    assert features.shape == (2, 2048)
    assert torch.equal(features, expected[0])
    assert torch.equal(logits, expected[1])


@pytest.mark.slow
def test_features_of_inception(run_folder, tmp_path, random_inception):
    """--features inception works with a given file; its FID is another one than LeNet's."""
    args = ["--metrics", "fid,is", "--num", "12", "--features", "inception"]
    args += ["--inception-weights", random_inception]
    evaluate(run_folder, *args, "--json", tmp_path / "scores.json")
    content = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert content["features"] == "inception"
    assert content["scores"]["FID"]["real"] >= 0


def test_inception_without_network_or_weights(run_folder, monkeypatch):
    """Where neither a file nor a network is there, one sentence says what else can be done."""
    pytest.importorskip("torch_fidelity", reason="torch-fidelity is not installed")
    if list(PRETRAINED.glob("weights-inception*")):
        pytest.skip("the weights are here")
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    args = ["--metrics", "fid", "--features", "inception"]
    process = call_script("code/evaluate.py", run_folder, *args)
    assert_refused(process, "could not be downloaded", "--features lenet", "--inception-weights")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--metrics", "fdi"], ["'fdi'", "did you mean 'fid'"]),
        (["--metrics", "fid,loss"], ["'loss'", "choose from fid, kid"]),
        (["--features", "inseption"], ["did you mean 'inception'"]),
        (["--metrics", "fid", "--num", "1"], ["at least 2 samples", "--num"]),
        (["--json", "{tmp}/file/scores.json"], ["--json", "cannot write"]),
        (["--json", "{tmp}"], ["is a folder, name a file"]),
        (["--out", "{tmp}/file"], ["--out", "cannot write"]),
    ],
)
def test_refused_before_drawing(run_folder, tmp_path, args, words):
    """What cannot work is refused in one sentence before a sample is drawn."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    args = [arg.format(tmp=tmp_path) for arg in args]
    process = call_script("code/evaluate.py", run_folder, *args, "--seed", "99")
    assert_refused(process, *words)
    assert process.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("metric", "num", "conditional", "message"),
    [
        ("kid", 1, True, "at least 2 samples"),
        ("pr", 3, True, "at least 4 samples"),
        ("is", 9, True, "at least 10 samples"),
        ("memorization", 19, True, "at least 20 samples"),
        ("lpips", 10, True, "at least 11 samples"),
        ("lpips", 1, False, "at least 2 samples"),
        ("accuracy", 50, False, "needs a model with labels"),
    ],
)
def test_too_little_for_a_metric(metric, num, conditional, message):
    """Each metric says how much it needs, and takes one more."""
    train, test = (datasets.MemoryImages(*datasets.load_digits(s)) for s in ("train", "test"))
    real = RealImages(train, test, "test", train)
    with pytest.raises(UserError, match=message):
        scoring.check_enough([metric], num, real, conditional)
    scoring.check_enough([metric], num + 1, real, conditional or metric == "accuracy")


def test_too_few_real_images():
    """Memorization needs held-out images, precision and recall a few training images."""
    images = datasets.MemoryImages(*datasets.load_digits("test"))
    few = images.at_most(3)
    with pytest.raises(UserError, match="at least 40 held-out images"):
        scoring.check_enough(["memorization"], 50, RealImages(images, few, "test", images), True)
    with pytest.raises(UserError, match="at least 4 training images, the data set has 3"):
        scoring.check_enough(["pr"], 50, RealImages(few, images, "test", few), True)


@pytest.mark.slow
def test_model_without_labels(tmp_path):
    """An unconditional model is scored by all metrics but the accuracy of its labels."""
    settings = ["model.dim=8", "model.timesteps=5", "train_cfg.max_steps=2"]
    settings += ["train_cfg.num_eval_samples=0", f"output_folder={tmp_path}"]
    settings += ["model.conditional=false"]
    overrides = [part for s in settings for part in ("--set", s)]
    process = run_script("code/train.py", "configs/digits.yaml", "--output", "run", *overrides)
    assert process.returncode == 0, process.stderr
    folder = tmp_path / "digits_run"
    refused = call_script("code/evaluate.py", folder, "--metrics", "accuracy")
    assert_refused(refused, "needs a model with labels")
    assert "accuracy" not in evaluate(folder, "--num", "20")
    evaluate(folder, "--metrics", "fid,pr", "--num", "20", "--out", tmp_path / "out")
    assert (tmp_path / "out" / "samples.png").exists()


@pytest.mark.slow
def test_image_folder_of_mixed_sizes(tmp_path):
    """A run on pictures of mixed sizes and channels is scored, its test folder held out."""
    for split, number in (("train", 12), ("test", 20)):
        for label in ("a", "b"):
            folder = tmp_path / "data" / split / label
            folder.mkdir(parents=True)
            for i in range(number):
                mode, size = (("L", (9, 12)), ("RGB", (20, 8)), ("RGBA", (8, 8)))[i % 3]
                pixels = torch.randint(256, (size[0] * size[1] * len(mode),)).tolist()
                Image.frombytes(mode, size, bytes(pixels)).save(folder / f"{i}.png")
    settings = ["dataset.name=ImageFolder", f"dataset.data_folder={tmp_path / 'data'}"]
    settings += ["model.img_shape=[3,8,8]", "model.num_classes=2", "loader.batch_size=8"]
    settings += ["model.dim=8", "model.timesteps=5", "train_cfg.max_steps=2", "dataset.min_bytes=0"]
    settings += ["train_cfg.num_eval_samples=0", f"output_folder={tmp_path / 'logs'}"]
    overrides = [part for s in settings for part in ("--set", s)]
    process = run_script("code/train.py", "configs/digits.yaml", "--output", "run", *overrides)
    assert process.returncode == 0, process.stderr
    args = ["--metrics", "fid,memorization", "--num", "30", "--out", tmp_path / "out"]
    output = evaluate(tmp_path / "logs" / "digits_run", *args)
    assert "30 test images with 24 training images" in output
    assert (tmp_path / "out" / "samples.png").exists()
