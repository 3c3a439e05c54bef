"""The settings of the sampler heun: what its flags change in `edm.Heun`, and their text."""

import math
from dataclasses import replace

from ..edm import Heun
from ..utils import UserError
from .flags import SamplerFlags


def changed_heun(flags: SamplerFlags, heun: Heun) -> Heun:
    """The settings of heun with what the flags change.

    Raises UserError for numbers that make no sense.
    """
    if flags.churn is not None:
        if not 0 <= flags.churn < math.inf:
            raise UserError(f"--churn: a number from 0 (none) up, such as 40, not {flags.churn:g}")
        heun = replace(heun, s_churn=flags.churn)
    if flags.churn_range is not None:
        s_min, s_max = _ends("--churn-range", flags.churn_range)
        if not 0 <= s_min <= s_max:
            raise UserError(f"--churn-range: give 0 <= MIN <= MAX, not {flags.churn_range}")
        heun = replace(heun, s_min=s_min, s_max=s_max)
    if flags.churn_noise is not None:
        if not 0 < flags.churn_noise < math.inf:
            raise UserError(f"--churn-noise: a number above 0, not {flags.churn_noise:g}")
        heun = replace(heun, s_noise=flags.churn_noise)
    if flags.rho is not None:
        if not 0 < flags.rho < math.inf:
            raise UserError(f"--rho: a number above 0, such as 7, not {flags.rho:g}")
        heun = replace(heun, rho=flags.rho)
    if flags.sigma_range is not None:
        sigma_min, sigma_max = _ends("--sigma-range", flags.sigma_range)
        if not 0 < sigma_min < sigma_max < math.inf:
            raise UserError(f"--sigma-range: give 0 < MIN < MAX, not {flags.sigma_range}")
        heun = replace(heun, sigma_min=sigma_min, sigma_max=sigma_max)
    for flag, value in (("--churn-range", flags.churn_range), ("--churn-noise", flags.churn_noise)):
        if value is not None and heun.s_churn == 0:
            raise UserError(f"{flag}: there is no churn; add --churn 40 or so")
    return heun


def text_of_heun(heun: Heun) -> list[str]:
    """What is unusual about settings of heun, in words."""
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
