"""What healthy runs have: errors by tenths of the noise level, in those of a linear denoiser.

From short runs, 100 to 345 steps on 8x8 digits and on points of the plane: DDPM, EDM and flows, by
UNet, transformer and MLP. `least` is the lowest value, `most` the highest and a quarter more.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Band:
    """Of a tenth of the noise levels: the least and the most that healthy runs have."""

    least: float
    most: float


BAND = [  # little noise first
    Band(0.42, 1.70),
    Band(0.68, 1.40),
    Band(0.70, 1.40),
    Band(0.67, 1.40),
    Band(0.64, 1.50),
    Band(0.62, 1.65),
    Band(0.63, 2.00),
    Band(0.67, 2.60),
    Band(0.66, 4.50),
    Band(0.69, 10.0),
]
