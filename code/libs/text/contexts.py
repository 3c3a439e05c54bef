"""Prompts as contexts: a run's text encoder, its captions encoded once, and prompts to draw."""

import functools
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..config import Config
from ..data.captions import NO_PROMPT
from ..models.trained import TrainedModel
from ..models.variants import PromptTable
from ..runtime.checkpoint import SavedEncoder
from ..runtime.hashes import hash_of, hash_of_code
from ..runtime.processes import Processes
from ..runtime.progress import progress_bar, say
from ..utils import UserError, default, replacing, shown
from .encoder import TOKENS, TextEncoder, load_text_encoder, random_text_encoder

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

LARGEST_CACHE = 4 * 2**30  # bytes; more captions are encoded in every step instead
BATCH = 32


def make_text_encoder(config: Config, saved: SavedEncoder | None = None) -> TextEncoder:
    """The frozen text encoder of a config; with `saved`, the one that a checkpoint was trained with

    Raises:
        UserError: the package, the weights or the vocabulary are missing, the tokens are of another
            size than the model reads, or the encoder is not the checkpoint's.
    """
    text = config.text
    source: str | Path | None = text.hub_name if text.encoder is None else text.encoder
    if source is not None:
        encoder = load_text_encoder(source, text.vocabulary)
    else:
        sizes = text.width, text.layers, text.heads
        seed = text.seed if saved is None else None
        encoder = random_text_encoder(text.vocabulary, *sizes, seed)
        if saved is not None:
            encoder.load(saved.weights, saved.path)
    if encoder.width != config.model.context_dim:
        raise UserError(
            f"the text encoder in {source} gives tokens of {encoder.width} entries, and "
            f"'model.context_dim' is {config.model.context_dim}: set it to {encoder.width}"
        )
    if saved is not None and fingerprint(encoder) != saved.hash:
        raise UserError(
            f"{shown(saved.path)} was trained with another text encoder or vocabulary than "
            f"there is in {source or text.vocabulary}: set 'text' to the one of the training run"
        )
    return encoder


def fingerprint(encoder: TextEncoder) -> str:
    """A short text that changes when a weight or the vocabulary does."""
    weights = hash_of(dict(sorted(encoder.weights().items())))
    text = f"{weights} {_vocabulary_of(encoder.tokenizer)}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@functools.lru_cache(maxsize=1)  # a run asks several times, a tenth of a second each
def _vocabulary_of(tokenizer: "CLIPTokenizer") -> str:
    return json.dumps(tokenizer.get_vocab(), sort_keys=True)


class Contexts:
    """The contexts of numbered texts, from a file where there is one, else encoded when asked for.

    Args:
        texts: by number.
        encoder: on the device where the contexts are needed.
        key: its fingerprint.
        cache: float16 [N, 77, width], mapped from a file; None encodes.
    """

    def __init__(
        self,
        texts: Sequence[str],
        encoder: TextEncoder,
        key: str,
        cache: np.ndarray | None = None,
    ):
        self.texts, self.encoder, self.key, self.cache = texts, encoder, key, cache

    def __call__(self, numbers: Tensor) -> Tensor:
        """Contexts, float32 [B, 77, width] on the encoder's device, of numbers, LongTensor [B]."""
        numbers = numbers.cpu()
        if self.cache is None:
            return self.encoder.encode([self.texts[number] for number in numbers.tolist()])
        device = next(self.encoder.parameters()).device
        return torch.from_numpy(self.cache[numbers.numpy()]).to(device).float()

    def state_of_encoder(self, config: Config) -> dict[str, Any]:
        """What a checkpoint needs for `make_text_encoder` to find the same encoder again."""
        is_random = config.text.encoder is None and config.text.hub_name is None
        weights = self.encoder.weights() if is_random else None
        return {"hash": self.key, "weights": weights}


def encode_captions(
    texts: Sequence[str], encoder: TextEncoder, folder: Path, processes: Processes
) -> Contexts:
    """Encode the captions of a data set once, or find what an earlier call left in `folder`.

    The file's name holds a hash of texts, encoder and its code. Where it would be larger than
    LARGEST_CACHE, as for all of COCO's captions in CLIP's width (70 GB), captions are encoded when
    asked for.

    Raises UserError where the file cannot be written.
    """
    shape, key = (len(texts), TOKENS, encoder.width), fingerprint(encoder)
    if 2 * np.prod(shape) > LARGEST_CACHE:
        return Contexts(texts, encoder, key)
    name = hashlib.sha256(
        f"{key} {hash_of_code(encoder)} {json.dumps(list(texts))}".encode()
    ).hexdigest()[:16]
    file = folder / f"contexts-{name}.npy"
    with processes.in_turn():
        cache = _read(file, shape)
        if cache is None:
            _write(texts, encoder, file, shape)
            cache = _read(file, shape)
    return Contexts(texts, encoder, key, cache)


def _read(file: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """The contexts in a file, which stay there; None where there is none or it is damaged."""
    if not file.is_file():
        return None
    try:
        found = np.load(file, mmap_mode="r")
        if found.shape == shape and found.dtype == np.float16:
            return found
        reason = f"shape {found.shape}"
    except (OSError, ValueError, EOFError) as error:
        reason = type(error).__name__
    say(f"the text cache {file} is damaged ({reason}): encoding again")
    return None


def _write(texts: Sequence[str], encoder: TextEncoder, file: Path, shape: tuple[int, ...]) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as partial, progress_bar(shape[0], "encoding captions", "") as bar:
            contexts = np.lib.format.open_memmap(partial, "w+", np.float16, shape)
            for start in range(0, shape[0], BATCH):
                batch = encoder.encode(texts[start : start + BATCH])
                contexts[start : start + BATCH] = batch.half().cpu().numpy()
                bar.update(len(batch))
            contexts.flush()
    except OSError as error:
        raise UserError(
            f"could not write the text cache {file} ({error}): free some disk space, or choose "
            "another 'output_folder'"
        ) from None


def number_prompts(
    trained: TrainedModel, prompts: Sequence[str], negative: str | None = None
) -> list[int]:
    """Number prompts as a model's labels, after `null_label`, what to guide away from.

    Args:
        trained: a model that reads texts.
        prompts: in their order.
        negative: by default the empty prompt, which the model met in training.

    Returns:
        The prompts' labels, in a row.
    """
    table = trained.model.model.label_embd
    encoder = make_text_encoder(trained.config, trained.text).to(table.contexts.device)
    table.set_prompts(encoder.encode([default(negative, NO_PROMPT), *prompts]))
    first = PromptTable.null_label + 1
    return list(range(first, first + len(prompts)))
