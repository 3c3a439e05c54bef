"""Drawing samples: the model's own chain or a sampler, repeatable, watched and filmed."""

import math
from argparse import ArgumentParser

import pytest
import torch

from libs.config import TrainConfig
from libs.datasets import spread_evenly
from libs.ddpm import DDPM
from libs.edm import EDM
from libs.runtime.device import Precision
from libs.samplers import flags as of_sampler
from libs.samplers.draw import draw_samples
from libs.samplers.film import Film, watch_chain
from libs.samplers.flags import SamplerFlags
from libs.samplers.sampler import SAMPLERS, Sampler
from libs.utils import UserError

FP32 = Precision("fp32", torch.device("cpu"))
T = 12


@pytest.fixture
def model():
    """A tiny model whose network's output depends on its input."""
    torch.manual_seed(0)
    size = {"dim": 8, "context_dim": 8, "dim_mults": (1, 2), "attn_levels": ()}
    ddpm = DDPM((1, 8, 8), T, num_classes=3, **size).eval()
    for parameter in ddpm.model.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return ddpm


def draw(model, labels, **options):
    return torch.cat(list(draw_samples(model, torch.tensor(labels), FP32, **options)))


def test_first_batch_is_the_plain_loop(model):
    """The samples are those of p_sample_loop under the same seed, whoever wrote that function."""
    images = draw(model, [0, 1, 2], seed=5)
    torch.manual_seed(5)
    torch.testing.assert_close(images, model.p_sample_loop(torch.tensor([0, 1, 2])))

    model.p_sample_loop = lambda labels: labels[:, None, None, None].expand(-1, 1, 8, 8) / 2
    assert draw(model, [0, 1, 2]).mean(dim=(1, 2, 3)).tolist() == [0, 0.5, 1]


def test_samples_that_are_no_numbers_are_counted(model, capsys):
    """A chain that ends in NaN would give black pictures without a word."""
    draw(model, [0, 1, 2])
    assert capsys.readouterr().out == ""
    chain = model.p_sample_loop
    model.p_sample_loop = lambda labels: chain(labels).index_fill_(0, torch.tensor([0]), math.nan)
    draw(model, [0] * 6, batch_size=3)
    assert capsys.readouterr().out.startswith("2 of 6 samples hold NaN")


def test_seeds_and_batches(model):
    """One seed repeats all batches, batches differ, and torch's random state stays as it was."""
    before = torch.get_rng_state()
    one, two = (draw(model, [1] * 6, seed=3, batch_size=3) for _ in range(2))
    assert torch.equal(one, two)
    assert not torch.equal(one[:3], one[3:])
    assert not torch.equal(one, draw(model, [1] * 6, seed=9, batch_size=3))
    assert torch.equal(before, torch.get_rng_state())


def test_batches_have_the_size_asked_for(model):
    """A number that is not a multiple of the batch ends with a smaller batch."""
    batches = draw_samples(model, torch.tensor([0] * 7), FP32, batch_size=3)
    assert [len(b) for b in batches] == [3, 3, 1]


def test_chain_is_watched_from_noise_to_image(model):
    """The watcher sees x_T, then every state down to x_0, once per chain, and is gone after."""
    seen = []
    with watch_chain(model, lambda time, x: seen.append((time, x))):
        for _ in range(2):
            images = model.p_sample_loop(torch.tensor([0, 1]))
    assert [time for time, _ in seen] == 2 * list(range(T, -1, -1))
    torch.testing.assert_close(model.postprocess(seen[-1][1]), images)
    model.p_sample_loop(torch.tensor([0]))
    assert len(seen) == 2 * (T + 1)


def test_watcher_goes_away_after_an_error(model):
    """A chain that fails leaves the model as it was."""
    with pytest.raises(RuntimeError, match="mine"), watch_chain(model, lambda *_: None):
        raise RuntimeError("mine")
    assert "p_sample" not in vars(model)


@pytest.mark.parametrize("num_frames", [2, 5, 60])
def test_film_runs_from_noise_to_the_samples(model, num_frames):
    """A film has its frames in order, of the first batch only; the last one is the result."""
    film = Film(model, num_samples=2, num_frames=num_frames)
    images = draw(model, [0, 1, 2, 0, 1], seed=1, batch_size=3, film=film)
    assert len(film.frames) == min(num_frames, T + 1)
    assert all(frame.shape == (2, 1, 8, 8) for frame in film.frames)
    torch.manual_seed(1)
    noise = torch.randn(3, 1, 8, 8)[:2]
    torch.testing.assert_close(film.frames[0], model.postprocess(noise))
    torch.testing.assert_close(film.frames[-1], images[:2])


def test_film_of_a_latent_model_shows_images():
    """The frames of a latent model are decoded."""
    torch.manual_seed(0)
    latent = DDPM((3, 16, 16), 3, 8, 8, 2, (1, 2), (), use_vae=True).eval()
    film = Film(latent, num_frames=4)
    images = draw(latent, [0, 1], film=film)
    assert [tuple(f.shape) for f in film.frames] == [(2, 3, 16, 16)] * 4
    torch.testing.assert_close(film.frames[-1], images)


@pytest.mark.parametrize(
    "sampler",
    [Sampler("ddpm", 5), Sampler("ddim", 5, eta=0.5), Sampler("dpm++", 5, eta=1), Sampler("ddpm")],
    ids=str,
)
def test_samples_do_not_depend_on_the_batch(model, sampler):
    """Image i is the same in batches of any size, and where another process begins with it."""
    labels = [0, 1, 2, 0, 1, 2, 0]
    one, three, seven = (
        draw(model, labels, seed=4, batch_size=size, sampler=sampler) for size in (1, 3, 7)
    )
    torch.testing.assert_close(three, one, rtol=0, atol=1e-5)
    torch.testing.assert_close(seven, one, rtol=0, atol=1e-5)
    shares = [
        draw(model, labels[a:b], seed=4, sampler=sampler, first=a) for a, b in ((0, 2), (2, 7))
    ]
    torch.testing.assert_close(torch.cat(shares), one, rtol=0, atol=1e-5)
    assert not torch.equal(one[0], one[3])
    assert not torch.equal(one, draw(model, labels, seed=5, sampler=sampler))


def test_own_loop_goes_on_where_another_process_stops(model):
    """Batches of the model's own loop are numbered by `first`, which must fall on a batch."""
    whole = draw(model, [0, 1, 2, 0], batch_size=2)
    assert torch.equal(draw(model, [2, 0], batch_size=2, first=2), whole[2:])
    with pytest.raises(ValueError, match="first = 3"):
        draw(model, [0], batch_size=2, first=3)


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers_leave_the_random_state_alone(model, name):
    """torch's global generator is neither used nor moved."""
    before = torch.get_rng_state()
    draw(model, [0, 1], sampler=Sampler(name, 4))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("name", SAMPLERS)
def test_film_of_a_short_chain(model, name):
    """A film of few steps has one frame a state, from noise to the samples."""
    film = Film(model, num_samples=2)
    images = draw(model, [0, 1, 2], film=film, sampler=Sampler(name, 4))
    assert len(film.frames) == 5
    assert film.frames[0].std() > 0.2
    torch.testing.assert_close(film.frames[-1], images[:2])


def test_pixels_are_clipped_and_latents_are_not():
    """x_0 is clipped to [-1, 1] for pixels only; latents are decoded as they come."""
    seen = {}
    for use_vae in (False, True):
        torch.manual_seed(0)
        shape = (3, 16, 16)
        ddpm = DDPM(shape, 8, 8, 8, 2, (1, 2), (), use_vae=use_vae).eval()  # predicts no noise
        sampler = Sampler("ddim", 2)
        film = Film(ddpm)
        ddpm.postprocess = lambda x, seen=seen, key=use_vae: seen.setdefault(key, []).append(x) or x
        if use_vae:
            ddpm.vae.decoder = torch.nn.Identity()
        draw(ddpm, [0, 1], film=film, sampler=sampler)
    assert seen[False][-1].abs().max() == 1
    assert seen[True][-1].abs().max() > 1.5


def test_latent_samples_are_images():
    """A latent model's samples are decoded to [0, 1]."""
    torch.manual_seed(0)
    latent = DDPM((3, 16, 16), 5, 8, 8, 2, (1, 2), (), use_vae=True).eval()
    images = draw(latent, [0, 1], sampler=Sampler("dpm++", 3))
    assert images.shape == (2, 3, 16, 16)
    assert 0 <= images.min() < images.max() <= 1


def test_half_precision_changes_little(model):
    """Under autocast the states stay in float32, and the images near those of float32."""
    bf16 = Precision("bf16", torch.device("cpu"))
    sampler = Sampler("ddim", 6)
    half = torch.cat(list(draw_samples(model, torch.tensor([0, 1]), bf16, sampler=sampler)))
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, draw(model, [0, 1], sampler=sampler), rtol=0, atol=0.05)


def parse(*flags):
    parser = ArgumentParser()
    of_sampler.add(parser)
    return SamplerFlags(**vars(parser.parse_args(flags)))


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        ("", "own, all steps"),
        ("--guidance 2.5", "own, all steps, guidance 2.5"),
        ("--sampler ddim --steps 5 --guidance 3", "ddim, 5 steps, eta 0, guidance 3"),
        ("--sampler ddim --steps 5 --eta 1", "ddim, 5 steps, eta 1"),
        ("--sampler dpm++ --steps 5 --eta 1", "dpm++, 5 steps, eta 1"),
        ("--sampler dpm++ --steps 7 --spacing leading", "dpm++, 7 steps, leading, eta 0"),
        ("--sampler ddpm", "ddpm, all steps"),
    ],
)
def test_flags_become_a_sampler(model, flags, text):
    """What the flags say is what the sampler's text says."""
    model.model.null_label = 2
    assert str(Sampler.from_flags(parse(*flags.split()), model)) == text


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--sampler dimm", "no sampler 'dimm'.*did you mean 'ddim'"),
        ("--sampler x", "no sampler 'x'.*own, ddpm, ddim, dpm"),
        ("--steps 5", "--steps.*own p_sample_loop.* 12 time steps.*--sampler ddim"),
        ("--spacing leading", "--spacing.*own p_sample_loop"),
        ("--sampler ddim --steps 13", "12 time steps.*not 13"),
        ("--sampler ddim --steps 0", "not 0"),
        ("--sampler ddim --steps 5 --spacing lading", "did you mean 'leading'"),
        ("--sampler ddim --eta 1.5", "--eta.*not 1.5"),
        ("--sampler ddim --eta nan", "--eta.*not nan"),
        ("--sampler ddpm --eta 0", "--eta.*only ddim"),
        ("--guidance -1", "--guidance.*not '-1'"),
        ("--guidance much", "--guidance.*not 'much'"),
        ("--guidance inf", "--guidance.*not 'inf'"),
        ("--guidance 0,3", "--guidance.*not '0,3'"),
        ("--guidance 3", "--guidance.*model.label_dropout"),
    ],
)
def test_wrong_flags_get_a_sentence(model, flags, words):
    """Flags that are wrong, or do not fit each other or the model, are the user's mistakes."""
    model.model.null_label = None
    with pytest.raises(UserError, match=words):
        Sampler.from_flags(parse(*flags.split()), model)


def test_guidance_needs_labels(model):
    """A model without labels cannot be guided, and the sentence says why."""
    model.model.conditional = False
    with pytest.raises(UserError, match="trained without labels"):
        Sampler.from_flags(parse("--guidance", "3"), model)


def test_a_sweep_is_one_sampler_for_each_scale(model):
    """Several scales give samplers that differ in the scale alone."""
    model.model.null_label = 2
    flags = ["--sampler", "ddim", "--steps", "4"]
    samplers = Sampler.sweep_from_flags(parse(*flags, "--guidance", "0,3,7.5"), model)
    assert samplers == [Sampler("ddim", 4, guidance=scale) for scale in (0, 3, 7.5)]
    assert Sampler.sweep_from_flags(parse(*flags), model) == [Sampler("ddim", 4)]
    with pytest.raises(UserError, match="not ''"):
        Sampler.sweep_from_flags(parse("--guidance", "3,"), model)


# The run's own sampler


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        ("", "ddim, 5 steps, linspace, eta 0.5, guidance 2"),
        ("--steps 3", "ddim, 3 steps, linspace, eta 0.5, guidance 2"),
        ("--eta 0 --guidance 4", "ddim, 5 steps, linspace, eta 0, guidance 4"),
        ("--spacing leading", "ddim, 5 steps, leading, eta 0.5, guidance 2"),
        ("--sampler ddim", "ddim, 5 steps, linspace, eta 0.5, guidance 2"),
        ("--sampler own", "own, all steps, guidance 2"),
        ("--sampler dpm++", "dpm++, all steps, eta 0, guidance 2"),
        ("--sampler ddpm --steps 4", "ddpm, 4 steps, guidance 2"),
    ],
)
def test_what_flags_do_not_say_is_as_in_the_run(model, flags, text):
    """Samples are drawn as the run's config says; its steps, eta and spacing are for no other
    sampler."""
    model.model.null_label = 2
    train = TrainConfig(
        sampler="ddim",
        sampler_steps=5,
        sampler_eta=0.5,
        sampler_spacing="linspace",
        guidance=2.0,
    )
    of_run = Sampler.of_run(train)
    assert str(Sampler.from_flags(parse(*flags.split()), model, of_run)) == text
    scales = Sampler.sweep_from_flags(parse(*flags.split(), "--guidance", "0,1"), model, of_run)
    assert [s.guidance for s in scales] == [0, 1]
    assert scales[0].name == text.split(",")[0]


def test_a_run_that_says_nothing_draws_with_its_own_chain(model):
    """The default of all keys is what was drawn before there were any."""
    assert Sampler.of_run(TrainConfig()) == Sampler()
    assert Sampler.from_flags(parse(), model, Sampler.of_run(TrainConfig())) == Sampler()


def test_a_run_of_an_edm_chooses_its_steps():
    """The keys mean the same to an EDM, whose own settings stay those of its config."""
    of_run = Sampler.of_run(TrainConfig(sampler="heun", sampler_steps=3))
    edm = EDM((1, 8, 8), dim=8, context_dim=8, num_classes=3, attn_levels=())
    assert str(Sampler.from_flags(parse(), edm, of_run)) == "heun, 3 steps"
    assert str(Sampler.from_flags(parse("--sampler", "own"), edm, of_run)) == "heun, 18 steps"


@pytest.mark.parametrize(
    ("number", "total", "chosen"),
    [(3, 10, [0, 3, 6]), (1, 7, [0]), (5, 5, [0, 1, 2, 3, 4]), (99, 2, [0, 1])],
)
def test_a_few_classes_are_spread_evenly(number, total, chosen):
    """Pictures and scores of a few classes show some of all of them."""
    assert spread_evenly(number, total).tolist() == chosen
