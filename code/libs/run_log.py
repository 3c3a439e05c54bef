"""What a run leaves behind besides checkpoints: TensorBoard, loss history, curves, W&B."""

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from .config import WandbConfig
from .progress import say
from .utils import replacing
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
    """

    def __init__(
        self, folder: Path, wandb: WandbConfig, config: dict[str, Any], step: int, enabled: bool
    ):
        self.board = self.wandb = None
        if not enabled:
            return
        from torch.utils.tensorboard import SummaryWriter  # slow to import

        self.board = SummaryWriter(str(folder), purge_step=step if step > 0 else None)
        if wandb.project is not None:
            self.wandb = _start_wandb(folder, wandb, config)

    def scalars(self, values: dict[str, float | None], step: int) -> None:
        """Log numbers at a step; None stands for one that was not measured."""
        values = {name: value for name, value in values.items() if value is not None}
        if self.board is not None:
            for name, value in values.items():
                self.board.add_scalar(name, value, step)
        if self.wandb is not None:
            self.wandb.log(values, step=step)

    def image(self, name: str, image: Tensor, step: int) -> None:
        """Log a picture, uint8 [3, H, W]."""
        if self.board is not None:
            self.board.add_image(name, image, step)
        if self.wandb is not None:
            from wandb import Image

            self.wandb.log({name: Image(image.permute(1, 2, 0).numpy())}, step=step)

    def close(self) -> None:
        """Write what is still in memory."""
        if self.board is not None:
            self.board.close()
        if self.wandb is not None:
            self.wandb.finish()


def _start_wandb(folder: Path, section: WandbConfig, config: dict[str, Any]) -> Any:
    try:
        import wandb
    except ImportError:
        say("no Weights & Biases: the package is not installed (pip install wandb)")
        return None
    return wandb.init(
        project=section.project,
        name=section.run_name,
        id=section.resume_id,
        resume="allow",
        dir=str(folder),
        config=config,
    )
