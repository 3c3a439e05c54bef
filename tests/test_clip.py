"""CLIP's metrics for text models: its directions as transformers gives them, scores by hand."""

import functools
import json
import shutil
import sys

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from helpers.files import find_asset
from libs.metrics import clip as clip_module
from libs.metrics.clip import (
    Clip,
    clip_score,
    consistency,
    load_clip,
    recall_at,
    similarity_of_nearest,
)
from libs.utils import UserError

transformers = pytest.importorskip("transformers")
TOWER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
TOWER |= {"num_attention_heads": 2, "projection_dim": 16}
VISION = TOWER | {"image_size": 32, "patch_size": 8}
TEXTS = ["a red square", "a green square on the wall", "", "blue"]


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    """A tiny CLIP with random weights and the real vocabulary, as the hub has them."""
    vocabulary, place = find_asset("pretrained/clip_bpe"), tmp_path_factory.mktemp("clip")
    torch.manual_seed(0)
    config = transformers.CLIPConfig(text_config=TOWER, vision_config=VISION, projection_dim=16)
    transformers.CLIPModel(config).save_pretrained(place)
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(vocabulary / name, place)
    return place


@pytest.fixture(scope="module")
def clip(clip_folder) -> Clip:
    return load_clip(clip_folder)


def directions(*rows) -> Tensor:
    return F.normalize(torch.tensor(rows, dtype=torch.float), dim=1)


def test_directions_are_those_of_the_package(clip, clip_folder):
    """Cosines times the logit scale are transformers' own logits_per_image, with its tokens and
    its preparation of images, for pictures of any size."""
    generator = torch.Generator().manual_seed(0)
    smooth = torch.rand(3, 3, 6, 8, generator=generator)
    pictures = F.interpolate(smooth, (48, 64), mode="bicubic").clamp(0, 1).mul(255).byte()
    prepare = transformers.CLIPImageProcessor(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    )
    pixels = prepare([Image.fromarray(p.permute(1, 2, 0).numpy()) for p in pictures])
    tokens = clip.reader.tokenizer(TEXTS, padding=True, return_tensors="pt")
    model = transformers.CLIPModel.from_pretrained(clip_folder).eval()
    with torch.no_grad():
        values = torch.stack([torch.as_tensor(p) for p in pixels["pixel_values"]])
        expected = model(pixel_values=values, **tokens).logits_per_image
        found = clip.look(pictures) @ clip.read(TEXTS).T * model.logit_scale.exp()
    assert expected.std() > 0.01
    torch.testing.assert_close(found, expected, atol=2e-2, rtol=0)  # a pixel rounds otherwise


def test_clip_score_by_hand():
    """100 times the mean cosine, where a negative one counts as 0."""
    images = directions([1, 0], [1, 0], [1, 0])
    texts = directions([1, 0], [1, 1], [-1, 0])
    assert clip_score(images, texts) == pytest.approx(100 * (1 + 0.5**0.5 + 0) / 3)


def test_recall_by_hand():
    """An image counts where fewer than k captions are as near as its own; ties count against."""
    texts = directions([1, 0, 0], [0, 1, 0], [0, 0, 1])
    images = directions([3, 2, 1], [3, 2, 1], [3, 2, 1], [1, 1, 1])
    right = torch.tensor([0, 1, 2, 0])
    assert recall_at(1, images, texts, right) == 0.25
    assert recall_at(2, images, texts, right) == 0.5
    assert recall_at(3, images, texts, right) == 1


def test_consistency_by_hand():
    """The mean over captions of the mean cosine of their pairs; single images have none."""
    images = directions([1, 0], [0, 1], [1, 1], [1, 0], [1, 0], [0, 1])
    labels = torch.tensor([0, 0, 0, 1, 1, 2])
    of_first = (0 + 0.5**0.5 + 0.5**0.5) / 3
    assert consistency(images, labels) == pytest.approx((of_first + 1) / 2)


def test_similarity_of_nearest_by_hand():
    """Each image takes the caption of the picture most like it, or of the nearest that is not
    its own."""
    pictures, captions = directions([1, 0], [0, 1]), directions([1, 1], [0, 1])
    images, texts = directions([3, 1], [1, 2]), directions([1, 0], [0, 1])
    found = similarity_of_nearest(images, texts, pictures, captions)
    assert found == pytest.approx((0.5**0.5 + 1) / 2)
    own = torch.eye(2).bool()
    found = similarity_of_nearest(images, texts, pictures, captions, own)
    assert found == pytest.approx((0 + 0.5**0.5) / 2)


def test_weights_are_missing(clip_folder, tmp_path, monkeypatch):
    """No folder, no weights, half a model: one sentence each."""

    def no_network(*args, **options):
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", no_network)
    with pytest.raises(UserError, match=r"'some/clip' is not a folder, and could not be"):
        load_clip("some/clip")
    with pytest.raises(UserError, match=r"vocab\.json and merges\.txt missing.* --clip$"):
        load_clip(tmp_path)
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(clip_folder / name, tmp_path)
    with pytest.raises(UserError, match=r"--clip: .* holds no CLIP that can be read"):
        load_clip(tmp_path)
    text = transformers.CLIPTextConfig(**TOWER)
    transformers.CLIPTextModel(text).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"--clip: .*(a part of CLIP|no CLIP)"):
        load_clip(tmp_path)


def evaluate(monkeypatch, *args):
    import evaluate as script

    monkeypatch.setattr(sys, "argv", ["evaluate.py", *map(str, args)])
    script.main()


def test_scores_of_a_run(captioned_run, clip_folder, monkeypatch, tmp_path, capsys):
    """evaluate.py scores the samples of captions beside the captions' own images; what fits classes
    alone is refused, and so are captions' metrics for classes."""
    monkeypatch.setattr(clip_module, "load_tokenizer", functools.cache(clip_module.load_tokenizer))
    flags = ["--num", 9, "--clip", clip_folder, "--device", "cpu", "--json", tmp_path / "s.json"]
    metrics = ["--metrics", "clip,retrieval,similarity,consistency"]
    evaluate(monkeypatch, captioned_run, *metrics, *flags, "--out", tmp_path / "report")
    said = capsys.readouterr().out
    assert "captions drawn: 3 of training images" in said
    assert "real training images" in said
    scores = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))["scores"]

    clip = load_clip(clip_folder)
    texts = clip.read(["a red square", "a green square", "a blue square"])
    colours = torch.eye(3)[[0, 1, 2], :, None, None].mul(255).byte().expand(-1, -1, 16, 16)
    real = clip.look(colours)
    assert scores["CLIP score"]["real"] == pytest.approx(clip_score(real, texts), abs=0.05)
    expected = recall_at(1, real, texts, torch.arange(3))
    assert scores["caption R@1"]["real"] == pytest.approx(expected)
    assert scores["caption R@5"]["samples"] == 1
    assert -1 <= scores["CLIP consistency"]["samples"] <= 1
    likeness = (real @ real.T).fill_diagonal_(-1)
    expected = (texts * texts[likeness.argmax(dim=1)]).sum(dim=1).mean().item()
    assert scores["caption similarity"]["real"] == pytest.approx(expected, abs=0.01)
    assert -1 <= scores["caption similarity"]["samples"] <= 1.001
    assert "beside real images of the same captions" in (tmp_path / "report/report.md").read_text(
        encoding="utf-8"
    )
    assert (tmp_path / "report" / "samples.png").is_file()
    evaluate(monkeypatch, captioned_run, *flags)  # what needs no classes and no download
    said = capsys.readouterr().out
    assert "grain" in said
    assert "distance between all samples" in said
    assert "lenet" not in said
    for metric, words in (
        ("accuracy", "such as clip"),
        ("fid", "--features: lenet learns from classes"),
    ):
        with pytest.raises(UserError, match=words):
            evaluate(monkeypatch, captioned_run, "--metrics", metric, *flags)
