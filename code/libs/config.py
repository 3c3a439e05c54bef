"""Experiment configs: all keys with types and defaults; loading them and checking their values.

A config is a YAML file with the sections below. Paths in it are relative to the file's own folder,
paths given with `--set` to the current folder; in memory all paths are absolute. This file does not
import torch, so that a mistake in a config shows at once.
"""

import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from . import strict_yaml
from .utils import UserError, did_you_mean

T = TypeVar("T")
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
        "COCOCaptions",
    ] = "Digits"
    split: str = "train"
    data_folder: Path = Path("../data")
    annotations: Path | None = None  # of COCOCaptions; null: annotations/captions_SPLIT.json
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
    """The arguments of DDPM and its UNet; EDM has those that are not in DDPM_ONLY."""

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
    beta_schedule: Literal["linear", "quadratic", "cosine", "sigmoid", "sigmoid_beta"] | None = None
    beta_start: float | None = None
    beta_end: float | None = None
    rescale_betas: bool = False
    prediction: Literal["eps", "v", "x0"] = "eps"
    variance_type: Literal["fixed_small", "fixed_large"] = "fixed_small"
    label_dropout: float = 0.0
    conditional: bool = True
    adagn: bool = False
    resblocks_per_level: int = 1
    dropout: float = 0.0
    attention: Literal["full", "linear"] = "full"
    resample: Literal["conv", "max", "avg"] = "conv"
    bottleneck: Literal["conv", "transformer"] = "conv"
    bottleneck_depth: int = 4
    bottleneck_heads: int = 8
    context: Literal["class", "tokens"] = "class"


@dataclass
class AutoencoderModelConfig:
    """The arguments of KLAutoencoder, see code/libs/first_stage/autoencoder.py."""

    in_channels: int = 3
    ch: int = 128
    ch_mult: list[int] = field(default_factory=lambda: [1, 2, 4, 4])
    num_res_blocks: int = 2
    z_channels: int = 4
    attention: Literal["full", "linear"] = "full"
    attn_levels: list[int] = field(default_factory=list)
    resample: Literal["conv", "max", "avg"] = "conv"
    upsample: Literal["nearest", "bilinear", "bicubic"] = "nearest"
    tanh: bool = False
    num_groups: int | None = None  # by default 32, fewer for few channels


@dataclass
class LpipsConfig:
    """The network behind LPIPS; without its weights, training goes on without LPIPS."""

    network: Literal["vgg", "alex"] = "vgg"
    weights: Path | None = None  # torchvision's file; by default one in pretrained/


@dataclass
class VaeConfig:
    """The autoencoder of a latent model: TAESD, or one of our own, see train_autoencoder.py."""

    kind: Literal["taesd", "kl"] = "taesd"  # the weights of taesd stand in `model`
    weights: Path | None = None  # of kl: what train_autoencoder.py wrote, or a published kl-f4, -f8
    autoencoder: AutoencoderModelConfig | None = None  # null: what the weights say
    freeze_vae_epoch: int | None = None  # train it along until this epoch, counted from 1
    vae_lambda: float = 0.05  # weight of its loss beside the diffusion model's
    kl_beta: float = 5e-4  # weight of its KL term, as `stages.kl_weight` of an autoencoder's config
    lpips_lambda: float = 0.0
    lpips: LpipsConfig = field(default_factory=LpipsConfig)


@dataclass
class TextConfig:
    """The frozen text encoder of a model with `context: tokens`, see code/libs/text_encoder.py.

    Without `encoder` and `hub_name` it is a random one of the sizes below.
    """

    encoder: Path | None = None  # a folder in the layout of transformers
    hub_name: str | None = None  # instead: a name on Hugging Face's hub
    vocabulary: Path | None = None  # a folder with vocab.json and merges.txt; null: the encoder's
    width: int = 64
    layers: int = 2
    heads: int = 4
    seed: int = 0


@dataclass
class EDMConfig:
    """The other arguments of EDM, see code/libs/edm.py; drawing starts at sigma_max."""

    sigma_data: float | None = None  # null: measured on training images
    p_mean: float = -1.2
    p_std: float = 1.2
    sigma_min: float = 0.002
    sigma_max: float = 80.0
    rho: float = 7.0
    steps: int = 18
    s_churn: float = 0.0
    s_min: float = 0.0
    s_max: float | None = None  # null: no upper end
    s_noise: float = 1.0


@dataclass
class TrainConfig:
    lr: float = 2e-5
    epochs: int = 30
    num_eval_samples: int = 10  # pictures of each class drawn at each checkpoint
    guidance: float | None = None  # scale for these pictures, and by default for sample.py
    max_steps: int | None = None  # end early, in good order
    loss: Literal["mse", "l1", "huber"] = "mse"
    min_snr_gamma: float | None = None  # 5 weights the time steps as Hang et al. 2023
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
    eval_metrics: list[Literal["fid", "kid", "is", "pr", "accuracy", "lpips"]] = field(
        default_factory=list
    )  # scores of samples in the same epochs, as evaluate.py's
    eval_features: Literal["lenet", "inception"] = "lenet"
    eval_samples: int = 500  # drawn for these scores
    eval_classes: int | None = None  # draw only so many classes, spread evenly; null: all
    eval_sampler: Literal["own", "ddpm", "ddim", "dpm++", "heun"] | None = None  # null: own
    eval_steps: int | None = None  # of eval_sampler; null: all
    inception_weights: Path | None = None  # torch-fidelity's file; null: downloaded once
    alexnet_weights: Path | None = None  # torchvision's file, for lpips; null: downloaded once
    best_metric: (  # what best.pth is chosen by; null: the validation loss
        Literal["fid", "kid", "is", "precision", "recall", "accuracy", "psnr", "ssim"] | None
    ) = None
    ckpt_steps: int | None = None  # also save a checkpoint every so many steps
    keep_last_n: int = 3  # checkpoints to keep, besides best.pth and model_final.pth


@dataclass
class WandbConfig:
    project: str | None = None  # null: no Weights & Biases
    run_name: str | None = None
    resume_id: str | None = None


# Smallest and largest value of numbers; an open end is None, a bound in a list is itself allowed.
POSITIVE = (0, None)
SHARED_LIMITS = {
    "seed": ([0], 2**62),
    "dataset.val_fraction": ([0], 1),
    "dataset.subset": (0, [1]),
    "dataset.min_bytes": ([0], None),
    "dataset.resize": POSITIVE,
    "dataset.latent_variants": ([1], None),
    "loader.batch_size": ([1], None),
    "loader.num_workers": ([0], None),
    "train_cfg.lr": POSITIVE,
    "train_cfg.epochs": ([1], None),
    "train_cfg.max_steps": ([1], None),
    "train_cfg.weight_decay": ([0], None),
    "train_cfg.betas": ([0], 1),
    "train_cfg.warmup_steps": ([0], None),
    "train_cfg.lr_gamma": POSITIVE,
    "train_cfg.ema_decay": ([0], 1),
    "train_cfg.clip_grad_norm": POSITIVE,
    "train_cfg.accumulate": ([1], None),
    "train_cfg.eval_every": ([1], None),
    "train_cfg.eval_images": ([1], None),
    "train_cfg.eval_samples": ([1], None),
    "train_cfg.eval_classes": ([1], None),
    "train_cfg.eval_steps": ([1], None),
    "train_cfg.ckpt_steps": ([1], None),
    "train_cfg.keep_last_n": ([1], None),
}
LIMITS = SHARED_LIMITS | {
    "model.img_shape": ([1], None),
    "model.timesteps": ([1], None),
    "model.dim": ([1], None),
    "model.context_dim": ([1], None),
    "model.num_classes": ([1], None),
    "model.dim_mults": ([1], None),
    "model.beta_start": (0, 1),
    "model.beta_end": (0, 1),
    "model.label_dropout": ([0], [1]),
    "model.resblocks_per_level": ([1], None),
    "model.dropout": ([0], 1),
    "model.bottleneck_depth": ([1], None),
    "model.bottleneck_heads": ([1], None),
    "vae.freeze_vae_epoch": ([1], None),
    "vae.vae_lambda": ([0], None),
    "vae.kl_beta": ([0], None),
    "vae.lpips_lambda": ([0], None),
    "text.width": ([1], None),
    "text.layers": ([1], None),
    "text.heads": ([1], None),
    "text.seed": ([0], 2**62),
    "edm.sigma_data": POSITIVE,
    "edm.p_mean": (None, None),
    "edm.p_std": POSITIVE,
    "edm.sigma_min": POSITIVE,
    "edm.sigma_max": POSITIVE,
    "edm.rho": POSITIVE,
    "edm.steps": ([1], None),
    "edm.s_churn": ([0], None),
    "edm.s_min": ([0], None),
    "edm.s_max": ([0], None),
    "edm.s_noise": POSITIVE,
    "train_cfg.guidance": ([0], None),
    "train_cfg.min_snr_gamma": POSITIVE,
    "train_cfg.num_eval_samples": ([0], None),
}
SCRIPT_OF = {  # by section
    "model": "train.py",
    "autoencoder": "train_autoencoder.py",
    "stages": "train_autoencoder.py",
    "unet": "sample.py",
}

LOWER_IS_BETTER = ("fid", "kid")  # of the scores in training; of all others, higher
# No score to choose by: the samples' own distances, lpips, are largest for noise.
SCORES_TO_CHOOSE_BY = {name: [name] for name in ("fid", "kid", "is", "accuracy")}
SCORES_TO_CHOOSE_BY |= {"pr": ["precision", "recall"], "lpips": []}

# Keys that mean something to one model alone.
DDPM_ONLY = (
    "model.timesteps model.beta_schedule model.beta_start model.beta_end model.rescale_betas "
    "model.prediction model.variance_type train_cfg.loss train_cfg.min_snr_gamma"
).split()
EDM_ONLY = [f"edm.{name}" for name in vars(EDMConfig())]


@dataclass
class Config:
    """A diffusion model and how it is trained."""

    kind = "diffusion model"  # as checkpoints and messages call what is trained
    script = "train.py"
    limits = LIMITS

    devices: list[str] = field(default_factory=lambda: ["auto"])
    dtype: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    seed: int = 0
    model_name: Literal["DDPM", "EDM"] = "DDPM"
    output_folder: Path = Path("../logs")
    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    loader: LoaderConfig = field(default_factory=LoaderConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    vae: VaeConfig = field(default_factory=VaeConfig)
    text: TextConfig = field(default_factory=TextConfig)
    edm: EDMConfig = field(default_factory=EDMConfig)
    train_cfg: TrainConfig = field(default_factory=TrainConfig)
    wandb: WandbConfig = field(default_factory=WandbConfig)

    def check(self) -> None:
        """Refuse lists of the wrong length, and keys that contradict each other."""
        _check_together(self)


def load_config(path: str, overrides: list[str] | None = None, kind: type[T] = Config) -> T:
    """Read a YAML or JSON config and apply overrides of the form "section.key=value".

    Args:
        path: the file, see `find_config`.
        overrides: those of `--set`.
        kind: what the file describes: Config, or another such class with `limits` and `check`.

    Raises UserError for a missing file, a syntax error, an unknown key, a wrong type, or a value
    that makes no sense.
    """
    file = find_config(path)
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path} is not a text file") from None
    parse = strict_yaml.parse_json if file.suffix == ".json" else strict_yaml.parse
    values = parse(text, source=str(path))
    config = from_dict({} if values is None else values, file.parent, str(path), kind)
    for override in overrides or []:
        _apply_override(config, override)
    check_limits(config, kind.limits)
    config.check()
    return config


def find_config(path: str) -> Path:
    """Look a config up from the current folder, then from the repository's root."""
    for folder in (Path.cwd(), REPOSITORY):
        if (folder / path).is_file():
            return (folder / path).resolve()
    found = (REPOSITORY / "configs").glob("*")
    known = sorted(f"configs/{p.name}" for p in found if p.suffix in (".yaml", ".yml", ".json"))
    hint = did_you_mean(path, known) or f"; there are {', '.join(known)}"
    raise UserError(f"config {path} does not exist{hint}")


def from_dict(values: dict, base: Path, source: str, kind: type[T] = Config) -> T:
    """Build a config from nested dicts; paths are relative to `base`, errors name the `source`."""
    if not isinstance(values, dict):
        raise UserError(f"{source}: expected sections such as 'dataset:', found {values!r}")
    for section in SCRIPT_OF.keys() & values.keys():
        if SCRIPT_OF[section] != kind.script:
            raise UserError(
                f"{source} has a section '{section}': it is for python code/{SCRIPT_OF[section]}"
            )
    # Defaults that are paths count from the folder configs/, as they would in a file there.
    config = strict_yaml.resolve_paths(kind(), REPOSITORY / "configs")
    strict_yaml.merge(config, values, base, source)
    return config


def to_dict(config: Any, base: Path) -> dict:
    """The config as plain nested dicts, its paths relative to `base`."""
    return strict_yaml.plain(config, base)


def dump_config(config: Any, base: Path) -> str:
    """The config as YAML text, its paths relative to `base`."""
    return yaml.safe_dump(to_dict(config, base), sort_keys=False, default_flow_style=None)


def shown(path: Path) -> str:
    """A path as a person would type it here: relative to the current folder where it is near."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith(os.path.join("..", "..")) else relative


def _apply_override(config: Any, override: str) -> None:
    name, equals, text = override.partition("=")
    if not equals:
        raise UserError(f"--set {override}: write it as --set section.key=value")
    source = f"--set {override}"
    value = strict_yaml.parse(text, source)
    for part in reversed(name.strip().split(".")):
        value = {part: value}
    strict_yaml.merge(config, value, Path.cwd(), source)


def lookup(config: Any, key: str) -> Any:
    """The value of a key such as "train_cfg.lr"."""
    for part in key.split("."):
        config = getattr(config, part)
    return config


def check_limits(config: Any, limits: dict[str, tuple], prefix: str = "") -> None:
    """Refuse numbers outside their limits, and numbers that are none."""
    for key, (low, high) in limits.items():
        value = lookup(config, key)
        numbers = value if isinstance(value, list) else [value]
        if all(_within(number, low, high) for number in numbers if number is not None):
            continue
        optional = " or null" if lookup(type(config)(), key) is None else ""
        raise UserError(f"'{prefix}{key}' must be {_describe(low, high)}{optional}, found {value}")


def check_betas(train: TrainConfig) -> None:
    """Refuse anything but AdamW's two."""
    if len(train.betas) != 2:
        raise UserError(f"'train_cfg.betas' must be two numbers, found {train.betas}")


def _within(number: float, low: Any, high: Any) -> bool:
    above = low is None or (number >= low[0] if isinstance(low, list) else number > low)
    below = high is None or (number <= high[0] if isinstance(high, list) else number < high)
    return above and below and math.isfinite(number)


def _describe(low: Any, high: Any) -> str:
    if low is None:
        return "a finite number"
    parts = [f"at least {low[0]}" if isinstance(low, list) else f"above {low}"]
    if high is not None:
        parts.append(f"at most {high[0]}" if isinstance(high, list) else f"below {high}")
    return " and ".join(parts)


def _check_together(config: Config) -> None:
    """Refuse lists of the wrong length, and keys that contradict each other."""
    model, edm, train = config.model, config.edm, config.train_cfg
    if len(model.img_shape) != 3:
        raise UserError(
            f"'model.img_shape' must be [channels, height, width], found {model.img_shape}"
        )
    if not model.dim_mults:
        raise UserError("'model.dim_mults' must name at least one level, found []")
    check_betas(train)
    if any(not 0 <= level < len(model.dim_mults) for level in model.attn_levels):
        raise UserError(
            f"'model.attn_levels' {model.attn_levels} names a level that 'model.dim_mults' "
            f"{model.dim_mults} does not have; levels count from 0"
        )
    channels = model.dim * model.dim_mults[-1]
    if model.bottleneck == "transformer" and channels % model.bottleneck_heads:
        raise UserError(
            f"'model.bottleneck_heads' {model.bottleneck_heads} must divide the {channels} "
            "channels of the middle, 'model.dim' times the last of 'model.dim_mults'"
        )
    if model.label_dropout and not model.conditional:
        raise UserError("'model.label_dropout' needs labels to drop: set 'model.conditional: true'")
    if train.guidance is not None and not model.label_dropout:
        raise UserError(
            "'train_cfg.guidance' needs a model that knows images without a label: set "
            "'model.label_dropout', e.g. to 0.1"
        )
    if config.loader.batch_size % train.accumulate:
        raise UserError(
            f"'loader.batch_size' {config.loader.batch_size} must be divisible by "
            f"'train_cfg.accumulate' {train.accumulate}"
        )
    if config.vae.kind == "kl" and not model.use_vae:
        raise UserError("'vae.kind: kl' is for a latent model: set 'model.use_vae: true'")
    if (config.vae.kind == "kl") != (config.vae.weights is not None):
        raise UserError(
            "'vae.weights' names the file of an autoencoder of 'vae.kind: kl', and neither goes "
            "without the other; TAESD's weights stand in 'model.vae_encoder_weights' and "
            "'model.vae_decoder_weights'"
        )
    if config.vae.freeze_vae_epoch is not None and config.vae.kind != "kl":
        raise UserError("'vae.freeze_vae_epoch' is for an autoencoder of 'vae.kind: kl'")
    if config.vae.freeze_vae_epoch is not None and config.dataset.latent_cache:
        raise UserError(
            "'dataset.latent_cache' keeps the latents of an autoencoder that does not change: set "
            "it to false, or 'vae.freeze_vae_epoch' to null"
        )
    if config.dataset.latent_cache and not model.use_vae:
        raise UserError("'dataset.latent_cache' needs a latent model: set 'model.use_vae: true'")
    if config.dataset.val_data_folder is not None and config.dataset.val_fraction > 0:
        raise UserError(
            "'dataset.val_fraction' and 'dataset.val_data_folder' exclude each other: set one"
        )
    for key in DDPM_ONLY if config.model_name == "EDM" else EDM_ONLY:
        if lookup(config, key) != lookup(Config(), key):
            raise UserError(
                f"'{key}' means nothing to a model of 'model_name: {config.model_name}': leave it "
                "out, or choose the other model"
            )
    if edm.sigma_min >= edm.sigma_max:
        raise UserError(
            f"'edm.sigma_min' {edm.sigma_min} must be below 'edm.sigma_max' {edm.sigma_max}"
        )
    if edm.s_max is not None and edm.s_min > edm.s_max:
        raise UserError(f"'edm.s_min' {edm.s_min} must not be above 'edm.s_max' {edm.s_max}")
    _check_text(config)
    _check_scores(config)


def _check_text(config: Config) -> None:
    """Refuse captions without a model that reads them, and texts without captions."""
    model, data, text = config.model, config.dataset, config.text
    reads_text = model.context == "tokens"
    if reads_text != (data.name == "COCOCaptions"):
        raise UserError(
            "'model.context: tokens' is for captions, and neither goes without the other: set "
            "'dataset.name: COCOCaptions', whose images have no classes"
        )
    if data.annotations is not None and not reads_text:
        raise UserError("'dataset.annotations' names the captions of COCOCaptions: leave it out")
    if not reads_text:
        for name, value in vars(TextConfig()).items():
            if getattr(text, name) != value:
                raise UserError(f"'text.{name}' is for a model with 'model.context: tokens'")
        return
    if not model.conditional:
        raise UserError(
            "'model.context: tokens' needs a network that reads them: leave out "
            "'model.conditional: false'"
        )
    if text.encoder is not None and text.hub_name is not None:
        raise UserError("'text.encoder' and 'text.hub_name' exclude each other: set one")
    if text.encoder is not None or text.hub_name is not None:
        return  # its width is known once it is read
    if text.vocabulary is None:
        raise UserError(
            "'model.context: tokens' needs a text encoder: set 'text.encoder' to the folder of a "
            "published one, or 'text.vocabulary' for a random one"
        )
    if text.width % text.heads:
        raise UserError(f"'text.heads' {text.heads} must divide 'text.width' {text.width}")
    if model.context_dim != text.width:
        raise UserError(
            f"'model.context_dim' {model.context_dim} must equal 'text.width' {text.width}: the "
            "network reads the text encoder's tokens as they are"
        )


def _check_scores(config: Config) -> None:
    """Refuse contradictions among the keys for scores during training."""
    model, train = config.model, config.train_cfg
    if model.context == "tokens" and ("accuracy" in train.eval_metrics or train.eval_classes):
        raise UserError(
            "captions have no classes: leave accuracy out of 'train_cfg.eval_metrics', and "
            "'train_cfg.eval_classes' null"
        )
    compared = set(train.eval_metrics) & {"fid", "kid", "is", "pr"}
    if model.context == "tokens" and compared and train.eval_features == "lenet":
        raise UserError(
            "'train_cfg.eval_features: lenet' learns from classes, which captions have not: set it "
            "to inception"
        )
    if "accuracy" in train.eval_metrics and not model.conditional:
        raise UserError(
            "'train_cfg.eval_metrics' has accuracy, which needs a model with labels: leave it out, "
            "or set 'model.conditional: true'"
        )
    possible = [name for metric in train.eval_metrics for name in SCORES_TO_CHOOSE_BY[metric]]
    if train.best_metric is not None and train.best_metric not in possible:
        metrics = [m for m, names in SCORES_TO_CHOOSE_BY.items() if train.best_metric in names]
        raise UserError(
            f"'train_cfg.best_metric' {train.best_metric} is not measured: "
            + (
                f"add {metrics[0]} to 'train_cfg.eval_metrics'"
                if metrics
                else "it is for autoencoders; choose one of 'train_cfg.eval_metrics', or null for "
                "the validation loss"
            )
        )
    if train.eval_classes is not None:
        if not model.conditional:
            raise UserError(
                "'train_cfg.eval_classes' needs a model with labels: leave it out, or set "
                "'model.conditional: true'"
            )
        for key in ("model.num_classes", "train_cfg.eval_samples"):
            if train.eval_classes > lookup(config, key):
                raise UserError(
                    f"'train_cfg.eval_classes' {train.eval_classes} must not be above '{key}', "
                    f"{lookup(config, key)}"
                )
    known = ("own", "heun") if config.model_name == "EDM" else ("own", "ddim", "ddpm", "dpm++")
    if train.eval_sampler not in (None, *known):
        raise UserError(
            f"'train_cfg.eval_sampler' {train.eval_sampler} cannot draw from a model of "
            f"'model_name: {config.model_name}': choose from {', '.join(known)}"
        )
    if train.eval_steps is not None and train.eval_sampler in (None, "own"):
        others = [name for name in known if name != "own"]
        raise UserError(
            "'train_cfg.eval_steps': the model's own sampler has its own steps; set "
            f"'train_cfg.eval_sampler', e.g. to {others[0]}"
        )
    if config.model_name != "EDM" and (train.eval_steps or 0) > model.timesteps:
        raise UserError(
            f"'train_cfg.eval_steps' {train.eval_steps} must not be above 'model.timesteps', "
            f"{model.timesteps}"
        )
