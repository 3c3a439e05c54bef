"""Configs: reading, overriding, checking and writing them, and what a mistake in one says."""

import dataclasses
import re
from pathlib import Path

import pytest
import yaml

from helpers.files import ROOT
from helpers.scripts import assert_refused, run_script
from libs import config as configs
from libs.config import Config, dump_config, from_dict, load_config, to_dict
from libs.settings.autoencoder import AutoencoderConfig
from libs.settings.stable_diffusion import StableDiffusionConfig
from libs.utils import UserError, shown


@pytest.fixture
def write(tmp_path):
    """A function that writes a config's text to a file and returns its path."""

    def write(text: str) -> str:
        (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
        return str(tmp_path / "c.yaml")

    return write


def refusal(*args) -> str:
    """The sentence with which load_config refuses its arguments."""
    with pytest.raises(UserError) as error:
        load_config(*args)
    sentence = str(error.value)
    assert "\n" not in sentence
    return sentence


def lookup(config: Config, name: str):
    """The value of a key such as 'train_cfg.lr'."""
    value = config
    for part in name.split("."):
        value = getattr(value, part)
    return value


# Finding and reading


def test_every_config_loads(write):
    """Every YAML in configs/ is valid for its script, and differs from the defaults.

    Only Stable Diffusion's does not: it writes them out.
    """
    files, empty = sorted((ROOT / "configs").glob("*.yaml")), write("{}\n")
    special = {"stages:": AutoencoderConfig, "unet:": StableDiffusionConfig}
    texts = [file.read_text(encoding="utf-8") for file in files]
    kinds = [
        next((k for section, k in special.items() if f"\n{section}" in text), Config)
        for text in texts
    ]
    assert set(kinds) == {AutoencoderConfig, StableDiffusionConfig, Config}
    for file, kind in zip(files, kinds, strict=True):
        differs = load_config(str(file), [], kind) != load_config(str(empty), [], kind)
        assert differs != (kind is StableDiffusionConfig), file


@pytest.mark.parametrize("text", ["", "\n", "# nothing set\n", "---\n", "null"])
def test_empty_file_is_refused(write, tmp_path, text):
    """It would train the defaults where a file was not saved, or not downloaded whole."""
    assert "c.yaml is empty" in refusal(write(text))
    (tmp_path / "c.json").write_text(text)
    words = "c.json is empty" if text.strip() in ("", "null") else "c.json: not valid JSON"
    assert words in refusal(str(tmp_path / "c.json"))


def test_file_without_keys_gives_defaults(write):
    """An empty mapping gives the defaults, whose paths count from the repository's configs/."""
    config = load_config(write("{}\n"))
    assert config.output_folder == ROOT / "logs"
    assert config.dataset.data_folder == ROOT / "data"
    assert config.train_cfg == configs.TrainConfig()
    assert config.model == configs.ModelConfig()


def test_empty_section_gives_defaults(write):
    """A section whose keys are all commented out keeps its defaults."""
    config = load_config(write("model:\n  # dim: 8\ntrain_cfg:\n  epochs: 3\n"))
    assert config.model == configs.ModelConfig()
    assert config.train_cfg.epochs == 3


def test_configs_do_not_share_defaults(write):
    """Changing one config's lists leaves the next config's alone."""
    load_config(write("{}")).model.dim_mults.append(8)
    assert load_config(write("{}")).model.dim_mults == [1, 2, 4]


def test_found_in_current_folder_first(tmp_path, monkeypatch):
    """A config is looked up from the current folder, then from the repository's root."""
    monkeypatch.chdir(tmp_path)
    assert load_config("configs/digits.yaml").dataset.name == "Digits"
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/digits.yaml").write_text("seed: 7\n")
    assert load_config("configs/digits.yaml").seed == 7


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("configs/mnits.yaml", "did you mean 'configs/mnist.yaml'?"),
        ("mnist.yaml", "did you mean 'configs/mnist.yaml'?"),
        ("digits", "did you mean 'configs/digits.yaml'?"),
        ("zzz", "there are configs/afhq.yaml"),
        ("configs", "there are configs/afhq.yaml"),
    ],
)
def test_missing_config(path, hint):
    """A config that does not exist is reported with its name and what there is instead."""
    sentence = refusal(path)
    assert f"config {path} does not exist" in sentence
    assert hint in sentence


def test_paths_in_yaml_are_relative_to_it(tmp_path, monkeypatch):
    """Paths in a YAML count from its own folder, whatever the current folder; ~ is the home."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/c.yaml").write_text(
        "output_folder: ../runs\n"
        "dataset: {data_folder: images, val_data_folder: /abs/val}\n"
        "model: {vae_encoder_weights: ~/e.pth, vae_decoder_weights: null}\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ada")
    config = load_config("deep/c.yaml")
    assert config.output_folder == tmp_path / "runs"
    assert config.dataset.data_folder == tmp_path / "deep/images"
    assert config.dataset.val_data_folder == Path("/abs/val")
    assert config.model.vae_encoder_weights == Path("/home/ada/e.pth")
    assert config.model.vae_decoder_weights is None


def test_paths_in_overrides_are_relative_to_current_folder(tmp_path, monkeypatch):
    """Paths given with --set count from the current folder, as a shell completes them."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/c.yaml").write_text("output_folder: runs\n")
    monkeypatch.chdir(tmp_path)
    config = load_config("deep/c.yaml", ["output_folder=other", "dataset.data_folder=../d"])
    assert config.output_folder == tmp_path / "other"
    assert config.dataset.data_folder == tmp_path.parent / "d"


# Types


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("train_cfg: {lr: 2e-5}", "train_cfg.lr", 2e-5),  # text in YAML 1.1
        ("train_cfg: {lr: 2.0e-5}", "train_cfg.lr", 2e-5),
        ("train_cfg: {lr: 1}", "train_cfg.lr", 1.0),
        ("train_cfg: {betas: [0.5, 9e-1]}", "train_cfg.betas", [0.5, 0.9]),
        ("train_cfg: {lr_milestones: 5}", "train_cfg.lr_milestones", [5]),
        ("model: {attn_levels: []}", "model.attn_levels", []),
        ("devices: cpu", "devices", ["cpu"]),
        ("train_cfg: {clip_grad_norm: null}", "train_cfg.clip_grad_norm", None),
        ("train_cfg: {max_steps: null}", "train_cfg.max_steps", None),
        ("model: {beta_schedule: null}", "model.beta_schedule", None),
        ("model: {beta_schedule: cosine}", "model.beta_schedule", "cosine"),
        ("wandb: {project: null}", "wandb.project", None),
        ("dataset: {random_flip: yes}", "dataset.random_flip", True),
        ("dataset: {name: MNIST}", "dataset.name", "MNIST"),
    ],
)
def test_values_are_read(write, text, name, value):
    """Values arrive in the declared type; one value where a list is expected is a list of one."""
    found = lookup(load_config(write(text)), name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "name", "wanted"),
    [
        ("model: {dim: [32]}", "model.dim", "a whole number, found [32]"),
        ("model: {dim: 32.5}", "model.dim", "a whole number, found 32.5"),
        ("model: {dim: true}", "model.dim", "a whole number, found True"),
        ("model: {dim: null}", "model.dim", "a whole number, found None"),
        ("model: {timesteps: 1e3}", "model.timesteps", "a whole number, found '1e3'"),
        ("model: {dim_mults: [1, two]}", "model.dim_mults[1]", "a whole number, found 'two'"),
        ("model: {img_shape: [[3, 8, 8]]}", "model.img_shape[0]", "a whole number, found [3"),
        ("model: {use_vae: 1}", "model.use_vae", "true or false, found 1"),
        ("dataset: {random_flip: 'no'}", "dataset.random_flip", "true or false, found 'no'"),
        ("train_cfg: {lr: fast}", "train_cfg.lr", "a number, found 'fast'"),
        ("train_cfg: {lr: true}", "train_cfg.lr", "a number, found True"),
        ("train_cfg: {lr: [1]}", "train_cfg.lr", "a number, found [1]"),
        ("train_cfg: {max_steps: soon}", "train_cfg.max_steps", "a whole number, found 'soon'"),
        ("train_cfg: {betas: {a: 1}}", "train_cfg.betas[0]", "a number, found {'a': 1}"),
        ("dataset: {split: 3}", "dataset.split", "text, found 3"),
        ("dataset: {data_folder: 5}", "dataset.data_folder", "a path, found 5"),
        ("output_folder: null", "output_folder", "a path, found None"),
        ("devices: [0, 1]", "devices[0]", "text, found 0"),
    ],
)
def test_wrong_type_refused(write, text, name, wanted):
    """A value of the wrong type is refused with its full key, what it must be, and what it is."""
    path = write(text)
    assert refusal(path).startswith(f"{path}: '{name}' must be {wanted}")


def test_nan_refused(write):
    """A number that is none is refused: it would end in a run full of NaN."""
    assert "train_cfg.lr" in refusal(write("train_cfg: {lr: .nan}"))


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("dtype: fp23", "dtype", ["'fp23'", "did you mean 'fp32'?", "auto, fp32, bf16, fp16"]),
        ("dtype: null", "dtype", ["None", "choose one of auto, fp32"]),
        ("dataset: {name: mnist}", "dataset.name", ["did you mean 'MNIST'?"]),
        ("train_cfg: {lr_schedule: cos}", "train_cfg.lr_schedule", ["constant, cosine, onecycle"]),
        ("model: {beta_schedule: 3}", "model.beta_schedule", ["3", "linear, quadratic, cosine"]),
    ],
)
def test_choices(write, text, name, words):
    """A value that is none of the choices is refused with the choices, and the likely one."""
    sentence = refusal(write(text))
    assert f"'{name}' cannot be" in sentence
    for word in words:
        assert word in sentence


# Keys and syntax


@pytest.mark.parametrize(
    ("text", "name", "hint"),
    [
        ("modle: {dim: 3}", "modle", "did you mean 'model'?"),
        ("model: {timestep: 3}", "model.timestep", "did you mean 'timesteps'?"),
        ("train_cfg: {LR: 3}", "train_cfg.LR", "did you mean 'lr'?"),
        ("loader: {zzz: 3}", "loader.zzz", "known here: batch_size, num_workers"),
        ('"5": 3', "5", "known here: devices"),
    ],
)
def test_unknown_key(write, text, name, hint):
    """An unknown key is refused with its full name and the key that is meant or those known."""
    path = write(text)
    sentence = refusal(path)
    assert sentence.startswith(f"{path}: unknown key '{name}'")
    assert hint in sentence


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model: 3", "'model' is a section with keys, found 3"),
        ("- 1\n- 2", r"expected sections such as 'dataset:', found \[1, 2\]"),
        ("seed: 1\nmodel: {dim: 3", r"not valid YAML, .* in line \d, column \d+"),
        ("seed: 1\n\tdim: 3", r"not valid YAML, .* in line 2, column 1"),
        ("seed: 1\n  dim: 3", r"not valid YAML, .* in line 2, column \d"),
        ("seed: \x01", "not valid YAML"),
    ],
)
def test_broken_yaml(write, text, words):
    """A file that is not YAML, or no sections, is refused with the place of the mistake."""
    path = write(text)
    sentence = refusal(path)
    assert path in sentence
    assert re.search(words, sentence)


def test_section_given_twice(write):
    """A section that stands twice is refused; else the first one's settings vanish silently."""
    assert "model" in refusal(write("model: {dim: 32}\nmodel: {timesteps: 50}"))


def test_impossible_date(write):
    """Text that YAML takes for a date, and that is none, is a sentence and no traceback."""
    assert "2024-13-45" in refusal(write("wandb: {run_name: 2024-13-45}"))


def test_binary_file(tmp_path):
    """A file that is not text, such as a checkpoint, is refused."""
    (tmp_path / "c.yaml").write_bytes(b"PK\xff\xfe\x00")
    assert "c.yaml is not a text file" in refusal(str(tmp_path / "c.yaml"))


# Overrides


def test_overrides(write):
    """Overrides win over the file, the last one wins, and other keys stay."""
    path = write("train_cfg: {lr: 1.0, epochs: 7}")
    settings = ["train_cfg.lr=1e-3", "model.dim_mults=[1, 2]", "seed=1", "seed=2", "dtype = bf16"]
    config = load_config(path, [*settings, "train_cfg.clip_grad_norm=null"])
    assert config.train_cfg.lr == 1e-3
    assert config.train_cfg.epochs == 7
    assert config.train_cfg.clip_grad_norm is None
    assert config.model.dim_mults == [1, 2]
    assert config.model.attn_levels == [0, 1]
    assert (config.seed, config.dtype) == (2, "bf16")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("model", "write it as --set section.key=value"),
        ("model=5", "'model' is a section with keys, found 5"),
        ("model.dims=3", "unknown key 'model.dims' (did you mean 'dim'?)"),
        ("modle.dim=3", "unknown key 'modle' (did you mean 'model'?)"),
        ("=5", "unknown key ''"),
        ("model.dim.x=3", "'model.dim' must be a whole number"),
        ("model.dim=", "'model.dim' must be a whole number, found None"),
        ("model.dim_mults=[1", "expected ',' or ']'"),
        ("dtype=fp8", "'dtype' cannot be 'fp8'"),
    ],
)
def test_bad_override(override, words):
    """A mistake in --set is refused with the flag as it was typed."""
    sentence = refusal("configs/digits.yaml", [override])
    assert sentence.startswith(f"--set {override}: ")
    assert words in sentence


# Values


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("loader.batch_size=0", "at least 1, found 0"),
        ("model.timesteps=0", "at least 1, found 0"),
        ("model.dim=-4", "at least 1, found -4"),
        ("model.context_dim=0", "at least 1"),
        ("model.num_classes=0", "at least 1"),
        ("train_cfg.epochs=0", "at least 1"),
        ("train_cfg.accumulate=0", "at least 1"),
        ("train_cfg.eval_every=0", "at least 1"),
        ("train_cfg.keep_last_n=0", "at least 1"),
        ("dataset.latent_variants=0", "at least 1"),
        ("train_cfg.max_steps=0", "at least 1 or null, found 0"),
        ("train_cfg.ckpt_steps=0", "at least 1 or null, found 0"),
        ("model.dropout=1", "at least 0 and below 1, found 1.0"),
        ("model.resblocks_per_level=0", "at least 1, found 0"),
        ("model.bottleneck_depth=0", "at least 1, found 0"),
        ("model.bottleneck_heads=0", "at least 1, found 0"),
        ("dataset.subset=0", "above 0 and at most 1, found 0.0"),
        ("dataset.subset=1.5", "above 0 and at most 1, found 1.5"),
        ("dataset.val_fraction=-0.1", "at least 0 and below 1, found -0.1"),
        ("dataset.val_fraction=1", "at least 0 and below 1, found 1.0"),
        ("model.img_shape=32", "[channels, height, width], found [32]"),
        ("model.img_shape=[3, 0, 8]", "at least 1, found [3, 0, 8]"),
        ("model.attn_levels=[3]", "[3] names a level that 'model.dim_mults' [1, 1, 2] does not"),
        ("model.attn_levels=[-1]", "levels count from 0"),
        ("train_cfg.accumulate=3", "'loader.batch_size' 64 must be divisible by"),
        ("dataset.latent_cache=true", "set 'model.use_vae: true'"),
        ("model.dim_mults=[]", "must"),
        ("model.dim_mults=[0]", "found [0]"),
        ("train_cfg.betas=[0.9]", "found [0.9]"),
        ("train_cfg.betas=[0.9, 1.5]", "found [0.9, 1.5]"),
        ("train_cfg.lr=-1", "found -1.0"),
        ("train_cfg.weight_decay=-1", "found -1.0"),
        ("train_cfg.ema_decay=1.5", "found 1.5"),
        ("train_cfg.clip_grad_norm=0", "found 0.0"),
        ("loader.num_workers=-1", "found -1"),
        ("seed=99999999999999999999", "found 99999999999999999999"),
    ],
)
def test_values_without_sense(override, words):
    """A value of the right type that makes no sense is refused with its full key and the value."""
    sentence = refusal("configs/digits.yaml", [override])
    assert f"'{override.partition('=')[0]}'" in sentence
    assert words in sentence


@pytest.mark.parametrize(
    "override",
    [
        "dataset.subset=1",
        "dataset.val_fraction=0.99",
        "train_cfg.accumulate=64",
        "train_cfg.max_steps=1",
        "train_cfg.num_eval_samples=0",
        "loader.num_workers=0",
        "model.attn_levels=[0, 2]",
        "seed=0",
    ],
)
def test_values_at_the_edge(override):
    """Values at the edge of what makes sense are accepted."""
    assert isinstance(load_config("configs/digits.yaml", [override]), Config)


# Writing


@pytest.mark.parametrize("base", ["runs/one", "elsewhere"])
def test_dump_can_be_read_again(tmp_path, base):
    """A dumped config, read from the folder it was written for, is the same config."""
    config = load_config("configs/afhq.yaml", ["dataset.val_data_folder=v", "train_cfg.lr=2e-5"])
    folder = tmp_path / base
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(dump_config(config, folder))
    assert load_config(str(folder / "config.yaml")) == config


def test_to_dict_is_plain(tmp_path):
    """to_dict gives plain values with relative paths, every key, and can be turned back."""
    config = load_config("configs/afhq.yaml")
    values = to_dict(config, ROOT / "logs")
    assert yaml.safe_load(yaml.safe_dump(values)) == values
    assert values["dataset"]["data_folder"] == "../data/afhq"
    assert values["output_folder"] == "."
    assert values.keys() == {f.name for f in dataclasses.fields(Config)}
    assert from_dict(values, ROOT / "logs", source="test") == config
    moved = from_dict(values, tmp_path / "logs", source="test")
    assert moved.dataset.data_folder == tmp_path / "data/afhq"


def test_shown(tmp_path, monkeypatch):
    """Paths are shown as short as a person would type them: relative where they are near."""
    monkeypatch.chdir(tmp_path)
    assert shown(tmp_path / "a/b") == "a/b"
    assert shown(tmp_path.parent / "a") == "../a"
    assert shown(Path("/far/away")) == "/far/away"


# Scripts


def test_config_does_not_import_torch():
    """Reading a config does not wait for torch, so that mistakes in it show at once."""
    program = "import sys, libs.config, libs.runtime.cli; print('torch' in sys.modules)"
    process = run_script("-c", program, cwd=ROOT / "code")
    assert process.stdout.strip() == "False", process.stderr


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["configs/nope.yaml"], ["config configs/nope.yaml does not exist"]),
        (["configs/digits.yaml", "--set", "train_cfg.epoch=3"], ["did you mean 'epochs'?"]),
    ],
)
def test_train_refuses_bad_config(args, words):
    """train.py ends with exit code 2 and one sentence on a mistake in its config."""
    process = run_script("code/train.py", *args)
    assert_refused(process, "error: ", *words)
    assert process.stderr.count("\n") == 1
    assert process.stdout == ""


def test_train_finds_config_from_code_folder():
    """From within code/, configs/ is found too, and a mistake in a value is one sentence."""
    process = run_script("train.py", "configs/digits.yaml", "--set", "seed=x", cwd=ROOT / "code")
    assert_refused(process, "--set seed=x: 'seed' must be a whole number")
