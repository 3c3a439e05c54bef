"""What a run leaves behind besides checkpoints: TensorBoard, loss history, curves, W&B."""

import json
import os
import threading
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from ..config import WandbConfig
from ..runtime.progress import going_on_without, say
from ..runtime.visualize import save_training_curve
from ..utils import default, replacing, shown

EVENTS = "events.out.tfevents*"  # TensorBoard's files


class History:
    """Losses and scores over a run: an entry per epoch, and averages over a few steps in between.

    `values` has lists of equal length with None where nothing was measured:

    - epochs, and at each train_loss, val_loss and test_loss: loss_name of the averaged weights on
      images of each kind, measured alike, so that a gap between them is one between the images.
      Where nothing is held out, train_loss is epoch_loss.
    - epoch_loss, the mean of what training minimised (objective_name) over the epoch's batches, by
      weights that changed from one to the next, and scores.
    - step_epochs, and at each step_loss, the same mean over a few steps, and step_parts, what the
      last of these had beside its loss.
    """

    EPOCHS = "epochs train_loss val_loss test_loss epoch_loss scores".split()
    STEPS = "step_epochs step_loss step_parts".split()

    def __init__(
        self, loss_name: str, objective_name: str, values: dict[str, Any] | None = None
    ) -> None:
        values = values or {}
        keys = (*self.EPOCHS, *self.STEPS)
        self.values: dict[str, Any] = {key: list(values.get(key, [])) for key in keys}
        epochs, steps = len(self.values["epochs"]), len(self.values["step_epochs"])
        if values and "epoch_loss" not in values:  # an earlier checkpoint's train_loss was that
            self.values["epoch_loss"] = list(values["train_loss"])
            if any(loss is not None for loss in values["val_loss"] + values["test_loss"]):
                self.values["train_loss"] = [None] * epochs
        self.values["scores"] = self.values["scores"] or [None] * epochs  # earlier ones had none
        self.values["step_parts"] = self.values["step_parts"] or [None] * steps
        self.values |= {"loss_name": loss_name, "objective_name": objective_name}

    def add_epoch(
        self,
        epoch: float,
        mean: float | None,
        losses: dict[str, float],
        scores: dict[str, float] | None = None,
    ) -> None:
        """Add an epoch; a fraction such as 2.5 is an unfinished one.

        Args:
            epoch: how many are done.
            mean: of the epoch's batches.
            losses: measured alike, by "train", "validation" and "test".
            scores: by name.
        """
        alike = [losses.get(name) for name in ("train", "validation", "test")]
        for key, value in zip(self.EPOCHS, (epoch, *alike, mean, scores or None), strict=True):
            self.values[key].append(value)

    def add_steps(self, epoch: float, loss: float | None, parts: dict[str, float]) -> None:
        """Add the average over the last few steps, or None if none of them had a finite loss."""
        for key, value in zip(self.STEPS, (epoch, loss, parts or None), strict=True):
            self.values[key].append(value)

    def write(self, folder: Path) -> None:
        """Write loss_history.json and training_curve.png; say so where that fails."""
        numbers, curve = folder / "loss_history.json", folder / "training_curve.png"
        with going_on_without(numbers), replacing(numbers) as partial:
            partial.write_text(json.dumps(self.values, indent=1) + "\n", encoding="utf-8")
        with going_on_without(curve):
            save_training_curve(self.values, curve)


class RunLog:
    """Sends numbers and pictures to TensorBoard, and to Weights & Biases where it is configured.

    Args:
        folder: the run's folder.
        wandb: the section of the config; a project of None means no Weights & Biases.
        config: the resolved config, recorded with the run.
        step: the step from which the run goes on; later entries of an earlier try are dropped.
        enabled: False in all processes but the first.
        wandb_id: of the run in Weights & Biases to go on in; the attribute says which one it is.
    """

    def __init__(
        self,
        folder: Path,
        wandb: WandbConfig,
        config: dict[str, Any],
        step: int,
        enabled: bool,
        wandb_id: str | None = None,
    ):
        self.board = self.wandb = None
        self.wandb_id = default(wandb.resume_id, wandb_id)
        self.enabled = enabled
        if not enabled:
            return
        from torch.utils.tensorboard import SummaryWriter  # slow to import

        self.folder, self.report = folder, threading.excepthook
        threading.excepthook = self._report_error
        with going_on_without(folder / EVENTS):
            self.board = SummaryWriter(str(folder), purge_step=step if step > 0 else None)
        text = yaml.safe_dump(config, sort_keys=False, default_flow_style=None)
        self._to_board("add_text", "config", f"```yaml\n{text}```", step)
        if wandb.project is not None:
            self.wandb = _start_wandb(folder, wandb, config, self.wandb_id)
        if self.wandb is not None:
            self.wandb_id = self.wandb.id

    def scalars(self, values: dict[str, float | None], step: int) -> None:
        """Log numbers at a step; None is one that was not measured."""
        values = {name: value for name, value in values.items() if value is not None}
        for name, value in values.items():
            self._to_board("add_scalar", name, value, step)
        self._to_wandb(values, step)

    def image(self, name: str, image: Tensor, step: int) -> None:
        """Log a picture, uint8 [3, H, W]."""
        self._to_board("add_image", name, image, step)
        if self.wandb is not None:
            from wandb import Image

            self._to_wandb({name: Image(image.permute(1, 2, 0).numpy())}, step)

    def close(self) -> None:
        """Write what is still in memory."""
        self._to_board("close")
        if self.enabled:
            threading.excepthook = self.report
        if self.wandb is None:
            return
        try:
            self.wandb.finish()
        except Exception as error:  # the run itself is complete
            say(f"Weights & Biases did not take the end of the run: {_reason(error)}")
        if self.wandb.offline:
            say(f"upload the run with: wandb sync {shown(Path(self.wandb.dir).parent)}")

    def _to_wandb(self, values: dict[str, Any], step: int) -> None:
        """Steps that an earlier try has sent already are dropped there: they were the same."""
        if self.wandb is None:
            return
        try:
            self.wandb.log(values, step=step)
        except Exception as error:  # a log is not worth a run
            say(f"Weights & Biases takes no more numbers: {_reason(error)}")
            self.wandb = None

    def _report_error(self, error: threading.ExceptHookArgs) -> None:
        """Leave it to `_to_board` to say where the thread of TensorBoard's writer cannot write."""
        of_writer = type(error.thread).__module__.startswith("tensorboard.")
        if not (of_writer and issubclass(error.exc_type, OSError)):
            self.report(error)

    def _to_board(self, method: str, *arguments: Any) -> None:
        """Call a method of TensorBoard's writer; where it cannot write, go on without it."""
        if self.board is None:
            return
        board, self.board = self.board, None
        with going_on_without(self.folder / EVENTS):
            getattr(board, method)(*arguments)
            self.board = board


def _start_wandb(
    folder: Path, section: WandbConfig, config: dict[str, Any], run_id: str | None
) -> Any:
    """A run in Weights & Biases; one that is uploaded later where it cannot be reached, or None."""
    # Or it asks for a key on a terminal, and a run that nobody watches would wait for the answer
    os.environ.setdefault("WANDB_SILENT", "true")
    os.environ.setdefault("WANDB_INIT_TIMEOUT", "30")  # seconds, of 90
    try:
        import wandb
    except ImportError:
        say("no Weights & Biases: the package is not installed (pip install wandb)")
        return None
    options = {
        "project": section.project,
        "entity": section.entity,
        "name": default(section.run_name, folder.name),
        "id": run_id,
        "resume": "allow",
        "dir": str(folder),
        "config": config,
    }
    try:
        run = wandb.init(**options)
    except Exception as error:  # no key, a wrong one, no network: the training goes on
        say(f"Weights & Biases: {_reason(error)}; keeping the run in {shown(folder / 'wandb')}")
        try:
            return wandb.init(**options, mode="offline")
        except Exception as error:
            say(f"no Weights & Biases: {_reason(error)}")
            return None
    if run.url:
        say(f"Weights & Biases: {run.url}")
    return run


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
