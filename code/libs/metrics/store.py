"""Samples, features and classifiers that earlier calls computed, kept as files in one folder."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..progress import say
from ..utils import UserError, replacing
from ..weights import read_file

Facts = dict[str, str | int]  # all that the tensors depend on
Tensors = dict[str, Tensor]


@dataclass
class Store:
    """A folder of files of tensors, each with the facts that it was computed from.

    A file's name holds a hash of the facts, and the file holds the facts themselves: tensors of
    another network, data set or checkpoint are never mixed in, whatever a file is called.
    """

    folder: Path

    def path(self, kind: str, facts: Facts) -> Path:
        text = json.dumps(facts, sort_keys=True)
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
            say(f"{path} is damaged, computing the {kind} anew")
            return None
        if found != facts:
            different = [key for key in facts if found.get(key) != facts[key]] or ["more facts"]
            say(f"{path} holds {kind} of another {different[0]}, computing them anew")
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


def hash_of(tensors: Mapping[str, Tensor]) -> str:
    """A short text that changes when a name or a value does."""
    digest = hashlib.sha256()
    for name, tensor in tensors.items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def hash_of_file(path: Path) -> str:
    """The SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
