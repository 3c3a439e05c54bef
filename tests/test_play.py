"""Playing with a model, without the page: chains, drawings that are finished, gaps filled."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.models import make_model, randomize
from helpers.scripts import assert_refused, call_script
from libs.autoencoders.kl import KLAutoencoder
from libs.autoencoders.latents import FirstStage
from libs.config import Config, ModelConfig
from libs.ddpm import DDPM
from libs.models.build import load_model
from libs.models.trained import TrainedModel
from libs.play.playground import EACH, Wish
from libs.play.studio import POINTS, Studio, as_array
from libs.runtime.visualize import image_grid
from libs.samplers.draw import draw_samples
from libs.samplers.sampler import Sampler
from libs.utils import UserError

SECTION = {"img_shape": [1, 8, 8], "timesteps": 8, "dim": 8, "context_dim": 8, "num_classes": 3}
SECTION |= {"dim_mults": [1, 2], "attn_levels": []}
NAMES = ["cat", "dog", "fox"]


def studio_of(kind: str = "DDPM", **section: object) -> Studio:
    """A studio with a model of random weights."""
    section = SECTION | section
    config = Config(model_name=kind, model=ModelConfig(**section), dtype="fp32")
    model = randomize(make_model(kind, **section)).eval()
    return Studio(TrainedModel(Path("x.pth"), model, config, NAMES, 100))


def latent_studio() -> Studio:
    torch.manual_seed(0)
    vae = FirstStage(KLAutoencoder(1, 4, (1, 2), 1, 2))
    arguments = {name: value for name, value in SECTION.items() if name != "img_shape"}
    model = DDPM((1, 16, 16), **arguments, use_vae=True, vae=vae).eval()
    config = Config(model=ModelConfig(**SECTION | {"img_shape": [1, 16, 16], "use_vae": True}))
    config.dtype = "fp32"
    return Studio(TrainedModel(Path("x.pth"), model, config, NAMES, 100))


@pytest.fixture(scope="module")
def trained(run_folder):
    return Studio(load_model(run_folder, torch.device("cpu")))


def drawing() -> np.ndarray:
    """A white bar on black."""
    picture = np.zeros((80, 80, 3), np.uint8)
    picture[10:70, 30:50] = 255
    return picture


def test_the_last_picture_is_what_sample_draws(trained):
    """The chain is shown on the way, in different pictures, and leads to sample.py's result."""
    wish = Wish("3", number=2, sampler="ddim", steps=6, seed=5)
    *chain, last = trained.draw(wish)
    assert len(chain) == 6
    assert len({picture.tobytes() for picture in chain}) == 6
    labels, sampler = torch.tensor([3, 3]), Sampler("ddim", 6)
    drawn = draw_samples(trained.model, labels, trained.precision, seed=5, sampler=sampler)
    assert np.array_equal(last, as_array(image_grid(torch.cat(list(drawn)), 2)))


def test_two_samplers_start_from_the_same_noise(trained):
    """With one seed; with another one they do not."""
    names = [name for name in trained.samplers if name != "own"]
    assert names == ["ddpm", "ddim", "dpm++", "deis", "heun"]
    first = [next(iter(trained.draw(Wish(EACH, sampler=name, steps=4)))) for name in names[:3]]
    assert all(np.array_equal(first[0], other) for other in first[1:])
    other = next(iter(trained.draw(Wish(EACH, sampler="ddim", steps=4, seed=1))))
    assert not np.array_equal(first[0], other)


@pytest.mark.parametrize("kind", ["DDPM", "EDM", "FM", "latent"])
def test_every_kind_of_model_draws_finishes_and_fills(kind):
    """What was not erased stays as it was, to the pixel."""
    studio = latent_studio() if kind == "latent" else studio_of(kind)
    side = studio.trained.config.model.img_shape[1]
    for name in studio.samplers:
        *_, last = studio.draw(Wish("fox", number=1, sampler=name, steps=2))
        assert last.shape == (64, 64, 3)
    wish = Wish("dog", number=1, steps=4)
    finished = studio.finish(drawing(), wish, strength=0.5)
    assert finished.shape == last.shape
    erased = np.zeros((40, 40))
    erased[:, 20:] = 255
    filled = studio.fill(drawing(), erased, wish)
    half = filled[:, :32]
    known = np.asarray(studio._picture(drawing(), "")[0, 0].mul(255).round(), np.uint8)
    known = known.repeat(64 // side, axis=0).repeat(64 // side, axis=1)
    assert np.array_equal(half[..., 0], known[:, :32])
    assert not np.array_equal(filled[:, 32:, 0], known[:, 32:])


def test_little_strength_keeps_the_drawing(trained):
    """At a strength that walks no step, the drawing comes back."""
    wish = Wish("1", number=1, steps=10)
    picture = trained.finish(drawing(), wish, strength=0.04)[..., 0]
    assert picture[32, 32] == 255
    assert picture[:, :8].max() == 0
    changed = trained.finish(drawing(), wish, strength=0.9)[..., 0]
    assert not np.array_equal(picture, changed)


def test_what_its_user_can_mend_is_said(trained):
    """Each mistake on the page becomes a sentence, not a traceback."""
    wish, nothing = Wish("1", number=1, steps=4), np.zeros((8, 8))
    for work, words in (
        (lambda: trained.finish(None, wish, 0.5), "no picture"),
        (lambda: trained.finish(trained.blank(), wish, 0.5), "nothing on the canvas"),
        (lambda: trained.fill(drawing(), nothing, wish), "paint over"),
        (lambda: trained.fill(drawing(), nothing + 1, wish), "paint over"),
        (lambda: list(trained.draw(Wish("eleven", sampler="ddim"))), "no class 'eleven'"),
        (lambda: list(trained.draw(Wish("1", sampler="ddim", steps=999))), "steps"),
        (lambda: list(trained.draw(Wish("1", sampler="ddim", guidance=2.0))), "guidance"),
    ):
        with pytest.raises(UserError, match=words):
            work()


def test_a_mistake_while_drawing_reaches_the_page(trained, monkeypatch):
    """An error in the thread that draws does not leave the page waiting."""

    def broken(*args, **kwargs):
        raise UserError("broken on purpose")

    monkeypatch.setattr("libs.play.studio.draw_samples", broken)
    with pytest.raises(UserError, match="on purpose"):
        list(trained.draw(Wish("1", sampler="ddim", steps=2)))
    monkeypatch.undo()
    assert list(trained.draw(Wish("1", sampler="ddim", steps=2)))  # and the next one may draw


def test_guidance_is_for_models_that_know_it():
    """Guidance changes pictures, and is not offered where nothing was learned for it."""
    studio = studio_of(label_dropout=0.1)
    assert studio.can_guide
    plain, guided = (
        list(studio.draw(Wish("cat", sampler="ddim", steps=2, guidance=g)))[-1] for g in (1, 6)
    )
    assert not np.array_equal(plain, guided)
    assert not studio_of().can_guide


def test_points_draw_all_in_one_picture_and_are_not_edited():
    """A model of the plane is drawn as a cloud of points."""
    point = {"img_shape": [2, 1, 1], "network": "mlp", "num_classes": 1, "conditional": False}
    studio = studio_of(**point, beta_schedule="cosine")
    assert (studio.can_edit, studio.choices()) == (False, [])
    assert len(studio._labels(Wish(""))) == POINTS
    *_, cloud = studio.draw(Wish("", sampler="ddim", steps=2))
    assert cloud.shape == (256, 256, 3)


def test_a_prompt_says_what_a_reader_of_texts_draws(captioned_run):
    """A model of texts draws from a prompt, and is not edited."""
    reader = Studio(load_model(captioned_run, torch.device("cpu")))
    assert (reader.reads_text, reader.can_edit) == (True, False)
    *_, picture = reader.draw(Wish("a red circle", number=1, sampler="ddim", steps=2))
    assert picture.ndim == 3


def test_without_gradio_there_is_a_sentence(run_folder, monkeypatch):
    """Who lacks the optional package is told how to install it."""
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.delitem(sys.modules, "libs.play.page", raising=False)
    process = call_script("code/play.py", run_folder)
    assert_refused(process, "gradio is not installed", "requirements/play.txt")
