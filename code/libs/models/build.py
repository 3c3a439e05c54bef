"""From a config or a checkpoint to a model with its network, schedule and autoencoder."""

import importlib
from collections.abc import Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..autoencoders.files import load_autoencoder
from ..autoencoders.kl import KLAutoencoder
from ..autoencoders.latents import FirstStage
from ..config import Config, EDMConfig, FMConfig, ModelConfig, from_dict
from ..ddpm import DDPM
from ..edm import EDM, Heun
from ..runtime import checkpoint
from ..runtime.streams import fork_rng
from ..schedules import make_betas
from ..tiny_autoencoder import TAESD
from ..utils import UserError, default
from ..weights import load_strictly
from .mlp import MLP
from .targets import IndirectUNet
from .trained import TrainedModel
from .variants import VariantUNet

CONTRACT = (  # arguments that every model takes; the others are passed where they are needed
    "img_shape timesteps dim context_dim num_classes dim_mults attn_levels use_vae "
    "vae_encoder_weights vae_decoder_weights"
).split()
SCHEDULE = "beta_schedule beta_start beta_end rescale_betas".split()
NETWORK = (  # options of VariantUNet
    "conditional adagn resblocks_per_level dropout attention resample bottleneck bottleneck_depth "
    "bottleneck_heads context space_to_depth"
).split()
OF_DIT = "conditional depth num_heads patch_size attention qk_norm context".split()


def build_model(config: Config, pretrained: bool = True) -> nn.Module:
    """Build the model of a config; without `pretrained`, a VAE gets its weights from a checkpoint.

    Raises UserError for settings that do not fit together, for missing VAE weights, and for a model
    or a network that this edition does not have.
    """
    section = config.model
    if section.use_vae and pretrained and config.vae.kind == "taesd":
        for name in ("vae_encoder_weights", "vae_decoder_weights"):
            if getattr(section, name) is None:
                raise UserError(f"'model.use_vae' needs 'model.{name}': name the file of weights")
    arguments: dict[str, Any] = {name: getattr(section, name) for name in CONTRACT}
    if not pretrained:
        arguments |= {"vae_encoder_weights": None, "vae_decoder_weights": None}
    vae = None
    if config.vae.kind == "kl":
        arguments["vae"] = vae = build_first_stage(config, pretrained)
    try:
        if section.network != "unet":  # the others have no levels
            arguments |= {"dim_mults": (1,), "attn_levels": ()}
        if config.model_name == "EDM":
            del arguments["timesteps"]
            arguments |= edm_arguments(config.edm) | network_argument(config, None, vae)
            return EDM(**arguments)
        if config.model_name == "FM":
            arguments |= fm_arguments(config.fm) | network_argument(config, None, vae)
            if config.fm.mean_share:
                kind = part("models.mean_flow", "MeanFlow")
                return kind(**arguments, mean_share=config.fm.mean_share)
            return part("fm", "FM")(**arguments)
        betas = betas_of(section)
        if changed(section, SCHEDULE):
            arguments["betas"] = betas
        model = DDPM(**arguments, **network_argument(config, betas, vae))
    except ValueError as error:
        raise UserError(f"section 'model': {error}") from None
    if section.variance_type == "fixed_large":  # section 3.2 of the paper
        model.posterior_variance = model.betas.clone()
    return model


def first_weights(config: Config) -> dict[str, Tensor]:
    """What a run of a config starts with, on the CPU; torch's random state stays as it was."""
    with fork_rng(config.seed, torch.device("cpu")):
        return dict(build_model(config, pretrained=False).named_parameters())


def betas_of(section: ModelConfig) -> Tensor:
    """The noise schedule of a DDPM, float64 [T]."""
    return make_betas(
        default(section.beta_schedule, "quadratic" if section.use_vae else "linear"),
        section.timesteps,
        default(section.beta_start, 0.00085 if section.use_vae else 1e-4),
        default(section.beta_end, 0.012 if section.use_vae else 0.02),
        rescale=section.rescale_betas,
    )


def part(module: str, name: str) -> Any:
    """A class of a module of libs that not every edition has; UserError where it is missing."""
    try:
        return getattr(importlib.import_module(f"..{module}", __package__), name)
    except ModuleNotFoundError:
        file = f"code/libs/{module.replace('.', '/')}.py"
        raise UserError(f"{name} is not part of this edition, {file} is missing") from None


def network_argument(config: Config, betas: Tensor | None, vae: nn.Module | None) -> dict[str, Any]:
    """The argument `network` of a model, where the config asks for more than the plain UNet.

    Args:
        betas: the noise schedule; None for another model than a DDPM.
        vae: the autoencoder, if it is none that the model makes itself.
    """
    section, is_dit = config.model, config.model.network == "dit"
    if section.network == "mlp":
        return {"network": partial(MLP, conditional=section.conditional)}
    names = OF_DIT if is_dit else changed(section, NETWORK)
    options: dict[str, Any] = {name: getattr(section, name) for name in names}
    if section.label_dropout:
        options["null_class"] = True
    shrink = default(vae, TAESD).factor if section.use_vae else 1
    if is_dit:
        check_patches(section, shrink)
    levels = len(section.dim_mults)
    check_blocks(section, shrink, levels)
    shrink *= section.space_to_depth
    if section.bottleneck == "transformer":
        options["bottleneck_size"] = middle_size(section.img_shape, shrink, levels)
    if section.prediction != "eps":
        network = part("models.dit", "IndirectDiT") if is_dit else IndirectUNet
        return {"network": partial(network, section.prediction, betas, **options)}
    prediction = config.fm.prediction.title().replace("Velocity", "")
    if config.fm.mean_share:
        network = part("models.mean_flow", f"{prediction}MeanUNet")
    elif prediction:
        network = part("models.flows", f"{prediction}{'DiT' if is_dit else 'UNet'}")
    elif is_dit:
        network = part("models.dit", "DiT")
    elif options:
        network = VariantUNet
    else:
        return {}
    return {"network": partial(network, **options)}


def check_patches(section: ModelConfig, shrink: int) -> None:
    """Raise ValueError where a DiT cannot cut what is diffused, images by a factor smaller."""
    height, width = section.img_shape[1:]
    unit = section.patch_size * shrink
    if height % unit or width % unit:
        raise ValueError(
            f"images of {height}x{width} cannot be cut into patches of {unit}x{unit} "
            f"(patch_size {section.patch_size}"
            + (f", and the VAE shrinks by {shrink})" if shrink > 1 else ")")
        )


def check_blocks(section: ModelConfig, shrink: int, levels: int) -> None:
    """Raise ValueError where a UNet cannot halve the blocks of pixels that it works on."""
    height, width = section.img_shape[1:]
    unit = section.space_to_depth * shrink * 2 ** (levels - 1)
    if section.space_to_depth > 1 and (height % unit or width % unit):
        raise ValueError(
            f"images of {height}x{width} do not fit: with space_to_depth "
            f"{section.space_to_depth} height and width must be divisible by {unit}"
        )


def middle_size(img_shape: Sequence[int], shrink: int, levels: int) -> list[int]:
    """Height and width in the middle of a UNet, whose levels halve what the autoencoder shrank."""
    return [(n // shrink) >> (levels - 1) for n in img_shape[1:]]


def changed(section: ModelConfig, names: Sequence[str]) -> list[str]:
    """Those of the keys that do not have their default."""
    usual = ModelConfig()
    return [name for name in names if getattr(section, name) != getattr(usual, name)]


def build_first_stage(config: Config, pretrained: bool) -> FirstStage:
    """The autoencoder of the section `vae`, which gets its architecture written into it.

    Raises UserError where the weights cannot be read, or hold something else.
    """
    section = config.vae
    if not pretrained:
        return FirstStage(KLAutoencoder(**vars(section.autoencoder)))
    autoencoder, section.autoencoder = load_autoencoder(section.weights, section.autoencoder)
    if section.autoencoder.in_channels != config.model.img_shape[0]:
        raise UserError(
            f"the autoencoder in {section.weights} takes images of "
            f"{section.autoencoder.in_channels} channels, 'model.img_shape' is "
            f"{config.model.img_shape}"
        )
    return FirstStage(autoencoder)


def edm_arguments(section: EDMConfig) -> dict[str, Any]:
    """The section as arguments of EDM, those of its sampler in one."""
    arguments = {name: value for name, value in vars(section).items() if value is not None}
    walk = {f.name: arguments.pop(f.name) for f in fields(Heun) if f.name in arguments}
    return {**arguments, "heun": Heun(**walk)}


def fm_arguments(section: FMConfig) -> dict[str, Any]:
    """The section as arguments of FM."""
    moments = (section.logit_mean, section.logit_std)
    logit_normal = moments if section.time == "logit_normal" else None
    return {"logit_normal": logit_normal, "heun": section.solver == "heun"}


def load_model(path: Path, device: torch.device) -> TrainedModel:
    """Load the averaged model of a checkpoint, or of a run folder's newest one, onto a device.

    Raises UserError where it cannot be read.
    """
    state = checkpoint.read(path, device)
    file = state["path"]
    config = from_dict(state["config"], file.parent, source=str(file))
    model = build_model(config, pretrained=False).to(device)
    load_strictly(model, state["model"] | state["ema"]["average"], file)
    text = checkpoint.saved_encoder(state)
    return TrainedModel(file, model.eval(), config, state["classes"], state["step"], text)
