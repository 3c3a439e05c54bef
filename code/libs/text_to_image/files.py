"""Files of Stable Diffusion 1.x: one file with CompVis's names, or a folder of diffusers.

A file holds three networks under the prefixes of `PREFIXES`, maybe a second UNet with averaged
weights (EMA), and buffers of the noise schedule, which `schedules.py` computes. Where there are
averaged weights they are the ones taken, as the published "emaonly" files have them.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..autoencoders.compvis import read_named_tensors
from ..autoencoders.kl import KLAutoencoder
from ..autoencoders.latents import FirstStage
from ..runtime.documents import read_json
from ..runtime.progress import say
from ..settings.stable_diffusion import StableDiffusionConfig
from ..stable_diffusion import StableDiffusionUNet, rename
from ..text.encoder import VOCABULARY, TextEncoder, load_tokenizer, text_encoder_from
from ..utils import UserError, shown
from ..weights import check_strictly

PREFIXES = {
    "unet": "model.diffusion_model.",
    "vae": "first_stage_model.",
    "text_encoder": "cond_stage_model.transformer.",
}
EMA = "model_ema."
EMA_OF = "diffusion_model"  # EMA's names have no dots
FOLDERS = {  # of diffusers, and what their files are called
    "unet": ["diffusion_pytorch_model"],
    "vae": ["diffusion_pytorch_model"],
    "text_encoder": ["model", "pytorch_model"],
}
SUFFIXES = (".safetensors", ".fp16.safetensors", ".bin", ".fp16.bin")
STARTS_IN_FOLDER = ("down_blocks.", "decoder.", "text_model.")
IN_FOLDER = "a diffusers folder has unet/, vae/ and text_encoder/"

OTHERS = {  # beginnings or parts of names that give away other kinds of files
    r"lora_|\.lora|lokr_|hada_w": "a LoRA, a change to a checkpoint and no checkpoint itself",
    r"^conditioner\.|\.label_emb\.|^add_embedding\.": "Stable Diffusion XL",
    r"^cond_stage_model\.model\.": "Stable Diffusion 2.x",
    r"^control_model\.|^controlnet_": "a ControlNet",
    r"joint_blocks\.|double_blocks\.": "a diffusion transformer",
}
FIRST_CONVOLUTIONS = (PREFIXES["unet"] + "input_blocks.0.0.weight", "conv_in.weight")
CONTEXTS = {1024: "Stable Diffusion 2.x", 2048: "Stable Diffusion XL"}  # by width
INPUTS = {9: "a checkpoint for inpainting", 8: "a checkpoint for editing by instructions"}


@dataclass
class StableDiffusion:
    """The three networks, frozen and in evaluation mode."""

    unet: StableDiffusionUNet
    vae: FirstStage
    text_encoder: TextEncoder


@dataclass
class Part:
    """The weights of one network: its tensors by the names of the file, and how we call them."""

    path: Path
    weights: Mapping[str, Tensor]
    rename: Callable[[str], str] = str

    def renamed(self) -> dict[str, str]:
        """The file's names by ours; UserError where two would become the same."""
        names: dict[str, str] = {}
        for name in self.weights:
            try:
                ours = self.rename(name)
            except (ValueError, LookupError):
                ours = name  # it belongs to no such network: loading will say so
            if ours in names:
                raise UserError(
                    f"{shown(self.path)}: tensors '{names[ours]}' and '{name}' would both become "
                    f"'{ours}', so that rename in code/libs/stable_diffusion.py is wrong"
                )
            names[ours] = name
        return names


def load_stable_diffusion(
    path: Path,
    config: StableDiffusionConfig,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    vocabulary: Path | None = None,
) -> StableDiffusion:
    """Read a model and load it strictly.

    Args:
        path: a file, or a folder of diffusers.
        config: what the file must agree with.
        device, dtype: of all weights.
        vocabulary: a folder with CLIP's; by default that of the diffusers folder or of the config.

    Raises:
        UserError: a file is missing, unreadable, refused since it holds code, or another kind of
            file than Stable Diffusion 1.x, which is named; tensors do not match, the first of which
            are named with their shapes; or there is no vocabulary.
    """
    if vocabulary is None:
        own = path / "tokenizer"
        vocabulary = own if (own / VOCABULARY[0]).is_file() else config.vocabulary
    tokenizer = load_tokenizer(vocabulary, "--vocabulary")
    parts = read_parts(path, config)
    with torch.device("meta"):  # shapes without memory: the weights are those of the file
        unet = StableDiffusionUNet(**vars(config.unet))
        vae = vars(config.vae) | {"z_channels": config.unet.in_channels}
        scale = vae.pop("scale_factor")
        autoencoder = KLAutoencoder(**vae)
    load_part(unet, parts["unet"], dtype)
    load_part(autoencoder, parts["vae"], dtype)
    text = parts["text_encoder"]
    text_encoder = text_encoder_from(text.weights, tokenizer, text.path)
    if text_encoder.width != config.unet.context_dim:
        raise UserError(
            f"the text encoder in {shown(text.path)} has contexts of {text_encoder.width} entries, "
            f"'unet.context_dim' is {config.unet.context_dim}"
        )
    return StableDiffusion(
        unet.requires_grad_(False).eval().to(device),
        FirstStage(autoencoder, scale).to(device),  # its scale stays in float32
        text_encoder.to(device, dtype),
    )


def load_part(module: nn.Module, part: Part, dtype: torch.dtype = torch.float32) -> None:
    """Give a module, which may be on the meta device, the weights of a file in this precision.

    Raises:
        UserError: names or shapes differ; says which, with expected and found shapes.
    """
    names = part.renamed()
    weights = {name: part.weights[theirs] for name, theirs in names.items()}
    check_strictly(module, weights, part.path, names)
    module.load_state_dict({n: w.to(dtype) for n, w in weights.items()}, assign=True)


def read_parts(path: Path, config: StableDiffusionConfig) -> dict[str, Part]:
    """The weights of "unet", "vae" and "text_encoder"; UserError as `load_stable_diffusion`."""
    if path.is_dir():
        return _read_folder(path, config)
    if not path.is_file():
        raise UserError(f"there is no Stable Diffusion in {path}: no such file or folder")
    weights = _read(path)
    _check_whole(weights, path)
    parts = {
        part: {n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)}
        for part, prefix in PREFIXES.items()
    }
    parts["unet"] = _averaged(parts["unet"], weights)
    return {
        "unet": Part(path, parts["unet"], lambda name: rename(name, config.unet.res_blocks)),
        "vae": Part(path, parts["vae"]),
        "text_encoder": Part(path, parts["text_encoder"]),
    }


def _read(path: Path) -> Mapping[str, Tensor]:
    """A file's tensors; UserError where it cannot be read, or is of another kind."""
    weights = read_named_tensors(path)
    if not all(isinstance(n, str) and isinstance(w, Tensor) for n, w in weights.items()):
        raise UserError(
            f"{shown(path)} holds more than named tensors: where train.py wrote it, name it "
            "without --sd"
        )
    _recognise(weights, path)
    return weights


def _averaged(plain: dict[str, Tensor], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The averaged weights for those of the UNet, where the file holds them."""
    averaged = {name: EMA + EMA_OF + name.replace(".", "") for name in plain}
    if not any(ema in weights for ema in averaged.values()):
        return plain
    say("the file holds averaged weights (EMA): these are used")
    return {name: weights.get(ema, plain[name]) for name, ema in averaged.items()}


def _check_whole(weights: Mapping[str, Tensor], path: Path) -> None:
    """Refuse a file that lacks one of the networks, or holds something else beside them."""
    for prefix in PREFIXES.values():
        if any(name.startswith(prefix) for name in weights):
            continue
        is_part = any(name.startswith(STARTS_IN_FOLDER) for name in weights)
        hint = f"; it may be a part of a folder, name that: {IN_FOLDER}" if is_part else ""
        raise UserError(
            f"{shown(path)} is not a checkpoint of Stable Diffusion 1.x: it has no tensors "
            f"'{prefix}...'{hint}"
        )
    known = (*PREFIXES.values(), EMA)
    for name in weights:  # the schedule's buffers have names without dots
        if "." in name and not name.startswith(known):
            raise UserError(
                f"{shown(path)} holds more than Stable Diffusion 1.x does, such as tensor '{name}'"
            )


def _recognise(weights: Mapping[str, Tensor], path: Path) -> None:
    """Refuse files of other kinds; UserError says which kind it is."""
    kinds = [kind for part, kind in OTHERS.items() if any(re.search(part, n) for n in weights)]
    for name, w in weights.items():
        if name in FIRST_CONVOLUTIONS and w.ndim == 4:
            kinds.append(INPUTS.get(w.shape[1]))
        if name.endswith("attn2.to_k.weight") and w.ndim == 2:
            kinds.append(CONTEXTS.get(w.shape[1]))
    for kind in filter(None, kinds):
        raise UserError(
            f"{shown(path)} is {kind}; only checkpoints of Stable Diffusion 1.1 to 1.5 "
            "for text to image are read"
        )


# Folders of diffusers


def _read_folder(folder: Path, config: StableDiffusionConfig) -> dict[str, Part]:
    if any(folder.glob("pytorch_lora_weights.*")):
        raise UserError(f"{shown(folder)} is a LoRA, a change to a checkpoint and no checkpoint")
    index = folder / "model_index.json"
    if index.is_file():
        content = read_json(index, shown(index))
        pipeline = content.get("_class_name") if isinstance(content, dict) else "no pipeline"
        if pipeline not in (None, "StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline"):
            raise UserError(
                f"{shown(folder)} is a {pipeline}; only a StableDiffusionPipeline is read"
            )
    parts = {}
    for name, stems in FOLDERS.items():
        path = _weights_in(folder / name, stems)
        parts[name] = Part(path, _read(path))
    levels = len(config.vae.ch_mult)
    unet, vae = parts["unet"], parts["vae"]
    unet.rename = lambda name: _unet_name(name, config.unet.res_blocks)
    vae.weights = {name: _convolution(name, w) for name, w in vae.weights.items()}
    vae.rename = lambda name: _vae_name(name, levels)
    return parts


def _weights_in(folder: Path, stems: list[str]) -> Path:
    """The file of weights in a part's folder: safetensors first, and full precision first."""
    for suffix in SUFFIXES:
        for stem in stems:
            if (folder / f"{stem}{suffix}").is_file():
                return folder / f"{stem}{suffix}"
    raise UserError(
        f"{shown(folder.parent)} is not Stable Diffusion 1.x: there is no {folder.name}/{stems[0]}"
        f"{SUFFIXES[0]}; {IN_FOLDER}"
    )


UNET_NAMES = {  # theirs, ours
    "time_embedding.linear_1": "time_embd.0",
    "time_embedding.linear_2": "time_embd.2",
    "mid_block.resnets.0": "mid_res_block1",
    "mid_block.attentions.0": "mid_attn",
    "mid_block.resnets.1": "mid_res_block2",
    "conv_norm_out": "final_conv.0",
    "conv_out": "final_conv.2",
}
RES_BLOCK_NAMES = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
VAE_NAMES = {
    "conv_norm_out": "norm_out",
    "conv_shortcut": "nin_shortcut",
    "mid_block.resnets.0": "mid.block_1",
    "mid_block.attentions.0": "mid.attn_1",
    "mid_block.resnets.1": "mid.block_2",
    "downsamplers.0": "downsample",
    "upsamplers.0": "upsample",
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
    "query": "q",  # the last four as diffusers had them at first
    "key": "k",
    "value": "v",
    "proj_attn": "proj_out",
}
SLOTS = {"resnets": 0, "attentions": 1, "downsamplers": 2, "upsamplers": 2}
UNET_BLOCK = r"(down|up)_blocks\.(\d+)\.(\w+)\.(\d+)\."
VAE_BLOCK = r"(encoder\.down|decoder\.up)_blocks\.(\d+)\.(?:resnets\.(\d+)\.)?"


def _unet_name(name: str, res_blocks: int) -> str:
    """Our name for a tensor of diffusers' UNet2DConditionModel."""

    def block(found: re.Match) -> str:
        half, level, kind, number = found.groups()
        half, blocks = ("encoder", res_blocks) if half == "down" else ("decoder", res_blocks + 1)
        slot = SLOTS[kind]
        within = int(number) if slot < 2 else blocks - 1  # resampling closes a level
        return f"{half}.{int(level) * blocks + within}.{slot}."

    if ".resnets." in name:
        name = _replaced(name, RES_BLOCK_NAMES)
    name = name.replace("downsamplers.0.conv.", "downsamplers.0.op.")
    return _replaced(re.sub(UNET_BLOCK, block, name), UNET_NAMES)


def _vae_name(name: str, levels: int) -> str:
    """Our name, which is CompVis's, for a tensor of diffusers' AutoencoderKL."""

    def level(found: re.Match) -> str:
        half, number, block = found.groups()
        number = int(number) if half == "encoder.down" else levels - 1 - int(number)
        return f"{half}.{number}." + (f"block.{block}." if block else "")

    return _replaced(re.sub(VAE_BLOCK, level, name), VAE_NAMES)


def _replaced(name: str, table: Mapping[str, str]) -> str:
    """The name with whole parts, between dots, replaced."""
    name = f".{name}."
    for theirs, ours in table.items():
        name = name.replace(f".{theirs}.", f".{ours}.")
    return name.strip(".")


def _convolution(name: str, w: Tensor) -> Tensor:
    """A linear layer of diffusers' attention as the 1x1 convolution that CompVis has."""
    return w[..., None, None] if ".attentions." in name and w.ndim == 2 else w
