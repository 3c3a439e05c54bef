"""The scripts as users call them: what sample.py and evaluate.py write, and what is refused."""

import errno
import json
import os
import shutil
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.files import ROOT
from helpers.scripts import assert_refused, call_script, run_script
from libs.config import Config
from libs.models.trained import TrainedModel
from libs.runtime import cli
from libs.runtime.visualize import save_image
from libs.samplers.columns import Wanted, pick_columns
from libs.utils import UserError, save_json, save_result


def test_same_seed_same_pictures(run_folder, tmp_path):
    """sample.py repeats its pictures with the same seed, and draws others with another."""
    pictures = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        out = tmp_path / f"{name}.png"
        args = ["--labels", "0,1,2", "--num", "4", "--seed", seed, "--out", out]
        process = call_script("code/sample.py", run_folder / "model_final.pth", *args)
        assert process.returncode == 0, process.stderr
        pictures.append(np.asarray(Image.open(out)))
    assert pictures[0].shape[0] > 4 * 68 + 4  # names of the classes are above
    assert pictures[0].shape[1:] == (3 * 68 + 4, 3)
    assert (pictures[0] == pictures[1]).all()
    assert (pictures[0] != pictures[2]).any()


def test_single_files_and_films(run_folder, tmp_path):
    """--out-dir writes one file a sample below its class; --film a strip or an animation."""
    args = ["--labels", "3,7", "--num", "3", "--out-dir", tmp_path / "many", "--batch-size", "4"]
    process = call_script("code/sample.py", run_folder, *args, "--film", tmp_path / "film.gif")
    assert process.returncode == 0, process.stderr
    files = sorted(str(p.relative_to(tmp_path / "many")) for p in (tmp_path / "many").rglob("*.*"))
    assert files == [f"{c}/{n:05d}.png" for c in (3, 7) for n in range(3)]
    assert Image.open(tmp_path / "many" / "3" / "00000.png").size == (8, 8)
    assert Image.open(tmp_path / "film.gif").n_frames >= 11


def test_labels_named_again_are_drawn_again(run_folder, tmp_path):
    """--labels 0,3,0,0 leaves as many files as were drawn, numbered within each class."""
    args = ["--labels", "0,3,0,0", "--num", "2", "--out-dir", tmp_path]
    process = call_script("code/sample.py", run_folder, *args)
    assert process.returncode == 0, process.stderr
    files = {p.relative_to(tmp_path).as_posix(): p.read_bytes() for p in tmp_path.rglob("*.png")}
    assert sorted(files) == [
        *(f"0/{number:05d}.png" for number in range(6)),
        *(f"3/{number:05d}.png" for number in range(2)),
    ]
    assert len(set(files.values())) == 8


def test_classes_that_differ_in_case_alone_get_two_folders():
    """EMNIST's A and a are two folders where a disk does not tell them apart, too."""
    trained = TrainedModel(Path("x.pth"), None, Config(), ["A", "b", "a"], step=1)
    columns = pick_columns(trained, Wanted(labels="2,0,1"), guided=False)
    assert columns.names == ["2-a", "0-A", "b"]
    assert columns.titles == ["a", "A", "b"]


def test_without_out_the_grid_goes_into_the_runs_folder(run_folder):
    """sample.py RUN writes a new file beside the checkpoint each time, and says where."""
    before = set(run_folder.iterdir())
    for suffix in ("", "-2"):
        for given in (run_folder, run_folder / "model_final.pth"):
            args = ["--labels", "1", "--num", "1", "--sampler", "ddim", "--steps", "2"]
            process = call_script("code/sample.py", given, *args, "--seed", f"7{len(given.name)}")
            assert process.returncode == 0, process.stderr
            name = f"samples-model-final-ddim-2-steps-eta-0-seed-7{len(given.name)}{suffix}.png"
            assert process.stdout.endswith(f"{name}\n")
            assert (run_folder / name).is_file()
    new = set(run_folder.iterdir()) - before
    assert len(new) == 4
    for path in new:
        path.unlink()


@pytest.mark.parametrize(
    "flags",
    [
        ["--out", "{tmp}/kept.png"],
        ["--film", "{tmp}/kept.gif"],
        ["--out-dir", "{tmp}"],
        ["--sampler", "ddim", "--out", "{tmp}/kept.png", "--film", "{tmp}/new.gif"],
    ],
)
def test_nothing_is_overwritten_without_force(run_folder, tmp_path, monkeypatch, flags):
    """A picture that exists is refused by its name before anything is drawn; --force replaces it"""
    kept = [tmp_path / name for name in ("kept.png", "kept.gif", "1/00000.png")]
    (tmp_path / "1").mkdir()
    for path in kept:
        path.write_bytes(b"mine")
    flags = [flag.format(tmp=tmp_path) for flag in flags]
    args = ["code/sample.py", run_folder, "--labels", "1,2", "--num", "1", *flags]
    with monkeypatch.context() as patch:
        patch.setattr("libs.samplers.draw.draw_samples", None)  # what would draw
        named = "00000.png" if "--out-dir" in flags else "kept."
        assert_refused(call_script(*args), named, "exists already", "--force")
    assert all(path.read_bytes() == b"mine" for path in kept)
    process = call_script(*args, "--force")
    assert process.returncode == 0, process.stderr
    assert sum(path.read_bytes() != b"mine" for path in kept) == 1


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--out", "{tmp}/a.xyz"], ["--out", "'.xyz'", ".png"]),
        (["--film", "{tmp}/a.mp4"], ["--film", "'.mp4'", ".gif for an animation"]),
        (["--out", "{tmp}/a"], ["--out", "no suffix", ".png"]),
        (["--out", "{tmp}"], ["--out", "is a folder", "grid.png"]),
        (["--out", "{tmp}/file/a.png"], ["--out", "cannot write to", "is a file"]),
        (["--out", "{tmp}/" + "x" * 300 + ".png"], ["--out", "cannot write"]),
        (["--out-dir", "{tmp}/file"], ["--out-dir", "cannot write to", "is a file"]),
        (["--out-dir", "{tmp}/file/deep"], ["--out-dir", "cannot write to", "is a file"]),
        (["--out", "{tmp}/a.gif", "--film", "{tmp}/x/../a.gif"], ["name the same file"]),
    ],
)
def test_what_cannot_be_written_is_refused_before_drawing(run_folder, tmp_path, flags, words):
    """Files of no format, folders and files in the way cost one sentence, and leave nothing."""
    (tmp_path / "file").write_text("")
    flags = [flag.format(tmp=tmp_path) for flag in flags]
    process = call_script("code/sample.py", run_folder, *flags)
    assert_refused(process, *words)
    assert "sampler:" not in process.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("flag", ["--out", "--film", "--out-dir", "", "--json"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_full_disk_is_found_before_drawing(run_folder, tmp_path, monkeypatch, flag, code):
    """No room and no permission are named before anything is drawn, without flags as well."""

    class Full:
        def __init__(self, **_: object):
            pass

        def __enter__(self) -> "Full":
            return self

        def __exit__(self, *_: object) -> None: ...

        def write(self, content: bytes) -> None:
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(tempfile, "TemporaryFile", Full)
    script = "evaluate" if flag == "--json" else "sample"
    args = [flag, tmp_path / "a.gif"] if flag else []
    process = call_script(f"code/{script}.py", run_folder, *args)
    assert_refused(process, flag, str(tmp_path if flag else run_folder), os.strerror(code))
    assert "sampler:" not in process.stdout


def full_from(monkeypatch, number: int, folder: Path) -> None:
    """Have the disk fill up below a folder with the picture of this number, counted from 0."""
    save, calls = Image.Image.save, iter(range(10**6))

    def failing(picture: Image.Image, file: object, *args: object, **options: object) -> None:
        if isinstance(file, Path) and folder in file.parents and next(calls) >= number:
            file.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(picture, file, *args, **options)

    monkeypatch.setattr(Image.Image, "save", failing)


def test_a_disk_that_fills_up_loses_no_picture(run_folder, tmp_path, monkeypatch):
    """What cannot go where it was asked for goes to the folder for temporary files, and is named"""
    spare, full = tmp_path / "spare", tmp_path / "full"
    spare.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spare))
    full_from(monkeypatch, 3, full)
    flags = ["--out", full / "g.png", "--film", full / "f.gif", "--out-dir", full / "many"]
    process = call_script("code/sample.py", run_folder, "--labels", "1,2", "--num", "3", *flags)
    assert_refused(process, "No space left on device", "00001.png", str(spare), "g.png", "f.png")
    assert process.stderr.count("\n") == 1
    files = {p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file()}
    assert len([p for p in files if p.parts[0] == "full"]) == 3
    names = sorted(p.name for p in files if p.parts[0] == "spare")
    assert names == ["00001.png", "00002.png", "00002.png", "f.png", "g.png"]
    for path in files:
        Image.open(tmp_path / path).load()


def test_a_format_that_cannot_hold_the_grid_loses_no_picture(run_folder, tmp_path, monkeypatch):
    """A grid that its format refuses once it is drawn is kept as PNG beside it."""
    save = Image.Image.save

    def failing(picture: Image.Image, file: object, kind: str, **options: object) -> None:
        if kind == "JPEG" and isinstance(file, Path):
            raise OSError("encoder error -2 when writing image file")
        save(picture, file, kind, **options)

    monkeypatch.setattr(Image.Image, "save", failing)
    args = ["--labels", "1", "--num", "1", "--out", tmp_path / "g.jpg"]
    process = call_script("code/sample.py", run_folder, *args)
    assert_refused(process, "g.jpg", "encoder error", str(tmp_path / "g.png"))
    Image.open(tmp_path / "g.png").load()
    assert len(list(tmp_path.iterdir())) == 1


def test_room_for_a_part_of_a_result_is_not_enough(tmp_path):
    """A place that takes a few bytes, and then no more, is refused before anything is drawn."""
    resource = pytest.importorskip("resource")  # not on Windows
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(UserError, match="--out-dir: cannot write to"):
            cli.check_folder("--out-dir", tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_results_survive_a_disk_that_is_really_full(tmp_path, monkeypatch):
    """Scores and pictures that the system refuses to write are kept elsewhere, and named."""
    spare = tmp_path / "spare"
    spare.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spare))
    (tmp_path / "x.json").symlink_to("/dev/full")
    (tmp_path / "x.png").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"No space left.*saved as .*x-2\.json instead"):
        save_json({"fid": 1.5}, tmp_path / "x.json")
    assert json.loads((tmp_path / "x-2.json").read_text()) == {"fid": 1.5}
    write = partial(save_image, torch.rand(3, 8, 8))
    with pytest.raises(UserError, match=r"No space left.*saved as .*x-2\.png instead"):
        save_result(tmp_path / "x.png", write)
    assert Image.open(tmp_path / "x-2.png").size == (8, 8)


def test_help_does_not_import_torch(tmp_path):
    """--help answers at once: it needs neither torch nor any other package."""
    for name in ("torch", "PIL", "numpy", "yaml"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')")
    process = run_script("code/sample.py", "--help", PYTHONPATH=str(tmp_path))
    assert process.returncode == 0, process.stderr
    assert "--force" in process.stdout


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--sampler", "ddim", "--steps", "4"], "ddim, 4 steps, eta 0"),
        (["--sampler", "dpm++", "--steps", "3", "--eta", "1"], "dpm++, 3 steps, eta 1"),
        (
            ["--sampler", "deis", "--spacing", "cosine", "--steps", "3"],
            "deis, 3 steps, cosine, eta 0",
        ),
        (["--sampler", "ddpm"], "ddpm, all steps"),
        ([], "own, all steps"),
    ],
)
def test_samplers_draw_grids_and_films(run_folder, tmp_path, flags, text):
    """sample.py says which sampler it used, and draws with each of them."""
    args = ["--labels", "1,2", "--num", "2", "--out", tmp_path / "grid.png"]
    args += ["--film", tmp_path / "film.gif", *flags]
    process = call_script("code/sample.py", run_folder, *args)
    assert process.returncode == 0, process.stderr
    assert f"sampler: {text}\n" in process.stdout
    width, height = Image.open(tmp_path / "grid.png").size
    assert width == 2 * 68 + 4
    assert 0 < height - (2 * 68 + 4) < 30  # names of the classes are above
    assert Image.open(tmp_path / "film.gif").n_frames > 3


@pytest.mark.slow
def test_samples_by_sampler_do_not_depend_on_the_batch(run_folder, tmp_path):
    """The same seed gives the same grid whatever --batch-size is."""
    grids = []
    for size in (2, 5):
        out = tmp_path / f"{size}.png"
        flags = ["--sampler", "ddim", "--steps", "4", "--batch-size", size, "--out", out]
        process = call_script(
            "code/sample.py", run_folder, "--labels", "4,7,9", "--num", "2", *flags
        )
        assert process.returncode == 0, process.stderr
        grids.append(np.asarray(Image.open(out)).astype(int))
    assert abs(grids[0] - grids[1]).max() <= 8  # of 255: the last bits of bf16 depend on the batch


@pytest.mark.slow
def test_evaluate_prints_and_writes_scores(run_folder, tmp_path):
    """evaluate.py prints the accuracy, writes JSON, and its classifier knows real digits."""
    args = ["--metrics", "accuracy", "--num", "40", "--json", tmp_path / "scores.json"]
    process = call_script("code/evaluate.py", run_folder, *args)
    assert process.returncode == 0, process.stderr
    accuracy = json.loads((tmp_path / "scores.json").read_text())["scores"]["conditional accuracy"]
    assert accuracy["real"] > 0.96
    assert f"\nconditional accuracy {accuracy['samples']:.3f}\n" in process.stdout


@pytest.mark.parametrize(
    ("script", "args", "words"),
    [
        ("sample", ["--labels", "10", "--out", "x.png"], ["'10'", "0 to 9"]),
        ("sample", ["--labels", "-1", "--out", "x.png"], ["'-1'"]),
        ("sample", ["--labels", "cat", "--out", "x.png"], ["no class 'cat'"]),
        ("sample", ["--sampler", "dimm", "--out", "x.png"], ["did you mean 'ddim'"]),
        ("sample", ["--steps", "5", "--out", "x.png"], ["p_sample_loop", "--sampler ddim"]),
        ("sample", ["--sampler", "ddim", "--steps", "11", "--out", "x.png"], ["1 to 10 steps"]),
        ("sample", ["--guidance", "3", "--out", "x.png"], ["model.label_dropout"]),
        ("sample", ["--guidance", "0,3", "--film", "x.png"], ["--out FILE alone"]),
        ("sample", ["--out", "x.png", "--device", "cuda:9"], ["cuda:9", "--device auto"]),
        ("sample", ["--num", "0", "--out", "x.png"], ["--num"]),
        ("evaluate", ["--metrics", "acuracy"], ["did you mean 'accuracy'"]),
    ],
)
def test_refused_arguments(run_folder, script, args, words):
    """A wrong argument gets a sentence that says what is possible."""
    assert_refused(call_script(f"code/{script}.py", run_folder, *args), *words)


def test_refused_checkpoints(run_folder, tmp_path):
    """Missing, truncated and foreign files are named for what they are."""
    whole = (run_folder / "model_final.pth").read_bytes()
    (tmp_path / "short.pth").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.pth").write_text("hello")
    for name, words in (
        ("nowhere.pth", ["does not exist"]),
        ("short.pth", ["truncated"]),
        ("text.pth", ["not a file of weights"]),
        (".", ["there is no checkpoint"]),
    ):
        (tmp_path / "empty").mkdir(exist_ok=True)
        path = tmp_path / "empty" if name == "." else tmp_path / name
        assert_refused(call_script("code/sample.py", path, "--out", tmp_path / "x.png"), *words)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["dataset.name=Digit"], ["'dataset.name'", "did you mean 'Digits'"]),
        (["train_cfg.leraning_rate=1"], ["unknown key 'train_cfg.leraning_rate'"]),
        (["model.img_shape=[1, 9, 9]"], ["9x9", "divisible by 4"]),
        (["model.use_vae=true"], ["vae_encoder_weights"]),
        (["dataset.name=AFHQ", "dataset.data_folder=nowhere"], ["nowhere", "download_dataset.sh"]),
        (["devices=cuda:7"], ["cuda:7"]),
        (["devices=tpu"], ["unknown device 'tpu'"]),
        (["dtype=fp16"], ["fp16 is for GPUs"]),
        (["model.num_classes=3"], ["10 classes", "model.num_classes"]),
    ],
)
def test_refused_configs(digits_args, settings, words, tmp_path):
    """A config that cannot be trained is refused with a sentence, and leaves no run folder."""
    overrides = [part for s in settings for part in ("--set", s)]
    assert_refused(call_script(*digits_args, *overrides), *words)
    assert not (tmp_path / "logs").exists()


def test_mnist_without_network(digits_args, tmp_path, monkeypatch):
    """MNIST that is neither there nor reachable points to the data set that needs no download.

    No empty folders of it stay behind.
    """
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    data = tmp_path / "data"
    args = ["code/train.py", "configs/mnist.yaml", "--set", f"dataset.data_folder={data}"]
    process = call_script(*args, *digits_args[2:])
    assert_refused(process, "could not be downloaded", "configs/digits.yaml")
    assert not data.exists()


def test_run_folder_in_use_is_refused(run_folder, digits_args):
    """A new run never writes into the folder of an earlier one."""
    again = ["--set", f"output_folder={run_folder.parent}", "--output", "run"]
    assert_refused(call_script(*digits_args, *again), "another --output", "--resume")


@pytest.mark.parametrize("script", ["train", "sample", "evaluate"])
def test_missing_packages_are_named(tmp_path, script):
    """Outside of the environment, the scripts say which package is missing and what to do."""
    args = {"train": ["configs/digits.yaml"], "sample": ["x.pth", "--out", "x.png"]}
    process = run_script("-S", f"code/{script}.py", *args.get(script, ["x.pth"]))
    assert_refused(process, "is not installed", "make setup")


@pytest.mark.slow
def test_unfinished_stub_is_named(tmp_path, digits_args):
    """A stub of the assignment ends training with its name, file and line, not a traceback."""
    shutil.copytree(ROOT / "code", tmp_path / "code")
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    file = tmp_path / "code" / "libs" / "ddpm.py"
    lines = file.read_text().splitlines()
    line = next(i for i, text in enumerate(lines) if "signal_rate = " in text)
    lines[line] = '        raise NotImplementedError("mix x_start and the noise")'
    file.write_text("\n".join(lines) + "\n")
    process = run_script(*digits_args, cwd=tmp_path)
    sentence = f"q_sample is not implemented yet: code/libs/ddpm.py, line {line + 1}\n"
    assert_refused(process, sentence)
    assert not list((tmp_path / "logs").rglob("*.yaml")), "an empty run folder was left behind"


def test_resume_from_another_config_is_refused(run_folder, digits_args):
    """--resume with another model names the keys that differ."""
    process = call_script(*digits_args, "--set", "model.dim=12", "--resume", run_folder)
    assert_refused(process, "model.dim was 8 and is 12")


def unusual_model(run_folder, code):
    """Run sample.py's main on a model that was changed by a line of code after loading."""
    return f"""
import sys
sys.path.insert(0, "code")
import sample
from libs.models import build
load = build.load_model
def changed(path, device):
    trained = load(path, device)
    model, config = trained.model, trained.config
    {code}
    return trained
build.load_model = changed
sys.argv = ["sample.py", {str(run_folder)!r}, *sys.argv[1:]]
sample.cli.run(sample.main)
"""


@pytest.mark.slow
def test_guidance_sweep_is_one_grid(run_folder, tmp_path):
    """Several scales are drawn as blocks of rows; s = 1 is the grid of the plain model."""
    louder = "[p.data.mul_(3) for p in model.model.label_embd.parameters()]"
    code = unusual_model(run_folder, f"model.model.null_label = 0; {louder}")
    pictures = []
    for name, flags in (("sweep", ["--guidance", "0,1,90"]), ("plain", [])):
        args = ["--labels", "1,2,3", "--num", "2", "--out", tmp_path / f"{name}.png", *flags]
        process = run_script("-c", code, *args)
        assert process.returncode == 0, process.stderr
        pictures.append(np.asarray(Image.open(tmp_path / f"{name}.png")).astype(int))
    height, width = 2 * 68 + 4, 3 * 68 + 4
    blocks = np.split(pictures[0][-3 * height :, -width:], 3)  # right of and below the margins
    plain = pictures[1][-height:]
    assert abs(blocks[1] - plain).mean() < 1
    assert abs(blocks[2] - plain).mean() > abs(blocks[1] - plain).mean()


@pytest.mark.slow
def test_models_without_labels(run_folder, tmp_path):
    """An unconditional model draws --num pictures of no class, and takes no --labels."""
    code = unusual_model(run_folder, "model.conditional = config.model.conditional = False")
    process = run_script("-c", code, "--num", "3", "--out-dir", tmp_path / "all")
    assert process.returncode == 0, process.stderr
    assert sorted(p.name for p in (tmp_path / "all").iterdir()) == [
        f"0000{n}.png" for n in range(3)
    ]
    process = run_script("-c", code, "--labels", "1", "--out", tmp_path / "x.png")
    assert_refused(process, "--labels: the model was trained without labels")
