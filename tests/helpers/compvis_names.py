"""From diffusers' modules to a file with CompVis's names: the kit's loader must undo this.

It is written from diffusers' side, walks through its blocks with a running number, and shares
nothing with the kit's code.
"""

from torch import Tensor

RES_BLOCK = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
VAE_ATTENTION = {
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
}


def unet_to_compvis(weights: dict[str, Tensor], levels: int, blocks: int) -> dict[str, Tensor]:
    """The state_dict of diffusers' UNet2DConditionModel under the names of CompVis."""
    table = {
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "conv_in": "input_blocks.0.0",
        "mid_block.attentions.0": "middle_block.1",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
    }

    def res_block(theirs: str, compvis: str) -> None:
        table.update({f"{theirs}.{a}": f"{compvis}.{b}" for a, b in RES_BLOCK.items()})

    res_block("mid_block.resnets.0", "middle_block.0")
    res_block("mid_block.resnets.1", "middle_block.2")
    number = 0
    for level in range(levels):
        block = f"down_blocks.{level}"
        for j in range(blocks):
            number += 1
            res_block(f"{block}.resnets.{j}", f"input_blocks.{number}.0")
            table[f"{block}.attentions.{j}"] = f"input_blocks.{number}.1"
        if level < levels - 1:
            number += 1
            table[f"{block}.downsamplers.0.conv"] = f"input_blocks.{number}.0.op"
    number = -1
    for level in range(levels):
        block = f"up_blocks.{level}"
        attends = f"{block}.attentions.0.norm.weight" in weights
        for j in range(blocks + 1):
            number += 1
            res_block(f"{block}.resnets.{j}", f"output_blocks.{number}.0")
            table[f"{block}.attentions.{j}"] = f"output_blocks.{number}.1"
        upsample = f"output_blocks.{number}.{2 if attends else 1}.conv"
        table[f"{block}.upsamplers.0.conv"] = upsample
    return _translated(weights, table)


def vae_to_compvis(weights: dict[str, Tensor], levels: int, blocks: int) -> dict[str, Tensor]:
    """The state_dict of diffusers' AutoencoderKL under the names of CompVis."""
    table = {"quant_conv": "quant_conv", "post_quant_conv": "post_quant_conv"}
    for half in ("encoder", "decoder"):
        table |= {f"{half}.{name}": f"{half}.{name}" for name in ("conv_in", "conv_out")}
        table[f"{half}.conv_norm_out"] = f"{half}.norm_out"
        attention = f"{half}.mid_block.attentions.0"
        table |= {f"{attention}.{a}": f"{half}.mid.attn_1.{b}" for a, b in VAE_ATTENTION.items()}
        for j in range(2):
            table[f"{half}.mid_block.resnets.{j}"] = f"{half}.mid.block_{j + 1}"
    for level in range(levels):
        down, up = f"encoder.down.{level}", f"decoder.up.{levels - 1 - level}"
        table[f"encoder.down_blocks.{level}.downsamplers.0.conv"] = f"{down}.downsample.conv"
        table[f"decoder.up_blocks.{level}.upsamplers.0.conv"] = f"{up}.upsample.conv"
        for j in range(blocks):
            table[f"encoder.down_blocks.{level}.resnets.{j}"] = f"{down}.block.{j}"
        for j in range(blocks + 1):
            table[f"decoder.up_blocks.{level}.resnets.{j}"] = f"{up}.block.{j}"
    named = _translated(weights, table)
    named = {name.replace("conv_shortcut", "nin_shortcut"): w for name, w in named.items()}
    return {  # CompVis's attention has 1x1 convolutions
        name: w[..., None, None] if ".attn_1." in name and w.ndim == 2 else w
        for name, w in named.items()
    }


def text_to_compvis(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state_dict of transformers' CLIPTextModel as version 4 names it, which CompVis used."""
    return {f"text_model.{name.removeprefix('text_model.')}": w for name, w in weights.items()}


def _translated(weights: dict[str, Tensor], table: dict[str, str]) -> dict[str, Tensor]:
    """The weights with the longest beginning that the table knows replaced."""
    named = {}
    for name, w in weights.items():
        parts = name.split(".")
        known = [k for k in range(len(parts), 0, -1) if ".".join(parts[:k]) in table]
        compvis = ".".join([table[".".join(parts[: known[0]])], *parts[known[0] :]])
        assert compvis not in named, compvis
        named[compvis] = w
    return named
