"""Checkpoints: one file format for training, resuming and sampling, written atomically."""

import errno
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from . import config as configs
from .config import Config, EDMConfig
from .ddpm import DDPM
from .edm import EDM, Heun
from .utils import UserError, replacing
from .weights import load_strictly, read_file

FORMAT = 1
KEYS = {"format", "config", "classes", "step", "model", "ema"}
CONTRACT = (  # arguments that every DDPM takes; later ones are passed where they are set
    "img_shape timesteps dim context_dim num_classes dim_mults attn_levels use_vae "
    "vae_encoder_weights vae_decoder_weights"
).split()


def build_model(config: Config, pretrained: bool = True) -> DDPM | EDM:
    """Build the model of a config; without `pretrained`, a VAE gets its weights from a checkpoint.

    Raises UserError for settings that do not fit together, and for missing VAE weights.
    """
    section = config.model
    if section.use_vae and pretrained and config.vae.kind == "taesd":
        for name in ("vae_encoder_weights", "vae_decoder_weights"):
            if getattr(section, name) is None:
                raise UserError(f"'model.use_vae' needs 'model.{name}': name the file of weights")
    defaults = configs.ModelConfig()
    arguments = {
        name: value
        for name, value in vars(section).items()
        if name in CONTRACT or value != getattr(defaults, name)
    }
    if not pretrained:
        arguments |= {"vae_encoder_weights": None, "vae_decoder_weights": None}
    if config.vae.kind == "kl":
        arguments["vae"] = build_first_stage(config, pretrained)
    try:
        if config.model_name == "EDM":
            del arguments["timesteps"]
            return EDM(**arguments, **_edm_arguments(config.edm))
        return DDPM(**arguments)
    except ValueError as error:
        raise UserError(f"section 'model': {error}") from None


def build_first_stage(config: Config, pretrained: bool) -> nn.Module:
    """The autoencoder of the section `vae`, which gets its architecture written into it.

    Raises UserError where the weights cannot be read, or hold something else.
    """
    # Here, since these modules read checkpoints of their own kind
    from .first_stage.autoencoder import KLAutoencoder
    from .first_stage.latents import FirstStage
    from .first_stage.loading import load_autoencoder

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


def _edm_arguments(section: EDMConfig) -> dict[str, Any]:
    """The section as arguments of EDM, those of its sampler in one."""
    arguments = {name: value for name, value in vars(section).items() if value is not None}
    walk = {f.name: arguments.pop(f.name) for f in fields(Heun) if f.name in arguments}
    return {**arguments, "heun": Heun(**walk)}


def save(state: dict[str, Any], path: Path) -> None:
    """Write a checkpoint so that the file is either complete or not there.

    Raises UserError where it cannot be written; an earlier file of that name survives.
    """
    try:
        with replacing(path) as partial, partial.open("wb") as file:
            torch.save({"format": FORMAT, **state}, file)
            file.flush()
            os.fsync(file.fileno())
    except (OSError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        denied = isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EROFS)
        advice = "make the folder writable" if denied else "free some disk space"
        raise UserError(
            f"could not save {path} ({reason}): {advice}{hint_to_resume(path.parent)}"
        ) from None


def hint_to_resume(folder: Path) -> str:
    """How to go on from a run's checkpoints, as the end of a sentence; empty where it has none."""
    if not _resumable(folder):
        return ""
    return (
        f"; earlier checkpoints in {folder} are intact, go on from the last one with "
        f"--resume {folder}"
    )


def read(path: Path, device: torch.device | str = "cpu", kind: str = Config.kind) -> dict[str, Any]:
    """Read a checkpoint, or the newest one of a run folder.

    Args:
        path: a file or folder.
        device: where the tensors go.
        kind: what must have been trained, see `learner.Learner`.

    Raises UserError where it is missing, truncated, no checkpoint of this project, or of another
    kind.
    """
    if path.is_dir():
        path = newest(path)
    if not path.is_file():
        raise UserError(f"checkpoint {path} does not exist")
    state = read_file(path, device)
    if not _is_ours(state):
        raise UserError(f"{path} is not a checkpoint written by train.py")
    return _of_kind(state, path, kind)


def find(path: Path, kind: str) -> dict[str, Any] | None:
    """What `read` returns for a file, or None where it is no checkpoint of this project."""
    try:
        state = read_file(path)
    except UserError:
        return None
    return _of_kind(state, path, kind) if _is_ours(state) else None


def _is_ours(state: Any) -> bool:
    return isinstance(state, dict) and state.keys() >= KEYS


def _of_kind(state: dict[str, Any], path: Path, kind: str) -> dict[str, Any]:
    found = state.get("kind", Config.kind)  # the first checkpoints did not say
    if found != kind:
        raise UserError(f"{path} holds a trained {found}, what is needed is a trained {kind}")
    return state | {"path": path}


def newest(folder: Path) -> Path:
    """The checkpoint of a run folder that was written last."""
    found = _resumable(folder)
    if not found:
        raise UserError(f"there is no checkpoint in {folder}")
    return max(found, key=lambda p: p.stat().st_mtime_ns)


def _resumable(folder: Path) -> list[Path]:
    """A run's checkpoints except the best one, which may be far behind."""
    return [path for path in folder.glob("*.pth") if path.name != "best.pth"]


def remove_old(folder: Path, keep: int) -> None:
    """Delete all but the last `keep` of a run's numbered checkpoints."""
    numbered = [p for kind in ("epoch-*.pth", "step-*.pth") for p in folder.glob(kind)]
    for path in sorted(numbered, key=lambda p: p.stat().st_mtime_ns)[:-keep]:
        path.unlink()


def load_for_sampling(path: Path, device: torch.device) -> tuple[DDPM | EDM, Config, list[str]]:
    """Load the averaged model of a checkpoint, ready to sample.

    Returns:
        The model on `device`, the run's config, and the names of the classes; for a model that
        reads texts, the captions of the run's pictures.
    """
    state = read(path, device)
    base = state["path"].parent
    config = configs.from_dict(state["config"], base, source=str(state["path"]))
    model = build_model(config, pretrained=False).to(device)
    load_strictly(model, state["model"] | state["ema"]["average"], state["path"])
    return model.eval(), config, state["classes"]
