"""Inception-v3 as the FID was defined with: TensorFlow's weights of 2015, through torch-fidelity.

Szegedy et al. 2016, "Rethinking the Inception Architecture for Computer Vision"; Heusel et al. 2017
take the 2048 numbers of its last pooling layer as the features of an image.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from ..runtime.downloads import weights_file
from ..utils import UserError
from ..weights import read_file

FLAGS = ("--features", "--inception-weights")


class Inception(nn.Module):
    """Maps images to the 2048 features and 1008 logits that published FIDs and scores use.

    Args:
        weights: a file of weights; None takes the official one, see `weights_file`.
        flags: what the user calls the choice of features, and the file, for messages.
        has_classes: whether LeNet could be used instead, which learns from them, for messages.

    Raises:
        UserError: torch-fidelity or the weights are missing, or the file holds something else.
    """

    def __init__(
        self, weights: Path | None = None, flags: Sequence[str] = FLAGS, has_classes: bool = True
    ):
        super().__init__()
        instead = f"; or use {flags[0]} lenet, which needs no download" if has_classes else ""
        try:
            from torch_fidelity import feature_extractor_inceptionv3 as published
        except ImportError:
            raise UserError(
                f"{flags[0]} inception needs a package: pip install -r requirements/metrics.txt"
                f"{instead}"
            ) from None
        try:
            path = weights_file(published.URL_INCEPTION_V3, weights, flags[1])
        except UserError as error:
            raise UserError(f"{error}{instead}") from None
        read_file(path)  # torch-fidelity would run code that a file holds, this refuses it
        try:
            self.net = published.FeatureExtractorInceptionV3(
                "inception", ["2048", "logits_unbiased"], str(path)
            )
        except (RuntimeError, TypeError, AttributeError):
            raise UserError(
                f"{path} does not hold the weights of torch-fidelity's Inception-v3"
            ) from None

    def features_and_logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map images [B, 1 or 3, H, W] in [0, 1] to features [B, 2048] and logits [B, 1008]."""
        images = images.mul(255).round().to(torch.uint8).expand(-1, 3, -1, -1)
        return self.net(images)
