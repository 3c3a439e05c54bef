"""CLIP's text encoder, frozen: prompts to the token contexts that a UNet's attention reads.

Stable Diffusion 1.x conditions on the text model of CLIP ViT-L/14 (Radford et al. 2021; Rombach et
al. 2022, section 3.3). Network and tokenizer are those of the package transformers, version 4 or 5.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ..runtime.progress import say
from ..runtime.streams import fork_rng
from ..utils import UserError, default, shown
from ..weights import load_strictly

if TYPE_CHECKING:
    from transformers import CLIPTextModel, CLIPTokenizer

TOKENS = 77  # of every prompt: cut, or padded with the end token
VIT_L_14 = {  # the text model's sizes
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "projection_dim": 768,
}
HEAD_DIM = 64
MODEL = ("config.json", "model.safetensors")
VOCABULARY = ("vocab.json", "merges.txt")
RANDOM_TEXTS = 256
SMALLEST_STD = 1e-3
INNER = "text_model."  # a prefix of parameters' names that transformers 5 dropped


class TextEncoder(nn.Module):
    """Prompts to contexts: the last hidden state after the final norm, one vector per token.

    Args:
        tokenizer: CLIP's, with its vocabulary.
        model: the text model; it is frozen, and stays in evaluation mode.
    """

    def __init__(self, tokenizer: "CLIPTokenizer", model: "CLIPTextModel"):
        super().__init__()
        self.tokenizer = tokenizer
        self.model = model.requires_grad_(False)
        self.eval()

    @property
    def width(self) -> int:
        """Entries of each token's vector."""
        return self.model.config.hidden_size

    def train(self, mode: bool = True) -> "TextEncoder":
        """Ignore the mode: always stay in evaluation mode."""
        return super().train(False)

    def tokenize(self, prompts: Sequence[str]) -> Tensor:
        """Token numbers, LongTensor [B, 77]; of a prompt that is too long, says what is cut off."""
        rows = []
        for prompt in prompts:
            begin, *words, end = self.tokenizer(prompt).input_ids
            room = TOKENS - 2
            if len(words) > room:
                cut = self.tokenizer.decode(words[room:]).strip()
                say(f"a prompt has {len(words)} tokens, {room} are read; cut off: '{cut}'")
            rows.append([begin, *words[:room], *[end] * (TOKENS - 1 - min(len(words), room))])
        return torch.tensor(rows, dtype=torch.long).reshape(-1, TOKENS)

    @torch.no_grad()
    def forward(self, tokens: Tensor) -> Tensor:
        """Contexts [B, 77, width] of token numbers [B, 77]."""
        return self.model(tokens).last_hidden_state

    def encode(self, prompts: Sequence[str]) -> Tensor:
        """Contexts [B, 77, width] of prompts; the empty prompt has one, too."""
        return self(self.tokenize(prompts).to(next(self.model.parameters()).device))

    def weights(self) -> dict[str, Tensor]:
        """Its tensors, under the names of transformers 5."""
        return plain_names(self.model.state_dict())

    def load(self, weights: Mapping[str, Tensor], path: Path) -> None:
        """Take tensors, under the names of transformers 4 or 5.

        Raises UserError where a name or a shape does not match; `path` is where they are from.
        """
        names = self.model.state_dict()
        prefix = INNER if any(name.startswith(INNER) for name in names) else ""
        named = {prefix + name: tensor for name, tensor in plain_names(weights).items()}
        load_strictly(self.model, named, path)


class RandomTextEncoder(TextEncoder):
    """An untrained text encoder, whose contexts `standardize` or `load` has standardized.

    Even random features tell texts apart, enough to memorise some captions. But without
    training, a token's vector says little of the text beside what it says of the token's place. So
    each entry is shifted and scaled to mean 0 and deviation 1 over random texts.
    """

    def __init__(self, tokenizer: "CLIPTokenizer", model: "CLIPTextModel"):
        super().__init__(tokenizer, model)
        self.register_buffer("mean", torch.zeros(TOKENS, self.width))
        self.register_buffer("std", torch.ones(TOKENS, self.width))

    def standardize(self) -> None:
        """Measure mean and deviation, over texts that torch's random state decides."""
        contexts = super().forward(self._random_texts())
        deviation = contexts.std(dim=0)
        constant = deviation < SMALLEST_STD  # the begin token is the same in all texts
        self.mean.copy_(contexts.mean(dim=0))
        self.std.copy_(deviation.masked_fill(constant, 1))

    def _random_texts(self) -> Tensor:
        """Tokens of texts of random words, as long as captions, [RANDOM_TEXTS, 77]."""
        begin, end = self.tokenizer("").input_ids
        tokens = torch.randint(begin, (RANDOM_TEXTS, TOKENS))
        ends = torch.randint(6, 20, (RANDOM_TEXTS, 1))
        tokens = tokens.where(torch.arange(TOKENS) < ends, end)
        tokens[:, 0] = begin
        return tokens

    @torch.no_grad()
    def forward(self, tokens: Tensor) -> Tensor:
        """Contexts [B, 77, width] of token numbers [B, 77]."""
        return (super().forward(tokens) - self.mean) / self.std

    def weights(self) -> dict[str, Tensor]:
        """Its tensors, mean and deviation among them."""
        return super().weights() | {"mean": self.mean, "std": self.std}

    def load(self, weights: Mapping[str, Tensor], path: Path) -> None:
        """Take what `weights` gave."""
        weights = dict(weights)
        self.mean.copy_(weights.pop("mean"))
        self.std.copy_(weights.pop("std"))
        super().load(weights, path)


def load_text_encoder(source: str | Path, vocabulary: str | Path | None = None) -> TextEncoder:
    """A trained text encoder.

    Args:
        source: a folder in the layout of transformers, or a name on Hugging Face's hub, such as
            "openai/clip-vit-large-patch14".
        vocabulary: a folder with vocab.json and merges.txt, or such a name; by default `source`.

    Raises:
        UserError: the package is missing, or there is no such model or vocabulary.
    """
    tokenizer = load_tokenizer(source if vocabulary is None else vocabulary)
    folder = _folder_of(source)
    try:
        model = _transformers().CLIPTextModel.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise UserError(
            f"there is no CLIP text model in {folder} ({_first_line(error)}): it would hold "
            "config.json and model.safetensors"
        ) from None
    return TextEncoder(tokenizer, model)


def random_text_encoder(
    vocabulary: str | Path, width: int, layers: int, heads: int, seed: int | None = 0
) -> RandomTextEncoder:
    """An untrained text encoder of any size, the same one for the same seed.

    Without a seed it is no more than what `load` needs: its weights mean nothing, and nothing is
    measured.

    Raises:
        UserError: the package is missing, or there is no such vocabulary.
    """
    sizes = {"hidden_size": width, "intermediate_size": 4 * width, "projection_dim": width}
    sizes |= {"num_hidden_layers": layers, "num_attention_heads": heads}
    tokenizer = load_tokenizer(vocabulary)
    with fork_rng(default(seed, 0), torch.device("cpu")):
        encoder = RandomTextEncoder(tokenizer, make_text_model(sizes))
        if seed is not None:
            encoder.standardize()
    return encoder


def text_encoder_from(
    weights: Mapping[str, Tensor], tokenizer: "CLIPTokenizer", path: Path
) -> TextEncoder:
    """The text encoder whose tensors a file holds, under the names of transformers 4 or 5.

    Heads have 64 entries, as in all of CLIP's published models.

    Args:
        weights: named tensors; `position_ids` is ignored.
        tokenizer: CLIP's.
        path: where they are from, for messages.

    Raises:
        UserError: the package is missing, or the tensors are not those of a CLIP text model.
    """
    weights = plain_names(weights)
    encoder = TextEncoder(tokenizer, make_text_model(_sizes_of(weights, path)))
    encoder.load(weights, path)
    return encoder


def plain_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under the names of transformers 5, without `position_ids`, which is a count."""
    plain = {name.removeprefix(INNER): tensor for name, tensor in weights.items()}
    plain.pop("embeddings.position_ids", None)
    return plain


def make_text_model(sizes: Mapping[str, int] = VIT_L_14) -> "CLIPTextModel":
    """CLIP's text model with random weights; `sizes` are arguments of CLIPTextConfig."""
    transformers = _transformers()
    return transformers.CLIPTextModel(transformers.CLIPTextConfig(**sizes))


def load_tokenizer(source: str | Path, setting: str = "'text.vocabulary'") -> "CLIPTokenizer":
    """CLIP's tokenizer.

    Args:
        source: a folder with vocab.json and merges.txt, or a name on Hugging Face's hub.
        setting: the key or flag that can name another, for messages.

    Raises:
        UserError: the package is missing, or there is no such vocabulary.
    """
    transformers = _transformers()
    folder = _folder_of(source)
    missing = [name for name in VOCABULARY if not (folder / name).is_file()]
    if missing:
        raise UserError(
            f"CLIP's vocabulary is not in {shown(folder)}, {' and '.join(missing)} missing: both "
            "files are part of openai/clip-vit-large-patch14 and of every diffusers folder of "
            f"Stable Diffusion; name a folder that has them with {setting}"
        )
    return transformers.CLIPTokenizer.from_pretrained(folder)


def _folder_of(source: str | Path) -> Path:
    """A local folder, or the one that a model of the hub was downloaded to, now or earlier."""
    if isinstance(source, Path) or Path(source).is_dir():
        return Path(source)
    from huggingface_hub import snapshot_download  # comes with transformers

    try:
        return Path(snapshot_download(str(source), allow_patterns=[*MODEL, *VOCABULARY]))
    except (OSError, ValueError) as error:
        raise UserError(
            f"'{source}' is not a folder, and could not be downloaded from Hugging Face's hub "
            f"({_first_line(error)}): name a folder with {', '.join([*MODEL, *VOCABULARY])}"
        ) from None


def _transformers() -> ModuleType:
    try:
        import transformers
    except ImportError:
        raise UserError(
            "text needs a package: pip install -r requirements/text.txt (transformers)"
        ) from None
    transformers.utils.logging.disable_progress_bar()  # it would fill logs
    return transformers


def _sizes_of(weights: Mapping[str, Tensor], path: Path) -> dict[str, int]:
    """The arguments of CLIPTextConfig that follow from the tensors' shapes."""
    try:
        vocab, width = weights["embeddings.token_embedding.weight"].shape
        inner = weights["encoder.layers.0.mlp.fc1.weight"].shape[0]
    except (KeyError, ValueError):
        raise UserError(f"{path} holds no text model of CLIP") from None
    layers = {name.split(".")[2] for name in weights if name.startswith("encoder.layers.")}
    return {
        "vocab_size": vocab,
        "hidden_size": width,
        "intermediate_size": inner,
        "projection_dim": width,
        "num_hidden_layers": len(layers),
        "num_attention_heads": max(1, width // HEAD_DIM),
    }


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
