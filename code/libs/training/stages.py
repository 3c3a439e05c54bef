"""Trains an autoencoder in stages, each in its own folder; an interrupted stage is resumed."""

import json
import math
import shutil
from functools import partial
from pathlib import Path
from typing import Any

from ..data.batches import EpochBatches
from ..metrics.features import Viewer
from ..metrics.inception import Inception
from ..metrics.lenet import fitted_lenet
from ..metrics.scoring import frechet_of_features
from ..runtime import checkpoint
from ..runtime.cache import Store
from ..runtime.device import Precision
from ..runtime.documents import read_json
from ..runtime.processes import Processes
from ..runtime.progress import going_on_without, say
from ..settings.autoencoder import AutoencoderConfig
from ..utils import UserError, default, replacing, shown
from . import run_folder
from .autoencoder_learner import AutoencoderLearner
from .trainer import Trainer


def train_stages(
    config: AutoencoderConfig,
    folder: Path,
    precision: Precision,
    processes: Processes,
    print_freq: int = 100,
    ckpt_freq: int = 5,
) -> Path:
    """Train all stages that are not done yet, in folder/stage-1 and so on.

    Beside them, scores.json says how good reconstructions were before and after each stage.

    Returns:
        The final checkpoint, folder/model_final.pth.

    Raises:
        UserError: the config does not fit the data, the machine, or what is in the folder.
        KeyboardInterrupt: as `Trainer.fit`.
    """
    finals = [folder / f"stage-{i + 1}" / "model_final.pth" for i in range(len(config.stages))]
    for number, final in enumerate(finals):
        if processes.same(final.is_file()):
            if processes.is_main:
                say(f"stage {number + 1} is done: {shown(final)}")
            continue
        state = processes.ask_first(partial(_unfinished, final.parent))
        if state is not None:
            run_folder.check_same_stage(config, state, number)
        learner = AutoencoderLearner(config, number, precision, processes)
        if state is None and number > 0:
            before = partial(checkpoint.read, finals[number - 1], kind=learner.kind)
            learner.start_from(processes.ask_first(before))
        section = learner.config.wandb
        section.run_name = f"{default(section.run_name, folder.name)}/{final.parent.name}"
        freqs = print_freq, ckpt_freq
        trainer = Trainer(
            learner, learner.config, final.parent, precision, processes, *freqs, state
        )
        _check_starts(config, len(learner.splits.train), processes)
        if processes.is_main:
            print(f"stage {number + 1} of {len(finals)}: {trainer.describe()}", flush=True)
        if state is None:
            _note(folder, number, "before", learner, processes)
        trainer.fit()
        _note(folder, number, "after", learner, processes)
        asked_to_stop = processes.any(trainer.asked_to_stop, precision.device)
        if asked_to_stop and final != finals[-1]:  # in the stage's last step
            raise KeyboardInterrupt(f"go on with --resume {shown(folder)}")
    if processes.is_main:
        try:
            with replacing(folder / "model_final.pth") as copy:
                shutil.copyfile(finals[-1], copy)
        except OSError as error:
            raise UserError(
                f"could not copy {finals[-1]} to {folder / 'model_final.pth'} ({error.strerror}): "
                "all stages are done, use that file, or go on with --resume once there is room"
            ) from None
    processes.wait()
    return folder / "model_final.pth"


def _check_starts(config: AutoencoderConfig, images: int, processes: Processes) -> None:
    """Refuse a discriminator that would never start, of any stage, before the first is trained."""
    for number, stage in enumerate(config.stages):
        batch_size = min(images, config.of_stage(number).loader.batch_size)
        batches = EpochBatches(images, batch_size, config.seed, processes)
        steps = stage.epochs * len(batches)
        if stage.disc_start is not None and stage.disc_start >= steps:
            raise UserError(
                f"'stages[{number}].disc_start' {stage.disc_start} is after the end of the stage, "
                f"which has {steps} steps: lower it, or set it to null for no discriminator"
            )


def _unfinished(folder: Path) -> dict[str, Any] | None:
    """The newest checkpoint of a stage that was stopped, if there is one."""
    if not any(path.name != "best.pth" for path in folder.glob("*.pth")):
        return None
    return checkpoint.read(folder, kind=AutoencoderLearner.kind)


def _note(
    folder: Path, number: int, when: str, learner: AutoencoderLearner, processes: Processes
) -> None:
    """Print the scores of a stage, and add them to scores.json."""
    if processes.is_main:
        file = folder / "scores.json"
        scores = read_json(file) if file.is_file() else {}
        found = learner.scores() | reconstruction_fid(learner)
        finite = {name: value if math.isfinite(value) else None for name, value in found.items()}
        if not isinstance(scores, dict):
            raise UserError(f"{shown(file)} holds no scores: move it away")
        scores[f"stage {number + 1}"] = (scores.get(f"stage {number + 1}") or {}) | {when: finite}
        with going_on_without(file):
            folder.mkdir(parents=True, exist_ok=True)
            with replacing(file) as written:
                written.write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")
        listed = ", ".join(f"{name} {value:.4g}" for name, value in found.items())
        print(f"stage {number + 1}, {when}: {listed}", flush=True)
    processes.wait()


def reconstruction_fid(learner: AutoencoderLearner) -> dict[str, float]:
    """The Fréchet distance between held-out images and their reconstructions, if it is asked for.

    Raises:
        UserError: the features' network cannot be had.
    """
    config, device, images = learner.config, learner.device, learner.held_out()
    if config.features is None:
        return {}
    store = Store(config.output_folder / "feature_cache")
    if config.features == "inception":
        net = Inception(config.inception_weights, ("features", "inception_weights")).to(device)
    else:
        shape = [config.autoencoder.in_channels] + 2 * [learner.stage.resolution]
        net = fitted_lenet(learner.splits.train.plain(), shape, device, store)
    viewer = Viewer(net, device, store)
    pairs = learner.reconstructed(images, config.loader.batch_size)
    of_images = viewer.look_at(images).features
    of_pairs = viewer.look((decoded for _, decoded in pairs), len(images)).features
    return {"rfid": frechet_of_features(of_images, of_pairs)}
