"""The autoencoder against diffusers', its published files, its losses, and the latent space."""

import copy
import math
import sys
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from libs.autoencoders import perceptual
from libs.autoencoders.compvis import read_compvis
from libs.autoencoders.discriminator import (
    PatchDiscriminator,
    adaptive_weight,
    hinge_discriminator_loss,
    hinge_generator_loss,
)
from libs.autoencoders.files import load_autoencoder
from libs.autoencoders.kl import DiagonalGaussian, KLAutoencoder, LinearAttention
from libs.autoencoders.latents import FirstStage
from libs.autoencoders.quality import psnr, ssim
from libs.utils import UserError
from libs.weights import load_strictly, read_file

TINY = {"in_channels": 3, "ch": 8, "ch_mult": (1, 2), "num_res_blocks": 1, "z_channels": 2}
SHALLOW = {"ch": 32, "ch_mult": (1, 2), "num_res_blocks": 1, "z_channels": 3}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def make(**settings) -> KLAutoencoder:
    """A tiny autoencoder whose normalisations differ from the identity, as trained ones do."""
    autoencoder = KLAutoencoder(**{**TINY, **settings})
    for module in autoencoder.modules():
        if isinstance(module, nn.GroupNorm):
            nn.init.normal_(module.weight, 1, 0.2)
            nn.init.normal_(module.bias, 0, 0.2)
    return autoencoder


def name_in_diffusers(name: str, num_levels: int) -> str:
    """Diffusers' name of a tensor; its decoder counts levels from the coarsest."""
    parts = name.split(".")
    if len(parts) > 3 and parts[1] in ("down", "up"):
        level = int(parts[2]) if parts[1] == "down" else num_levels - 1 - int(parts[2])
        kind = {"block": "resnets", "attn": "attentions"}.get(parts[3])
        kind = kind or {"downsample": "downsamplers.0", "upsample": "upsamplers.0"}[parts[3]]
        name = ".".join([parts[0], f"{parts[1]}_blocks", str(level), kind, *parts[4:]])
    for ours, theirs in {
        "mid.block_1": "mid_block.resnets.0",
        "mid.block_2": "mid_block.resnets.1",
        "mid.attn_1": "mid_block.attentions.0",
        "nin_shortcut": "conv_shortcut",
        "norm_out": "conv_norm_out",
    }.items():
        name = name.replace(ours, theirs)
    if "attentions" in name:
        *start, layer, kind = name.split(".")
        layer = {"norm": "group_norm", "proj_out": "to_out.0"}.get(layer, f"to_{layer}")
        name = ".".join([*start, layer, kind])
    return name


def diffusers_twin(ours: KLAutoencoder, ch: int, ch_mult, blocks: int, attn_levels=()):
    """Diffusers' AutoencoderKL with the weights of ours."""
    diffusers = pytest.importorskip("diffusers")
    prefixes = ["Attn" if i in attn_levels else "" for i in range(len(ch_mult))]
    twin = diffusers.AutoencoderKL(
        block_out_channels=[ch * mult for mult in ch_mult],
        layers_per_block=blocks,
        latent_channels=ours.latent_channels,
        norm_num_groups=ours.encoder.norm_out.num_groups,
        down_block_types=[f"{p}DownEncoderBlock2D" for p in prefixes],
        up_block_types=[f"{p}UpDecoderBlock2D" for p in reversed(prefixes)],
    )
    shapes = {name: tensor.shape for name, tensor in twin.state_dict().items()}
    names = {name: name_in_diffusers(name, len(ch_mult)) for name in ours.state_dict()}
    weights = {names[name]: w for name, w in ours.state_dict().items()}
    # 1x1 convolutions of the attention are linear layers there.
    weights = {name: w.reshape(shapes.get(name, w.shape)) for name, w in weights.items()}
    twin.load_state_dict(weights)
    return twin.eval()


@torch.no_grad()
@pytest.mark.parametrize(
    ("ch", "ch_mult", "blocks", "z", "attn_levels"),
    [(16, (1, 2, 4), 2, 3, ()), (8, (1, 2, 4, 4), 2, 4, ()), (8, (1, 2), 1, 4, (0, 1))],
    ids=["f4", "f8", "attention"],
)
def test_encode_and_decode_equal_diffusers(ch, ch_mult, blocks, z, attn_levels):
    """With equal weights, moments and images are those of diffusers, for oblong images too."""
    ours = make(
        ch=ch, ch_mult=ch_mult, num_res_blocks=blocks, z_channels=z, attn_levels=attn_levels
    )
    twin = diffusers_twin(ours, ch, ch_mult, blocks, attn_levels)
    x = torch.rand(2, 3, 32, 16) * 2 - 1
    posterior, expected = ours.encode(x), twin.encode(x).latent_dist
    factor = 2 ** (len(ch_mult) - 1)
    assert ours.factor == factor
    assert posterior.mode().shape == (2, z, 32 // factor, 16 // factor)
    torch.testing.assert_close(posterior.mode(), expected.mean, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(posterior.logvar, expected.logvar, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(posterior.kl(), expected.kl(), rtol=1e-5, atol=1e-5)
    latents = torch.randn_like(posterior.mean)
    expected = twin.decode(latents).sample
    torch.testing.assert_close(ours.decode(latents), expected, rtol=1e-5, atol=1e-5)


def test_defaults_are_stable_diffusions_autoencoder():
    """248 tensors and 83,653,863 parameters with CompVis's names, 32 groups in all layers."""
    with torch.device("meta"):
        autoencoder = KLAutoencoder()
    weights = autoencoder.state_dict()
    assert (len(weights), sum(w.numel() for w in weights.values())) == (248, 83_653_863)
    for name, shape in {
        "encoder.down.1.block.0.nin_shortcut.weight": (256, 128, 1, 1),
        "encoder.down.2.downsample.conv.weight": (512, 512, 3, 3),
        "encoder.mid.attn_1.q.weight": (512, 512, 1, 1),
        "encoder.conv_out.bias": (8,),
        "decoder.up.0.block.2.norm1.weight": (128,),
        "decoder.up.3.upsample.conv.bias": (512,),
        "quant_conv.weight": (8, 8, 1, 1),
        "post_quant_conv.weight": (4, 4, 1, 1),
    }.items():
        assert weights[name].shape == shape
    norms = [m for m in autoencoder.modules() if isinstance(m, nn.GroupNorm)]
    assert {(norm.num_groups, norm.eps) for norm in norms} == {(32, 1e-6)}
    assert autoencoder.last_layer.shape == (3, 128, 3, 3)


def test_posterior_against_torch_distributions():
    """Samples, mode and divergence are a normal distribution's; log variances are bounded."""
    moments = torch.randn(2, 6, 4, 5)
    posterior, noise = DiagonalGaussian(moments), torch.randn(2, 3, 4, 5)
    normal = torch.distributions.Normal(moments[:, :3], (moments[:, 3:] / 2).exp())
    standard = torch.distributions.Normal(0.0, 1.0)
    kl = torch.distributions.kl_divergence(normal, standard).sum(dim=(1, 2, 3))
    torch.testing.assert_close(posterior.kl(), kl)
    torch.testing.assert_close(posterior.sample(noise), normal.mean + normal.stddev * noise)
    assert torch.equal(posterior.mode(), normal.mean)
    extreme = DiagonalGaussian(torch.tensor([0.0, 99, 0, -99]).view(2, 2, 1, 1))
    assert extreme.logvar.flatten().tolist() == [20, -30]


@torch.no_grad()
def test_linear_attention_against_its_quadratic_form():
    """Pixel i reads from pixel j with softmax(q_i over features) . softmax(k_j over pixels)."""
    attention = LinearAttention(8, 2)
    q, k, v = torch.randn(3, 1, 6, 8).double()
    expected = torch.zeros(6, 8).double()
    for i in range(6):
        for j in range(6):
            query = q[0, i].exp() / q[0, i].exp().sum()
            key = k[0, j].exp() / k[0].exp().sum(dim=0)
            expected[i] += (query * key).sum() * v[0, j]
    torch.testing.assert_close(attention.attend(q, k, v)[0], expected)
    x = torch.randn(2, 8, 4, 3)
    h = attention.norm(x)
    q, k, v = (layer(h).flatten(2).mT for layer in (attention.q, attention.k, attention.v))
    mixed = attention.attend(q, k, v).mT.unflatten(2, (4, 3))
    torch.testing.assert_close(attention(x), x + attention.proj_out(mixed))


@torch.no_grad()
def test_options_do_what_they_say():
    """Each option changes the network as named, and leaves shapes and the other half alone."""
    x = torch.rand(1, 3, 8, 12) * 2 - 1
    for pool, layer in (("max", nn.MaxPool2d), ("avg", nn.AvgPool2d)):
        autoencoder = make(resample=pool)
        assert isinstance(autoencoder.encoder.down[0].downsample, layer)
        assert autoencoder.encode(x).mean.shape == (1, 2, 4, 6)
    linear = make(attention="linear", attn_levels=(1,))
    assert isinstance(linear.encoder.mid.attn_1, LinearAttention)
    assert [len(level.attn) for level in (*linear.encoder.down, *linear.decoder.up)] == [0, 1, 0, 2]
    plain, tanh, z = make(), make(tanh=True), 9 * torch.randn(1, 2, 4, 6)
    tanh.load_state_dict(plain.state_dict())
    torch.testing.assert_close(tanh.decode(z), plain.decode(z).tanh())
    assert torch.equal(tanh.encode(x).mean, plain.encode(x).mean)
    for mode in ("bilinear", "bicubic"):
        smooth = make(upsample=mode)
        smooth.load_state_dict(plain.state_dict())
        up = smooth.decoder.up[1].upsample
        h = torch.randn(1, 16, 4, 6)
        expected = up.conv(nn.Upsample(scale_factor=2, mode=mode)(h))
        torch.testing.assert_close(up(h), expected)
        assert (smooth.decode(z) - plain.decode(z)).abs().max() > 1e-3


@pytest.mark.parametrize("ch", [4, 8, 12, 32, 64, 96, 128, 192])
def test_narrow_autoencoders_have_fewer_groups(ch):
    """No group has fewer channels than Stable Diffusion's four, nor many more."""
    with torch.device("meta"):
        norm = KLAutoencoder(ch=ch, ch_mult=(1,)).encoder.norm_out
    assert ch / norm.num_groups >= 4
    assert norm.num_groups == 32 or ch / norm.num_groups < 8


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"attention": "lineal"}, "attention 'lineal': choose full"),
        ({"resample": "mean"}, "resample 'mean': choose conv"),
        ({"upsample": "area"}, "upsample 'area': choose nearest"),
        ({"attn_levels": (2,)}, "the levels are 0..1"),
        ({"num_groups": 3}, "ch 8 is not divisible by 3"),
    ],
)
def test_impossible_settings_are_refused(settings, words):
    """A value that is not an option is an error that names it."""
    with pytest.raises(ValueError, match=words):
        KLAutoencoder(**{**TINY, **settings})


def test_size_that_does_not_halve_is_refused():
    """Images whose sides the factor does not divide are an error in pixels."""
    with pytest.raises(ValueError, match=r"8x9 pixels .* divisible by 2"):
        make().encode(torch.zeros(1, 3, 8, 9))


def sees(discriminator: PatchDiscriminator, size: int) -> int:
    """Width of the patch that one score depends on."""
    for i, layer in enumerate(discriminator.layers):
        if isinstance(layer, nn.InstanceNorm2d):
            discriminator.layers[i] = nn.Identity()  # statistics reach over the whole image
    x = torch.zeros(1, 3, size, size, requires_grad=True)
    scores = discriminator(x)
    scores[0, 0, scores.shape[2] // 2, scores.shape[3] // 2].backward()
    return int((x.grad[0].abs().sum(dim=(0, 1)) > 0).sum())


@pytest.mark.parametrize(("layers", "patch"), [(1, 16), (2, 34), (3, 70)])
def test_discriminator_judges_patches(layers, patch):
    """The patches have the paper's sizes, and each image is judged by itself."""
    discriminator = PatchDiscriminator(dim=8, num_layers=layers)
    x = torch.randn(3, 3, 32, 40)
    scores = discriminator(x)
    torch.testing.assert_close(scores[1:2], discriminator(x[1:2]))
    assert sees(discriminator, 128) == patch
    smallest = 3 * 2**layers
    assert discriminator(x[:, :, :smallest, :smallest]).shape == (3, 1, 1, 1)
    with pytest.raises(ValueError, match=f"it needs {smallest}x{smallest}"):
        discriminator(x[:, :, : smallest - 1])


def test_discriminator_starts_with_the_papers_weights():
    """Weights are drawn from N(0, 0.02); channels double up to eight times; one norm per layer."""
    discriminator = PatchDiscriminator(in_channels=1)
    convs = [m for m in discriminator.modules() if isinstance(m, nn.Conv2d)]
    assert [c.out_channels for c in convs] == [64, 128, 256, 512, 1]
    weights = torch.cat([c.weight.flatten() for c in convs])
    assert abs(weights.std().item() - 0.02) < 1e-4  # 2.8 million draws: 9 standard errors
    assert abs(weights.mean().item()) < 1e-4
    assert sum(isinstance(m, nn.InstanceNorm2d) for m in discriminator.modules()) == 3


def test_hinge_losses_against_arithmetic():
    """Scores beyond the margin cost nothing; the generator wants high scores without bound."""
    real, fake = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-3.0, 0.0, 1.0, 2.0])
    expected = 0.5 * ((0 + 0.5 + 2) / 3 + (0 + 1 + 2 + 3) / 4)
    assert math.isclose(hinge_discriminator_loss(real, fake).item(), expected, rel_tol=1e-6)
    assert hinge_generator_loss(fake).item() == 0


def test_adaptive_weight_is_the_ratio_of_gradients():
    """Known gradients give their ratio, without a graph; a vanished adversary gives the bound."""
    layer = nn.Parameter(torch.ones(2, 2))
    up = torch.tensor([[3.0, 0.0], [0.0, 4.0]])  # norm 5
    across = torch.tensor([[0.0, -2.0], [0.0, 0.0]])
    rec, gan = (up * layer).sum(), (across * layer).sum()
    weight = adaptive_weight(rec, gan, layer)
    assert not weight.requires_grad
    assert math.isclose(weight.item(), 2.5, rel_tol=1e-5)
    assert layer.grad is None
    (rec + weight * gan).backward()  # both graphs survive
    torch.testing.assert_close(layer.grad, up + 2.5 * across)
    assert adaptive_weight((up * layer).sum(), (0 * layer).sum(), layer).item() == 1e4


@pytest.fixture
def backbones(tmp_path, monkeypatch) -> dict[str, Path]:
    """Files with random weights of the networks that LPIPS builds on, without their classifiers."""
    models = pytest.importorskip("torchvision.models")
    alex = models.alexnet().features
    layers = models.vgg.make_layers(models.vgg.cfgs["D"])

    def vgg16(**options):  # as the package calls it; 120 million weights less to draw
        return types.SimpleNamespace(features=copy.deepcopy(layers))

    monkeypatch.setattr(models, "vgg16", vgg16)
    files = {}
    for name, features in {"alex": alex, "vgg": layers}.items():
        files[name] = tmp_path / f"{name}.pth"
        weights = {f"features.{key}": w for key, w in features.state_dict().items()}
        torch.save({**weights, "classifier.0.bias": torch.zeros(3)}, files[name])
    return files


@pytest.mark.parametrize(
    ("network", "channels", "size"),
    [("alex", 1, 8), pytest.param("vgg", 3, 16, marks=pytest.mark.slow)],
)
def test_perceptual_loss_teaches_images_only(backbones, network, channels, size):
    """Differentiable in images in [-1, 1], frozen, free of dropout, safe at flat images."""
    pytest.importorskip("lpips")
    loss, reason = perceptual.perceptual_loss(network, backbones[network])
    assert reason == ""
    loss.train()
    one = torch.rand(2, channels, size, size) * 2 - 1
    other = one.flip(0).clone().requires_grad_()
    distances = loss(one, other)
    assert distances.shape == (2,)
    distances.sum().backward()
    assert other.grad.isfinite().all()
    assert other.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in loss.parameters())
    with torch.no_grad():
        assert torch.equal(loss(one, other), distances)  # no dropout
        assert loss(one, one).abs().max() == 0
        if channels == 3:  # the package takes images in [0, 1] where it is told so
            as_unit = loss.net((one + 1) / 2, (other + 1) / 2, normalize=True)
            torch.testing.assert_close(as_unit.flatten(), distances)
    flat = torch.zeros(1, channels, size, size, requires_grad=True)
    loss(flat, one[:1]).sum().backward()
    assert flat.grad.isfinite().all()


def test_perceptual_loss_that_cannot_be_had(tmp_path, monkeypatch, backbones):
    """A missing package or file is a reason to say; a file that is named must be right."""
    pytest.importorskip("lpips")

    def never(*args, **options):
        raise AssertionError("a download was tried")

    monkeypatch.setattr("urllib.request.OpenerDirector.open", never)
    loss, reason = perceptual.perceptual_loss("vgg", folder=tmp_path)
    assert loss is None
    assert "without the perceptual loss" in reason
    assert "vgg16-397923af.pth" in reason
    with pytest.raises(UserError, match=r"'train\.lpips': there is no file"):
        perceptual.perceptual_loss("vgg", tmp_path / "none.pth", key="train.lpips")
    with pytest.raises(UserError, match="does not match"):
        perceptual.perceptual_loss("vgg", backbones["alex"])
    monkeypatch.setitem(sys.modules, "lpips", None)
    loss, reason = perceptual.perceptual_loss("vgg", folder=tmp_path)
    assert loss is None
    assert "requirements/metrics.txt" in reason


def lightning_class(module: str, name: str, monkeypatch) -> type:
    """A class that pickles as one of PyTorch Lightning's callbacks."""
    path = f"pytorch_lightning.callbacks.{module}"
    for parent in ("pytorch_lightning", "pytorch_lightning.callbacks", path):
        monkeypatch.setitem(sys.modules, parent, types.ModuleType(parent))
    cls = type(name, (), {"__module__": path})
    setattr(sys.modules[path], name, cls)
    return cls


@pytest.fixture
def published(tmp_path, monkeypatch) -> tuple[KLAutoencoder, dict]:
    """An autoencoder of CompVis's kind, and what Lightning writes beside its weights."""
    checkpoint = lightning_class("model_checkpoint", "ModelCheckpoint", monkeypatch)
    autoencoder = make(**SHALLOW, num_groups=32)
    state = {**autoencoder.state_dict(), "loss.logvar": torch.zeros(())}
    state["loss.discriminator.main.0.weight"] = torch.zeros(4, 3, 4, 4)
    callbacks = {checkpoint: {"best_model_score": torch.tensor(0.5)}}
    return autoencoder, {"epoch": 3, "state_dict": state, "callbacks": callbacks}


def test_compvis_file_with_lightnings_class_is_read(published, tmp_path, monkeypatch):
    """The one class that official files name is allowed; architecture and weights come back."""
    autoencoder, content = published
    path = tmp_path / "model.ckpt"
    torch.save(content, path)
    monkeypatch.delitem(sys.modules, "pytorch_lightning.callbacks.model_checkpoint")
    weights, architecture = read_compvis(path)
    expected = {**SHALLOW, "embed_dim": 3, "in_channels": 3, "attn_levels": (), "num_groups": 32}
    assert architecture == expected
    loaded = KLAutoencoder(**architecture)
    load_strictly(loaded, weights, path)
    x = torch.rand(1, 3, 8, 8)
    assert torch.equal(loaded.encode(x).mode(), autoencoder.encode(x).mode())
    with pytest.raises(UserError, match="refused"):  # the exception ends with the call
        read_file(path)


@torch.no_grad()
def test_latents_narrower_than_what_the_encoder_gives(tmp_path):
    """embed_dim is the channels between CompVis's 1x1 convolutions: shapes, names and arithmetic;
    a file is read back with it, and a config that says another is refused."""
    autoencoder = make(**SHALLOW, num_groups=32, embed_dim=2)
    weights = autoencoder.state_dict()
    assert weights["quant_conv.weight"].shape == (4, 6, 1, 1)
    assert weights["post_quant_conv.weight"].shape == (3, 2, 1, 1)
    assert weights.keys() == make(**SHALLOW, num_groups=32).state_dict().keys()
    x = torch.rand(1, 3, 8, 8) * 2 - 1
    moments = F.conv2d(
        autoencoder.encoder(x), weights["quant_conv.weight"], weights["quant_conv.bias"]
    )
    latents = autoencoder.encode(x).mode()
    assert torch.equal(latents, moments[:, :2])
    assert autoencoder.decode(latents).shape == x.shape
    stage = FirstStage(autoencoder)
    stage.measure([torch.rand(8, 3, 8, 8)])
    assert stage.encoder(torch.rand(1, 3, 8, 8)).shape == (1, 2, 4, 4)

    path = tmp_path / "model.pth"
    torch.save(weights, path)
    loaded, section = load_autoencoder(path)
    assert (section.z_channels, section.embed_dim) == (3, 2)
    assert torch.equal(loaded.encode(x).mode(), latents)
    with pytest.raises(UserError, match="embed_dim is 3 and 2 in the file"):
        load_autoencoder(path, replace(section, embed_dim=None))
    torch.save(make(**SHALLOW, num_groups=32).state_dict(), path)
    load_autoencoder(path, replace(section, embed_dim=None))  # the same as 3
    load_autoencoder(path, replace(section, embed_dim=3))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_bare_weights_are_read(tmp_path, suffix):
    """Named tensors without Lightning's frame are read too, with attention where they have it."""
    autoencoder = make(**SHALLOW, in_channels=1, attn_levels=(1,))
    path = tmp_path / f"model{suffix}"
    if suffix == ".pth":
        torch.save(autoencoder.state_dict(), path)
    else:
        pytest.importorskip("safetensors.torch").save_file(autoencoder.state_dict(), path)
    weights, architecture = read_compvis(path)
    assert architecture["in_channels"] == 1
    assert architecture["attn_levels"] == (1,)
    assert all(torch.equal(w, weights[name]) for name, w in autoencoder.state_dict().items())


@pytest.mark.parametrize(
    ("name", "found", "words"),
    [
        ("quant_conv.weight", (4, 6, 1, 1), r"should be \(6, 6, 1, 1\) and is \(4, 6, 1, 1\)"),
        ("quantize.embedding.weight", (9, 3), r"should be absent and is \(9, 3\)"),
        ("decoder.conv_out.bias", None, r"should be \(3,\) and is absent"),
        ("encoder.conv_in.weight", (5,), r"with four dimensions, and is \(5,\)"),
        ("encoder.down.0.block.0.conv1.weight", None, "with four dimensions, and is absent"),
    ],
)
def test_other_networks_are_refused(published, tmp_path, name, found, words):
    """A tensor that is missing, left over or of another shape is named with both shapes."""
    state = published[1]["state_dict"]
    if found is None:
        del state[name]
    else:
        state[name] = torch.zeros(found)
    path = tmp_path / "model.ckpt"
    torch.save({"state_dict": state}, path)
    with pytest.raises(UserError, match=f"tensor '{name}' .*{words}") as caught:
        read_compvis(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("ch", [0, 24])
def test_impossible_widths_are_refused(published, tmp_path, ch):
    """A width that 32 groups do not divide is a sentence too."""
    path = tmp_path / "model.ckpt"
    wrong = {"encoder.conv_in.weight": torch.zeros(ch, 3, 3, 3)}
    torch.save({**published[1]["state_dict"], **wrong}, path)
    with pytest.raises(UserError, match="holds no autoencoder of CompVis"):
        read_compvis(path)


class Creates:
    """Unpickled without care, this creates a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_code_and_other_classes_are_refused(published, tmp_path, monkeypatch):
    """Beside the class that is allowed, a file may name no other, and code in it never runs."""
    trace, path = tmp_path / "executed", tmp_path / "model.ckpt"
    torch.save({**published[1], "callbacks": Creates(trace)}, path)
    with pytest.raises(UserError, match="is refused"):
        read_compvis(path)
    assert not trace.exists()
    other = lightning_class("early_stopping", "EarlyStopping", monkeypatch)
    torch.save({**published[1], "callbacks": {other: {}}}, path)
    with pytest.raises(UserError, match="is refused"):
        read_compvis(path)


def test_unusable_files_are_refused(published, tmp_path):
    """A missing file, one cut short and one that holds no tensors are sentences with the path."""
    path = tmp_path / "model.ckpt"
    with pytest.raises(UserError, match="no such file"):
        read_compvis(path)
    torch.save(published[1], path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(UserError, match="not readable: truncated"):
        read_compvis(path)
    for content in ([1, 2], {"state_dict": 3}, {"state_dict": {}}):
        torch.save(content, path)
        with pytest.raises(UserError, match=r"model\.ckpt holds no"):
            read_compvis(path)


@torch.no_grad()
def test_latent_space_is_standardized_and_round_trips():
    """Each channel of all latents has mean 0 and deviation 1, and decodes as before."""
    autoencoder = make()
    first_stage = FirstStage(autoencoder)
    assert (first_stage.factor, first_stage.channels) == (2, 2)
    assert not any(p.requires_grad for p in first_stage.parameters())
    images = torch.rand(7, 3, 8, 12)
    raw = autoencoder.encode(2 * images - 1).mode()
    assert torch.equal(first_stage.encoder(images), raw)  # nothing is measured yet
    first_stage.measure(images.split(3))  # the last batch is smaller
    latents = first_stage.encoder(images)
    expected = (raw - raw.mean((0, 2, 3), True)) / raw.std((0, 2, 3), correction=0, keepdim=True)
    torch.testing.assert_close(latents, expected, rtol=1e-4, atol=1e-5)
    first_stage.measure(images.split(4))  # a second time changes nothing
    torch.testing.assert_close(first_stage.encoder(images), latents, rtol=1e-4, atol=1e-5)
    decoded = first_stage.decoder(latents)
    torch.testing.assert_close(2 * decoded - 1, autoencoder.decode(raw), rtol=1e-4, atol=1e-4)

    other = FirstStage(make())
    load_strictly(other, first_stage.state_dict(), Path("checkpoint"))
    torch.testing.assert_close(other.encoder(images), latents)
    torch.testing.assert_close(other.decoder(latents), decoded)


def test_latents_that_cannot_be_scaled_are_refused():
    """No images, a constant channel and NaN are sentences; the scale stays as it was."""
    first_stage = FirstStage(make())
    with pytest.raises(UserError, match="there are no images"):
        first_stage.measure([])
    for name, value in (("weight", 0.0), ("bias", math.nan)):
        nn.init.constant_(getattr(first_stage.encoder.quant_conv, name)[1], value)
        with pytest.raises(UserError, match="channel 1 has the standard deviation"):
            first_stage.measure([torch.rand(2, 3, 8, 8)])
    assert torch.equal(first_stage.encoder.standardize.std, torch.ones(2, 1, 1))


@pytest.mark.parametrize("channels", [1, 3])
def test_quality_equals_scikit_image(channels):
    """PSNR and SSIM of smooth and noisy images are those of scikit-image, one image at a time."""
    metrics = pytest.importorskip("skimage.metrics")
    ramp = torch.linspace(0, 1, 20).expand(3, channels, 15, 20).clone()
    noise = torch.randn(3, channels, 15, 20) * torch.tensor([0.01, 0.1, 0.5]).view(3, 1, 1, 1)
    a, b = ramp, (ramp + noise).clamp(0, 1)
    for i in range(3):
        one, other = a[i].double().numpy(), b[i].double().numpy()
        expected = metrics.peak_signal_noise_ratio(one, other, data_range=1)
        assert math.isclose(psnr(a, b)[i].item(), expected, rel_tol=1e-6)
        options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        expected = metrics.structural_similarity(
            one, other, data_range=1, channel_axis=0, **options
        )
        assert math.isclose(ssim(a, b)[i].item(), expected, rel_tol=1e-5)


def test_quality_at_its_ends():
    """Equal images are perfect, their negatives are not similar, and tiny ones have no SSIM."""
    images = torch.from_numpy(np.random.default_rng(0).random((2, 3, 11, 11))).float()
    assert psnr(images, images).tolist() == [math.inf] * 2
    assert ssim(images, images).tolist() == [1, 1]
    assert (ssim(images, 1 - images) < 0).all()
    with pytest.raises(ValueError, match="at least 11x11 pixels, not 8x8"):
        ssim(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8))
