"""The flags of the sampler heun: which there are, what they mean for `edm.Heun`, and its text."""

import math
from argparse import Namespace
from dataclasses import replace

from ..edm import Heun
from ..utils import UserError

FLAGS = ("--churn", "--churn-range", "--churn-noise", "--rho", "--sigma-range")


def given(args: Namespace) -> list[str]:
    """Those of the flags that were given."""
    return [flag for flag in FLAGS if getattr(args, flag[2:].replace("-", "_")) is not None]


def read(args: Namespace, heun: Heun) -> Heun:
    """The sampler `heun` with what the flags change.

    Raises UserError for numbers that make no sense.
    """
    if args.churn is not None:
        if not 0 <= args.churn < math.inf:
            raise UserError(f"--churn: a number from 0 (none) up, such as 40, not {args.churn:g}")
        heun = replace(heun, s_churn=args.churn)
    if args.churn_range is not None:
        s_min, s_max = _ends("--churn-range", args.churn_range)
        if not 0 <= s_min <= s_max:
            raise UserError(f"--churn-range: give 0 <= MIN <= MAX, not {args.churn_range}")
        heun = replace(heun, s_min=s_min, s_max=s_max)
    if args.churn_noise is not None:
        if not 0 < args.churn_noise < math.inf:
            raise UserError(f"--churn-noise: a number above 0, not {args.churn_noise:g}")
        heun = replace(heun, s_noise=args.churn_noise)
    if args.rho is not None:
        if not 0 < args.rho < math.inf:
            raise UserError(f"--rho: a number above 0, such as 7, not {args.rho:g}")
        heun = replace(heun, rho=args.rho)
    if args.sigma_range is not None:
        sigma_min, sigma_max = _ends("--sigma-range", args.sigma_range)
        if not 0 < sigma_min < sigma_max < math.inf:
            raise UserError(f"--sigma-range: give 0 < MIN < MAX, not {args.sigma_range}")
        heun = replace(heun, sigma_min=sigma_min, sigma_max=sigma_max)
    for flag, value in (("--churn-range", args.churn_range), ("--churn-noise", args.churn_noise)):
        if value is not None and heun.s_churn == 0:
            raise UserError(f"{flag}: there is no churn; add --churn 40 or so")
    return heun


def text(heun: Heun) -> list[str]:
    """What is unusual about a sampler, in words."""
    usual, parts = Heun(), []
    if heun.s_churn > 0:
        parts.append(f"churn {heun.s_churn:g}")
        if (heun.s_min, heun.s_max) != (usual.s_min, usual.s_max):
            parts.append(f"from {heun.s_min:g} to {heun.s_max:g}")
        if heun.s_noise != usual.s_noise:
            parts.append(f"of noise {heun.s_noise:g}")
    if heun.rho != usual.rho:
        parts.append(f"rho {heun.rho:g}")
    if (heun.sigma_min, heun.sigma_max) != (usual.sigma_min, usual.sigma_max):
        parts.append(f"sigma {heun.sigma_min:g} to {heun.sigma_max:g}")
    return parts


def _ends(flag: str, text: str) -> tuple[float, float]:
    """Two numbers such as "0.05,50"."""
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise UserError(f"{flag}: give two numbers, such as 0.05,50, not '{text}'") from None
    return low, high
