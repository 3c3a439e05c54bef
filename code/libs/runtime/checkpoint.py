"""Checkpoints: one file format for training, resuming and sampling, written atomically."""

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..utils import UserError, replacing
from ..weights import read_file

FORMAT = 1
DIFFUSION = "diffusion model"  # what a checkpoint holds unless it says something else
KEYS = {"format", "config", "classes", "step", "model", "ema"}


@dataclass(frozen=True)
class SavedEncoder:
    """The text encoder that a model was trained with, as a checkpoint holds it.

    Attributes:
        path: of the checkpoint.
        hash: of the encoder's weights and vocabulary.
        weights: of a random encoder, whose seed gives others under another version of torch; None
            for a published one.
    """

    path: Path
    hash: str
    weights: dict[str, Tensor] | None


def saved_encoder(state: dict[str, Any]) -> SavedEncoder | None:
    """The text encoder in what `read` returned; None for a model without texts."""
    return SavedEncoder(state["path"], **state["text"]) if "text" in state else None


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


def read(path: Path, device: torch.device | str = "cpu", kind: str = DIFFUSION) -> dict[str, Any]:
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
    """What `read` returns for a file, or None where it is not a checkpoint of this project."""
    try:
        state = read_file(path)
    except UserError:
        return None
    return _of_kind(state, path, kind) if _is_ours(state) else None


def _is_ours(state: Any) -> bool:
    return isinstance(state, dict) and state.keys() >= KEYS


def _of_kind(state: dict[str, Any], path: Path, kind: str) -> dict[str, Any]:
    found = state.get("kind", DIFFUSION)  # the first checkpoints did not say
    if found != kind:
        raise UserError(f"{path} holds a trained {found}, and a trained {kind} is needed")
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
