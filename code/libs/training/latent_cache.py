"""Encoding a data set once: latents of several crops and flips of each image, kept in a file."""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..datasets import Images, Key, MemoryImages
from ..metrics.features import PREPARES_IMAGES
from ..runtime.device import Precision
from ..runtime.hashes import hash_of_code
from ..runtime.progress import progress_bar, say
from ..utils import UserError, replacing

BATCH = 32
PART = 32 * BATCH  # what a build that is stopped loses at most


@dataclass
class CachedLatents(MemoryImages):
    """Latents of a data set, float16 [N, variants, 4, h, w]; seeds choose among the variants."""

    def __getitems__(self, keys: Sequence[Key]) -> tuple[Tensor, Tensor]:
        """Return latents [B, 4, h, w] and labels [B]."""
        indices = torch.tensor([index for index, _ in keys])
        variants = torch.tensor([seed % self.images.shape[1] for _, seed in keys])
        return self.images[indices, variants].float(), self.labels_of(keys)


def cache_latents(
    dataset: Images, encoder: nn.Module, variants: int, folder: Path, precision: Precision
) -> CachedLatents:
    """Encode a data set, or read the latents that an earlier call left in `folder`.

    The file's name holds a hash of images, preparation, the encoder's weights and code, and number
    of variants, so that a change of any of them encodes again. An augmented data set is stored in
    `variants` variants, any other once. A call that was stopped has left parts, from which the next
    goes on to the very same latents.

    Raises:
        UserError: the file cannot be written.
    """
    variants = variants if dataset.augmented else 1
    code = hash_of_code(encoder, *PREPARES_IMAGES)
    key = hashlib.sha256(f"{dataset.fingerprint()} {variants} {precision.name} {code}".encode())
    for name, weight in encoder.state_dict().items():
        key.update(name.encode() + weight.cpu().numpy().tobytes())
    file = folder / f"latents-{key.hexdigest()[:16]}.pt"
    parts = file.with_suffix(".parts")
    latents = _read(file)
    if latents is None:
        latents = _encode(dataset, encoder, variants, precision, parts)
        _write(latents, file)
    shutil.rmtree(parts, ignore_errors=True)
    return CachedLatents(
        latents, dataset.labels, dataset.classes, dataset.augmented, dataset.captions
    )


def _encode(
    dataset: Images, encoder: nn.Module, variants: int, precision: Precision, folder: Path
) -> Tensor:
    """The latents of all variants, [N, variants, 4, h, w]; `folder` keeps each part of them."""
    # Seeds must differ between images as well as between variants of one image.
    keys = [(i, i * variants + v) for i in range(len(dataset)) for v in range(variants)]
    parts = [keys[start : start + PART] for start in range(0, len(keys), PART)]
    files = [folder / f"{part[0][1]:08d}-{part[-1][1]:08d}.pt" for part in parts]
    latents = [_read(file) for file in files]
    done = sum(len(part) for part in latents if part is not None)
    if done:
        say(f"going on with {done} of {len(keys)} latents, which an earlier run has encoded")
    with progress_bar(len(keys), "encoding images", "image", done) as bar:
        for i, part in enumerate(parts):
            if latents[i] is None:
                latents[i] = _encode_part(part, dataset, encoder, precision, bar)
                _write(latents[i], files[i])
    return torch.cat(latents).unflatten(0, (len(dataset), variants))


@torch.no_grad()
def _encode_part(
    keys: list[Key], dataset: Images, encoder: nn.Module, precision: Precision, bar: Any
) -> Tensor:
    latents = []
    for start in range(0, len(keys), BATCH):
        images, _ = dataset.__getitems__(keys[start : start + BATCH])
        with precision.autocast():
            latents.append(encoder(images.to(precision.device)).half().cpu())
        bar.update(len(images))
    return torch.cat(latents)


def _read(file: Path) -> Tensor | None:
    """The latents in a file; None where there is none or it is damaged."""
    if not file.is_file():
        return None
    try:
        return torch.load(file, weights_only=True)
    except Exception as error:  # a damaged file can raise almost anything
        say(f"the latent cache {file} is damaged ({type(error).__name__}): encoding again")
        return None


def _write(latents: Tensor, file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as partial:
            torch.save(latents, partial)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"could not write the latent cache {file} ({error}): free some disk space, or set "
            "dataset.latent_cache: false"
        ) from None
