"""The vision transformer: against diffusers' with copied weights, its options, and its training."""

import numpy as np
import pytest
import torch
from diffusers import DiTTransformer2DModel
from diffusers.models.embeddings import get_2d_sincos_pos_embed
from torch import nn

from helpers.models import make_model
from helpers.resume import assert_resumes_exactly
from libs.config import load_config
from libs.ddpm import DDPM
from libs.edm import EDM
from libs.fm import FM
from libs.models.build import build_model, load_model
from libs.models.dit import DiT, IndirectDiT, positions
from libs.models.variants import LinearAttention, null_label
from libs.runtime.device import Precision
from libs.utils import UserError

CPU = torch.device("cpu")
FP32 = Precision("fp32", CPU)
SMALL = {"dim": 16, "context_dim": 8, "num_classes": 4, "in_channels": 2, "depth": 2}


def make(**options):
    """A tiny DiT whose output depends on all of its input."""
    torch.manual_seed(0)
    network = DiT(**{**SMALL, **options}).eval()
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return network


def inputs(height=8, width=8, channels=2):
    torch.manual_seed(1)
    x = torch.randn(3, channels, height, width)
    return x, torch.tensor([0, 3, 1]), torch.tensor([0, 17, 999])


def theirs_with_weights_of(ours, size):
    """diffusers' DiT, which has embeddings in each block, with the weights of ours.

    Its frequencies of time are spread over one less than there are; those of the paper's code, like
    ours, over as many (`downscale_freq_shift`).
    """
    heads, dim = ours.blocks[0].attn.num_heads, ours.patch_embd.out_channels
    theirs = DiTTransformer2DModel(
        heads,
        dim // heads,
        in_channels=ours.patch_embd.in_channels,
        out_channels=ours.out_channels,
        num_layers=len(ours.blocks),
        sample_size=size,
        patch_size=ours.patch_size,
        num_embeds_ada_norm=ours.null_label,
        norm_eps=1e-6,
    ).eval()
    pairs = [
        (theirs.pos_embed.proj, ours.patch_embd),
        (theirs.proj_out_1, ours.final_emb_layers[1]),
        (theirs.proj_out_2, ours.final_linear),
    ]
    for block, mine in zip(theirs.transformer_blocks, ours.blocks, strict=True):
        emb = block.norm1.emb
        emb.time_proj.downscale_freq_shift = 0
        pairs += [
            (emb.timestep_embedder.linear_1, ours.time_embd[1]),
            (emb.timestep_embedder.linear_2, ours.time_embd[3]),
            (emb.class_embedder.embedding_table, ours.label_embd),
            (block.norm1.linear, mine.emb_layers[1]),
            (block.attn1.to_q, mine.attn.to_q),
            (block.attn1.to_k, mine.attn.to_k),
            (block.attn1.to_v, mine.attn.to_v),
            (block.attn1.to_out[0], mine.attn.to_out[0]),
            (block.ff.net[0].proj, mine.mlp[0]),
            (block.ff.net[2], mine.mlp[2]),
        ]
    for layer, mine in pairs:
        layer.load_state_dict(mine.state_dict())
    copied = {id(p) for layer, _ in pairs for p in layer.parameters()}
    assert copied == {id(p) for p in theirs.parameters()}
    assert {id(p) for _, mine in pairs for p in mine.parameters()} == {
        id(p) for p in ours.parameters()
    }
    return theirs


@torch.no_grad()
@pytest.mark.parametrize("patch_size", [1, 2, 4])
@pytest.mark.parametrize("out_channels", [None, 4])
def test_equals_diffusers_with_copied_weights(patch_size, out_channels):
    """With all weights copied, the answers agree, for classes and for the null label."""
    ours = make(patch_size=patch_size, out_channels=out_channels, null_class=True)
    theirs = theirs_with_weights_of(ours, 8)
    x, label, time = inputs()
    for labels in (label, torch.full_like(label, ours.null_label)):
        expected = theirs(x, time, labels).sample
        torch.testing.assert_close(ours(x, labels, time), expected, rtol=1e-4, atol=1e-5)
    assert ours(x, label, time).std() > 0.1


def test_positions_are_those_of_the_paper():
    """Sines and cosines of column and row: of squares as diffusers has them, of others by hand."""
    expected = get_2d_sincos_pos_embed(32, 4, base_size=4, output_type="pt")
    torch.testing.assert_close(positions(4, 4, 32, CPU), expected.float(), rtol=1e-4, atol=1e-5)
    found = positions(3, 7, 32, CPU).reshape(3, 7, 2, 2, 8)
    for row, column in np.ndindex(3, 7):
        for half, place in enumerate((column, row)):
            angles = place / 10000 ** (np.arange(8) / 8)
            both = np.stack([np.sin(angles), np.cos(angles)])
            assert found[row, column, half].numpy() == pytest.approx(both, abs=1e-5)


@torch.no_grad()
def test_any_shape_that_patches_divide():
    """The same weights take images of other sizes; where patches do not fit, a sentence says so."""
    network = make()
    for height, width in ((8, 8), (4, 12), (2, 2)):
        x, label, time = inputs(height, width)
        assert network(x, label, time).shape == x.shape
    with pytest.raises(ValueError, match="8x7 cannot be cut into patches of 2x2"):
        network(*inputs(8, 7))


@torch.no_grad()
def test_patches_go_back_where_they_came_from():
    """What one patch holds reaches the output of its place: nothing is transposed.

    Without blocks the network is a linear map of each patch, and its positions, on its own.
    """
    network = make(depth=0, in_channels=1)
    x, label, time = inputs(4, 8, channels=1)
    before = network(x, label, time)
    changed = x.clone()
    changed[:, :, 2, 5] += 1
    difference = (network(changed, label, time) - before).abs().sum(dim=(0, 1)) > 1e-6
    expected = torch.zeros(4, 8, dtype=torch.bool)
    expected[2:4, 4:6] = True
    assert torch.equal(difference, expected)


@torch.no_grad()
def test_a_fresh_network_answers_zero():
    """adaLN-Zero: blocks begin as the identity, and the output as zero."""
    torch.manual_seed(0)
    network = DiT(**SMALL)
    x, label, time = inputs()
    assert network(x, label, time).abs().max() == 0
    tokens, emb = torch.randn(2, 5, 16), torch.randn(2, 16)
    assert torch.equal(network.blocks[1](tokens, emb), tokens)


@torch.no_grad()
def test_qk_norm_does_not_see_the_size_of_queries():
    """Ten times the weights of queries and keys give the same answer with qk_norm, and only with
    it."""
    x, label, time = inputs()
    changes = {}
    for qk_norm in (False, True):
        network = make(qk_norm=qk_norm)
        before = network(x, label, time)
        for block in network.blocks:
            for layer in (block.attn.to_q, block.attn.to_k):
                layer.weight *= 10
                layer.bias *= 10
        changes[qk_norm] = (network(x, label, time) - before).abs().max()
    assert changes[True] < 1e-3 < changes[False]


@torch.no_grad()
@pytest.mark.parametrize("qk_norm", [False, True])
def test_linear_attention(qk_norm):
    """`attention: linear` is the linear attention of the UNet's variants, normalised or not."""
    network = make(attention="linear", qk_norm=qk_norm)
    attention = network.blocks[0].attn
    assert isinstance(attention, LinearAttention)
    q, k, v = torch.randn(3, 2, 4, 5, 4).unbind()
    found = attention._attend(q, k, v)
    if qk_norm:
        q, k = attention.norm_q(q), attention.norm_k(k)
    weights = q.softmax(-1) @ k.softmax(-2).transpose(-2, -1)
    torch.testing.assert_close(found, weights @ v, rtol=1e-5, atol=1e-6)
    x, label, time = inputs()
    assert network(x, label, time).std() > 0.1


@torch.no_grad()
def test_labels_and_texts():
    """Without conditions labels change nothing; the mean of a text's tokens steers the blocks."""
    x, label, time = inputs()
    plain = make(conditional=False)
    assert torch.equal(plain(x, label, time), plain(x, 0 * label, time))
    assert not torch.equal(make()(x, label, time), make()(x, 0 * label, time))
    reads = make(context="tokens", null_class=True)
    tokens = torch.randn(3, 5, 8)
    first = reads(x, tokens, time)
    torch.testing.assert_close(first, reads(x, tokens.flip(1), time), rtol=1e-4, atol=1e-4)
    assert not torch.equal(first, reads(x, 2 * tokens, time))
    reads.label_embd.set_prompts(tokens)
    assert torch.equal(reads(x, torch.tensor([0, 1, 2]), time), first)
    assert reads.null_label == 0


# In the models


KINDS = {"DDPM": DDPM, "EDM": EDM, "FM": FM}


@pytest.mark.parametrize("model_name", KINDS)
@pytest.mark.parametrize("use_vae", [False, True])
def test_all_models_take_it(model_name, use_vae):
    """`network: dit` makes the network of every model, in pixels and in latents."""
    options = {"dim": 16, "num_classes": 4, "depth": 2, "label_dropout": 0.1}
    model = make_model(
        model_name, network="dit", img_shape=[3, 48, 32], use_vae=use_vae, patch_size=2, **options
    )
    assert isinstance(model, KINDS[model_name])
    assert isinstance(model.model, DiT)
    assert (len(model.model.blocks), null_label(model)) == (2, 4)
    label = torch.tensor([0, 3])
    t = torch.tensor([3, 5]) if model_name == "DDPM" else torch.tensor([0.3, 0.6])
    loss = model.compute_loss(torch.rand(2, 3, 48, 32), label, t)
    loss.backward()
    assert model.model.final_linear.weight.grad.abs().max() > 0


@pytest.mark.parametrize("prediction", ["v", "x0"])
def test_other_targets(prediction):
    """A DiT that predicts v or x_0 answers with the noise, as such a UNet does."""
    model = make_model(network="dit", img_shape=[1, 8, 8], dim=16, prediction=prediction)
    assert isinstance(model.model, IndirectDiT)
    for parameter in model.model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    torch.manual_seed(0)
    x_0, noise = torch.randn(2, 1, 8, 8), torch.randn(2, 1, 8, 8)
    t, label = torch.tensor([3, 80]), torch.tensor([0, 3])
    rates = model.sqrt_alphas_cumprod, model.sqrt_one_minus_alphas_cumprod
    signal, rest = (rate[t][:, None, None, None] for rate in rates)
    x_t = model.q_sample(x_0, t, noise)
    answer = x_0 if prediction == "x0" else signal * noise - rest * x_0
    model.model.final_linear = nn.Identity()
    DiT_forward = DiT.forward
    try:
        DiT.forward = lambda self, x, label, time: answer
        torch.testing.assert_close(model.model(x_t, label, t), noise, rtol=1e-3, atol=1e-3)
    finally:
        DiT.forward = DiT_forward


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["model.adagn=true"], "'model.adagn' means nothing to 'model.network: dit'"),
        (["model.dim_mults=[1, 2]"], "'model.dim_mults' means nothing to 'model.network: dit'"),
        (["model.dim=18"], "'model.dim' 18 of .* divisible by 4 and by 'model.num_heads' 4"),
        (["model.num_heads=3"], "divisible by 4 and by 'model.num_heads' 3"),
        (["model.depth=0"], "'model.depth' must be at least 1"),
        (["model.network=unet"], "'model.depth' means nothing to 'model.network: unet'"),
        (["model.network=vit"], "'model.network' cannot be 'vit'"),
    ],
)
def test_config_mistakes(overrides, words):
    """Sizes that do not fit, and keys of the other network, are refused by name."""
    with pytest.raises(UserError, match=words):
        load_config("configs/digits_dit.yaml", overrides)


def test_patches_must_divide_what_is_diffused():
    """Images that cannot be cut are refused when the model is built, not in its first step."""
    with pytest.raises(UserError, match=r"section 'model'.*8x8.*patches of 3x3"):
        build_model(load_config("configs/digits_dit.yaml", ["model.patch_size=3"]))
    latent = {"use_vae": True, "img_shape": [3, 48, 32], "patch_size": 4}
    with pytest.raises(UserError, match="48x32 cannot be cut"):
        make_model(network="dit", **latent)


@pytest.mark.parametrize("model_name", KINDS)
def test_resume_is_exact(tmp_path, model_name):
    """N steps, resume, N steps: weights as without the stop; the checkpoint loads."""
    settings = ["dataset.subset=0.1", "model.dim=16", "train_cfg.num_eval_samples=0"]
    settings += ["model.label_dropout=0.2", "dataset.test_split=null", "model.depth=2"]
    settings += [f"model_name={model_name}"]
    if model_name != "FM":
        settings += ["fm.time=uniform", "model.timesteps=100"]
    assert_resumes_exactly("digits_dit", tmp_path, *settings)
    assert isinstance(load_model(tmp_path / "run", CPU).model.model, DiT)
