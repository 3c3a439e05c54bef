"""Every sampler from every model: against closed forms on Gaussian data, and against diffusers."""

import math
from itertools import pairwise

import pytest
import torch
from diffusers import EDMDPMSolverMultistepScheduler, EDMEulerScheduler
from torch import nn

from libs.ddim import sample_ddim
from libs.ddpm import DDPM
from libs.edm import EDM
from libs.fm import FM
from libs.models.denoisers import denoiser_of
from libs.models.targets import IndirectUNet
from libs.runtime.device import Precision
from libs.samplers.dpm_solver import sample_dpm_solver
from libs.samplers.draw import draw_samples
from libs.samplers.sampler import NAMES, Sampler
from libs.schedules import cosine_betas, make_betas
from libs.utils import UserError

FP32 = Precision("fp32", torch.device("cpu"))
SMALL = {"dim": 8, "context_dim": 8, "num_classes": 3, "dim_mults": (1, 2), "attn_levels": ()}
MEAN, STD = 0.2, 0.15  # of the pixels, all alike, so that no x_0 reaches the bounds of pixels
T = 1000


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def expected_noise(x, alpha, sigma):
    """E[noise | x] for x = alpha x_0 + sigma noise, where x_0 ~ N(MEAN, STD^2)."""
    return sigma * (x - alpha * MEAN) / (alpha**2 * STD**2 + sigma**2)


class IdealDDPM(DDPM):
    """A DDPM whose network knows the data."""

    def __init__(self):
        super().__init__((1, 8, 8), T, **SMALL)
        self.model.forward = self.answer

    def answer(self, x, label, time):
        rates = self.sqrt_alphas_cumprod, self.sqrt_one_minus_alphas_cumprod
        return expected_noise(x, *(rate[time][:, None, None, None] for rate in rates))


class IdealEDM(EDM):
    """An EDM that knows the data."""

    def __init__(self):
        super().__init__((1, 8, 8), **SMALL, steps=200)

    def denoise(self, x, label, sigma):
        sigma = sigma[:, None, None, None]
        return x - sigma * expected_noise(x, 1, sigma)


class IdealFM(FM):
    """A flow whose network knows the data."""

    def __init__(self):
        super().__init__((1, 8, 8), **SMALL)
        self.model.forward = self.answer

    def answer(self, x, label, time):
        t = time[:, None, None, None]
        share = (x - t * MEAN) / (t**2 * STD**2 + (1 - t) ** 2)
        return MEAN + (t * STD**2 - (1 - t)) * share  # E[x_0 | x] - E[noise | x]


MODELS = {"DDPM": IdealDDPM, "EDM": IdealEDM, "FM": IdealFM}
DETERMINISTIC = [Sampler(name, 200) for name in ("ddim", "dpm++", "deis")] + [Sampler("heun", 40)]
SAMPLERS = [
    *DETERMINISTIC,
    Sampler("dpm++", 200, eta=1),
    Sampler("deis", 50, eta=1, spacing="cosine"),
    Sampler("ddim", 200, eta=1),
    Sampler("ddpm", 200),
]


def end_of(model, sampler, number=2, seed=3):
    """The states x_0 that draw_samples ends with, and the first noise of each sample."""
    found, first = [], []
    model.postprocess = lambda x: found.append(x) or x

    class Watch:
        def record(self, left, steps, x):
            first.append(x)

    labels = torch.zeros(number, dtype=torch.long)
    options = {"seed": seed, "sampler": sampler, "show_progress": False, "film": Watch()}
    list(draw_samples(model, labels, FP32, **options))
    return found[-1], first[0]


@pytest.mark.parametrize("sampler", DETERMINISTIC, ids=str)
@pytest.mark.parametrize("kind", MODELS)
def test_deterministic_samplers_follow_the_exact_flow(kind, sampler):
    """On Gaussian data the probability flow is a stretch, and every model's chains end near it."""
    model = MODELS[kind]().eval()
    x_0, first = end_of(model, sampler)
    denoiser = denoiser_of(model)
    if sampler.name == "heun":
        sigma = denoiser.round_sigma(denoiser.heun.sigma_max)
        start = first * math.hypot(denoiser.data_std, sigma) / denoiser.data_std
    else:
        alpha, sigma = (
            rate.double()[0] for rate in denoiser.rates(denoiser.times(200, "trailing"))
        )
        sigma = (sigma / alpha).item()
        start = first * math.hypot(1, sigma)
    exact = MEAN + (start - MEAN) * STD / math.hypot(STD, sigma)
    assert (x_0 - exact).abs().max() < 0.02
    assert x_0.std() > 0.1


@pytest.mark.parametrize("sampler", SAMPLERS, ids=str)
@pytest.mark.parametrize("kind", MODELS)
def test_samples_have_the_distribution_of_the_data(kind, sampler):
    """Mean and deviation of the pixels are those of the data, whatever draws from whatever."""
    x_0, _ = end_of(MODELS[kind]().eval(), sampler, number=100)  # 6,400 pixels
    assert x_0.mean().item() == pytest.approx(MEAN, abs=0.02)  # ten standard errors
    assert x_0.std().item() == pytest.approx(STD, rel=0.1)


def tiny(kind):
    """A tiny model whose network's output depends on all of its input."""
    torch.manual_seed(0)
    options = {"DDPM": {}, "EDM": {"steps": 5, "sigma_data": 0.4}, "FM": {}}
    if kind in options:
        model = {"DDPM": DDPM, "EDM": EDM, "FM": FM}[kind]((1, 8, 8), **SMALL, **options[kind])
    else:
        betas = cosine_betas(30)
        options = {"betas": betas, "network": lambda **sizes: IndirectUNet(kind, betas, **sizes)}
        model = DDPM((1, 8, 8), 30, **SMALL, **options)
    for parameter in model.model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model.eval()


@torch.no_grad()
@pytest.mark.parametrize("kind", ["DDPM", "v", "x0", "EDM", "FM"])
def test_noise_and_x_0_make_up_x(kind):
    """At every time of the model, x = alpha x_0 + sigma noise, with what it predicts of both."""
    denoiser, label = denoiser_of(tiny(kind)), torch.tensor([0, 2, 1])
    time = denoiser.times(3, "trailing")
    time = time.float() if time.is_floating_point() else time
    alpha, sigma = (rate[:, None, None, None] for rate in denoiser.rates(time))
    x = alpha * normal(3, 1, 8, 8) + sigma * normal(3, 1, 8, 8, seed=1)
    noise, x_0 = denoiser.noise(x, label, time), denoiser.denoised(x, label, time)
    torch.testing.assert_close(alpha * x_0 + sigma * noise, x, rtol=1e-4, atol=1e-4)
    for i in range(3):  # the same by the form that Heun's method walks in
        ratio = (sigma / alpha)[i].item()
        assert denoiser.round_sigma(ratio) == pytest.approx(ratio, rel=1e-5)
        other = denoiser.denoised_at(x[i : i + 1] / alpha[i], label[i : i + 1], ratio)
        torch.testing.assert_close(other, x_0[i : i + 1], rtol=1e-3, atol=1e-3)


def walked_by(scheduler, edm, x, label, steps):
    """The chain of one of diffusers' schedulers for EDM around a model's network."""
    scheduler.set_timesteps(steps)
    for t in scheduler.timesteps:
        scaled = scheduler.scale_model_input(x, t)
        x = scheduler.step(edm.model(scaled, label, t.expand(len(x))), t, x).prev_sample
    return x


@torch.no_grad()
@pytest.mark.parametrize("steps", [1, 2, 9, 20])
@pytest.mark.parametrize("name", ["ddim", "dpm++"])
def test_chains_of_an_edm_are_those_of_diffusers(name, steps):
    """DDIM is Euler's method over sigma, and DPM-Solver++ from an EDM is that of diffusers."""
    edm, label, noise = tiny("EDM"), torch.tensor([0, 2, 1]), normal(3, 1, 8, 8)
    chain = denoiser_of(edm).chain(steps, "trailing")
    sample = {"ddim": sample_ddim, "dpm++": sample_dpm_solver}[name]
    ours = sample(
        lambda x, t: chain.eps_model(x, label, t), noise, chain.alphas_cumprod, chain.times
    )
    if name == "ddim":
        scheduler = EDMEulerScheduler(sigma_data=0.4)
    else:
        scheduler = EDMDPMSolverMultistepScheduler(sigma_data=0.4, final_sigmas_type="zero")
    theirs = walked_by(scheduler, edm, noise * math.hypot(80, 1), label, steps)
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_heun_from_a_ddpm_is_the_plain_loop():
    """Heun's method in x / alpha over the time steps nearest to eq. 5's noise levels."""
    ddpm, label, steps = tiny("DDPM"), torch.tensor([0, 0]), 6
    x_0, first = end_of(ddpm, Sampler("heun", steps))
    ab = (1 - ddpm.betas.double()).cumprod(dim=0)
    known = ((1 - ab) / ab).sqrt()
    ends = known[-1].item() ** (1 / 7), known[0].item() ** (1 / 7)
    wanted = torch.linspace(*ends, steps, dtype=torch.float64) ** 7
    times = [(known.log() - w.log()).abs().argmin().item() for w in wanted]

    def slope(x, t):
        return ddpm.model((ab[t].sqrt() * x).float(), label, torch.full((2,), t)).double()

    x = first.double() * math.hypot(1, known[-1])
    for t, t_next in pairwise(times):
        d, step = slope(x, t), known[t_next] - known[t]
        x = x + step * (d + slope(x + step * d, t_next)) / 2
    x = x - known[times[-1]] * slope(x, times[-1])
    torch.testing.assert_close(x_0.double(), x, rtol=1e-3, atol=1e-3)


def test_a_ddpm_knows_its_own_noise_levels_alone():
    """Levels between two time steps, or beyond the ends, go to the nearest; an EDM knows all."""
    ddpm = DDPM((1, 8, 8), 50, **SMALL, betas=make_betas("linear", 50, 1e-3, 0.2))
    denoiser = denoiser_of(ddpm)
    ab = (1 - ddpm.betas.double()).cumprod(dim=0)
    known = ((1 - ab) / ab).sqrt()
    for sigma in (1e-6, 0.03, 0.5, 7.0, 1e5):
        nearest = known[(known.log() - math.log(sigma)).abs().argmin()].item()
        assert denoiser.round_sigma(sigma) == pytest.approx(nearest, rel=1e-5)
        assert denoiser_of(tiny("EDM")).round_sigma(sigma) == sigma
    assert denoiser.heun.sigma_max == pytest.approx(known[-1].item(), rel=1e-5)


def test_a_flow_has_its_own_spacings():
    """Its times are even, even in ln(sigma / alpha), or dense at both ends, all above 0."""
    denoiser = denoiser_of(tiny("FM"))
    own, even = (denoiser.times(5, spacing) for spacing in ("trailing", "log_snr"))
    assert own.tolist() == pytest.approx([0.001, 0.2, 0.4, 0.6, 0.8])
    ratios = [a / b for a, b in pairwise(((1 - even) / even).tolist())]
    assert ratios == pytest.approx([ratios[0]] * 4)
    assert ratios[0] > 1
    cosine = denoiser.times(4, "cosine").tolist()
    assert cosine == pytest.approx(
        [0.001, 0.1464 + 0.00085, 0.5 + 0.0005, 0.8536 + 0.00015], abs=1e-4
    )
    for steps, spacing, words in ((5, "leading", "no time steps"), (0, "trailing", "not 0")):
        with pytest.raises(UserError, match=words):
            denoiser.times(steps, spacing)


@torch.no_grad()
def test_ddim_on_a_flow_is_eulers_method():
    """Where the noise and x_0 that the network expects stay as they are, x goes along a line."""
    flow, label, noise = tiny("FM"), torch.tensor([0, 2, 1]), normal(3, 1, 8, 8)
    chain = denoiser_of(flow).chain(6, "trailing")
    ours = sample_ddim(
        lambda x, t: chain.eps_model(x, label, t), noise, chain.alphas_cumprod, chain.times
    )
    x = noise * math.hypot(0.001, 0.999)  # the scale of the flow at the first time
    for t, t_next in pairwise([0.001, *(i / 6 for i in range(1, 7))]):
        x = flow.step(x, label, t, t_next)
    torch.testing.assert_close(ours, x, rtol=1e-3, atol=1e-3)


def test_an_edm_has_its_own_spacings():
    """Its levels go by rho or evenly in their logarithm; what counts time steps is refused."""
    denoiser = denoiser_of(tiny("EDM"))
    own, even = (denoiser.times(5, spacing).tolist() for spacing in ("trailing", "log_snr"))
    assert own == pytest.approx(denoiser.heun.sigmas(5)[:-1])
    assert even[0] == pytest.approx(80)
    assert even[-1] == pytest.approx(0.002)
    ratios = [a / b for a, b in pairwise(even)]
    assert ratios == pytest.approx([ratios[0]] * 4)
    flow_times = 1 / (1 + denoiser.times(6, "cosine"))  # of equal noise
    angles = (1 - 2 * (flow_times - 1 / 81) * 81 / 80).acos()
    assert angles.diff().tolist() == pytest.approx([math.pi / 6] * 5)
    for steps, spacing, words in ((5, "leading", "no time steps"), (0, "trailing", "not 0")):
        with pytest.raises(UserError, match=words):
            denoiser.times(steps, spacing)


@pytest.mark.parametrize("kind", ["DDPM", "v", "x0", "EDM", "FM"])
def test_every_sampler_draws_from_every_model(kind):
    """Images in [0, 1], in half precision too, the same in batches of any size."""
    model = tiny(kind)
    for name in NAMES:
        sampler = Sampler(name, None if name == "own" else 3)
        for precision in (FP32, Precision("bf16", torch.device("cpu"))):
            labels = torch.tensor([0, 2, 1])
            images = torch.cat(list(draw_samples(model, labels, precision, sampler=sampler)))
            assert images.shape == (3, 1, 8, 8)
            assert images.isfinite().all()
            assert images.std() > 0.01
        if sampler.resolved(model).name != "own":
            options = {"sampler": sampler, "first": 1}
            last = torch.cat(list(draw_samples(model, labels[1:], precision, **options)))
            torch.testing.assert_close(last, images[1:], rtol=0, atol=0.05)


def test_a_model_that_no_sampler_knows_is_named():
    """Whoever adds a kind of model learns where it has to be entered."""
    with pytest.raises(TypeError, match="Linear is none of DDPM, EDM"):
        denoiser_of(nn.Linear(1, 1))
