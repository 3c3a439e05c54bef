"""Experiment configs: all keys with types, defaults and limits; and loading them.

A config is a YAML file with the sections below. Paths in it are relative to the file's own folder,
paths given with `--set` to the current folder; in memory all paths are absolute. This file does not
import torch, so that a mistake in a config shows at once.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import yaml

from .runtime import documents, strict_yaml
from .settings.checks import check_together
from .settings.limits import check_limits, number
from .utils import ROOT, Dataclass, UserError, did_you_mean, shown_value


class Settings(Dataclass, Protocol):
    """A config of some script, for types alone."""

    script: str

    def check(self) -> None: ...


T = TypeVar("T", bound=Settings)


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
        "Checkerboard",  # these and the next are points in the plane, see data/toy.py
        "Spiral",
        "Moons",
        "Gaussians",
    ] = "Digits"
    split: str = "train"
    data_folder: Path = Path("../data")  # for folders, that of `split` works, too
    annotations: Path | None = None  # of COCOCaptions; null: annotations/captions_SPLIT.json
    emnist_split: Literal["balanced", "byclass", "bymerge", "digits", "letters", "mnist"] = (
        "balanced"
    )
    # Share of the training images held out for validation
    val_fraction: float = number(0.0, at_least=0, below=1)
    val_data_folder: Path | None = None  # a class-per-folder tree to validate on instead
    test_split: str | None = None  # a split whose loss is reported beside the training loss
    subset: float = number(1.0, above=0, at_most=1)  # share of the images to use
    min_bytes: int = number(0, at_least=0)  # files smaller than this are skipped
    # Shorter side before the crop to img_shape; by default no crop
    resize: int | None = number(None, above=0)
    random_flip: bool = False
    latent_cache: bool = False  # latent models: encode the data set once, not in every epoch
    latent_variants: int = number(4, at_least=1)  # stored crops and flips of each image


@dataclass
class LoaderConfig:
    batch_size: int = number(64, at_least=1)  # over all processes and accumulation steps
    num_workers: int = number(2, at_least=0)


@dataclass
class ModelConfig:
    """What models/build.py builds a model from; settings/checks.py says which models have a key."""

    img_shape: list[int] = number((3, 32, 32), at_least=1)
    timesteps: int = number(100, at_least=1)
    dim: int = number(64, at_least=1)
    context_dim: int = number(64, at_least=1)
    num_classes: int = number(10, at_least=1)
    dim_mults: list[int] = number((1, 2, 4), at_least=1)
    attn_levels: list[int] = field(default_factory=lambda: [0, 1])
    use_vae: bool = False
    vae_encoder_weights: Path | None = None
    vae_decoder_weights: Path | None = None
    beta_schedule: Literal["linear", "quadratic", "cosine", "sigmoid", "sigmoid_beta"] | None = None
    beta_start: float | None = number(None, above=0, below=1)
    beta_end: float | None = number(None, above=0, below=1)
    rescale_betas: bool = False
    prediction: Literal["eps", "v", "x0"] = "eps"
    variance_type: Literal["fixed_small", "fixed_large"] = "fixed_small"
    label_dropout: float = number(0.0, at_least=0, at_most=1)
    conditional: bool = True
    adagn: bool = False
    resblocks_per_level: int = number(1, at_least=1)
    dropout: float = number(0.0, at_least=0, below=1)
    attention: Literal["full", "linear"] = "full"
    resample: Literal["conv", "max", "avg"] = "conv"
    bottleneck: Literal["conv", "transformer"] = "conv"
    bottleneck_depth: int = number(4, at_least=1)
    bottleneck_heads: int = number(8, at_least=1)
    context: Literal["class", "tokens"] = "class"
    # Side of the blocks of pixels that become channels, before a unet and back after it
    space_to_depth: int = number(1, at_least=1)
    # dit: a vision transformer; mlp: for points in the plane; both `dim` wide
    network: Literal["unet", "dit", "mlp"] = "unet"
    depth: int = number(6, at_least=1)  # blocks of a dit
    num_heads: int = number(4, at_least=1)
    patch_size: int = number(2, at_least=1)
    qk_norm: bool = False


@dataclass
class AutoencoderModelConfig:
    """The arguments of KLAutoencoder, see code/libs/autoencoders/kl.py."""

    in_channels: int = number(3, at_least=1, at_most=3)
    ch: int = number(128, at_least=1)
    ch_mult: list[int] = number((1, 2, 4, 4), at_least=1)
    num_res_blocks: int = number(2, at_least=1)
    z_channels: int = number(4, at_least=1)  # of what the encoder gives and the decoder takes
    # Channels of the latents in between; null: z_channels
    embed_dim: int | None = number(None, at_least=1)
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

    kind: Literal["taesd", "kl"] = "taesd"  # the weights of taesd are in `model`
    weights: Path | None = None  # of kl: what train_autoencoder.py wrote, or a published kl-f4, -f8
    autoencoder: AutoencoderModelConfig | None = None  # null: what the weights say
    # Train it together with the diffusion model until this epoch, counted from 1
    freeze_vae_epoch: int | None = number(None, at_least=1)
    vae_lambda: float = number(0.05, at_least=0)  # weight of its loss beside the diffusion model's
    # Weight of its KL term, as `stages.kl_weight` of an autoencoder's config
    kl_beta: float = number(5e-4, at_least=0)
    lpips_lambda: float = number(0.0, at_least=0)
    lpips: LpipsConfig = field(default_factory=LpipsConfig)


@dataclass
class TextConfig:
    """The frozen text encoder of a model with `context: tokens`, see code/libs/text/encoder.py.

    Without `encoder` and `hub_name` it is a random one of the sizes below.
    """

    encoder: Path | None = None  # a folder in the layout of transformers
    hub_name: str | None = None  # instead: a name on Hugging Face's hub
    vocabulary: Path | None = None  # a folder with vocab.json and merges.txt; null: the encoder's
    width: int = number(64, at_least=1)
    layers: int = number(2, at_least=1)
    heads: int = number(4, at_least=1)
    seed: int = number(0, at_least=0, below=2**62)


@dataclass
class EDMConfig:
    """The other arguments of EDM, see code/libs/edm.py; drawing starts at sigma_max."""

    sigma_data: float | None = number(None, above=0)  # null: measured on training images
    p_mean: float = number(-1.2)
    p_std: float = number(1.2, above=0)
    sigma_min: float = number(0.002, above=0)
    sigma_max: float = number(80.0, above=0)
    rho: float = number(7.0, above=0)
    steps: int = number(18, at_least=1)
    s_churn: float = number(0.0, at_least=0)
    s_min: float = number(0.0, at_least=0)
    s_max: float | None = number(None, at_least=0)  # null: no upper end
    s_noise: float = number(1.0, above=0)


@dataclass
class FMConfig:
    """The other arguments of a rectified flow; time goes from noise, t = 0, to data, t = 1."""

    time: Literal["uniform", "logit_normal"] = "uniform"  # how t is drawn in training
    logit_mean: float = number(0.0)  # of ln(t / (1 - t)), for logit_normal; below 0: more noise
    logit_std: float = number(1.0, above=0)
    # Of the network; bounded: an image in [-1, 1]; residual: what a linear guess leaves
    prediction: Literal["velocity", "image", "bounded", "residual"] = "velocity"
    solver: Literal["euler", "heun"] = "euler"  # heun: two evaluations a step
    # Share of a batch that learns mean velocities between two times, for few large steps; 0: none
    mean_share: float = number(0.0, at_least=0, at_most=1)
    # The run of a flow, or a checkpoint of it, to distill into one evaluation
    teacher: Path | None = None


@dataclass
class TrainConfig:
    lr: float = number(2e-5, above=0)
    epochs: int = number(30, at_least=1)
    # Pictures of each class drawn at each checkpoint
    num_eval_samples: int = number(10, at_least=0)
    # At most this many classes, spread evenly; null: all
    num_eval_classes: int | None = number(None, at_least=1)
    # How they are drawn; sample.py and evaluate.py do the same unless their flags say otherwise
    sampler: Literal["own", "ddpm", "ddim", "dpm++", "deis", "heun"] | None = None  # null: own
    sampler_steps: int | None = number(None, at_least=1)  # of sampler; null: all
    # Noise of ddim, dpm++ and deis, 0 to 1; null: 0
    sampler_eta: float | None = number(None, at_least=0, at_most=1)
    # Which noise levels it visits, as --spacing; null: trailing
    sampler_spacing: Literal["trailing", "leading", "linspace", "log_snr", "cosine"] | None = None
    guidance: float | None = number(None, at_least=0)  # scale of classifier-free guidance
    max_steps: int | None = number(None, at_least=1)  # end early, in good order
    optimizer: Literal["adamw", "muon"] = "adamw"  # muon: for matrices and convolutions
    loss: Literal["mse", "l1", "huber"] = "mse"
    # Train more on the noise that shows; 5: Hang et al. 2023
    min_snr_gamma: float | None = number(None, above=0)
    # Share of time steps that are drawn uniformly despite min_snr_gamma
    uniform_share: float = number(0.0, at_least=0, at_most=1)
    weight_decay: float = number(0.01, at_least=0)
    betas: list[float] = number((0.9, 0.999), at_least=0, below=1)
    lr_schedule: Literal["constant", "cosine", "onecycle", "multistep"] = "constant"
    warmup_steps: int = number(0, at_least=0)  # or
    warmup_epochs: float = number(0.0, at_least=0)
    lr_milestones: list[int] = field(default_factory=list)  # epochs, for multistep
    lr_gamma: float = number(0.1, above=0)  # factor at each milestone
    ema_decay: float = number(0.999, at_least=0, below=1)
    clip_grad_norm: float | None = number(1.0, above=0)
    # Split each batch into this many passes, to save memory
    accumulate: int = number(1, at_least=1)
    channels_last: bool = True
    compile: bool = False
    eval_every: int = number(1, at_least=1)  # epochs between validation and test losses
    eval_images: int = number(2000, at_least=1)  # at most this many images for each of these losses
    eval_metrics: list[Literal["fid", "kid", "is", "pr", "grain", "accuracy", "lpips"]] = field(
        default_factory=list
    )  # scores of samples in the same epochs, as evaluate.py's
    eval_features: Literal["lenet", "inception"] = "lenet"
    eval_samples: int = number(500, at_least=1)  # drawn for these scores
    # Draw only this many classes, spread evenly; null: all
    eval_classes: int | None = number(None, at_least=1)
    # How they are drawn; null: as sampler says
    eval_sampler: Literal["own", "ddpm", "ddim", "dpm++", "deis", "heun"] | None = None
    eval_steps: int | None = number(None, at_least=1)  # of eval_sampler; null: all
    inception_weights: Path | None = None  # torch-fidelity's file; null: downloaded once
    alexnet_weights: Path | None = None  # torchvision's file, for lpips; null: downloaded once
    best_metric: (  # what best.pth is chosen by; null: the validation loss
        Literal["fid", "kid", "is", "precision", "recall", "grain", "accuracy", "psnr", "ssim"]
        | None
    ) = None
    ckpt_steps: int | None = number(None, at_least=1)  # also save a checkpoint every N steps
    # Numbered checkpoints to keep, besides best.pth and model_final.pth
    keep_last_n: int = number(3, at_least=1)
    keep_best_model: bool = True  # best.pth
    keep_last_model: bool = True  # model_final.pth; false: the last one is one of the numbered


@dataclass
class WandbConfig:
    """Weights & Biases, see docs/wandb.md. The API key is not set here: configs get shared."""

    project: str | None = None  # null: no Weights & Biases
    entity: str | None = None  # a user or team; null: the default of whoever is logged in
    run_name: str | None = None  # null: the run folder's
    resume_id: str | None = None  # of a run to go on in; null: the checkpoint's, or a new one


SCRIPT_OF = {  # by section
    "model": "train.py",
    "autoencoder": "train_autoencoder.py",
    "stages": "train_autoencoder.py",
    "unet": "sample.py",
}


@dataclass
class Config:
    """A diffusion model and how it is trained."""

    kind = "diffusion model"  # as checkpoints and messages call what is trained
    script = "train.py"

    devices: list[str] = field(default_factory=lambda: ["auto"])
    dtype: Literal["auto", "fp32", "bf16", "fp16"] = "auto"  # auto: what is fastest on the device
    seed: int = number(0, at_least=0, below=2**62)
    model_name: Literal["DDPM", "EDM", "FM"] = "DDPM"
    output_folder: Path = Path("../logs")
    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    loader: LoaderConfig = field(default_factory=LoaderConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    vae: VaeConfig = field(default_factory=VaeConfig)
    text: TextConfig = field(default_factory=TextConfig)
    edm: EDMConfig = field(default_factory=EDMConfig)
    fm: FMConfig = field(default_factory=FMConfig)
    train_cfg: TrainConfig = field(default_factory=TrainConfig)
    wandb: WandbConfig = field(default_factory=WandbConfig)

    def check(self) -> None:
        """Refuse lists of the wrong length, and keys that contradict each other."""
        check_together(self)


def load_config(
    path: str,
    overrides: list[str] | None = None,
    kind: type[T] = Config,  # type: ignore[assignment]  # a default of T needs Python 3.13
) -> T:
    """Read a YAML or JSON config and apply overrides of the form "section.key=value".

    Args:
        path: the file, see `find_config`.
        overrides: those of `--set`.
        kind: what the file describes: Config, or another such class with `check`.

    Raises UserError for a missing or empty file, a syntax error, an unknown key, a wrong type, or a
    value that makes no sense.
    """
    file = find_config(path)
    read = documents.read_json if file.suffix == ".json" else documents.read_yaml
    values = read(file, path)
    if values is None:
        raise UserError(
            f"config {path} is empty: copy one of the folder configs/ and change what you like"
        )
    config = from_dict(values, file.parent, str(path), kind)
    for override in overrides or []:
        _apply_override(config, override)
    check_limits(config)
    config.check()
    return config


def find_config(path: str) -> Path:
    """Look a config up from the current folder, then from the repository's root."""
    for folder in (Path.cwd(), ROOT):
        if (folder / path).is_file():
            return (folder / path).resolve()
    found = (ROOT / "configs").glob("*")
    known = sorted(f"configs/{p.name}" for p in found if p.suffix in (".yaml", ".yml", ".json"))
    by_name = f"configs/{Path(path).stem}.yaml"  # for `train.py digits`
    hint = did_you_mean(by_name if by_name in known else path, known)
    hint = hint or f"; there are {', '.join(known)}"
    raise UserError(f"config {path} does not exist{hint}")


def from_dict(
    values: dict,
    base: Path,
    source: str,
    kind: type[T] = Config,  # type: ignore[assignment]  # as above
) -> T:
    """Build a config from nested dicts; paths are relative to `base`, errors name the `source`."""
    if not isinstance(values, dict):
        raise UserError(
            f"{source}: expected sections such as 'dataset:', found {shown_value(values)}"
        )
    for section in SCRIPT_OF.keys() & values.keys():
        if SCRIPT_OF[section] != kind.script:
            raise UserError(
                f"{source} has a section '{section}': it is for python code/{SCRIPT_OF[section]}"
            )
    # Defaults that are paths count from the folder configs/, as they would in a file there.
    config = strict_yaml.resolve_paths(kind(), ROOT / "configs")
    strict_yaml.merge(config, values, base, source)
    return config


def to_dict(config: Any, base: Path) -> dict:
    """The config as plain nested dicts, its paths relative to `base`."""
    return strict_yaml.plain(config, base)


def dump_config(config: Any, base: Path) -> str:
    """The config as YAML text, its paths relative to `base`."""
    return yaml.safe_dump(to_dict(config, base), sort_keys=False, default_flow_style=None)


def _apply_override(config: Any, override: str) -> None:
    name, equals, text = override.partition("=")
    if not equals:
        raise UserError(f"--set {override}: write it as --set section.key=value")
    source = f"--set {override}"
    value = documents.parse_yaml(text, source)
    for part in reversed(name.strip().split(".")):
        value = {part: value}
    strict_yaml.merge(config, value, Path.cwd(), source)
