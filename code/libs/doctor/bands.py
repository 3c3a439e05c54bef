"""Errors of healthy runs for each tenth of the noise levels, relative to a linear denoiser's.

Measured on short runs, 100 to 345 steps on 8x8 digits and on points in the plane: DDPM, EDM and
flows, with UNet, transformer and MLP. `least` is the lowest error, `most` the highest and a quarter
more.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Band:
    """The range of healthy runs' relative errors in one tenth of the noise levels.

    Attributes:
        noise: the largest sigma / alpha at which they were measured, but at least 4: above that a
            linear denoiser sees next to nothing, and answers with the mean of the data.
    """

    least: float
    most: float
    noise: float

    def most_at(self, noise: float) -> float:
        """The largest healthy error at a noise level: above `noise` it grows as (sigma / alpha)^2.

        There an error of e in the predicted noise is an error of e sigma / alpha in the image.
        """
        return self.most * max(1.0, noise / self.noise) ** 2


BAND = [  # little noise first
    Band(0.42, 1.70, 4.0),
    Band(0.68, 1.40, 4.0),
    Band(0.70, 1.40, 4.0),
    Band(0.67, 1.40, 4.0),
    Band(0.64, 1.50, 4.0),
    Band(0.62, 1.65, 4.0),
    Band(0.63, 2.00, 4.0),
    Band(0.67, 2.60, 4.3),
    Band(0.66, 4.50, 6.6),
    Band(0.69, 10.0, 19.0),
]
