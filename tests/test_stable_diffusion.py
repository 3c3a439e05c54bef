"""Stable Diffusion 1.x in the kit's classes, judged by diffusers and transformers."""

import pytest
import torch
from compvis_names import unet_to_compvis

from libs.stable_diffusion import StableDiffusionUNet, rename

diffusers = pytest.importorskip("diffusers")
LEVELS, BLOCKS = 4, 2
TEXT_WIDTH = 64  # of one head, as CLIP's heads have


def perturbed(module: torch.nn.Module) -> torch.nn.Module:
    """With all weights moved at random: those that start as 0 or 1 would hide a mix-up."""
    torch.manual_seed(1)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.03 * torch.randn_like(p))
    return module.eval()


def their_unet() -> torch.nn.Module:
    """diffusers' UNet in the layout of Stable Diffusion 1.x, a tenth as wide."""
    torch.manual_seed(0)
    return perturbed(
        diffusers.UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(32, 64, 128, 128),
            cross_attention_dim=TEXT_WIDTH,
            attention_head_dim=8,  # diffusers means the number of heads
            down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
            up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        )
    )


@torch.no_grad()
def test_unet_predicts_what_diffusers_predicts():
    """Stable Diffusion's UNet: with diffusers' weights under CompVis's names, the same noise."""
    theirs = their_unet()
    compvis = unet_to_compvis(theirs.state_dict(), LEVELS, BLOCKS)
    ours = StableDiffusionUNet(32, TEXT_WIDTH).eval()
    ours.load_state_dict({rename(name): w for name, w in compvis.items()})
    x, context = torch.randn(2, 4, 8, 16), torch.randn(2, 77, TEXT_WIDTH)
    time = torch.tensor([999, 3])
    expected = theirs(x, time, context).sample
    assert expected.std() > 0.1
    torch.testing.assert_close(ours(x, context, time), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_unet_of_another_layout():
    """Stable Diffusion's UNet and its names: also three levels of one block, attention elsewhere"""
    torch.manual_seed(0)
    theirs = perturbed(
        diffusers.UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(32, 64, 96),
            layers_per_block=1,
            cross_attention_dim=24,
            attention_head_dim=4,
            norm_num_groups=16,
            down_block_types=("DownBlock2D",) + ("CrossAttnDownBlock2D",) * 2,
            up_block_types=("CrossAttnUpBlock2D",) * 2 + ("UpBlock2D",),
        )
    )
    options = {"res_blocks": 1, "num_heads": 4, "num_groups": 16}
    ours = StableDiffusionUNet(32, 24, 4, (1, 2, 3), (1, 2), **options).eval()
    compvis = unet_to_compvis(theirs.state_dict(), levels=3, blocks=1)
    ours.load_state_dict({rename(name, res_blocks=1): w for name, w in compvis.items()})
    x, context, time = torch.randn(2, 4, 8, 4), torch.randn(2, 5, 24), torch.tensor([0, 500])
    expected = theirs(x, time, context).sample
    torch.testing.assert_close(ours(x, context, time), expected, atol=1e-5, rtol=1e-5)
