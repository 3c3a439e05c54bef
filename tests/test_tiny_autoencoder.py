"""TAESD: the architecture against diffusers' AutoencoderTiny, strict loading, real faces."""

import contextlib
import functools
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from helpers.files import find_asset
from libs.tiny_autoencoder import TAESD, load_weights, make_decoder, make_encoder
from libs.utils import UserError


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def taesd() -> TAESD:
    """An autoencoder with random weights, others than the seed of the tests would give."""
    torch.manual_seed(7)
    return TAESD()


def diffusers_twin(taesd: TAESD) -> nn.Module:
    """Diffusers' AutoencoderTiny with the weights of ours.

    Its decoder does the soft clamp outside its layers, so they count from 0 where ours do from 1.
    """
    diffusers = pytest.importorskip("diffusers")
    twin = diffusers.AutoencoderTiny()
    twin.encoder.layers.load_state_dict(taesd.encoder.state_dict())
    shifted = {}
    for name, p in taesd.decoder.state_dict().items():
        index, rest = name.split(".", 1)
        shifted[f"{int(index) - 1}.{rest}"] = p
    twin.decoder.layers.load_state_dict(shifted)
    return twin.eval()


def save(weights: dict, path: Path) -> Path:
    """Write tensors in the format that the suffix names."""
    if path.suffix == ".safetensors":
        pytest.importorskip("safetensors.torch").save_file(weights, path)
    else:
        torch.save(weights, path)
    return path


@torch.no_grad()
@pytest.mark.parametrize(("batch", "height", "width"), [(1, 16, 16), (2, 24, 16)])
def test_encoder_equals_diffusers(taesd, batch, height, width):
    """Images in [0, 1] here are images in [-1, 1] there; the latents are the same."""
    imgs = torch.rand(batch, 3, height, width)
    latents = taesd.encoder(imgs)

    assert latents.shape == (batch, 4, height // 8, width // 8)
    expected = diffusers_twin(taesd).encode(2 * imgs - 1).latents
    torch.testing.assert_close(latents, expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize(("batch", "height", "width"), [(1, 2, 2), (2, 3, 2)])
def test_decoder_equals_diffusers(taesd, batch, height, width):
    """The same latents, large ones too, become images in [0, 1] here and in [-1, 1] there."""
    latents = 5 * torch.randn(batch, 4, height, width)
    imgs = taesd.decoder(latents)

    assert imgs.shape == (batch, 3, 8 * height, 8 * width)
    expected = diffusers_twin(taesd).decode(latents).sample
    torch.testing.assert_close(2 * imgs - 1, expected, rtol=1e-5, atol=1e-5)


def test_sizes_and_names_of_the_official_weights(taesd):
    """67 tensors each, as many parameters as the official files; the decoder starts at 1.weight."""
    encoder, decoder = taesd.encoder.state_dict(), taesd.decoder.state_dict()

    assert [len(encoder), len(decoder)] == [67, 67]
    assert sum(p.numel() for p in encoder.values()) == 1_222_532
    assert sum(p.numel() for p in decoder.values()) == 1_222_531
    assert next(iter(encoder)) == "0.weight"
    assert next(iter(decoder)) == "1.weight"


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_load_from_both_formats(taesd, tmp_path, suffix):
    """Weights written as .pth or as .safetensors come back unchanged."""
    loaded = TAESD(
        save(taesd.encoder.state_dict(), tmp_path / f"encoder{suffix}"),
        str(save(taesd.decoder.state_dict(), tmp_path / f"decoder{suffix}")),
    )

    expected = taesd.state_dict()
    assert loaded.state_dict().keys() == expected.keys()
    assert all(torch.equal(p, expected[name]) for name, p in loaded.state_dict().items())


def test_each_half_loads_alone(taesd, tmp_path):
    """One path may be None: that half keeps its random weights."""
    path = save(taesd.encoder.state_dict(), tmp_path / "encoder.pth")
    torch.manual_seed(1)
    loaded = TAESD(encoder_path=path)

    assert torch.equal(loaded.encoder[0].weight, taesd.encoder[0].weight)
    assert not torch.equal(loaded.decoder[1].weight, taesd.decoder[1].weight)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize(
    ("name", "tensor", "words"),
    [
        ("14.weight", None, ["'14.weight'", "(4, 64, 3, 3)", "absent"]),
        ("15.weight", torch.zeros(2, 3), ["'15.weight'", "(2, 3)", "absent"]),
        ("14.bias", torch.zeros(8), ["'14.bias'", "(4,)", "(8,)"]),
        ("14.bias", torch.zeros(1), ["'14.bias'", "(4,)", "(1,)"]),
    ],
)
def test_other_tensors_are_refused(tmp_path, suffix, name, tensor, words):
    """A missing, an extra or a wrongly shaped tensor is an error that names it and both shapes."""
    weights = {**make_encoder().state_dict(), name: tensor}
    if tensor is None:
        del weights[name]
    path = save(weights, tmp_path / f"encoder{suffix}")

    with pytest.raises(UserError) as caught:
        TAESD(encoder_path=path)
    for word in (str(path), *words):
        assert word in str(caught.value)


def test_swapped_halves_are_refused(tmp_path):
    """The decoder's file given as the encoder's is an error, which lists three tensors at most."""
    path = save(make_decoder().state_dict(), tmp_path / "decoder.pth")
    one, other = (
        {(name, tensor.shape) for name, tensor in make().state_dict().items()}
        for make in (make_encoder, make_decoder)
    )
    differing = {name for name, _ in one ^ other}

    with pytest.raises(UserError, match="does not match the model") as caught:
        TAESD(encoder_path=path)
    assert str(caught.value).count("should be") == 3
    assert f", and {len(differing) - 3} more" in str(caught.value)


def test_refused_weights_change_nothing(tmp_path):
    """A file with one wrong tensor leaves all weights as they were."""
    decoder = make_decoder()
    before = {name: p.clone() for name, p in decoder.state_dict().items()}
    weights = {**make_decoder().state_dict(), "18.bias": torch.zeros(5)}
    path = save(weights, tmp_path / "decoder.pth")

    with pytest.raises(UserError):
        load_weights(decoder, path)
    assert all(torch.equal(p, before[name]) for name, p in decoder.state_dict().items())


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("kept", [0, 1000, -1000])
def test_truncated_file_is_refused(tmp_path, suffix, kept):
    """A file cut short, as by a broken download, is an error of one line that names the file."""
    path = save(make_encoder().state_dict(), tmp_path / f"encoder{suffix}")
    path.write_bytes(path.read_bytes()[:kept])

    with pytest.raises(UserError, match=r"is not readable: truncated") as caught:
        TAESD(encoder_path=path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [[1, 2], None, torch.zeros(3), {"state_dict": {}}])
def test_file_without_a_dict_of_tensors_is_refused(tmp_path, content):
    """A readable file that holds something else is an error that names the file."""
    path = tmp_path / "encoder.pth"
    torch.save(content, path)

    with pytest.raises(UserError) as caught:
        TAESD(encoder_path=path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["absent.pth", "absent.safetensors", ""])
def test_missing_file_is_refused(tmp_path, name):
    """A missing file, or a folder in its place, is an error that says how to get the weights."""
    with pytest.raises(UserError, match=r"missing.*download_dataset\.sh taesd") as caught:
        TAESD(decoder_path=tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


class Creates:
    """Unpickled without care, this creates a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("writer", [functools.partial(pickle.dump, protocol=2), torch.save])
def test_code_in_a_weight_file_is_never_executed(tmp_path, writer):
    """A pickle that would run code is refused before it does."""
    trace, path = tmp_path / "executed", tmp_path / "encoder.pth"
    with path.open("wb") as file:
        writer({"0.weight": Creates(trace)}, file)

    with pytest.raises(UserError, match=r"is refused"):
        TAESD(encoder_path=path)
    assert not trace.exists()
    # The file is as dangerous as it should be: torch complains only after running it.
    with contextlib.suppress(RuntimeError):
        torch.load(path, weights_only=False)
    assert trace.exists()


@pytest.fixture(scope="module")
def official() -> TAESD:
    """The autoencoder with its official weights."""
    return TAESD(
        find_asset("pretrained/taesd_encoder.pth"), find_asset("pretrained/taesd_decoder.pth")
    )


def load_faces(size: int) -> torch.Tensor:
    """One face of each class of AFHQ in [0, 1], [3, 3, size, size]."""
    folder = find_asset("data/afhq/train")
    files = [sorted((folder / name).glob("*.*"))[0] for name in ("cat", "dog", "wild")]
    imgs = [Image.open(f).convert("RGB").resize((size, size), Image.BICUBIC) for f in files]
    return torch.from_numpy(np.stack(imgs)).permute(0, 3, 1, 2) / 255


@pytest.mark.slow
@torch.no_grad()
def test_official_weights_reconstruct_real_faces(official):
    """Faces at 256x256 survive encoding and decoding: PSNR of at least 22 dB each."""
    imgs = load_faces(256)
    reconstructed = official.decoder(official.encoder(imgs)).clamp(0, 1)
    psnr = -10 * (reconstructed - imgs).square().mean(dim=(1, 2, 3)).log10()

    assert (psnr >= 22).all(), psnr


@torch.no_grad()
def test_official_latents_need_no_factor(official):
    """A 128x128 face has a 4x16x16 latent of about unit scale."""
    latents = official.encoder(load_faces(128))

    assert latents.shape == (3, 4, 16, 16)
    assert 0.5 < latents.std() < 1.3
