"""The flags of sample.py for editing. No torch here, so that --help is fast."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass

from ..utils import UserError
from .flags import SamplerFlags

STRENGTH = 0.6


@dataclass(frozen=True)
class EditRequest:
    """What sample.py was asked to edit, and how; None or False for flags that were not given.

    Attributes:
        init_image: a picture to start from, the flag --from.
        strength, mask, invert, between, anagram: as `add` describes them.
        The others are flags of sample.py.
    """

    checkpoint: str
    labels: str | None
    num: int
    seed: int
    out: str | None
    force: bool
    device: str
    sampler: SamplerFlags
    init_image: str | None = None
    strength: float | None = None
    mask: str | None = None
    invert: bool = False
    between: str | None = None
    anagram: bool = False


def add(parser: argparse.ArgumentParser) -> None:
    """Add the flags of editing."""
    group = parser.add_argument_group("editing")
    group.add_argument(
        "--from",
        "--init-image",
        dest="init_image",
        metavar="IMAGE",
        help="start from a picture, not from noise (SDEdit), and draw each of --labels or --prompt",
    )
    group.add_argument(
        "--strength",
        type=float,
        metavar="S",
        help=f"how much of --from to replace, above 0 to 1 (default: {STRENGTH})",
    )
    group.add_argument(
        "--mask",
        metavar="IMAGE",
        help="draw only where this picture is white, and keep the rest of --from (RePaint)",
    )
    group.add_argument(
        "--invert",
        action="store_true",
        help="find the noise of --from as an image of the first of --labels, and draw all labels "
        "from that noise",
    )
    group.add_argument(
        "--between",
        choices=("seeds", "classes"),
        help="go in --num pictures from --seed to the next one, or between the two of --labels",
    )
    group.add_argument(
        "--anagram",
        action="store_true",
        help="draw pictures that show the first of the two --labels, and turned the second",
    )


def wanted(flags: Mapping[str, object]) -> bool:
    """Whether sample.py is asked to edit.

    Raises UserError for flags that do not fit each other.
    """
    start = flags["init_image"] is not None
    if flags["sd"] is not None:
        for name in ("mask", "invert", "between", "anagram"):
            if flags[name]:
                raise UserError(f"--{name}: Stable Diffusion does not have it, leave it out")
        return False
    for name in ("strength", "mask", "invert"):
        if flags[name] not in (None, False) and not start:
            raise UserError(f"--{name}: name the picture to start from with --from IMAGE")
    kinds = {"--mask": flags["mask"] is not None, "--invert": flags["invert"]}
    kinds |= {"--strength": flags["strength"] is not None}
    kinds |= {"--between": flags["between"] is not None, "--anagram": flags["anagram"]}
    asked = [flag for flag, given in kinds.items() if given]
    if start and not {"--between", "--anagram"}.isdisjoint(asked):
        raise UserError(f"{asked[-1]}: it draws from noise, leave --from out")
    if len(asked) > 1:
        raise UserError(f"{asked[1]}: choose between it and {asked[0]}")
    if not (start or asked):
        return False
    for name in ("film", "out_dir", "prompt", "negative"):
        if flags[name] is not None:
            raise UserError(f"--{name.replace('_', '-')}: it is not for editing, leave it out")
    strength = flags["strength"]
    if isinstance(strength, float) and not 0 < strength <= 1:
        raise UserError(f"--strength: a number above 0 and at most 1, not {strength:g}")
    return True
