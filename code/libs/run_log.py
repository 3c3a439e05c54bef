"""What a run leaves behind besides checkpoints: TensorBoard, loss history, curves, W&B."""

import json
import os
from pathlib import Path
from typing import Any

from torch import Tensor

from .config import WandbConfig, shown
from .progress import say
from .utils import default, replacing
from .visualize import save_training_curve


class History:
    """Losses over a run: one entry an epoch, and averages over a few steps in between.

    `values` has the keys train_loss, val_loss, test_loss, scores and epochs, lists of equal length
    with None where nothing was measured, and step_epochs and step_loss, the finer training curve.
    """

    def __init__(self, values: dict[str, list] | None = None):
        keys = "train_loss val_loss test_loss scores epochs step_epochs step_loss".split()
        self.values = values or {key: [] for key in keys}
        # Earlier checkpoints had no scores
        self.values.setdefault("scores", [None] * len(self.values["epochs"]))

    def add_epoch(
        self,
        epoch: float,
        train: float | None,
        val: float | None,
        test: float | None,
        scores: dict[str, float] | None = None,
    ) -> None:
        """Add the losses and scores of an epoch; a fraction such as 2.5 is an unfinished one."""
        entries = {"epochs": epoch, "train_loss": train, "val_loss": val, "test_loss": test}
        entries["scores"] = scores or None
        for key, value in entries.items():
            self.values[key].append(value)

    def add_step(self, epoch: float, loss: float | None) -> None:
        """Add an average over the last few steps, or None if none of them had a finite loss."""
        self.values["step_epochs"].append(epoch)
        self.values["step_loss"].append(loss)

    def write(self, folder: Path) -> None:
        """Write loss_history.json and training_curve.png."""
        with replacing(folder / "loss_history.json") as partial:
            partial.write_text(json.dumps(self.values, indent=1) + "\n", encoding="utf-8")
        save_training_curve(self.values, folder / "training_curve.png")


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
        if not enabled:
            return
        from torch.utils.tensorboard import SummaryWriter  # slow to import

        self.board = SummaryWriter(str(folder), purge_step=step if step > 0 else None)
        if wandb.project is not None:
            self.wandb = _start_wandb(folder, wandb, config, self.wandb_id)
        if self.wandb is not None:
            self.wandb_id = self.wandb.id

    def scalars(self, values: dict[str, float | None], step: int) -> None:
        """Log numbers at a step; None stands for one that was not measured."""
        values = {name: value for name, value in values.items() if value is not None}
        if self.board is not None:
            for name, value in values.items():
                self.board.add_scalar(name, value, step)
        self._to_wandb(values, step)

    def image(self, name: str, image: Tensor, step: int) -> None:
        """Log a picture, uint8 [3, H, W]."""
        if self.board is not None:
            self.board.add_image(name, image, step)
        if self.wandb is not None:
            from wandb import Image

            self._to_wandb({name: Image(image.permute(1, 2, 0).numpy())}, step)

    def close(self) -> None:
        """Write what is still in memory."""
        if self.board is not None:
            self.board.close()
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
