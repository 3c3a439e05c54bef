"""What healthy runs have: errors by tenths of the noise level, in those of a linear denoiser.

From short runs, 100 to 345 steps on 8x8 digits and on points of the plane: DDPM, EDM and flows, by
UNet, transformer and MLP. `least` is the lowest value, `most` the highest and a quarter more.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Band:
    """Of a tenth of the noise levels: the least and the most that healthy runs have.

    Attributes:
        noise: the largest sigma / alpha at which they were measured, or 4 if that is more: beyond
            it a linear denoiser sees next to nothing, and answers with the mean of the data.
    """

    least: float
    most: float
    noise: float

    def most_at(self, noise: float) -> float:
        """The most at a noise level: beyond `noise` it grows with the square of sigma / alpha.

        There an error of e in the noise is one of e sigma / alpha in the image.
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
