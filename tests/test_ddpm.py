"""The diffusion process: against diffusers' DDPMScheduler, closed forms, and the interface.

The network is mostly replaced by a toy, so that what is wrong with it cannot fail a test here.
"""

import dataclasses
import inspect
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from helpers.models import make_model
from libs.config import ModelConfig
from libs.ddpm import DDPM
from libs.models import build
from libs.models.dit import DiT
from libs.models.variants import VariantUNet
from libs.schedules import SCHEDULES, make_betas
from libs.utils import UserError

SCHEDULE_NAMES = (
    "betas",
    "sqrt_recip_alphas",
    "sqrt_alphas_cumprod",
    "sqrt_one_minus_alphas_cumprod",
    "posterior_variance",
)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


class ToyModel(nn.Module):
    """A fixed denoiser that depends on image, label and time; it remembers the times asked for."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.7))
        self.times = []

    def forward(self, x, label, time):
        self.times.append(time.tolist())
        shift = 0.1 * label + torch.sin(time.double()).to(x.dtype)
        return self.gain * torch.tanh(x) + 0.2 * shift[:, None, None, None]


class ToyEncoder(nn.Module):
    """Stands in for the VAE's encoder: means over 8x8 patches, weighted, and a copy of the red."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))
        self.inputs = []

    def forward(self, imgs):
        self.inputs.append(imgs)
        pooled = F.avg_pool2d(self.weight * imgs, 8)
        return torch.cat([pooled, pooled[:, :1]], dim=1)


class ToyDecoder(nn.Module):
    """Stands in for the VAE's decoder: repeats each of three channels 8x8 times, and overshoots."""

    def __init__(self):
        super().__init__()
        self.inputs = []

    def forward(self, latents):
        self.inputs.append(latents)
        return F.interpolate(latents[:, :3] + 0.3, scale_factor=8)


def make_ddpm(**settings) -> DDPM:
    """A model of awkward length on small non-square images, with a toy for its network."""
    settings = {
        "img_shape": (2, 5, 3),
        "timesteps": 37,
        "dim": 4,
        "context_dim": 4,
        "num_classes": 3,
        "dim_mults": (1,),
        "attn_levels": (),
        **settings,
    }
    ddpm = make_model(**settings)
    ddpm.model = ToyModel()
    return ddpm


def make_latent_ddpm(**settings) -> DDPM:
    """A latent model whose network and autoencoder are toys; images 16x24, latents 2x3."""
    ddpm = make_ddpm(img_shape=(3, 16, 24), use_vae=True, **settings)
    ddpm.vae.encoder, ddpm.vae.decoder = ToyEncoder(), ToyDecoder()
    return ddpm


def make_scheduler(name: str, timesteps: int, start: float, end: float):
    """Diffusers' DDPMScheduler in float64."""
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.DDPMScheduler(
        timesteps,
        start,
        end,
        beta_schedule=name,
        clip_sample=False,
        variance_type="fixed_small",
        prediction_type="epsilon",
    )
    scheduler.betas = scheduler.betas.double()
    scheduler.alphas = 1 - scheduler.betas
    scheduler.alphas_cumprod = scheduler.alphas.cumprod(dim=0)
    return scheduler


def betas_by_hand(ddpm: DDPM) -> torch.Tensor:
    """The default betas in float64, one by one."""
    steps = [i / (ddpm.timesteps - 1) for i in range(ddpm.timesteps)]
    if ddpm.use_vae:
        roots = [math.sqrt(0.00085) * (1 - u) + math.sqrt(0.012) * u for u in steps]
        return torch.tensor([root**2 for root in roots], dtype=torch.float64)
    return torch.tensor([1e-4 * (1 - u) + 0.02 * u for u in steps], dtype=torch.float64)


def diffuse_by_hand(ddpm: DDPM, x_start, t, noise) -> torch.Tensor:
    """Eq. 4 in float64, sample by sample."""
    betas = betas_by_hand(ddpm)
    alpha_bars = [math.prod((1 - betas[: i + 1]).tolist()) for i in t.tolist()]
    return torch.stack(
        [
            math.sqrt(alpha_bar) * x + math.sqrt(1 - alpha_bar) * eps
            for alpha_bar, x, eps in zip(alpha_bars, x_start.double(), noise.double(), strict=True)
        ]
    )


# The process, pixel and latent: (settings of DDPM, arguments of the scheduler).
PROCESSES = [
    ({}, ("linear", 37, 1e-4, 0.02)),
    ({"timesteps": 1000}, ("linear", 1000, 1e-4, 0.02)),
    ({"beta_start": 0.001, "beta_end": 0.3}, ("linear", 37, 0.001, 0.3)),
    ({"beta_schedule": "quadratic", "beta_end": 0.1}, ("scaled_linear", 37, 1e-4, 0.1)),
    ({"beta_schedule": "cosine"}, ("squaredcos_cap_v2", 37, 1e-4, 0.02)),
    ({"use_vae": True, "img_shape": (3, 16, 24)}, ("scaled_linear", 37, 0.00085, 0.012)),
]


@pytest.mark.parametrize(("settings", "args"), PROCESSES)
def test_schedule_equals_diffusers(settings, args):
    """The betas of every schedule are those of diffusers, and what derives from them follows."""
    ddpm, scheduler = make_ddpm(**settings), make_scheduler(*args)
    betas = scheduler.betas
    alpha_bar = (1 - betas).cumprod(dim=0)
    before = torch.cat([torch.ones(1), alpha_bar[:-1]])
    expected = {
        "betas": betas,
        "sqrt_recip_alphas": (1 - betas) ** -0.5,
        "sqrt_alphas_cumprod": alpha_bar**0.5,
        "sqrt_one_minus_alphas_cumprod": (1 - alpha_bar) ** 0.5,
        "posterior_variance": betas * (1 - before) / (1 - alpha_bar),
    }

    for name, values in expected.items():
        actual = getattr(ddpm, name)
        assert actual.dtype == torch.float32
        torch.testing.assert_close(actual.double(), values, rtol=1e-5, atol=1e-12, msg=name)


@pytest.mark.parametrize("use_vae", [False, True])
def test_default_schedule_by_hand(use_vae):
    """Pixels: linear 1e-4 .. 0.02. Latents: squares of equal steps, 0.00085 .. 0.012."""
    ddpm = make_latent_ddpm() if use_vae else make_ddpm()

    torch.testing.assert_close(ddpm.betas.double(), betas_by_hand(ddpm), rtol=1e-6, atol=0)
    assert ddpm.posterior_variance[0] == 0


def test_posterior_variance_is_that_of_bayes_rule():
    """The precision of q(x_{t-1} | x_t, x_0) adds up those of the two Gaussians it comes from."""
    ddpm = make_ddpm()
    betas = betas_by_hand(ddpm)
    variances = 1 - (1 - betas).cumprod(dim=0)
    precision = 1 / variances[:-1] + (1 - betas[1:]) / betas[1:]

    torch.testing.assert_close(
        ddpm.posterior_variance[1:].double(), 1 / precision, rtol=1e-6, atol=0
    )


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("timesteps", [1, 2, 37, 1000])
def test_betas_are_variances(name, timesteps):
    """Every schedule gives T betas within (0, 1) that never fall, for short chains too."""
    betas = make_betas(name, timesteps, 1e-4, 0.02)

    assert betas.shape == (timesteps,)
    assert betas.min() > 0
    assert betas.max() < 1
    assert (betas.diff() >= 0).all()


@pytest.mark.parametrize("shape", [(3, 2, 5, 3), (3, 7), (3, 1, 2, 2, 2)])
def test_extract_shapes_one_value_per_sample_for_broadcasting(shape):
    """_extract picks a[t] and gives it as many dimensions as the images have."""
    a = torch.tensor([0.5, 1.5, 2.5, 3.5], dtype=torch.float64)
    picked = DDPM._extract(a, torch.tensor([3, 0, 3]), shape)

    assert picked.shape == (3, *[1] * (len(shape) - 1))
    assert picked.dtype == torch.float64
    assert picked.flatten().tolist() == [3.5, 0.5, 3.5]


@pytest.mark.parametrize(("settings", "args"), PROCESSES)
@pytest.mark.parametrize("t", [[0, -1, 17], [-1], list(range(37))])
def test_q_sample_equals_diffusers(settings, args, t):
    """q_sample is the scheduler's add_noise, for mixed times and a batch of one too."""
    ddpm, scheduler = make_ddpm(**settings), make_scheduler(*args)
    t = torch.tensor(t) % ddpm.timesteps
    x, noise = torch.randn(2, len(t), *ddpm.img_shape)

    expected = scheduler.add_noise(x.double(), noise.double(), t).float()
    torch.testing.assert_close(ddpm.q_sample(x, t, noise), expected, rtol=1e-5, atol=1e-6)


def test_q_sample_draws_standard_normal_noise_when_none_is_given():
    """Without noise q_sample draws its own: one draw of the shape of x_0."""
    ddpm, t = make_ddpm(), torch.tensor([36, 0])
    x = torch.randn(2, *ddpm.img_shape)
    torch.manual_seed(1)
    drawn = ddpm.q_sample(x, t)
    torch.manual_seed(1)

    assert torch.equal(drawn, ddpm.q_sample(x, t, torch.randn_like(x)))


@pytest.mark.parametrize(("settings", "args"), PROCESSES)
def test_p_sample_equals_diffusers_at_all_times(settings, args):
    """A reverse step is the scheduler's at every t, given the same noise; step 0 adds none."""
    ddpm, scheduler = make_ddpm(**settings), make_scheduler(*args)
    x, label = torch.randn(2, *ddpm.img_shape), torch.tensor([2, 0])
    for t_index in range(0, ddpm.timesteps, max(1, ddpm.timesteps // 40)):
        t = torch.full((2,), t_index)
        with torch.no_grad():
            eps = ddpm.model(x, label, t)
        torch.manual_seed(t_index)
        expected = scheduler.step(eps, t_index, x).prev_sample.float()
        torch.manual_seed(t_index)
        actual = ddpm.p_sample(x, label, t, t_index)
        torch.testing.assert_close(actual, expected, rtol=2e-5, atol=2e-5)


def test_p_sample_draws_no_noise_at_the_last_step():
    """At t = 0 the result is the mean, and the random state stays as it was."""
    ddpm, x = make_ddpm(), torch.randn(1, 2, 5, 3)
    before = torch.get_rng_state()
    ddpm.p_sample(x, torch.tensor([1]), torch.tensor([0]), 0)

    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("use_vae", [False, True])
@pytest.mark.parametrize("batch", [1, 3])
def test_p_sample_loop_equals_diffusers_chain(monkeypatch, use_vae, batch):
    """Under the same seed the whole chain is the scheduler's, from pure noise to x_0."""
    if use_vae:
        ddpm = make_latent_ddpm()
        scheduler = make_scheduler("scaled_linear", 37, 0.00085, 0.012)
    else:
        ddpm, scheduler = make_ddpm(), make_scheduler("linear", 37, 1e-4, 0.02)
    labels = torch.arange(batch) % 3
    torch.manual_seed(5)
    x = torch.randn(batch, *ddpm.img_shape)
    with torch.no_grad():
        for t in scheduler.timesteps.tolist():
            eps = ddpm.model(x, labels, torch.full((batch,), t))
            x = scheduler.step(eps, t, x).prev_sample.float()
    expected = F.interpolate(x[:, :3] + 0.3, scale_factor=8) if use_vae else (x + 1) / 2

    torch.manual_seed(5)
    torch.testing.assert_close(
        ddpm.p_sample_loop(labels), expected.clamp(0, 1), rtol=1e-4, atol=1e-4
    )
    # The same without the clamp, which could hide a difference.
    monkeypatch.setattr(ddpm, "postprocess", lambda imgs: imgs if use_vae else (imgs + 1) / 2)
    torch.manual_seed(5)
    torch.testing.assert_close(ddpm.p_sample_loop(labels), expected, rtol=1e-4, atol=1e-4)


def test_p_sample_loop_draws_once_per_step(monkeypatch):
    """One randn for the start, then one draw a step with t > 0; the network is asked T-1 .. 0."""
    ddpm = make_ddpm(timesteps=4)
    events = []

    def record(name, draw):
        def recorded(*args, **kwargs):
            noise = draw(*args, **kwargs)
            events.append((name, tuple(noise.shape)))
            return noise

        monkeypatch.setattr(torch, name, recorded)

    record("randn", torch.randn)
    record("randn_like", torch.randn_like)
    ddpm.model.register_forward_hook(lambda module, args, output: events.append(args[2].tolist()))
    ddpm.p_sample_loop(torch.tensor([1, 2]))

    step = ("randn_like", (2, 2, 5, 3))
    assert events == [("randn", (2, 2, 5, 3)), [3, 3], step, [2, 2], step, [1, 1], step, [0, 0]]


@pytest.mark.parametrize("std", [0.1, 0.5])
def test_sampling_with_the_optimal_denoiser_reproduces_gaussian_data(monkeypatch, std):
    """With the exact denoiser of N(mean, std^2) data the chain ends in that distribution.

    One mean for each label. The steps are finite, so the std comes out a little small; how much
    follows from eq. 7 with E[x_0 | x_t] instead of x_0.
    """
    ddpm = make_ddpm(img_shape=(1, 64, 64), timesteps=200, beta_start=1e-4, beta_end=0.1)
    means = torch.tensor([-0.6, 0.2, 0.9])
    betas = torch.linspace(1e-4, 0.1, 200, dtype=torch.float64)
    alpha_bar = (1 - betas).cumprod(dim=0)
    alpha_bar_before = torch.cat([torch.ones(1), alpha_bar[:-1]])

    class OptimalDenoiser(nn.Module):
        def forward(self, x, label, time):
            ab = alpha_bar[time].float()[:, None, None, None]
            mean = means[label][:, None, None, None]
            return (1 - ab).sqrt() * (x - ab.sqrt() * mean) / (ab * std**2 + 1 - ab)

    ddpm.model = OptimalDenoiser()
    monkeypatch.setattr(ddpm, "postprocess", lambda imgs: imgs)
    torch.manual_seed(0)
    samples = ddpm.p_sample_loop(torch.tensor([0, 1, 2, 0])).double()

    variance = 1.0
    for beta, ab, ab_before in zip(
        betas.flip(0), alpha_bar.flip(0), alpha_bar_before.flip(0), strict=True
    ):
        x_0_gain = ab.sqrt() * std**2 / (ab * std**2 + 1 - ab)
        gain = ab_before.sqrt() * beta / (1 - ab) * x_0_gain
        gain += (1 - beta).sqrt() * (1 - ab_before) / (1 - ab)
        variance = gain**2 * variance + beta * (1 - ab_before) / (1 - ab)
    expected_std = variance.sqrt()
    assert 0.85 * std < expected_std < std

    num_pixels = 64 * 64  # independent draws a sample; bounds of 6 standard errors, p < 1e-8
    for sample, mean in zip(samples, means[[0, 1, 2, 0]], strict=True):
        assert (sample.mean() - mean).abs() < 6 * expected_std / num_pixels**0.5
        assert (sample.std() / expected_std - 1).abs() < 6 / (2 * num_pixels) ** 0.5


def test_sampled_images_are_between_0_and_1():
    """p_sample_loop returns images in [0, 1] whatever the network says, without a gradient."""
    for ddpm in (make_ddpm(), make_latent_ddpm()):
        ddpm.model.gain.data.fill_(-30)
        imgs = ddpm.p_sample_loop(torch.tensor([0, 1]))
        assert imgs.shape == ((2, 3, 16, 24) if ddpm.use_vae else (2, 2, 5, 3))
        assert imgs.min() == 0
        assert imgs.max() == 1
        assert not imgs.requires_grad


def test_postprocess():
    """Images of a pixel model come from [-1, 1], decoded ones stay; both are clamped to [0, 1]."""
    imgs = torch.tensor([-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0])

    assert make_ddpm().postprocess(imgs).tolist() == [0, 0, 0.25, 0.5, 0.75, 1, 1]
    assert make_latent_ddpm().postprocess(imgs).tolist() == [0, 0, 0, 0, 0.5, 1, 1]


@pytest.mark.parametrize("t", [[0, 36, 17], [36], [0]])
def test_compute_loss_by_hand(t):
    """The loss is the mean squared error of the predicted noise, computed here in float64."""
    ddpm, t = make_ddpm(), torch.tensor(t)
    label = torch.arange(len(t)) % 3
    x, noise = torch.randn(2, len(t), *ddpm.img_shape)
    eps = ddpm.model(diffuse_by_hand(ddpm, x, t, noise), label, t)

    loss = ddpm.compute_loss(x, label, t, noise)
    assert loss.shape == ()
    assert loss.item() == pytest.approx((eps - noise).square().mean().item(), rel=1e-5)


@pytest.mark.parametrize("make", [make_ddpm, make_latent_ddpm])
def test_compute_loss_draws_noise_of_the_diffused_shape(make):
    """Without noise compute_loss draws its own, of the latents' shape where there are latents."""
    ddpm, label, t = make(), torch.tensor([0, 2]), torch.tensor([36, 3])
    x = torch.rand(2, 3, 16, 24) if ddpm.use_vae else torch.randn(2, 2, 5, 3)
    torch.manual_seed(3)
    loss = ddpm.compute_loss(x, label, t)
    torch.manual_seed(3)
    noise = torch.randn(2, *ddpm.img_shape)

    assert loss.item() == pytest.approx(ddpm.compute_loss(x, label, t, noise).item(), rel=1e-6)


def test_latent_loss_is_that_of_the_encoded_images():
    """With use_vae the images are encoded as they come, in [0, 1], and their latents diffused."""
    ddpm, label, t = make_latent_ddpm(), torch.tensor([0, 2]), torch.tensor([36, 3])
    x, noise = torch.rand(2, 3, 16, 24), torch.randn(2, 4, 2, 3)
    latents = ToyEncoder()(x)
    eps = ddpm.model(diffuse_by_hand(ddpm, latents, t, noise), label, t)

    loss = ddpm.compute_loss(x, label, t, noise)
    assert loss.item() == pytest.approx((eps - noise).square().mean().item(), rel=1e-5)
    assert len(ddpm.vae.encoder.inputs) == 1
    assert torch.equal(ddpm.vae.encoder.inputs[0], x)
    assert not ddpm.vae.decoder.inputs


def test_no_gradient_reaches_the_autoencoder():
    """The loss trains the network alone, even if the encoder's weights could learn."""
    ddpm = make_latent_ddpm()
    x = torch.rand(1, 3, 16, 24, requires_grad=True)
    ddpm.compute_loss(x, torch.tensor([0]), torch.tensor([5])).backward()

    assert ddpm.model.gain.grad.abs() > 0
    assert ddpm.vae.encoder.weight.grad is None
    assert x.grad is None


def test_autoencoder_is_frozen():
    """No parameter of the real autoencoder asks for a gradient; all those of the network do."""
    ddpm = DDPM(img_shape=(3, 32, 32), dim=4, context_dim=4, use_vae=True)

    assert list(ddpm.vae.parameters())
    assert not any(p.requires_grad for p in ddpm.vae.parameters())
    assert all(p.requires_grad for p in ddpm.model.parameters())


def test_sampled_latents_are_decoded_once():
    """The decoder gets x_0, the end of the chain, with the latents' shape."""
    ddpm = make_latent_ddpm(timesteps=3)
    steps = []
    p_sample = ddpm.p_sample

    def recorded(*args):
        steps.append(p_sample(*args))
        return steps[-1]

    ddpm.p_sample = recorded
    ddpm.p_sample_loop(torch.tensor([0, 1]))

    assert len(steps) == 3
    assert len(ddpm.vae.decoder.inputs) == 1
    assert ddpm.vae.decoder.inputs[0].shape == (2, 4, 2, 3)
    assert torch.equal(ddpm.vae.decoder.inputs[0], steps[-1])
    assert not ddpm.vae.encoder.inputs


def test_the_real_network_trains_and_samples():
    """The parts fit together: a loss with gradients and images of the right shape."""
    ddpm = DDPM((3, 8, 12), 5, dim=4, context_dim=4, num_classes=3)
    label = torch.tensor([0, 2])
    x, t = torch.rand(2, 3, 8, 12) * 2 - 1, torch.tensor([0, 4])
    ddpm.compute_loss(x, label, t).backward()

    assert all(p.grad is not None for p in ddpm.model.parameters())
    assert ddpm.p_sample_loop(label).shape == (2, 3, 8, 12)


@pytest.mark.parametrize("make", [make_ddpm, make_latent_ddpm])
def test_inputs_are_not_changed(make):
    """No method writes into its arguments or into the schedule."""
    ddpm, label, t = make(), torch.tensor([0, 2]), torch.tensor([36, 0])
    imgs = torch.rand(2, 3, 16, 24) if ddpm.use_vae else torch.randn(2, 2, 5, 3)
    x, noise = torch.randn(2, 2, *ddpm.img_shape)
    watched = [imgs, x, noise, label, t, *(getattr(ddpm, name) for name in SCHEDULE_NAMES)]
    before = [values.clone() for values in watched]

    ddpm.q_sample(x, t, noise)
    ddpm.compute_loss(imgs, label, t, noise)
    ddpm.p_sample(x, label, t, 36)
    ddpm.p_sample(x, label, t, 0)
    ddpm.p_sample_loop(label)
    ddpm.postprocess(x)
    assert all(torch.equal(now, then) for now, then in zip(watched, before, strict=True))


def test_schedule_moves_with_the_model_and_is_not_saved():
    """The schedule follows .to() and is not part of checkpoints, which hold weights alone."""
    ddpm = make_ddpm()
    assert list(ddpm.state_dict()) == ["model.gain"]

    for target in (torch.float64, torch.device("meta")):
        ddpm.to(target)
        for name in SCHEDULE_NAMES:
            values = getattr(ddpm, name)
            assert target in (values.dtype, values.device), name
            assert values.shape == (37,)


@pytest.mark.parametrize("use_vae", [False, True])
def test_attributes_of_the_interface(use_vae):
    """The attributes that course material relies on exist; img_shape is the diffused shape."""
    ddpm = DDPM((3, 32, 64), 7, dim=4, context_dim=4, use_vae=use_vae)

    for name in SCHEDULE_NAMES:
        assert getattr(ddpm, name).shape == (7,)
    assert ddpm.timesteps == 7
    assert tuple(ddpm.img_shape) == ((4, 4, 8) if use_vae else (3, 32, 64))
    assert ddpm.use_vae is use_vae
    assert (ddpm.vae is not None) == use_vae
    assert ddpm.model.conv_in.in_channels == ddpm.img_shape[0]
    assert ddpm.model.final_conv[-1].out_channels == ddpm.img_shape[0]


def test_network_gets_the_settings():
    """Width, context, classes, levels and transformers of the UNet are those asked for."""
    unet = DDPM((1, 4, 4), 5, 8, 12, 7, (1, 3), (1,)).model

    assert unet.conv_in.out_channels == 8
    assert unet.label_embd.embedding.weight.shape == (7, 12)
    assert [level[0].in_layers[2].out_channels for level in unet.encoder] == [8, 24]
    assert [level[1] is not None for level in unet.encoder] == [False, True]


def test_signatures_of_the_interface():
    """Names, order and defaults of the arguments stay; what is newer can only be named."""
    parameters = list(inspect.signature(DDPM).parameters.values())
    contract = {
        "img_shape": (3, 32, 32),
        "timesteps": 100,
        "dim": 64,
        "context_dim": 64,
        "num_classes": 10,
        "dim_mults": (1, 2, 4),
        "attn_levels": (0, 1),
        "use_vae": False,
        "vae_encoder_weights": None,
        "vae_decoder_weights": None,
    }
    older, newer = parameters[: len(contract)], parameters[len(contract) :]

    assert [(p.name, p.default) for p in older] == list(contract.items())
    assert {p.kind for p in older} == {inspect.Parameter.POSITIONAL_OR_KEYWORD}
    assert {p.kind for p in newer} == {inspect.Parameter.KEYWORD_ONLY}
    assert all(p.default is not inspect.Parameter.empty for p in newer)
    methods = {
        "q_sample": "self x_start t noise",
        "compute_loss": "self x_start label t noise",
        "p_sample": "self x label t t_index",
        "p_sample_loop": "self labels",
        "postprocess": "self imgs",
        "_extract": "a t x_shape",
    }
    for name, arguments in methods.items():
        assert list(inspect.signature(getattr(DDPM, name)).parameters) == arguments.split(), name


def test_config_section_has_the_defaults_of_the_constructors():
    """Each key of the section `model` is an argument of DDPM, VariantUNet or DiT, with its default.

    The others models/build.py turns into a schedule, a target, a null class or a kind of network.
    """

    def plain(value):
        return list(value) if isinstance(value, tuple) else value

    config = dataclasses.asdict(ModelConfig())
    of_kinds = ((DDPM, build.CONTRACT), (VariantUNet, build.NETWORK), (DiT, build.OF_DIT))
    for kind, names in of_kinds:
        parameters = inspect.signature(kind).parameters
        assert {n: config[n] for n in names} == {n: plain(parameters[n].default) for n in names}
    others = set(config).difference(*(names for _, names in of_kinds))
    made = {"prediction", "variance_type", "label_dropout", "network"}
    assert others == {*build.SCHEDULE, *made}


@pytest.mark.parametrize(
    ("img_shape", "dim_mults", "use_vae", "factor"),
    [
        ((3, 30, 32), (1, 2, 4), False, 4),
        ((3, 32, 34), (1, 2, 4), False, 4),
        ((1, 28, 28), (1, 2, 4, 8), False, 8),
        ((3, 144, 112), (1, 2, 4), True, 32),
        ((3, 20, 20), (1,), True, 8),
    ],
)
def test_sizes_that_cannot_be_halved_are_refused(img_shape, dim_mults, use_vae, factor):
    """The error names the size and the factor that height and width must be divisible by."""
    size = f"{img_shape[1]}x{img_shape[2]}"
    with pytest.raises(ValueError, match=rf"{size}.* divisible by {factor} \(") as caught:
        DDPM(img_shape, dim=4, context_dim=4, dim_mults=dim_mults, use_vae=use_vae)

    assert ("VAE" in str(caught.value)) == use_vae


def test_unknown_schedule_is_refused():
    """The error names the schedule asked for and one that there is."""
    with pytest.raises(UserError, match=r"'cosin'.*cosine"):
        make_ddpm(beta_schedule="cosin")
