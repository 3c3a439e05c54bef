"""Experiment configs: what can be set, types and defaults; reading, checking and writing them.

A config is a YAML file with the sections below. Paths in it are relative to the file's own folder,
paths given with `--set` to the current folder; in memory all paths are absolute. This file does not
import torch, so that a mistake in a config shows at once.
"""

import dataclasses
import os
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Union

import yaml

from .utils import UserError, did_you_mean

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass
class DatasetConfig:
    name: Literal[
        "Digits",
        "MNIST",
        "EMNIST",
        "FashionMNIST",
        "CIFAR10",
        "AFHQ",
        "MiniImageNet",
        "ImageFolder",
    ] = "Digits"
    split: str = "train"
    data_folder: Path = Path("../data")
    emnist_split: Literal["balanced", "byclass", "bymerge", "digits", "letters", "mnist"] = (
        "balanced"
    )
    val_fraction: float = 0.0  # share of the training images held out for validation
    val_data_folder: Path | None = None  # a class-per-folder tree to validate on instead
    test_split: str | None = None  # a split whose loss is reported beside the training loss
    subset: float = 1.0  # share of the images to use
    min_bytes: int = 0  # files smaller than this are skipped
    resize: int | None = None  # shorter side before the crop to img_shape; by default no crop
    random_flip: bool = False
    latent_cache: bool = False  # latent models: encode the data set once, not in every epoch
    latent_variants: int = 4  # stored crops and flips of each image


@dataclass
class LoaderConfig:
    batch_size: int = 64  # over all processes and accumulation steps
    num_workers: int = 2


@dataclass
class ModelConfig:
    """The arguments of DDPM, see code/libs/ddpm.py."""

    img_shape: list[int] = field(default_factory=lambda: [3, 32, 32])
    timesteps: int = 100
    dim: int = 64
    context_dim: int = 64
    num_classes: int = 10
    dim_mults: list[int] = field(default_factory=lambda: [1, 2, 4])
    attn_levels: list[int] = field(default_factory=lambda: [0, 1])
    use_vae: bool = False
    vae_encoder_weights: Path | None = None
    vae_decoder_weights: Path | None = None
    beta_schedule: Literal["linear", "quadratic", "cosine"] | None = None
    beta_start: float | None = None
    beta_end: float | None = None


@dataclass
class TrainConfig:
    lr: float = 2e-5
    epochs: int = 30
    num_eval_samples: int = 10  # pictures of each class drawn at each checkpoint
    max_steps: int | None = None  # end early, in good order
    weight_decay: float = 0.01
    betas: list[float] = field(default_factory=lambda: [0.9, 0.999])
    lr_schedule: Literal["constant", "cosine", "onecycle", "multistep"] = "constant"
    warmup_steps: int = 0
    lr_milestones: list[int] = field(default_factory=list)  # epochs, for multistep
    lr_gamma: float = 0.1  # factor at each milestone
    ema_decay: float = 0.999
    clip_grad_norm: float | None = 1.0
    accumulate: int = 1  # split each batch into this many passes, to save memory
    channels_last: bool = True
    compile: bool = False
    eval_every: int = 1  # epochs between validation and test losses
    eval_images: int = 2000  # at most so many images for each of these losses
    ckpt_steps: int | None = None  # also save a checkpoint every so many steps
    keep_last_n: int = 3  # checkpoints to keep, besides best.pth and model_final.pth


@dataclass
class WandbConfig:
    project: str | None = None  # null: no Weights & Biases
    run_name: str | None = None
    resume_id: str | None = None


@dataclass
class Config:
    devices: list[str] = field(default_factory=lambda: ["auto"])
    dtype: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    seed: int = 0
    model_name: Literal["DDPM"] = "DDPM"
    output_folder: Path = Path("../logs")
    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    loader: LoaderConfig = field(default_factory=LoaderConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train_cfg: TrainConfig = field(default_factory=TrainConfig)
    wandb: WandbConfig = field(default_factory=WandbConfig)


def load_config(path: str, overrides: list[str] | None = None) -> Config:
    """Read a YAML config and apply overrides of the form "section.key=value".

    Raises UserError for a missing file, a syntax error, an unknown key or a wrong type.
    """
    file = find_config(path)
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {_describe_yaml_error(error)}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not a text file") from None
    config = from_dict({} if values is None else values, file.parent, source=str(path))
    for override in overrides or []:
        _apply_override(config, override)
    _check_values(config)
    return config


def find_config(path: str) -> Path:
    """Look a config up from the current folder, then from the repository's root."""
    for folder in (Path.cwd(), REPOSITORY):
        if (folder / path).is_file():
            return (folder / path).resolve()
    known = sorted(f"configs/{p.name}" for p in (REPOSITORY / "configs").glob("*.yaml"))
    hint = did_you_mean(path, known) or f"; there are {', '.join(known)}"
    raise UserError(f"config {path} does not exist{hint}")


def from_dict(values: dict, base: Path, source: str) -> Config:
    """Build a Config from nested dicts; paths are relative to `base`, errors name the `source`."""
    if not isinstance(values, dict):
        raise UserError(f"{source}: expected sections such as 'model:', found {values!r}")
    # Defaults that are paths count from the folder configs/, as they would in a file there.
    config = _resolve_paths(Config(), REPOSITORY / "configs")
    _merge(config, values, base, source, prefix="")
    return config


def to_dict(config: Config, base: Path) -> dict:
    """The config as plain nested dicts, its paths relative to `base`."""

    def plain(value: Any) -> Any:
        if dataclasses.is_dataclass(value):
            return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        if isinstance(value, Path):
            return os.path.relpath(value, base)
        return value

    return plain(config)


def dump_config(config: Config, base: Path) -> str:
    """The config as YAML text, its paths relative to `base`."""
    return yaml.safe_dump(to_dict(config, base), sort_keys=False, default_flow_style=None)


def shown(path: Path) -> str:
    """A path as a person would type it here: relative to the current folder where it is below."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith(os.path.join("..", "..")) else relative


def _merge(target: Any, values: dict, base: Path, source: str, prefix: str) -> None:
    for key, value in values.items():
        name = prefix + str(key)
        kind = _type_of(target, str(key), source, prefix)
        if dataclasses.is_dataclass(kind):
            if value is None:  # a section with all its keys commented out
                continue
            if not isinstance(value, dict):
                raise UserError(f"{source}: '{name}' is a section with keys, found {value!r}")
            _merge(getattr(target, key), value, base, source, name + ".")
        else:
            setattr(target, key, _convert(value, kind, base, source, name))


def _apply_override(config: Config, override: str) -> None:
    name, equals, text = override.partition("=")
    if not equals:
        raise UserError(f"--set {override}: write it as --set section.key=value")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"--set {override}: {_describe_yaml_error(error)}") from None
    for part in reversed(name.strip().split(".")):
        value = {part: value}
    _merge(config, value, Path.cwd(), f"--set {override}", prefix="")


def _type_of(target: Any, key: str, source: str, prefix: str) -> Any:
    hints = typing.get_type_hints(type(target))
    if key not in hints:
        hint = did_you_mean(key, hints) or f"; known here: {', '.join(hints)}"
        raise UserError(f"{source}: unknown key '{prefix}{key}'{hint}")
    return hints[key]


def _convert(value: Any, kind: Any, base: Path, source: str, name: str) -> Any:
    """Check a value against its declared type; return it in that type."""
    options = typing.get_args(kind)
    origin = typing.get_origin(kind)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        return _convert(value, options[0], base, source, name)
    if origin is Literal:
        if value in options:
            return value
        listed = f"; choose one of {', '.join(options)}"
        raise UserError(
            f"{source}: '{name}' cannot be {value!r}{did_you_mean(str(value), options)}{listed}"
        )
    if origin is list:
        items = value if isinstance(value, list) else [value]
        return [
            _convert(item, options[0], base, source, f"{name}[{i}]") for i, item in enumerate(items)
        ]
    if kind is Path and isinstance(value, str):
        return (base / Path(value).expanduser()).resolve()
    if kind is float and not isinstance(value, bool):
        try:
            return float(value)  # YAML reads 2e-5, without a dot, as text
        except (TypeError, ValueError):
            pass
    elif isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    wanted = {Path: "a path", str: "text", int: "a whole number", float: "a number"}
    wanted |= {bool: "true or false"}
    raise UserError(f"{source}: '{name}' must be {wanted[kind]}, found {value!r}")


def _resolve_paths(section: Any, base: Path) -> Any:
    for f in dataclasses.fields(section):
        value = getattr(section, f.name)
        if dataclasses.is_dataclass(value):
            _resolve_paths(value, base)
        elif isinstance(value, Path):
            setattr(section, f.name, (base / value).resolve())
    return section


def _check_values(config: Config) -> None:
    """Refuse values of the right type that make no sense."""
    positive = {
        "loader.batch_size": config.loader.batch_size,
        "model.timesteps": config.model.timesteps,
        "model.dim": config.model.dim,
        "model.context_dim": config.model.context_dim,
        "model.num_classes": config.model.num_classes,
        "train_cfg.epochs": config.train_cfg.epochs,
        "train_cfg.accumulate": config.train_cfg.accumulate,
        "train_cfg.eval_every": config.train_cfg.eval_every,
        "train_cfg.keep_last_n": config.train_cfg.keep_last_n,
        "dataset.latent_variants": config.dataset.latent_variants,
    }
    for name, value in positive.items():
        if value < 1:
            raise UserError(f"'{name}' must be at least 1, found {value}")
    if config.train_cfg.max_steps is not None and config.train_cfg.max_steps < 1:
        raise UserError(
            f"'train_cfg.max_steps' must be at least 1 or null, found {config.train_cfg.max_steps}"
        )
    if config.train_cfg.ckpt_steps is not None and config.train_cfg.ckpt_steps < 1:
        raise UserError(
            f"'train_cfg.ckpt_steps' must be at least 1 or null, found "
            f"{config.train_cfg.ckpt_steps}"
        )
    if not 0 < config.dataset.subset <= 1:
        raise UserError(
            f"'dataset.subset' must be above 0 and at most 1, found {config.dataset.subset}"
        )
    if not 0 <= config.dataset.val_fraction < 1:
        raise UserError(
            f"'dataset.val_fraction' must be in [0, 1), found {config.dataset.val_fraction}"
        )
    if len(config.model.img_shape) != 3 or min(config.model.img_shape) < 1:
        raise UserError(
            f"'model.img_shape' must be [channels, height, width], found {config.model.img_shape}"
        )
    levels = range(len(config.model.dim_mults))
    if not levels or any(i not in levels for i in config.model.attn_levels):
        raise UserError(
            f"'model.attn_levels' {config.model.attn_levels} names a level that "
            f"'model.dim_mults' {config.model.dim_mults} does not have; levels count from 0"
        )
    if config.loader.batch_size % config.train_cfg.accumulate:
        raise UserError(
            f"'loader.batch_size' {config.loader.batch_size} must be divisible by "
            f"'train_cfg.accumulate' {config.train_cfg.accumulate}"
        )
    if config.dataset.latent_cache and not config.model.use_vae:
        raise UserError("'dataset.latent_cache' needs a latent model: set 'model.use_vae: true'")


def _describe_yaml_error(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return f"{getattr(error, 'problem', None) or 'syntax error'}{where}"
