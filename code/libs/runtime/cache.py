"""Samples, features and classifiers that earlier calls computed, kept as files in one folder."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..utils import UserError, replacing
from ..weights import read_file
from .progress import say

Facts = dict[str, str | int]  # all that the tensors depend on
Tensors = dict[str, Tensor]
STATE = "state of the "  # facts with such names change often: a file of an older state is replaced


@dataclass
class Store:
    """A folder of files of tensors, each with the facts that it was computed from.

    A file's name holds a hash of the facts, without those that begin with STATE, and the file holds
    all facts: tensors of another network, data set, checkpoint or state of the code are never mixed
    in, even if a file is renamed.
    """

    folder: Path

    def path(self, kind: str, facts: Facts) -> Path:
        lasting = {key: value for key, value in facts.items() if not key.startswith(STATE)}
        text = json.dumps(lasting, sort_keys=True)
        return self.folder / f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.pth"

    def find(self, kind: str, facts: Facts) -> Tensors | None:
        """The tensors that were kept under these facts; None where there are none to be used."""
        path = self.path(kind, facts)
        if not path.is_file():
            return None
        try:
            content = read_file(path)
            found, tensors = content["facts"], content["tensors"]
        except (UserError, KeyError, TypeError):
            say(f"{path} is damaged: the {kind} are computed again")
            return None
        if found != facts:
            different = [key for key in facts if found.get(key) != facts[key]] or ["more facts"]
            if not different[0].startswith(STATE):
                say(f"{path} holds {kind} of another {different[0]}: they are computed again")
            elif kind == "samples":
                say("samples: code has changed since an earlier call kept them; drawing them again")
            return None
        return tensors

    def keep(self, kind: str, facts: Facts, tensors: Tensors) -> None:
        """Write tensors; where that fails, say so and go on, since they are only kept for later."""
        path = self.path(kind, facts)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as partial:
                torch.save({"facts": facts, "tensors": tensors}, partial)
        except (OSError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0]
            say(f"could not keep the {kind} for the next time in {path} ({reason})")

    def get(self, kind: str, facts: Facts, compute: Callable[[], Tensors]) -> Tensors:
        """The kept tensors, or else those that `compute` returns, kept from now on."""
        tensors = self.find(kind, facts)
        if tensors is None:
            tensors = compute()
            self.keep(kind, facts, tensors)
        return tensors
