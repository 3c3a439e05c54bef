"""EDM: its formulas, its sampler against closed forms, its training, and its keys and flags."""

import math
from argparse import ArgumentParser
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import EDMEulerScheduler
from torch import nn

from helpers.resume import assert_resumes_exactly
from helpers.resume import make_trainer as make_trainer_of
from helpers.scripts import run_script
from libs.config import load_config
from libs.datasets import load_digits
from libs.edm import EDM, Heun, heun_step, sample_heun
from libs.metrics.kept_samples import sample_facts
from libs.models.build import build_model, load_model
from libs.models.variants import VariantUNet, null_label
from libs.runtime import checkpoint
from libs.runtime.cache import Store
from libs.runtime.device import Precision
from libs.samplers import flags as of_sampler
from libs.samplers.draw import draw_samples
from libs.samplers.film import Film
from libs.samplers.flags import SamplerFlags
from libs.samplers.guidance import guided
from libs.samplers.sampler import Sampler
from libs.tiny_autoencoder import TAESD
from libs.training.run_folder import check_same_run
from libs.utils import UserError

CPU = torch.device("cpu")
FP32 = Precision("fp32", CPU)
SMALL = {"dim": 8, "context_dim": 8, "num_classes": 4, "dim_mults": (1, 2), "attn_levels": ()}
CHURN = Heun(s_churn=40, s_min=0.05, s_max=50, s_noise=1.003)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


WITH_NULL_CLASS = partial(VariantUNet, null_class=True)


def make(**options):
    """A tiny EDM whose network's output depends on all of its input."""
    torch.manual_seed(0)
    edm = EDM((1, 8, 8), **SMALL, **options).eval()
    for parameter in edm.model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return edm


class Toy(nn.Module):
    """A network F in float64 that keeps what it was given."""

    def forward(self, x, label, time):
        self.given = x, label, time
        return (x * (1 + label[:, None, None, None])).sin() + time[:, None, None, None]


@pytest.fixture
def toy():
    """An EDM with a toy network, noisy images, labels and noise levels from 0.002 to 80."""
    edm = EDM((1, 8, 8), **SMALL, sigma_data=0.75)
    edm.model = Toy()
    sigma = torch.tensor([0.002, 0.3, 1.0, 7.0, 80.0], dtype=torch.float64)
    return edm, normal(5, 1, 8, 8), torch.tensor([0, 3, 1, 1, 2]), sigma


# Preconditioning and loss


def test_denoiser_is_that_of_the_paper(toy):
    """D agrees with Table 1 written out image by image in Python's own float64."""
    edm, x, label, sigma = toy
    found = edm.denoise(x, label, sigma)
    given, _, time = edm.model.given
    for i, s in enumerate(sigma.tolist()):
        total = s * s + 0.75 * 0.75
        network = Toy()(
            x[i : i + 1] / math.sqrt(total), label[i : i + 1], sigma[i : i + 1].log() / 4
        )
        expected = 0.5625 / total * x[i] + s * 0.75 / math.sqrt(total) * network[0]
        torch.testing.assert_close(found[i], expected, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(given[i], x[i] / math.sqrt(total), rtol=1e-12, atol=1e-12)
        assert time[i].item() == pytest.approx(math.log(s) / 4, rel=1e-12)


def test_denoiser_is_that_of_diffusers(toy):
    """Inputs, noise levels and outputs are prepared as diffusers' EDM scheduler does it."""
    edm, x, label, sigma = toy
    scheduler = EDMEulerScheduler(sigma_data=0.75)
    for i, s in enumerate(sigma):
        one = slice(i, i + 1)
        scaled = scheduler.precondition_inputs(x[one], s)
        answer = Toy()(scaled, label[one], scheduler.precondition_noise(s)[None])
        theirs = scheduler.precondition_outputs(x[one], answer, s)
        ours = edm.denoise(x[one], label[one], sigma[one])
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_network_sees_and_learns_unit_variance(toy):
    """For data of deviation sigma_data, c_in * x has variance 1, and so has F's target."""
    edm, _, _, sigma = toy
    y, noise = 0.75 * normal(5, 1, 200, 200), normal(5, 1, 200, 200, seed=1)
    x = y + sigma[:, None, None, None] * noise
    edm.denoise(x, torch.zeros(5, dtype=torch.long), sigma)
    assert edm.model.given[0].var(dim=(1, 2, 3)).numpy() == pytest.approx(1, abs=0.05)
    edm.model.forward = lambda x, *_: torch.zeros_like(x)
    for i, s in enumerate(sigma.tolist()):  # with F = 0 the loss is the variance of F's target
        loss = edm.compute_loss(y[i : i + 1], None, sigma[i : i + 1], noise[i : i + 1])
        assert loss.item() == pytest.approx(1, abs=0.05), s


def test_loss_weighs_the_network_evenly(toy):
    """The weight times c_out^2 is 1: the loss is F's plain squared error (eq. 8)."""
    edm, y, label, sigma = toy
    noise = normal(5, 1, 8, 8, seed=1)
    loss = edm.compute_loss(y, label, sigma, noise)
    answer = edm.model(*edm.model.given)
    s = sigma.reshape(-1, 1, 1, 1)
    c_skip, c_out = 0.5625 / (s**2 + 0.5625), 0.75 * s / (s**2 + 0.5625).sqrt()
    target = (y - c_skip * (y + s * noise)) / c_out
    torch.testing.assert_close(loss, (answer - target).square().mean(), rtol=1e-9, atol=0)


def test_noise_levels_of_training():
    """ln(sigma) is normal with the mean and deviation asked for, and follows from the generator."""
    edm = make(p_mean=-0.4, p_std=0.7)
    drawn = [edm.draw_sigma(100_000, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    logs = drawn[0].log()
    assert logs.mean().item() == pytest.approx(-0.4, abs=0.015)
    assert logs.std().item() == pytest.approx(0.7, abs=0.015)
    z = ((logs + 0.4) / 0.7).sort().values
    steps = torch.arange(1, 100_001) / 100_000
    assert (torch.special.ndtr(z) - steps).abs().max() < 0.01  # Kolmogorov-Smirnov, p < 1e-7


def test_latents_are_encoded_without_gradient():
    """A latent model encodes images before noise is added; the autoencoder stays frozen."""
    torch.manual_seed(0)
    edm = EDM((3, 16, 16), **SMALL, use_vae=True, sigma_data=0.75)
    images, noise = torch.rand(2, 3, 16, 16), torch.randn(2, 4, 2, 2)
    assert edm.img_shape == (4, 2, 2)
    label, sigma = torch.tensor([0, 1]), torch.tensor([0.5, 2.0])
    loss = edm.compute_loss(images, label, sigma, noise)
    latents = edm.vae.encoder(images)
    edm.use_vae = False
    torch.testing.assert_close(edm.compute_loss(latents, label, sigma, noise), loss)
    loss.backward()
    assert all(p.grad is None for p in edm.vae.parameters())
    assert edm.model.final_conv[2].weight.grad.abs().max() > 0


def test_a_ready_autoencoder_is_taken():
    """An autoencoder of another shrinkage and number of channels sets the shape, and is frozen."""
    vae = nn.Module()
    vae.encoder, vae.decoder = nn.Conv2d(3, 6, 4, stride=4), nn.ConvTranspose2d(6, 3, 4, stride=4)
    vae.factor, vae.channels = 4, 6
    edm = EDM((3, 24, 16), **SMALL, use_vae=True, vae=vae)
    assert edm.vae is vae
    assert edm.img_shape == (6, 6, 4)
    assert not any(p.requires_grad for p in vae.parameters())
    with pytest.raises(ValueError, match=r"20x16.*divisible by 8.*2 levels.*shrinks by 4"):
        EDM((3, 20, 16), **SMALL, use_vae=True, vae=vae)


# The sampler


@pytest.mark.parametrize(("steps", "rho", "ends"), [(18, 7, (0.002, 80)), (5, 3, (0.1, 20))])
def test_noise_levels_are_those_of_diffusers(steps, rho, ends):
    """Eq. 5 from sigma_max down to sigma_min, then 0."""
    scheduler = EDMEulerScheduler(*ends, rho=rho)
    scheduler.set_timesteps(steps)
    sigmas = Heun(*ends, rho).sigmas(steps)
    assert sigmas == pytest.approx(scheduler.sigmas.tolist(), rel=1e-4)
    assert sigmas[0] == pytest.approx(ends[1], rel=1e-12)
    assert sigmas[-2:] == pytest.approx([ends[0], 0], rel=1e-12)
    assert Heun(*ends, rho).sigmas(1) == pytest.approx([ends[1], 0])


def bent(x, sigma):
    """A denoiser that is affine in nothing."""
    return torch.tanh(x / (1 + sigma)) + 0.3 * torch.cos(2 * x / (0.1 + sigma))


def as_in_the_paper(denoise, noise, steps, noises, heun):
    """Algorithm 2, line by line, and eq. 5."""
    a, b = heun.sigma_max ** (1 / heun.rho), heun.sigma_min ** (1 / heun.rho)
    t = [(a + i / (steps - 1) * (b - a)) ** heun.rho for i in range(steps)] + [0]
    x = noise * t[0]
    for i in range(steps):
        gamma = 0
        if heun.s_min <= t[i] <= heun.s_max:
            gamma = min(heun.s_churn / steps, math.sqrt(2) - 1)
        t_hat = t[i] + gamma * t[i]
        x_hat = x + math.sqrt(t_hat**2 - t[i] ** 2) * heun.s_noise * noises[i]
        d = (x_hat - denoise(x_hat, t_hat)) / t_hat
        x = x_hat + (t[i + 1] - t_hat) * d
        if t[i + 1] != 0:
            d_prime = (x - denoise(x, t[i + 1])) / t[i + 1]
            x = x_hat + (t[i + 1] - t_hat) * (d / 2 + d_prime / 2)
    return x


@pytest.mark.parametrize("steps", [2, 7, 18, 200])
@pytest.mark.parametrize(
    "heun", [Heun(), CHURN, Heun(0.01, 30, 3, s_churn=5, s_noise=0.9), Heun(s_churn=80, s_max=1)]
)
def test_sampler_is_algorithm_2(heun, steps):
    """The sampler agrees with a plain loop in float64, with churn in a part of the levels too."""
    noises = [normal(3, 1, 4, 4, seed=i + 1) for i in range(steps)]
    churns = [s for s in heun.sigmas(steps)[:-1] if heun.s_churn and heun.s_min <= s <= heun.s_max]
    churning = iter([n for n, s in zip(noises, heun.sigmas(steps), strict=False) if s in churns])
    expected = as_in_the_paper(bent, normal(3, 1, 4, 4), steps, noises, heun)
    found = sample_heun(bent, normal(3, 1, 4, 4), steps, heun, draw_noise=lambda _: next(churning))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    assert next(churning, None) is None


@pytest.mark.parametrize("heun", [Heun(), CHURN])
@pytest.mark.parametrize("steps", [1, 2, 18])
def test_evaluations_and_reports(heun, steps):
    """N steps ask the network 2 N - 1 times, 35 for 18, and report every state once."""
    asked, seen = [], []

    def denoise(x, sigma):
        asked.append(sigma)
        return bent(x, sigma)

    x = sample_heun(
        denoise, normal(2, 1, 4, 4), steps, heun, on_step=lambda i, x: seen.append((i, x))
    )
    assert len(asked) == 2 * steps - 1
    assert min(asked) > 0
    assert [i for i, _ in seen] == list(range(steps))
    assert torch.equal(seen[-1][1], x)


def test_without_churn_no_noise_is_drawn():
    """No churn, and churn at noise levels that never occur, are the deterministic sampler."""

    def forbidden(x):
        raise AssertionError("noise was drawn")

    plain = sample_heun(bent, normal(3, 1, 4, 4), 18, draw_noise=forbidden)
    for heun in (Heun(s_noise=2, s_min=1), Heun(s_churn=40, s_min=90)):
        assert torch.equal(
            sample_heun(bent, normal(3, 1, 4, 4), 18, heun, draw_noise=forbidden), plain
        )


def smooth(x, sigma):
    """The ideal denoiser of pixels that are normal, with deviation 0.5."""
    return x * 0.25 / (0.25 + sigma**2)


def test_float32_is_enough():
    """States in float32, as in use, give what float64 gives."""
    exact, rounded = (
        sample_heun(smooth, normal(3, 1, 4, 4).to(dtype), 18)
        for dtype in (torch.float64, torch.float32)
    )
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded.double(), exact, rtol=1e-3, atol=1e-3)


MEAN = torch.tensor([0.7, -0.4, 0.1], dtype=torch.float64)
COV = torch.tensor([[0.5, 0.2, 0.0], [0.2, 0.3, -0.1], [0.0, -0.1, 0.2]], dtype=torch.float64)
VALUES, VECTORS = torch.linalg.eigh(COV)


def ideal(x, sigma):
    """The best denoiser of N(MEAN, COV): MEAN + COV (COV + sigma^2 I)^-1 (x - MEAN)."""
    shrink = VECTORS @ torch.diag(VALUES / (VALUES + sigma**2)) @ VECTORS.T
    return (MEAN + (x.flatten(1) - MEAN) @ shrink).reshape(x.shape)


def exact_flow(x, sigma, sigma_next):
    """Where the probability flow of N(MEAN, COV) leads: each eigenvector is stretched."""
    stretch = ((VALUES + sigma_next**2) / (VALUES + sigma**2)).sqrt()
    flow = VECTORS @ torch.diag(stretch) @ VECTORS.T
    return (MEAN + (x.flatten(1) - MEAN) @ flow).reshape(x.shape)


def draw_gaussian(steps, heun):
    """20,000 samples by the ideal denoiser, [20000, 3]."""
    generator = torch.Generator().manual_seed(1)
    return sample_heun(
        ideal,
        normal(20_000, 3, 1, 1),
        steps,
        heun,
        draw_noise=lambda x: torch.randn(x.shape, generator=generator, dtype=x.dtype),
    ).flatten(1)


@pytest.mark.parametrize("heun", [Heun(), Heun(s_churn=40, s_min=0.05, s_max=50)], ids=str)
def test_gaussian_data_is_drawn(heun):
    """With the ideal denoiser, the samples have the mean and the covariance of the data."""
    x = draw_gaussian(120, heun)
    # five and a half standard errors, and 2% for the steps
    error = 5.5 * VALUES.max().item() * math.sqrt(2 / len(x)) + 0.02 * VALUES.max().item()
    assert (x.mean(dim=0) - MEAN).abs().max() < error
    assert (x.T.cov() - COV).abs().max() < error


def test_noise_of_churn_matters():
    """More noise than churn makes room for leaves more variance in the samples."""
    plain, louder = (draw_gaussian(40, Heun(s_churn=40, s_noise=s)) for s in (1.0, 1.05))
    assert louder.var(dim=0).sum() > 1.05 * plain.var(dim=0).sum()


def test_orders_of_convergence():
    """Twice the steps quarter the error of Heun's method, and only halve that of Euler's."""
    errors = {"heun": [], "euler": []}
    noise = normal(100, 3, 1, 1)
    for steps in (40, 80, 160):
        states = []
        sample_heun(ideal, noise, steps, on_step=lambda i, x, s=states: s.append(x))
        sigmas = Heun().sigmas(steps)[:-1]  # to sigma_min: the step to 0 is Euler's anyhow
        euler = noise * sigmas[0]
        for sigma, sigma_next in pairwise(sigmas):
            euler = euler + (sigma_next - sigma) * (euler - ideal(euler, sigma)) / sigma
        exact = exact_flow(noise * sigmas[0], sigmas[0], sigmas[-1])
        errors["heun"].append((states[-2] - exact).square().mean().sqrt().item())
        errors["euler"].append((euler - exact).square().mean().sqrt().item())
    for name, order in (("heun", 2), ("euler", 1)):
        for coarse, fine in pairwise(errors[name]):
            assert math.log2(coarse / fine) == pytest.approx(order, abs=0.3), errors
    assert errors["heun"][0] < 0.2 * errors["euler"][0]


def test_step_to_zero_is_the_denoised_image():
    """The step to sigma = 0 answers with D itself, whatever the level it begins at."""
    x = normal(2, 1, 4, 4)
    for sigma in (0.002, 3.0):
        torch.testing.assert_close(heun_step(bent, x, sigma, 0), bent(x, sigma), rtol=1e-9, atol=0)


# Drawing images


def draw(model, labels, precision=FP32, **options):
    return torch.cat(list(draw_samples(model, torch.tensor(labels), precision, **options)))


@pytest.mark.parametrize("heun", [None, CHURN], ids=["own", "churn"])
def test_samples_do_not_depend_on_the_batch(heun):
    """Image i is the same in batches of any size, and where another process begins with it."""
    model, labels = make(steps=4), [0, 1, 2, 3, 1]
    sampler = Sampler() if heun is None else Sampler("heun", 5, heun=heun)
    one, two, five = (draw(model, labels, seed=4, batch_size=s, sampler=sampler) for s in (1, 2, 5))
    torch.testing.assert_close(two, one, rtol=0, atol=1e-4)
    torch.testing.assert_close(five, one, rtol=0, atol=1e-4)
    rest = draw(model, labels[3:], seed=4, sampler=sampler, first=3)
    torch.testing.assert_close(rest, one[3:], rtol=0, atol=1e-4)
    assert (one[1] - one[4]).abs().max() > 0.01
    assert (draw(model, labels, seed=5, sampler=sampler) - one).abs().max() > 0.01


def test_own_sampler_is_heun_with_the_models_settings():
    """The default draws with the steps and the noise levels that the model was built with."""
    own = Heun(0.01, 20, 5, s_churn=3)
    model = make(steps=6, heun=own)
    images = draw(model, [0, 1])
    assert torch.equal(images, draw(model, [0, 1], sampler=Sampler("heun", 6, heun=own)))
    for other in (Sampler("heun", 7), Sampler("heun", heun=Heun())):
        assert not torch.equal(images, draw(model, [0, 1], sampler=other))
    before = torch.get_rng_state()
    draw(model, [0])
    assert torch.equal(before, torch.get_rng_state())


def test_samples_are_those_of_the_algorithm():
    """draw_samples is the paper's loop around the model, from noise to images in [0, 1]."""
    model, noises = make(sigma_data=0.6), [torch.zeros(2, 1, 8, 8)] * 4
    labels = torch.tensor([1, 2])
    film = Film(model)
    images = draw(model, [1, 2], sampler=Sampler("heun", 4), film=film)
    noise = (2 * film.frames[0] - 1).double() * math.hypot(80, 0.6) / 0.6 / 80  # where not clipped
    inside = (film.frames[0] > 0) & (film.frames[0] < 1)
    assert inside.double().mean() > 0.85

    def denoise(x, sigma):
        with torch.no_grad():
            return model.denoise(x.float(), labels, torch.full((2,), sigma)).double()

    found = []
    model.postprocess = lambda x: found.append(x) or x
    draw(model, [1, 2], sampler=Sampler("heun", 4), film=Film(model))
    start = found[0].double() * math.hypot(80, 0.6) / 0.6 / 80
    assert start.std() == pytest.approx(1, abs=0.3)
    torch.testing.assert_close(start[inside], noise[inside], rtol=1e-4, atol=1e-4)
    expected = as_in_the_paper(denoise, start, 4, noises, Heun())
    torch.testing.assert_close(found[-1].double(), expected, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(images, ((expected + 1) / 2).clamp(0, 1).float(), atol=1e-3, rtol=0)
    assert len(film.frames) == 5
    torch.testing.assert_close(film.frames[-1], images)


def test_latent_samples_are_decoded_and_not_clipped():
    """Latents reach the decoder as the sampler leaves them."""
    torch.manual_seed(0)
    latent = EDM((3, 16, 16), **SMALL, use_vae=True).eval()
    latent.denoise = lambda x, label, sigma: torch.full_like(x, 4.0)
    seen = []
    latent.vae.decoder = nn.Identity()
    latent.postprocess = lambda x: seen.append(x) or x
    draw(latent, [0, 1], sampler=Sampler("heun", 3))
    torch.testing.assert_close(seen[-1], torch.full((2, 4, 2, 2), 4.0), rtol=0, atol=1e-3)


def test_half_precision_changes_little():
    """Under autocast the states stay in float32, and the images near those of float32."""
    half = draw(make(), [0, 1], Precision("bf16", CPU), sampler=Sampler("heun", 6))
    assert half.dtype == torch.float32
    assert (half - draw(make(), [0, 1], sampler=Sampler("heun", 6))).abs().mean() < 0.01


@torch.no_grad()
@pytest.mark.parametrize("scale", [0.0, 1.0, 3.5])
def test_guiding_the_network_guides_the_denoiser(scale):
    """D with guidance of F is D_uncond + s (D_cond - D_uncond), at small and large noise levels."""
    model = make(network=WITH_NULL_CLASS)
    assert null_label(model) == 4
    x, label = normal(3, 1, 8, 8, dtype=torch.float32), torch.tensor([0, 3, 1])
    sigma = torch.tensor([0.01, 1.0, 50.0])
    with guided(model, scale):
        found = model.denoise(x, label, sigma)
    cond = model.denoise(x, label, sigma)
    uncond = model.denoise(x, torch.full((3,), 4), sigma)
    assert (cond - uncond).abs().max() > 1e-3
    torch.testing.assert_close(found, uncond + scale * (cond - uncond), rtol=1e-4, atol=1e-5)
    sampler = Sampler("heun", 4, guidance=scale)
    assert draw(model, [0, 1], sampler=sampler).isfinite().all()


# Flags


def parse(*flags):
    parser = ArgumentParser()
    of_sampler.add(parser)
    return SamplerFlags(**vars(parser.parse_args(flags)))


@pytest.mark.parametrize(
    ("flags", "text", "heun"),
    [
        ("", "heun, 9 steps, rho 5", {}),
        ("--sampler heun", "heun, 9 steps, rho 5", {}),
        ("--sampler own --guidance 2", "heun, 9 steps, rho 5, guidance 2", {}),
        ("--sampler heun --steps 40 --rho 7", "heun, 40 steps", {"rho": 7}),
        (
            "--sampler heun --churn 40 --churn-range 0.05,50 --churn-noise 1.003",
            "heun, 9 steps, churn 40, from 0.05 to 50, of noise 1.003, rho 5",
            {"s_churn": 40, "s_min": 0.05, "s_max": 50, "s_noise": 1.003},
        ),
        (
            "--sampler heun --sigma-range 0.01,30 --churn 3 --churn-range 1,inf",
            "heun, 9 steps, churn 3, from 1 to inf, rho 5, sigma 0.01 to 30",
            {"s_churn": 3, "s_min": 1, "sigma_min": 0.01, "sigma_max": 30},
        ),
    ],
)
def test_flags_become_a_sampler(flags, text, heun):
    """Flags change the settings of the model's config, and the text says what is unusual."""
    model = make(steps=9, heun=Heun(rho=5), network=WITH_NULL_CLASS)
    sampler = Sampler.from_flags(parse(*flags.split()), model)
    assert str(sampler) == text
    assert sampler.heun == Heun(**{"rho": 5, **heun})


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--sampler ddim --spacing leading", "an EDM has no time steps"),
        ("--sampler ddim --churn 3", "--churn: only heun has it; add --sampler heun"),
        ("--sampler huen", "no sampler 'huen'.*did you mean 'heun'"),
        ("--steps 5", "--steps.*own sampler.*--sampler heun"),
        ("--churn 5", "--churn:.*own sampler.*--sampler heun"),
        ("--sampler own --rho 5", "--rho:.*--sampler heun"),
        ("--sampler heun --steps 0", "at least 1 step, not 0"),
        ("--sampler ddim --steps 0", "at least 1 step, not 0"),
        ("--sampler heun --eta 0.5", "--eta: only ddim, dpm.* and deis have it"),
        ("--sampler heun --spacing leading", "--spacing: only ddpm, ddim, dpm.* heun has --rho"),
        ("--sampler heun --churn -1", "--churn:.*not -1"),
        ("--sampler heun --churn nan", "--churn:.*not nan"),
        ("--sampler heun --churn-range 1,2", "--churn-range: there is no churn"),
        ("--sampler heun --churn-noise 1.1", "--churn-noise: there is no churn"),
        ("--sampler heun --churn 1 --churn-range 3", "two numbers.*not '3'"),
        ("--sampler heun --churn 1 --churn-range 3,a", "two numbers.*not '3,a'"),
        ("--sampler heun --churn 1 --churn-range 3,2", "MIN <= MAX, not 3,2"),
        ("--sampler heun --churn 1 --churn-noise 0", "above 0, not 0"),
        ("--sampler heun --rho 0", "above 0.*not 0"),
        ("--sampler heun --sigma-range 0,80", "0 < MIN < MAX, not 0,80"),
        ("--sampler heun --sigma-range 3,3", "0 < MIN < MAX, not 3,3"),
        ("--sampler heun --guidance 3", "--guidance.*model.label_dropout"),
    ],
)
def test_wrong_flags_get_a_sentence(flags, words):
    """Flags that are wrong, or do not fit the model, are the user's mistakes."""
    with pytest.raises(UserError, match=words):
        Sampler.from_flags(parse(*flags.split()), make())


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--sampler heun --steps 999", "200 time steps.*not 999"),
        ("--sampler ddim --steps 4 --churn 3", "--churn: only heun has it"),
        ("--sigma-range 1,2", "--sigma-range: only heun"),
    ],
)
def test_flags_of_heun_with_a_ddpm(flags, words):
    """Heun's flags are for heun, and a DDPM has so many time steps and no more."""
    ddpm = build_model(load_config("configs/digits.yaml", ["model.dim=8"]))
    with pytest.raises(UserError, match=words):
        Sampler.from_flags(parse(*flags.split()), ddpm)


def test_samples_are_kept_apart_by_every_setting():
    """evaluate.py finds earlier samples by all settings, even where the text rounds them."""
    settings = [CHURN, replace(CHURN, s_churn=40.0000001), replace(CHURN, rho=7.0000001), Heun()]
    samplers = [Sampler("heun", 9, heun=heun) for heun in settings]
    samplers += [Sampler("heun", 8, heun=CHURN), Sampler("heun", 9, guidance=1, heun=CHURN)]
    store = Store(Path("cache"))
    paths = {store.path("x", sample_facts("hash", s, 9, 3, 0, 5, FP32)) for s in samplers}
    assert len(paths) == len(samplers)
    assert str(samplers[0]) == str(samplers[1])
    own = Sampler.from_flags(parse(), make())  # its own generators: the batch size has no say
    assert "batch size" not in sample_facts("hash", own, 9, 3, 0, 5, FP32)


# Config


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("edm.sigma_data=0", "'edm.sigma_data' must be above 0 or null, found 0"),
        ("edm.p_mean=.nan", "'edm.p_mean' must be a finite number, found nan"),
        ("edm.p_std=0", "'edm.p_std' must be above 0"),
        ("edm.steps=0", "'edm.steps' must be at least 1"),
        ("edm.sigma_min=80", "'edm.sigma_min' 80.0 must be below 'edm.sigma_max' 80.0"),
        ("edm.s_min=3", "'edm.s_min' 3.0 must not be above 'edm.s_max' 2.0"),
        ("edm.s_churn=-1", "'edm.s_churn' must be at least 0"),
        ("model.timesteps=1000", "'model.timesteps' means nothing.*'model_name: EDM'"),
        ("model.beta_schedule=cosine", "'model.beta_schedule' means nothing"),
        ("model.beta_end=0.02", "'model.beta_end' means nothing"),
        ("model.rescale_betas=true", "'model.rescale_betas' means nothing"),
        ("model.prediction=v", "'model.prediction' means nothing"),
        ("train_cfg.loss=l1", "'train_cfg.loss' means nothing"),
        ("train_cfg.min_snr_gamma=5", "'train_cfg.min_snr_gamma' means nothing"),
        ("model_name=DDPM", "'edm.p_mean' means nothing.*'model_name: DDPM'"),
        ("model_name=EMD", "did you mean 'EDM'"),
    ],
)
def test_config_mistakes(override, words):
    """Numbers without sense, and keys of the other model, are refused by name."""
    with pytest.raises(UserError, match=words):
        load_config("configs/mnist_edm.yaml", ["edm.s_max=2", override])


def test_config_becomes_the_model():
    """Each key of the section arrives, the null ones as the paper's values."""
    settings = ["edm.p_mean=-1", "edm.p_std=2", "edm.steps=9", "edm.s_churn=7", "edm.rho=5"]
    settings += ["edm.sigma_min=0.1", "edm.sigma_max=9", "edm.s_min=1", "edm.s_noise=1.1"]
    settings += ["model.dim=8", "model.adagn=true", "model.label_dropout=0.1"]
    plain = build_model(load_config("configs/mnist_edm.yaml", settings))
    assert (plain.p_mean, plain.p_std, plain.steps) == (-1, 2, 9)
    assert plain.heun == Heun(0.1, 9, 5, s_churn=7, s_min=1, s_max=math.inf, s_noise=1.1)
    assert plain.sigma_data == 0.5
    assert null_label(plain) == 10
    assert plain.model.label_to_time is not None
    more = [*settings, "edm.s_max=3", "edm.sigma_data=0.25", "model.conditional=false"]
    other = build_model(load_config("configs/mnist_edm.yaml", [*more, "model.label_dropout=0"]))
    assert (other.heun.s_max, other.sigma_data, other.model.conditional) == (3, 0.25, False)


@pytest.mark.parametrize("name", ["mnist_edm mnist_cpu", "afhq_edm afhq"])
def test_configs_differ_in_the_model_alone(name):
    """The configs of EDM have the network, the data and the budget of their DDPMs.

    EDM has weights, and a distribution, of its own for the noise levels.
    """
    edm, ddpm = (load_config(f"configs/{n}.yaml") for n in name.split())
    assert (edm.model_name, ddpm.model_name) == ("EDM", "DDPM")
    for section in (edm.model, ddpm.model):
        section.timesteps, section.beta_end = 1, None
    edm.model_name, edm.edm = "DDPM", ddpm.edm
    ddpm.train_cfg.min_snr_gamma, ddpm.train_cfg.uniform_share = None, 0.0
    assert edm == ddpm


# Training


@pytest.fixture
def settings(tmp_path):
    """Overrides that make a tiny run on the digits of configs/mnist_edm.yaml."""
    return [
        "dataset.name=Digits",
        "dataset.subset=0.1",
        "dataset.test_split=null",
        "loader.batch_size=32",
        "model.img_shape=[1, 8, 8]",
        "model.dim=8",
        "model.dim_mults=[1, 2]",
        "train_cfg.num_eval_samples=0",
        f"output_folder={tmp_path / 'logs'}",
    ]


@pytest.fixture
def make_trainer(settings, tmp_path):
    """Build trainers of that run in tmp_path/run."""

    return partial(make_trainer_of, "mnist_edm", tmp_path, *settings)


def test_resume_is_exact(settings, tmp_path):
    """N steps, resume, N steps: weights, averages and measured sigma_data as without the stop."""
    assert_resumes_exactly("mnist_edm", tmp_path, *settings, "model.label_dropout=0.2")


def test_loss_falls(make_trainer):
    """The loss begins near 1, for the network's target has variance 1, and training lowers it."""
    trainer = make_trainer(
        "train_cfg.max_steps=20", "train_cfg.warmup_steps=0", "train_cfg.lr=0.01"
    )
    before = trainer.learner.evaluate(trainer.splits.train, 64)
    assert 0.7 < before < 1.3
    trainer.fit()
    assert trainer.learner.evaluate(trainer.splits.train, 64) < 0.9 * before


def test_sigma_data_is_measured(make_trainer, tmp_path):
    """It is numpy's standard deviation of the training images in [-1, 1], kept in checkpoints."""
    trainer = make_trainer("dataset.subset=0.5", "train_cfg.max_steps=1")
    images = np.float64(trainer.splits.train.images.numpy()) / 127.5 - 1
    assert trainer.learner.model.sigma_data.item() == pytest.approx(images.std(), rel=1e-6)
    assert f"sigma_data {images.std():.4f}" in trainer.describe()
    loaded = load_model(trainer.fit(), CPU).model
    assert loaded.sigma_data == trainer.learner.model.sigma_data

    whole = np.float64(load_digits("train")[0].numpy()) / 127.5 - 1  # more than are measured
    found = make_trainer("dataset.subset=1").learner.model.sigma_data.item()
    assert found == pytest.approx(whole.std(), rel=0.02)
    assert make_trainer("edm.sigma_data=0.3").learner.model.sigma_data.item() == pytest.approx(0.3)


def test_sigma_data_of_latents(make_trainer, tmp_path):
    """For a latent model it is that of the latents, cached or not."""
    torch.manual_seed(0)
    vae = TAESD()
    for name, half in (("encoder", vae.encoder), ("decoder", vae.decoder)):
        torch.save(half.state_dict(), tmp_path / f"{name}.pth")
    latent = ["model.use_vae=true", "model.img_shape=[3, 16, 16]", "dataset.subset=0.02"]
    latent += ["model.dim_mults=[1, 2]", "train_cfg.eval_images=8"]
    latent += [f"model.vae_{n}_weights={tmp_path / n}.pth" for n in ("encoder", "decoder")]
    latent += ["loader.batch_size=8", "train_cfg.max_steps=1"]
    for cache in ("false", "true"):
        trainer = make_trainer(*latent, f"dataset.latent_cache={cache}")
        if cache == "false":
            with torch.no_grad():
                latents = vae.encoder(trainer.splits.train.images / 255).double().numpy()
        found = trainer.learner.model.sigma_data.item()
        assert found == pytest.approx(latents.std(), rel=1e-3)  # cached latents are float16
    trainer.fit()
    loaded = load_model(tmp_path / "run", CPU).model
    assert draw(loaded, [0, 1], sampler=Sampler("heun", 2)).shape == (2, 3, 16, 16)


def test_another_model_cannot_go_on(make_trainer, tmp_path):
    """Resuming with another sigma_data or distribution names what differs; samplers may change."""
    make_trainer("train_cfg.max_steps=1").fit()
    state = checkpoint.read(tmp_path / "run")
    with pytest.raises(UserError, match=r"edm\.sigma_data was None and is 0\.5; edm\.p_mean"):
        check_same_run(make_trainer("edm.sigma_data=0.5", "edm.p_mean=1").config, state)
    check_same_run(make_trainer("edm.steps=5", "edm.s_churn=10").config, state)


def test_a_run_draws_its_samples(make_trainer, tmp_path):
    """At its end a run draws a grid, by the sampler and the steps of its config."""
    trainer = make_trainer(
        "train_cfg.max_steps=1", "train_cfg.num_eval_samples=1", "edm.steps=2", "edm.s_churn=1"
    )
    trainer.fit()
    assert (tmp_path / "run" / "sample-1.png").is_file()
    loaded = load_model(tmp_path / "run", CPU).model
    assert (loaded.steps, loaded.heun) == (2, Heun(s_churn=1))


@pytest.mark.slow
def test_scripts(settings, tmp_path):
    """train.py goes on to the very same weights, sample.py and evaluate.py take heun's flags."""
    flags = [part for s in settings for part in ("--set", s)]
    train = ["code/train.py", "configs/mnist_edm.yaml", *flags]
    for name, steps in (("straight", 6), ("stopped", 3), (None, 6)):
        more = ["--output", name] if name else ["--resume", tmp_path / "logs/mnist_edm_stopped"]
        process = run_script(*train, "--set", f"train_cfg.max_steps={steps}", *more)
        assert process.returncode == 0, process.stderr
        assert "; sigma_data 0.7" in process.stdout
    run, other = (tmp_path / "logs" / f"mnist_edm_{name}" for name in ("straight", "stopped"))
    one, two = (checkpoint.read(folder / "model_final.pth") for folder in (run, other))
    assert all(torch.equal(one["model"][key], two["model"][key]) for key in one["model"])
    assert all(torch.equal(one["ema"]["average"][k], a) for k, a in two["ema"]["average"].items())

    heun = ["--sampler", "heun", "--steps", "3"]
    grid, film = tmp_path / "grid.png", tmp_path / "film.gif"
    args = [run, "--labels", "1,2", "--num", "1", "--out", grid, "--film", film]
    process = run_script("code/sample.py", *args, *heun, "--churn", "9")
    assert process.returncode == 0, process.stderr
    assert "sampler: heun, 3 steps, churn 9\n" in process.stdout
    assert grid.is_file()
    assert film.is_file()

    process = run_script("code/evaluate.py", run, "--num", "20", *heun)
    assert process.returncode == 0, process.stderr
    assert process.stdout.strip().splitlines()[-1].startswith("conditional accuracy")
    args = ["--num", "20", "--steps", "2", "--out", tmp_path / "benchmark"]
    process = run_script("benchmarks/samplers.py", run, *args)
    assert process.returncode == 0, process.stderr
    assert "dpm++ sde" in process.stdout


def test_images_of_one_colour_are_refused(make_trainer):
    """Their deviation is 0, by which the network's input would be divided: one sentence instead."""
    learner = make_trainer().learner
    learner.splits.train = replace(
        learner.splits.train, images=torch.full_like(learner.splits.train.images, 77)
    )
    with pytest.raises(UserError, match=r"one and the same colour.*dataset\.data_folder"):
        learner.measure(8)
