"""What `ddpm.py` of the kit's former edition imports, with all options off."""

from typing import Any

from .unet import UNet


def predicting(*options: Any) -> type[UNet]:
    """The network for other targets than the noise, which the assignment does not ask for."""
    return UNet
