"""CLIP, which looks at pictures and captions alike: does a sample show what it was drawn for.

Papers: Radford et al. 2021, "Learning Transferable Visual Models From Natural Language
Supervision"; Hessel et al. 2021, "CLIPScore".
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.transforms import v2

from ..metrics import PUBLISHED_CLIP
from ..runtime.progress import counted
from ..text.encoder import TextEncoder, load_tokenizer
from ..utils import UserError

if TYPE_CHECKING:
    from transformers import CLIPModel, CLIPTokenizer

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
BATCH = 50


class Clip(nn.Module):
    """CLIP's two encoders, as directions: the cosine of two is their dot product."""

    def __init__(self, tokenizer: "CLIPTokenizer", model: "CLIPModel"):
        super().__init__()
        self.model = model.requires_grad_(False).eval()
        self.reader = TextEncoder(tokenizer, model.text_model)

    @torch.no_grad()
    def look(self, images: Tensor) -> Tensor:
        """Directions [N, D], on the CPU, of images, uint8 [N, C, H, W]."""
        batches = counted(images.split(BATCH), len(images), "looking at images")
        return torch.cat([self._look(batch) for batch in batches])

    def _look(self, images: Tensor) -> Tensor:
        size = self.model.config.vision_config.image_size
        images = images.expand(-1, 3, -1, -1).to(self._device)
        bicubic = v2.InterpolationMode.BICUBIC
        images = v2.functional.resize(images, [size], bicubic, antialias=True)
        images = v2.functional.center_crop(images, [size, size]).float() / 255
        seen = self.model.vision_model(v2.functional.normalize(images, MEAN, STD))
        return F.normalize(self.model.visual_projection(seen.pooler_output), dim=1).cpu()

    @torch.no_grad()
    def read(self, texts: Sequence[str]) -> Tensor:
        """Directions [N, D], on the CPU, of captions."""
        tokens = self.reader.tokenize(texts).to(self._device)
        batches = counted(tokens.split(BATCH), len(tokens), "reading captions", "caption")
        parts = [self.model.text_model(batch).pooler_output for batch in batches]
        return F.normalize(self.model.text_projection(torch.cat(parts)), dim=1).cpu()

    @property
    def _device(self) -> torch.device:
        return self.model.logit_scale.device


def load_clip(source: str | Path) -> Clip:
    """CLIP in full.

    Args:
        source: a folder in the layout of transformers, with the vocabulary, or a name on Hugging
            Face's hub.

    Raises:
        UserError: the package is missing, or there is no such model.
    """
    tokenizer = load_tokenizer(source, "--clip")
    from transformers import CLIPModel

    try:
        model, found = CLIPModel.from_pretrained(str(source), output_loading_info=True)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"--clip: {source} holds no CLIP that can be read ({reason})") from None
    if found["missing_keys"]:
        raise UserError(
            f"--clip: {source} holds a part of CLIP only, '{min(found['missing_keys'])}' is "
            f"missing; images and texts are needed, as in {PUBLISHED_CLIP}"
        )
    return Clip(tokenizer, model)


def clip_score(images: Tensor, texts: Tensor) -> float:
    """100 max(cos, 0) between images and their texts, directions [N, D] each, on average.

    As papers on text to image give it; Hessel et al.'s own scale, w = 2.5, is a fortieth of it.
    """
    return 100 * (images * texts).sum(dim=1).clamp(min=0).mean().item()


def recall_at(k: int, images: Tensor, texts: Tensor, right: Tensor) -> float:
    """The share of images whose own caption is among the k that CLIP finds nearest.

    Args:
        images: directions [N, D].
        texts: directions of all captions, [M, D].
        right: the place of each image's caption among them, LongTensor [N].
    """
    similarity = images @ texts.T
    of_right = similarity.gather(1, right[:, None])
    nearer = (similarity > of_right).sum(dim=1)
    equal = (similarity == of_right).sum(dim=1) - 1  # a model that sees nothing must not win
    return (nearer + equal < k).double().mean().item()


def similarity_of_nearest(
    images: Tensor,
    texts: Tensor,
    pictures: Tensor,
    captions: Tensor,
    same: Tensor | None = None,
) -> float:
    """The mean cosine between an image's own caption and that of the picture most like the image.

    Args:
        images: directions [N, D].
        texts: directions of their own captions, [N, D].
        pictures: directions of real pictures, [M, D].
        captions: directions of the pictures' captions, [M, D].
        same: which pictures an image is not compared with, bool [N, M].
    """
    likeness = images @ pictures.T
    if same is not None:
        likeness = likeness.masked_fill(same, -torch.inf)
    return (texts * captions[likeness.argmax(dim=1)]).sum(dim=1).mean().item()


def consistency(images: Tensor, labels: Tensor) -> float:
    """The mean cosine between different images of one caption, over all captions that have two.

    Args:
        images: directions [N, D].
        labels: their captions, [N].
    """
    means = []
    for label in labels.unique():
        similarity = (alike := images[labels == label]) @ alike.T
        number = len(alike)
        if number > 1:
            pairs = similarity.sum() - similarity.diagonal().sum()
            means.append(pairs / (number * (number - 1)))
    return torch.stack(means).mean().item()
