"""Reading files of weights safely, and loading them strictly."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .utils import UserError

LISTED = 3  # tensors that a message names


def read_file(path: Path, device: torch.device | str = "cpu") -> Any:
    """Read a file that torch.save wrote, or a `.safetensors` file, without running code in it.

    Raises UserError if the file is truncated, contains code, or is not a file of weights.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file  # optional: .pth needs no package

            return load_file(path, device=str(device))
        return torch.load(path, map_location=device, weights_only=True)
    except ImportError:
        raise UserError(f"reading {path} needs a package: pip install safetensors") from None
    except pickle.UnpicklingError:
        raise UserError(f"{path} is refused: not a file of weights, or it holds code") from None
    except Exception as error:  # a broken file can raise almost anything
        kind = type(error).__name__
        raise UserError(
            f"{path} is not readable: truncated, or not a file of weights ({kind})"
        ) from None


def load_strictly(module: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Load weights into a module; every name and shape must match.

    Raises UserError that names the file and the first tensors that differ.
    """
    check_strictly(module, weights, path)
    module.load_state_dict({name: tensor.to_dense() for name, tensor in weights.items()})


def check_strictly(
    module: nn.Module, weights: Mapping[str, Tensor], path: Path, names: Mapping[str, str] = {}
) -> None:
    """Raise the UserError that `load_strictly` would raise, but load nothing.

    `names` are the file's own names of tensors that are called something else in `weights`, for
    the message.
    """
    if not isinstance(weights, Mapping):
        raise UserError(f"{path} holds no named tensors, but a {type(weights).__name__}")
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    found = {name: tuple(getattr(tensor, "shape", ())) for name, tensor in weights.items()}
    wrong = [
        f"'{names.get(name, name)}' should be {expected.get(name, 'absent')} and is "
        f"{found.get(name, 'absent')}"
        for name in {**expected, **found}
        if expected.get(name) != found.get(name)
    ]
    if wrong:
        more = f", and {len(wrong) - LISTED} more" if len(wrong) > LISTED else ""
        raise UserError(
            f"{path} does not match the model it is loaded into: tensor "
            f"{', '.join(wrong[:LISTED])}{more}"
        )
