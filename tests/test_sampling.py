"""Drawing samples: the model's own chain, repeatable, watched and filmed."""

import pytest
import torch

from libs.ddpm import DDPM
from libs.runtime import Precision
from libs.sampling import Film, draw_samples, watch_chain

FP32 = Precision("fp32", torch.device("cpu"))
T = 12


@pytest.fixture
def model():
    """A tiny model whose network's output depends on its input."""
    torch.manual_seed(0)
    ddpm = DDPM((1, 8, 8), T, dim=8, context_dim=8, num_classes=3, attn_levels=()).eval()
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


def test_seeds_and_batches(model):
    """One seed repeats all batches, batches differ, and torch's random state stays as it was."""
    before = torch.get_rng_state()
    one, two = (draw(model, [1] * 6, seed=3, batch_size=3) for _ in range(2))
    assert torch.equal(one, two)
    assert not torch.equal(one[:3], one[3:])
    assert not torch.equal(one, draw(model, [1] * 6, seed=9, batch_size=3))
    assert torch.equal(before, torch.get_rng_state())


def test_batches_have_the_size_asked_for(model):
    """A number that is no multiple of the batch ends with a smaller batch."""
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
