"""Where a run lives, and whether a checkpoint belongs to it."""

import os
import time
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import torch

from .. import config as configs
from ..config import Config
from ..runtime import strict_yaml
from ..runtime.cli import check_folder
from ..runtime.device import Precision
from ..runtime.processes import Processes
from ..settings.autoencoder import AutoencoderConfig
from ..settings.checks import differences
from ..utils import UserError

# A resumed run sees the same images in the same order only if these stay as they were,
# beside the seed, the model, and what an EDM or a flow is trained on.
FIXED_DATA = (
    "dataset.name dataset.split dataset.emnist_split dataset.val_fraction "
    "dataset.subset dataset.min_bytes dataset.resize dataset.random_flip dataset.latent_cache "
    "dataset.latent_variants loader.batch_size"
).split()
FIXED_EDM = ("edm.sigma_data", "edm.p_mean", "edm.p_std")
FIXED_FM = ("fm.time", "fm.logit_mean", "fm.logit_std", "fm.prediction", "fm.mean_share")
FIXED_TEXT = ("text.width", "text.layers", "text.heads", "text.seed")
FREE_IN_MODEL = ("vae_encoder_weights", "vae_decoder_weights")  # files may have moved
LONGEST_NAME = 150  # bytes of --output; file systems allow 255 for the folder's whole name
OF_ONE_MACHINE = ("devices", "loader.num_workers")  # as are all paths


def choose(
    config: Config | AutoencoderConfig, config_name: str, name: str | None, resumed: Path | None
) -> Path:
    """Return the folder of a run: that of the checkpoint it goes on from, or a new one.

    Raises UserError for a name that is none of a folder, where the folder of a new run holds
    checkpoints already, and where nothing can be written.
    """
    if name is not None:
        _check_name(name)
    if resumed is not None and name is None:
        check_folder("--resume", resumed.parent)
        return resumed.parent
    name = name or time.strftime("%Y-%m-%d_%H-%M-%S")
    folder = config.output_folder / f"{config_name}_{name}"
    if any(folder.rglob("*.pth")):
        raise UserError(
            f"{folder} holds checkpoints of an earlier run: choose another --output, or go on with "
            f"--resume {folder}"
        )
    check_folder("output_folder", folder)
    return folder


def _check_name(name: str) -> None:
    """Refuse what would lead out of the output folder, or cannot be a part of a folder's name."""
    bad = name.strip() in ("", ".", "..") or len(os.fsencode(name)) > LONGEST_NAME
    if bad or any(letter in "/\\" or not letter.isprintable() for letter in name):
        raise UserError(
            f"--output {name!r}: it is the end of the run folder's name, such as 'first' for "
            "logs/CONFIG_first: use letters, digits, '-' and '_'; to put runs elsewhere, give "
            "--set output_folder=FOLDER"
        )


def check_same_everywhere(
    config: Config | AutoencoderConfig, precision: Precision, processes: Processes
) -> None:
    """Refuse processes, maybe on different machines, that were not started alike.

    They would wait for each other forever, or train something that no config describes.

    Raises UserError with what differs.
    """
    number_format = "whichever is faster" if precision.by_speed else precision.name
    facts = _settings(config) | {"the number format": number_format, "torch": torch.__version__}
    advice = "start all processes with the same config, flags and packages"
    processes.must_agree(facts, advice)


def _settings(section: Any, prefix: str = "") -> dict[str, Any]:
    """A config's values by key, without those that each machine may choose for itself."""
    found = {}
    for key, value in ((f"{prefix}{f.name}", getattr(section, f.name)) for f in fields(section)):
        if is_dataclass(value):
            found |= _settings(value, f"{key}.")
        elif key not in OF_ONE_MACHINE and not isinstance(value, Path):
            found[f"'{key}'"] = strict_yaml.plain(value, Path())
    return found


def check_same_run(config: Config, state: dict[str, Any]) -> None:
    """Refuse a checkpoint whose config differs where a resumed run cannot.

    Raises UserError with the keys that differ.
    """
    path: Path = state["path"]
    saved = configs.from_dict(state["config"], path.parent, source=str(path))
    model = [f"model.{name}" for name in vars(config.model) if name not in FREE_IN_MODEL]
    keys = [
        "seed",
        "model_name",
        "vae.kind",
        "train_cfg.optimizer",  # whose state goes on
        *model,
        *FIXED_EDM,
        *FIXED_FM,
        *FIXED_TEXT,
        *FIXED_DATA,
    ]
    _refuse_differences(path, saved, config, keys)


def check_same_stage(config: AutoencoderConfig, state: dict[str, Any], number: int) -> None:
    """As check_same_run, for a stage of an autoencoder's training, counted from 0."""
    path: Path = state["path"]
    saved = configs.from_dict(state["config"], path.parent, str(path), AutoencoderConfig)
    of_model = [f"autoencoder.{name}" for name in vars(config.autoencoder)]
    saved_stage = saved.stages[number] if number < len(saved.stages) else None
    if saved_stage != config.stages[number]:
        raise UserError(f"{path} is from another config, whose stage {number + 1} was different")
    keys = ["seed", "train_cfg.optimizer", *of_model, *FIXED_DATA]
    _refuse_differences(path, saved, config.of_stage(number), keys)


def _refuse_differences(path: Path, saved: Any, config: Any, keys: list[str]) -> None:
    found = [f"{key} was {a!r} and is {b!r}" for key, a, b in differences(saved, config, keys)]
    if found:
        raise UserError(f"{path} is from another config: {'; '.join(found)}")
