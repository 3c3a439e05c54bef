"""Captions instead of classes: reading them, training on them, and drawing prompts."""

import functools
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch
from PIL import Image

from helpers.captioned import FP32, RUN, TEXTS, build_trainer, write_pictures
from helpers.files import find_asset
from helpers.models import assert_same_state, make_model
from helpers.scripts import assert_refused, call_script
from libs.config import DatasetConfig, load_config
from libs.data.captions import number_captions, read_captions
from libs.datasets import load_splits
from libs.models.build import load_model
from libs.models.trained import TrainedModel
from libs.models.variants import VariantUNet, null_label
from libs.runtime import checkpoint
from libs.runtime.checkpoint import saved_encoder
from libs.runtime.device import Precision
from libs.runtime.processes import Processes
from libs.samplers import columns
from libs.samplers.draw import draw_samples
from libs.samplers.guidance import Guided, guided
from libs.samplers.sampler import Sampler
from libs.text import contexts as prompts
from libs.text import encoder as text_encoder
from libs.text.encoder import random_text_encoder
from libs.utils import UserError

SHAPE = (3, 16, 16)
read_once = functools.cache(text_encoder.load_tokenizer)


@pytest.fixture(autouse=True)
def _save_time(monkeypatch):
    """Reading the vocabulary takes half a second: the tests share it."""
    monkeypatch.setattr(text_encoder, "load_tokenizer", read_once)


@pytest.fixture
def folder(tmp_path):
    """Three pictures with captions.json."""
    return write_pictures(tmp_path / "data" / "train")


def load(folder, **options):
    return load_splits(
        DatasetConfig(name="COCOCaptions", data_folder=folder.parent, **options), SHAPE, 10
    )


def texts_of(dataset, keys):
    images, numbers = dataset.__getitems__(keys)
    return images, [dataset.captions.texts[i] for i in numbers.tolist()]


def test_images_come_with_their_own_captions(folder):
    """Seeds draw all captions of an image and only those; blank ones do not count, number 0 is the
    empty prompt; the same seed draws the same."""
    train = load(folder).train
    assert train.captions.texts[0] == ""
    assert len(train.captions.texts) == 7
    keys = [(i, seed) for seed in range(40) for i in range(3)]
    images, texts = texts_of(train, keys)
    seen = {}
    for image, text in zip(images, texts, strict=True):
        seen.setdefault(tuple(image[:, 8, 8].mul(255).int().tolist()), set()).add(text)
    assert seen == {
        (255, 0, 0): {"a red square", "all is red", "crimson"},
        (0, 255, 0): {"a green square"},
        (0, 0, 255): {"a blue square", "the sea"},
    }
    assert texts_of(train, keys)[1] == texts


def test_without_augmentation_the_first_caption_counts(folder):
    """Evaluation meets the same captions every time, also in a selection."""
    plain = load(folder).train.plain()
    expected = ["a red square", "a green square", "a blue square"]
    for seed in range(5):
        assert texts_of(plain, [(i, seed) for i in range(3)])[1] == expected
    some = plain.select(torch.tensor([2, 0]))
    assert texts_of(some, [(0, 1), (1, 1)])[1] == ["a blue square", "a red square"]


def test_coco_files(folder):
    """COCO's own layout gives what captions.json gives, image by image, in COCO's order."""
    ids = {name: 10 * i for i, name in enumerate(TEXTS)}
    content = {"images": [{"id": i, "file_name": name} for name, i in ids.items()]}
    content["annotations"] = [
        {"image_id": ids[name], "id": 0, "caption": text}
        for name, texts in reversed(TEXTS.items())
        for text in ([texts] if isinstance(texts, str) else texts)
    ]
    expected = dict(read_captions(folder, None))
    file = folder.parent / "annotations" / "captions_train.json"
    file.parent.mkdir()
    file.write_text(json.dumps(content))
    (folder / "captions.json").unlink()
    found = read_captions(folder, None)
    assert [path.name for path, _ in found] == list(TEXTS)
    assert dict(found) == expected
    first, captions = number_captions([texts for _, texts in found])
    assert captions.texts == ["", *(text for _, texts in found for text in texts)]
    assert captions.counts.tolist() == [3, 1, 2]
    assert first.tolist() == [1, 4, 5]


def test_bad_images_are_reported_once_and_skipped(folder, capsys):
    """Missing, broken and captionless images are left out; the others keep their captions."""
    whole = (folder / "red.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    listed = {"cut.png": "cut", "gone.png": "gone", "green.png": []}
    (folder / "captions.json").write_text(json.dumps(listed | {"blue.png": TEXTS["blue.png"]}))
    train = load(folder).train
    said = capsys.readouterr().out
    assert "1 of 4 images" in said
    assert "skipped 2 of 3 files" in said
    assert "gone.png: missing" in said
    assert "cut.png: " in said
    assert texts_of(train.plain(), [(0, 0)])[1] == ["a blue square"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not valid JSON"),
        ("[1, 2]", "holds no captions"),
        ('{"images": [], "annotations": [{"image_id": 1, "caption": "x"}]}', "holds no captions"),
        ('{"red.png": 3}', "'red.png' must have a caption"),
        ('{"red.png": ""}', "no image has a caption"),
        (None, "there are no captions"),
    ],
)
def test_bad_files_of_captions(folder, content, words):
    """Each mistake in the file is one sentence that names it."""
    file = folder / "captions.json"
    file.unlink() if content is None else file.write_text(content)
    with pytest.raises(UserError, match=words) as caught:
        load(folder)
    assert str(folder) in str(caught.value)


def test_splits_share_one_numbering(folder):
    """Captions of a test split follow those for training, so that one table serves both."""
    other = folder.parent / "other"
    shutil.copytree(folder, other)
    (other / "captions.json").write_text(json.dumps({"red.png": ["x", "y"], "blue.png": "z"}))
    splits = load(folder, test_split="other", val_fraction=0.34)
    texts = splits.train.captions.texts
    assert texts[-3:] == ["x", "y", "z"]
    for dataset in (splits.val, splits.test):
        assert dataset.captions.texts is texts
    assert texts_of(splits.test, [(0, 0), (1, 0)])[1] == ["x", "z"]
    assert len(splits.train) == 2


# The network


def small_unet(**options):
    torch.manual_seed(0)
    unet = VariantUNet(8, 12, 3, 1, dim_mults=(1, 2), attn_levels=(0,), context="tokens", **options)
    for parameter in unet.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return unet.eval()


@pytest.mark.parametrize("options", [{}, {"adagn": True}])
def test_numbers_and_contexts_agree(options):
    """A prompt's number gives what its context gives; other contexts give something else."""
    unet = small_unet(**options)
    contexts = torch.randn(4, 5, 12)
    unet.label_embd.set_prompts(contexts)
    x, t, numbers = torch.randn(2, 1, 8, 8), torch.tensor([3, 4]), torch.tensor([3, 1])
    with torch.no_grad():
        found = unet(x, numbers, t)
        torch.testing.assert_close(found, unet(x, contexts[[3, 1]], t))
        assert (found - unet(x, torch.tensor([3, 2]), t)).abs().amax((1, 2, 3))[1] > 1e-3
    assert not [name for name in unet.state_dict() if "label_embd" in name]
    with pytest.raises(ValueError, match=r"7 entries.*12"):
        unet.label_embd.set_prompts(torch.randn(4, 5, 7))


def test_order_of_tokens_matters_to_nobody():
    """Attention reads a set: to permute a context's tokens changes nothing, to lose one does."""
    unet, context = small_unet(), torch.randn(1, 5, 12)
    x, t = torch.randn(1, 1, 8, 8), torch.tensor([3])
    with torch.no_grad():
        found = unet(x, context, t)
        torch.testing.assert_close(unet(x, context[:, [4, 2, 0, 1, 3]], t), found)
        assert (unet(x, context[:, :4], t) - found).abs().max() > 1e-4


@pytest.mark.parametrize("kind", ["DDPM", "EDM"])
def test_guidance_moves_away_from_the_empty_prompt(kind):
    """eps = eps_null + s (eps_prompt - eps_null), the null prompt being number 0."""
    options = {"context_dim": 12, "dim_mults": (1, 2), "attn_levels": (0,), "context": "tokens"}
    options |= {"img_shape": (1, 8, 8), "dim": 8}
    model = make_model(kind, label_dropout=0.1, **options).eval()
    assert null_label(model) == 0
    assert null_label(make_model(kind, **options)) is None
    model.model = small_unet(null_class=True)
    contexts = torch.randn(3, 5, 12)
    model.model.label_embd.set_prompts(contexts)
    x, t = torch.randn(2, 1, 8, 8), torch.tensor([3, 4])
    with torch.no_grad():
        null = model.model(x, contexts[[0, 0]], t)
        cond = model.model(x, contexts[[2, 1]], t)
        with guided(model, 7.5):
            assert isinstance(model.model, Guided)
            found = model.model(x, torch.tensor([2, 1]), t)
    torch.testing.assert_close(found, null + 7.5 * (cond - null), atol=1e-4, rtol=1e-4)


# Training


@pytest.fixture
def make_trainer(folder, tmp_path):
    """build_trainer on the three pictures."""
    return functools.partial(build_trainer, folder.parent, tmp_path)


def test_resumed_run_ends_with_the_same_weights(make_trainer, tmp_path):
    """A run that stopped in an epoch goes on exactly, drawn captions and dropped ones included; the
    text encoder is in the checkpoint, and the captions that pictures show."""
    final = make_trainer().fit()
    make_trainer("train_cfg.max_steps=2", name="half").fit()
    resumed = make_trainer(name="resumed", resume=tmp_path / "half" / "model_final.pth").fit()
    one, other = checkpoint.read(final), checkpoint.read(resumed)
    assert_same_state(one, other)
    assert one["classes"] == ["a red square", "a green square", "a blue square"]
    assert len(list((tmp_path / "text_cache").glob("*.npy"))) == 1


def test_dropped_captions_become_the_empty_prompt(make_trainer):
    """With everything dropped the network reads the empty prompt alone, with nothing dropped the
    captions of the batch, as the encoder gives them up to the cache's half precision."""
    for share, expected in ((1, ["", "", ""]), (0, ["crimson", "a green square", "the sea"])):
        learner = make_trainer(f"model.label_dropout={share}").learner
        texts = learner.splits.train.captions.texts
        numbers = torch.tensor([texts.index(t) for t in ("crimson", "a green square", "the sea")])
        _, contexts, *_ = learner.prepare(0, torch.zeros(3, 3, 16, 16), numbers)
        encoded = learner.contexts.encoder.encode(expected)
        torch.testing.assert_close(contexts, encoded, atol=2e-3, rtol=2e-3)


@pytest.mark.slow
def test_training_learns_what_captions_say(make_trainer):
    """Captions draw the colours that they stood beside in training."""
    options = "model.adagn=true", "model.prediction=v", "model.rescale_betas=true"
    learner = make_trainer(*options, "model.label_dropout=0", "loader.batch_size=3").learner
    images, numbers = learner.splits.train.plain().__getitems__([(i, 0) for i in range(3)])
    for step in range(150):
        learner.step(step, 1000, images, numbers)
    model, contexts = learner.model, learner.contexts
    model.model.label_embd.set_prompts(contexts(torch.arange(len(contexts.texts))))
    drawn = torch.cat(list(draw_samples(model, numbers.repeat(5), FP32, sampler=Sampler("ddim"))))
    strongest = drawn.mean(dim=(2, 3)).argmax(dim=1)  # red, green or blue
    assert strongest.tolist() == [0, 1, 2] * 5


def test_edm_trains_and_draws(make_trainer):
    """An EDM learns with captions, from a loss near 1 since its network's target has variance 1. It
    draws by prompts: others give other pictures, guidance 0 leaves those of the empty one."""
    of_ddpm = "model.timesteps=100", "model.beta_end=null"  # as unset: an EDM has none
    trainer = make_trainer("model_name=EDM", *of_ddpm, "edm.steps=3", "train_cfg.max_steps=2")
    final = trainer.fit()
    losses = checkpoint.read(final)["history"]["train_loss"]
    assert len(losses) == 2
    assert all(0.7 < loss < 1.3 for loss in losses)
    trained = load_model(final, torch.device("cpu"))
    model, shown = trained.model, trained.classes
    assert prompts.number_prompts(trained, shown[:2]) == [1, 2]
    tokens = trainer.learner.contexts.encoder.encode(["", *shown[:2]])
    torch.testing.assert_close(model.model.label_embd.contexts, tokens)
    torch.manual_seed(0)
    for parameter in model.model.parameters():  # so short a training tells prompts hardly apart
        parameter.data += 0.1 * torch.randn_like(parameter)

    def drawn(labels, **options):
        sampler = Sampler("heun", **options)
        return torch.cat(list(draw_samples(model, torch.tensor(labels), FP32, sampler=sampler)))

    empty = drawn([0, 0])
    assert (drawn([1, 2]) - empty).abs().amax(dim=(1, 2, 3)).min() > 0.01
    torch.testing.assert_close(drawn([1, 2], guidance=0.0), empty, atol=1e-4, rtol=1e-4)


def test_half_precision(make_trainer):
    """A step in bf16 under autocast has about the loss of the same step in fp32."""
    learner = make_trainer().learner
    images, labels = learner.splits.train.plain().__getitems__([(i, 0) for i in range(3)])
    losses = []
    for name in ("fp32", "bf16"):
        learner.updater.precision = Precision(name, torch.device("cpu"))
        result = learner.step(0, 1, images, labels)
        assert result.finite
        losses.append(result.loss)
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


def test_number_formats_on_a_cpu(make_trainer, tmp_path):
    """A run in bf16 trains, draws and keeps float32 weights, with losses near those of the same run
    in fp32; fp16 is refused before a run folder is there."""
    losses = []
    for name in ("fp32", "bf16"):
        precision = Precision.pick(name, torch.device("cpu"))
        keys = f"dtype={name}", "train_cfg.max_steps=2", "train_cfg.num_eval_samples=1"
        state = checkpoint.read(make_trainer(*keys, name=name, precision=precision).fit())
        assert {tensor.dtype for tensor in state["model"].values()} == {torch.float32}
        assert (tmp_path / name / "sample-2.png").is_file()
        losses.append(state["history"]["train_loss"])
    assert len(losses[0]) == 2
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
    assert losses[1] != losses[0]
    settings = [*RUN, "text.vocabulary=v", "dtype=fp16", f"output_folder={tmp_path / 'none'}"]
    overrides = [part for setting in settings for part in ("--set", setting)]
    process = call_script("code/train.py", "configs/digits.yaml", *overrides, "--device", "cpu")
    assert_refused(process, "fp16 is for GPUs")
    assert not (tmp_path / "none").exists()


class MeanColours(torch.nn.Module):
    """Stands in for Inception: an image's features are its mean colours."""

    def __init__(self, *args):
        super().__init__()

    def features_and_logits(self, images):
        return images.mean(dim=(2, 3)), images.mean(dim=(2, 3))


def frechet(x, y):
    """The squared Frechet distance between Gaussians fitted to rows of x and y, with scipy."""
    x, y = x.double().numpy(), y.double().numpy()
    root = scipy.linalg.sqrtm(np.cov(x.T) @ np.cov(y.T)).real
    return ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(np.cov(x.T) + np.cov(y.T) - 2 * root)


SCORED = "train_cfg.eval_metrics=[fid]", "train_cfg.eval_features=inception"


def test_scores_during_training(make_trainer, monkeypatch):
    """Samples of the averaged model for the training captions, one after the other, stand beside
    the training images: a drawing by hand has the same distance to them."""
    monkeypatch.setattr("libs.metrics.networks.Inception", MeanColours)
    learner = make_trainer(*SCORED, "train_cfg.eval_samples=7").learner
    torch.manual_seed(0)
    for average in learner.updater.ema.average.values():  # untrained it ignores the prompts
        average += 0.2 * torch.randn_like(average)
    found = learner.scores()["fid"]
    table = learner.model.model.label_embd
    table.set_prompts(learner.contexts.encoder.encode(["", *learner.classes]))
    labels = torch.tensor([1, 2, 3, 1, 2, 3, 1])
    with learner.updater.ema.applied():
        drawn = torch.cat(list(draw_samples(learner.model.eval(), labels, FP32)))
    drawn = drawn.mul(255).round() / 255
    real = torch.eye(3)  # the mean colours of red, green and blue
    assert found == pytest.approx(frechet(drawn.mean(dim=(2, 3)), real), rel=1e-3)


def test_scores_without_inception(make_trainer, tmp_path, monkeypatch):
    """Weights or a package that are missing are one sentence before training, which does not advise
    LeNet: it learns from classes."""
    pytest.importorskip("torch_fidelity", reason="torch-fidelity is not installed")
    file = f"train_cfg.inception_weights={tmp_path / 'none.pth'}"
    with pytest.raises(UserError, match=r"^train_cfg\.inception_weights: .*none\.pth$"):
        make_trainer(*SCORED, file)
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(UserError, match=r"needs a package: .*requirements/metrics\.txt$"):
        make_trainer(*SCORED, file)


def test_latent_cache_keeps_drawing_captions(make_trainer):
    """The latents are stored, the captions are not: seeds draw all of an image's."""
    vae = [
        f"model.vae_{part}_weights={find_asset(f'pretrained/taesd_{part}.pth')}"
        for part in ("encoder", "decoder")
    ]
    latents = ["model.use_vae=true", "dataset.latent_cache=true", "dataset.latent_variants=1"]
    train = make_trainer(
        "model.dim_mults=[1]", "model.attn_levels=[0]", *latents, *vae
    ).splits.train
    assert train.images.shape == (3, 1, 4, 2, 2)
    _, texts = texts_of(train, [(0, seed) for seed in range(30)])
    assert set(texts) == {"a red square", "all is red", "crimson"}


def test_text_cache(folder, tmp_path, monkeypatch, capsys):
    """The file is read back to half precision, a damaged one is made again, other texts or weights
    have other files, and what would be too large is encoded when asked for."""
    vocabulary = find_asset("pretrained/clip_bpe")
    encoder = random_text_encoder(vocabulary, 16, 1, 2)
    texts, numbers = ["", "a cat", "a dog"], torch.tensor([2, 0, 2])
    expected = encoder.encode(["a dog", "", "a dog"])
    place = tmp_path / "cache"

    def contexts(texts=texts, encoder=encoder):
        return prompts.encode_captions(texts, encoder, place, Processes())

    torch.testing.assert_close(contexts()(numbers), expected, atol=2e-3, rtol=2e-3)
    (file,) = place.iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(encoder, "encode", None)  # would fail
        torch.testing.assert_close(contexts()(numbers), expected, atol=2e-3, rtol=2e-3)
    file.write_bytes(file.read_bytes()[:-9])
    torch.testing.assert_close(contexts()(numbers), expected, atol=2e-3, rtol=2e-3)
    assert "is damaged" in capsys.readouterr().out
    contexts(["", "a cow", "a dog"])
    contexts(encoder=random_text_encoder(vocabulary, 16, 1, 2, seed=9))
    with monkeypatch.context() as patch:
        patch.setattr(prompts, "hash_of_code", lambda encoder: "another text encoder's code")
        contexts()
    assert len(list(place.iterdir())) == 4
    monkeypatch.setattr(prompts, "LARGEST_CACHE", 100)
    direct = contexts(["", "a hen"])
    assert direct.cache is None
    torch.testing.assert_close(direct(torch.tensor([1])), encoder.encode(["a hen"]))


def test_encoder_comes_from_the_checkpoint(make_trainer, tmp_path, monkeypatch):
    """The random encoder of a run is the one in its file, whatever its seed gives today, and is not
    measured again; another published one than in training is refused."""
    learner = make_trainer().learner
    state = {"path": tmp_path / "x.pth", **learner.state_dict()}
    expected = learner.contexts.encoder.encode(["a"])
    learner = make_trainer("text.seed=5").learner
    assert (learner.contexts.encoder.encode(["a"]) - expected).abs().mean() > 0.1
    with monkeypatch.context() as patch:
        patch.delattr(text_encoder.RandomTextEncoder, "standardize")
        learner.load_state_dict(state)
        found = prompts.make_text_encoder(learner.config, saved_encoder(state))
    torch.testing.assert_close(learner.contexts.encoder.encode(["a"]), expected)
    torch.testing.assert_close(found.encode(["a"]), expected)
    found.model.save_pretrained(tmp_path / "published")
    learner.config.text.encoder = tmp_path / "published"
    published = prompts.make_text_encoder(learner.config)
    state["text"] = {"hash": prompts.fingerprint(published), "weights": None}
    prompts.make_text_encoder(learner.config, saved_encoder(state))
    assert learner.contexts.state_of_encoder(learner.config)["weights"] is None
    other = random_text_encoder(learner.config.text.vocabulary, 16, 1, 2, seed=9)
    other.model.save_pretrained(tmp_path / "published")
    with pytest.raises(UserError, match="another text encoder or vocabulary"):
        prompts.make_text_encoder(learner.config, saved_encoder(state))
    learner.config.model.context_dim = 20
    with pytest.raises(UserError, match=r"tokens of 16 entries.*'model.context_dim' is 20"):
        prompts.make_text_encoder(learner.config)


# Configs


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["dataset.name=Digits"], "'model.context: tokens' is for captions"),
        (["model.context=class"], "'model.context: tokens' is for captions"),
        (["model.context_dim=32"], "'model.context_dim' 32 must equal 'text.width' 16"),
        (["text.heads=3"], "'text.heads' 3 must divide 'text.width' 16"),
        (["text.vocabulary=null"], "needs a text encoder"),
        (["text.encoder=a", "text.hub_name=b"], "exclude each other"),
        (["train_cfg.eval_metrics=[accuracy]"], "captions have no classes"),
        (["train_cfg.eval_metrics=[fid]"], "'train_cfg.eval_features: lenet' learns from classes"),
        (["model.conditional=false", "model.label_dropout=0"], "needs a network that reads them"),
    ],
)
def test_contradictions_in_configs(overrides, words):
    """Found before anything is loaded."""
    base = [*RUN, "text.vocabulary=v", "dataset.test_split=null"]
    load_config("configs/digits.yaml", base)
    with pytest.raises(UserError, match=words):
        load_config("configs/digits.yaml", [*base, *overrides])


def test_text_keys_are_for_texts():
    """A section `text` without captions is a mistake, and so are annotations."""
    for override in ("text.width=16", "dataset.annotations=x.json"):
        with pytest.raises(UserError, match=override.split("=")[0]):
            load_config("configs/digits.yaml", [override])


# Drawing


def sample(monkeypatch, *args):
    import sample as script

    monkeypatch.setattr(sys, "argv", ["sample.py", *map(str, args)])
    script.main()


def test_pictures_of_the_run(captioned_run):
    """Three captions a row, written below the pictures."""
    width, height = Image.open(captioned_run.parent / "sample-1.png").size
    assert width == 3 * 64 + 4 * 4  # enlarged from 16 pixels, with a border
    assert height > 64 + 2 * 4 + 8


def test_prompts_on_the_command_line(captioned_run, monkeypatch, tmp_path, capsys):
    """Prompts are columns, in order; the empty one is a prompt, too; without any the training
    captions are drawn. Flags that do not fit are refused."""
    flags = ["--num", 2, "--device", "cpu"]
    two = ["--prompt", "a red square", "--prompt", ""]
    outputs = ["--out", tmp_path / "x.png", "--out-dir", tmp_path / "d"]
    sample(monkeypatch, captioned_run, *two, *flags, *outputs)
    width, height = Image.open(tmp_path / "x.png").size
    assert width == 2 * 64 + 3 * 4
    assert height > 2 * 64 + 3 * 4  # captions below
    found = sorted(str(p.relative_to(tmp_path / "d")) for p in (tmp_path / "d").rglob("*.png"))
    assert found == [f"{d}/0000{i}.png" for d in ("01-a-red-square", "02") for i in range(2)]
    again = ["--prompt", "a red square", "--prompt", "a red square", *flags[2:]]
    sample(monkeypatch, captioned_run, *again, "--num", 1, "--out-dir", tmp_path / "again")
    files = sorted((tmp_path / "again").rglob("*.png"))
    assert [file.parent.name for file in files] == ["01-a-red-square", "02-a-red-square"]
    assert files[0].read_bytes() != files[1].read_bytes()
    sample(monkeypatch, captioned_run, *flags, "--out", tmp_path / "y.png")
    assert "no --prompt: drawing captions" in capsys.readouterr().out
    assert Image.open(tmp_path / "y.png").size[0] == 3 * 64 + 4 * 4
    for wrong, words in (
        (["--labels", "1"], "--labels: the model draws what a text says"),
        (["--negative", "x"], "--negative: without guidance"),
    ):
        with pytest.raises(UserError, match=words):
            sample(monkeypatch, captioned_run, *wrong, *flags, "--out", tmp_path / "z.png")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match=r"requirements/text\.txt"):
        sample(monkeypatch, captioned_run, *two, *flags, "--out", tmp_path / "z.png")


def test_negative_prompt_is_what_guidance_leaves(captioned_run):
    """Number 0 is the negative prompt's context where one is given, else the empty prompt's."""
    trained = load_model(captioned_run, torch.device("cpu"))
    encoder = prompts.make_text_encoder(trained.config, trained.text)
    for negative, expected in ((None, ""), ("blue", "blue")):
        assert prompts.number_prompts(trained, ["a", "b"], negative) == [1, 2]
        expected = encoder.encode([expected, "a", "b"])
        torch.testing.assert_close(trained.model.model.label_embd.contexts, expected)


def test_prompts_need_a_model_that_reads():
    """A model of classes refuses --prompt and --negative, and names --labels."""
    config = load_config("configs/digits.yaml")
    trained = TrainedModel(Path("x.pth"), None, config, ["a"], step=1)
    for flag in ("prompt", "negative"):
        with pytest.raises(UserError, match=rf"--{flag}: .* classes.*--labels"):
            columns.pick_columns(trained, columns.Wanted(**{flag: "x"}), True)
