"""Rectified flow: its path, loss and steps against flow_matching and diffusers, its orders on
Gaussians, its training, and its keys."""

import math
from functools import partial
from itertools import pairwise

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from flow_matching.path import CondOTProbPath
from flow_matching.solver import ODESolver
from torch import nn

from helpers.captioned import build_trainer, write_pictures
from helpers.resume import assert_resumes_exactly
from helpers.resume import make_trainer as make_trainer_of
from helpers.scripts import run_script
from libs.config import load_config
from libs.fm import FM
from libs.models import build
from libs.models.build import build_model, load_model
from libs.models.flows import BoundedDiT, BoundedUNet, ImageDiT, ImageUNet
from libs.models.variants import VariantUNet, null_label
from libs.runtime import checkpoint
from libs.runtime.device import Precision
from libs.samplers.draw import draw_samples
from libs.samplers.film import Film
from libs.samplers.guidance import guided
from libs.samplers.sampler import Sampler
from libs.tiny_autoencoder import TAESD
from libs.training.diffusion_losses import TrainingLoss
from libs.training.run_folder import check_same_run
from libs.utils import UserError

CPU = torch.device("cpu")
FP32 = Precision("fp32", CPU)
SMALL = {"dim": 8, "context_dim": 8, "num_classes": 4, "dim_mults": (1, 2), "attn_levels": ()}


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


class Toy(nn.Module):
    """A velocity in float64 that bends with place, class and time, and keeps what it was given."""

    def forward(self, x, label, time):
        self.given = x, label, time
        return (x * (1 + label[:, None, None, None])).sin() + time[:, None, None, None] ** 2


def toy(**options):
    """A flow with a toy network."""
    flow = FM((1, 8, 8), **SMALL, **options)
    flow.model = Toy()
    return flow


def make(**options):
    """A tiny flow whose network's output depends on all of its input."""
    torch.manual_seed(0)
    flow = FM((1, 8, 8), **SMALL, **options).eval()
    for parameter in flow.model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return flow


# Path and loss


def test_path_is_that_of_flow_matching():
    """Point and velocity of the line are those of the package's conditional OT path."""
    flow, x_start, noise = toy(), normal(5, 1, 8, 8), normal(5, 1, 8, 8, seed=1)
    t, label = torch.tensor([0.0, 0.1, 0.5, 0.9, 1.0], dtype=torch.float64), torch.arange(5) % 4
    theirs = CondOTProbPath().sample(x_0=noise, x_1=x_start, t=t)
    torch.testing.assert_close(flow.interpolate(x_start, t, noise), theirs.x_t, rtol=0, atol=1e-12)
    loss = flow.compute_loss(x_start, label, t, noise)
    given_x, given_label, given_t = flow.model.given
    torch.testing.assert_close(given_x, theirs.x_t, rtol=0, atol=1e-12)
    assert given_label is label
    assert given_t is t
    expected = (Toy()(theirs.x_t, label, t) - theirs.dx_t).square().mean()
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("logit_normal", [None, (-0.7, 0.6)])
def test_times_of_training(logit_normal):
    """They have the distribution asked for, and follow from the generator."""
    flow = toy(logit_normal=logit_normal)
    drawn = [flow.draw_t(100_000, CPU, torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert 0 <= drawn[0].min() < drawn[0].max() <= 1
    t = drawn[0].double().sort().values
    shares = t if logit_normal is None else torch.special.ndtr((t.logit() + 0.7) / 0.6)
    steps = torch.arange(1, 100_001) / 100_000
    assert (shares - steps).abs().max() < 0.01  # Kolmogorov-Smirnov, p < 1e-7


def test_what_is_left_out_is_drawn():
    """Without t and noise the loss draws both, as a course's training loop expects."""
    flow = toy(logit_normal=(0.0, 1.0))
    x_start, label = normal(500, 1, 8, 8, dtype=torch.float32), torch.zeros(500, dtype=torch.long)
    flow.compute_loss(x_start, label)
    x_t, _, t = flow.model.given
    assert t.shape == (500,)
    assert 0 < t.min() < 0.1
    assert 0.9 < t.max() < 1
    at = t[:, None, None, None]
    noise = (x_t - at * x_start) / (1 - at)
    assert noise.mean().abs() < 0.05
    assert noise.var().item() == pytest.approx(1, abs=0.05)


def test_a_loss_that_draws_t_is_measured_at_the_times_of_any_other():
    """As in some editions: compute_loss has no argument for times, and calls draw_t."""

    class DrawsT(FM):
        def compute_loss(self, x_start, label, noise=None):
            return FM.compute_loss(self, x_start, label, None, noise)

    flow, settings = toy(), load_config("configs/digits_fm.yaml")
    x, label, t = normal(3, 1, 8, 8).float(), torch.tensor([0, 1, 2]), torch.tensor([0.1, 0.5, 0.9])
    noise = normal(3, 1, 8, 8, seed=1).float()
    with torch.no_grad():
        expected = TrainingLoss(flow, settings)(x, label, t, noise)
        flow.__class__ = DrawsT
        loss = TrainingLoss(flow, settings)
        assert loss.eval()(x, label, t, noise) == expected
        assert loss.train()(x, label, t, noise) != expected
    assert not torch.equal(flow.model.given[2], t)


@pytest.mark.parametrize("use_vae", [False, True])
def test_latents_are_encoded_without_gradient(use_vae):
    """A latent model encodes images first; the autoencoder stays frozen."""
    torch.manual_seed(0)
    flow = FM((3, 16, 16), **SMALL, use_vae=use_vae)
    assert flow.img_shape == ((4, 2, 2) if use_vae else (3, 16, 16))
    images, noise = torch.rand(2, 3, 16, 16), torch.randn(2, *flow.img_shape)
    label, t = torch.tensor([0, 1]), torch.tensor([0.2, 0.8])
    loss = flow.compute_loss(images, label, t, noise)
    start = flow.vae.encoder(images) if use_vae else images
    torch.testing.assert_close(loss, (start - noise).square().mean())  # the network begins at 0
    loss.backward()
    assert flow.model.final_conv[2].weight.grad.abs().max() > 0
    assert not use_vae or all(p.grad is None for p in flow.vae.parameters())


# Gaussian data: everything in closed form

MEAN = torch.tensor([0.7, -0.4, 0.1], dtype=torch.float64)
COV = torch.tensor([[0.5, 0.2, 0.0], [0.2, 0.3, -0.1], [0.0, -0.1, 0.2]], dtype=torch.float64)
VALUES, VECTORS = torch.linalg.eigh(COV)


class Ideal(nn.Module):
    """The velocity of N(MEAN, COV): E[x_1 - x_0 | x_t], affine in x_t ~ N(t MEAN, S_t) with
    S_t = t^2 COV + (1 - t)^2 I."""

    def forward(self, x, label, time):
        t = time.double()[:, None]
        along = (x.flatten(1) - t * MEAN) @ VECTORS
        along = along * (t * VALUES - (1 - t)) / (t**2 * VALUES + (1 - t) ** 2)
        return (MEAN + along @ VECTORS.T).reshape(x.shape)


def exact_flow(noise):
    """Where noise is led: to the point of the data that is as many deviations from the mean."""
    return (MEAN + noise.flatten(1) @ VECTORS * VALUES.sqrt() @ VECTORS.T).reshape(noise.shape)


def test_the_loss_asks_for_the_ideal_velocity():
    """The best affine answer at a time, by least squares on the training pairs, is the closed
    form."""
    number, label = 200_000, torch.zeros(200_000, dtype=torch.long)
    noise, seeds = normal(number, 3, 1, 1), normal(number, 3, 1, 1, seed=1)
    x_start = exact_flow(seeds)
    flow = toy()
    for t in (0.1, 0.5, 0.9):
        time = torch.full((number,), t, dtype=torch.float64)
        x_t = flow.interpolate(x_start, time, noise).flatten(1)
        ones = torch.ones(number, 1, dtype=torch.float64)
        target = (x_start - noise).flatten(1)
        fitted = torch.linalg.lstsq(torch.cat([x_t, ones], dim=1), target).solution
        at = torch.cat([torch.eye(3), torch.zeros(1, 3)]).double()
        ideal = Ideal()(at[:, :, None, None], None, time[:4]).flatten(1)
        torch.testing.assert_close(at @ fitted[:3] + fitted[3], ideal, rtol=0, atol=0.03)
        flow.model = Ideal()
        loss = flow.compute_loss(x_start, label, time, noise)
        left = (VALUES / (t**2 * VALUES + (1 - t) ** 2)).mean()  # variance of x_1 - x_0 given x_t
        assert loss.item() == pytest.approx(left.item(), rel=0.02)


def walk(flow, noise, steps):
    label = torch.zeros(len(noise), dtype=torch.long)
    for i in range(steps):
        noise = flow.step(noise, label, i / steps, (i + 1) / steps)
    return noise


@pytest.mark.parametrize(("heun", "order"), [(False, 1), (True, 2)])
def test_orders_of_convergence(heun, order):
    """Twice the steps halve the error of Euler's method, and quarter that of Heun's."""
    flow, noise = toy(heun=heun), normal(200, 3, 1, 1)
    flow.model = Ideal()
    errors = [
        (walk(flow, noise, steps) - exact_flow(noise)).square().mean().sqrt().item()
        for steps in (20, 40, 80)
    ]
    for coarse, fine in pairwise(errors):
        assert math.log2(coarse / fine) == pytest.approx(order, abs=0.25), errors


def test_a_single_step_draws_the_mean():
    """The velocity at t = 0 is that of the mean of all data: one step of Euler's ends there."""
    flow, noise = toy(), normal(10, 3, 1, 1)
    flow.model = Ideal()
    found = walk(flow, noise, 1)
    torch.testing.assert_close(found.flatten(1), MEAN.expand(10, 3), rtol=0, atol=1e-9)


# Steps against other implementations


@pytest.mark.parametrize(("heun", "method"), [(False, "euler"), (True, "heun2")])
@pytest.mark.parametrize("steps", [1, 4, 10])
def test_steps_are_those_of_flow_matching(heun, method, steps):
    """The walk from noise to data agrees with the package's ODE solver."""
    flow, noise, label = toy(heun=heun), normal(3, 1, 4, 4), torch.tensor([0, 3, 1])
    velocity = Toy()
    solver = ODESolver(lambda x, t: velocity(x, label, t.expand(len(x))))
    grid = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    theirs = solver.sample(noise, step_size=None, method=method, time_grid=grid)
    for i in range(steps):
        noise = flow.step(noise, label, i / steps, (i + 1) / steps)
    torch.testing.assert_close(noise, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("steps", [1, 4, 10])
def test_steps_are_those_of_diffusers(steps):
    """The walk agrees with diffusers' scheduler, whose sigma is 1 - t and velocity points back."""
    flow, x, label = toy(), normal(3, 1, 4, 4, dtype=torch.float32), torch.tensor([0, 3, 1])
    scheduler = FlowMatchEulerDiscreteScheduler()
    scheduler.set_timesteps(sigmas=[1 - i / steps for i in range(steps)])
    theirs = x
    for i, time in enumerate(scheduler.timesteps):
        velocity = Toy()(theirs, label, torch.full((3,), i / steps))
        theirs = scheduler.step(-velocity, time, theirs).prev_sample
    for i in range(steps):
        x = flow.step(x, label, i / steps, (i + 1) / steps)
    torch.testing.assert_close(x, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("heun", "evaluations"), [(False, 7), (True, 14)])
def test_evaluations(heun, evaluations):
    """Euler's steps ask the network once each, Heun's twice."""
    flow, asked = toy(timesteps=7, heun=heun), []
    flow.model.register_forward_hook(lambda module, given, _: asked.append(given[2][0].item()))
    images = flow.generate(torch.tensor([1, 2]))
    assert len(asked) == evaluations
    assert min(asked) == 0
    assert max(asked) == pytest.approx(1 if heun else 6 / 7)
    assert images.shape == (2, 1, 8, 8)
    assert 0 <= images.min() <= images.max() <= 1


def test_generate_decodes_latents():
    """Latents flow, and what is decoded is what the last step leads to."""
    torch.manual_seed(0)
    flow = FM((3, 16, 16), timesteps=2, **SMALL, use_vae=True)
    seen = []
    flow.vae.decoder = nn.Identity()
    flow.postprocess = lambda x: seen.append(x) or x
    flow.model.forward = lambda x, label, t: torch.ones_like(x)
    torch.manual_seed(3)
    noise = torch.randn(2, 4, 2, 2)
    torch.manual_seed(3)
    flow.generate(torch.tensor([0, 1]))
    torch.testing.assert_close(seen[0], noise + 1)


# Networks that predict the image


@pytest.mark.parametrize("kind", ["unet", "dit"])
def test_predicted_image_becomes_a_velocity(kind):
    """Until little time is left, the velocity leads straight to the predicted image."""
    torch.manual_seed(0)
    sizes = {"dim": 8, "context_dim": 8, "num_classes": 4, "in_channels": 1}
    if kind == "unet":
        network = ImageUNet(**sizes, dim_mults=(1, 2), attn_levels=())
    else:
        network = ImageDiT(**sizes, depth=1)
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    x, label = normal(4, 1, 8, 8, dtype=torch.float32), torch.tensor([0, 1, 2, 3])
    t = torch.tensor([0.0, 0.4, 1 - network.shortest, 1.0])
    image, found = network.image(x, label, t), network(x, label, t)
    for i, left in enumerate([1.0, 0.6, network.shortest, network.shortest]):
        torch.testing.assert_close(x[i] + left * found[i], image[i], rtol=1e-4, atol=1e-4)
    assert (found.std(dim=(1, 2, 3)) > 1e-3).all()


@pytest.mark.parametrize("kind", [BoundedUNet, BoundedDiT])
def test_bounded_images_end_at_black_and_white(kind):
    """What is predicted beyond the border counts as the border, and learns only the way back."""
    torch.manual_seed(0)
    levels = {"dim_mults": (1,), "attn_levels": ()} if kind is BoundedUNet else {"depth": 1}
    network = kind(dim=8, context_dim=8, num_classes=4, in_channels=1, **levels)
    last = network.final_linear if kind is BoundedDiT else network.final_conv[-1]
    torch.nn.init.zeros_(last.weight)
    x, label, t = torch.zeros(3, 1, 8, 8), torch.arange(3), torch.full((3,), 0.5)
    for bias, image in ((-3.0, -1.0), (0.25, 0.25), (3.0, 1.0)):
        torch.nn.init.constant_(last.bias, bias)
        for target, slope in ((-1.0, image + 1), (0.5, image - 0.5), (1.0, image - 1)):
            network.zero_grad()
            found = network(x, label, t) / 2  # from x = 0 with half of the time left
            torch.testing.assert_close(found, torch.full_like(x, image))
            (0.5 * (found - target).square().mean()).backward()
            torch.testing.assert_close(last.bias.grad.sum(), torch.tensor(slope))


@pytest.mark.parametrize(
    "sampler",
    [
        Sampler("own"),
        Sampler("ddim", 200),
        Sampler("ddpm", 150),
        Sampler("dpm++", 150, eta=1),
        Sampler("deis", 40, spacing="cosine"),
        Sampler("heun", 40),
    ],
    ids=lambda sampler: sampler.name,
)
def test_many_steps_leave_no_noise_in_bounded_images(sampler):
    """Each sampler ends with the image that the network predicts, to the last grey level."""
    model = make(timesteps=200)
    model.model = BoundedUNet(8, 8, 4, in_channels=1, dim_mults=(1,), attn_levels=()).eval()
    last = model.model.final_conv[-1]
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.constant_(last.bias, -1.5)
    images = draw(model, [0, 1], sampler=sampler)
    assert images.max() < 0.5 / 255


# Drawing images


def draw(model, labels, **options):
    return torch.cat(list(draw_samples(model, torch.tensor(labels), FP32, **options)))


def test_own_sampler_is_generate():
    """draw_samples calls the model's own loop, seeded, and films its states."""
    model, film = make(timesteps=3), None
    film = Film(model, num_frames=4)
    before = torch.get_rng_state()
    images = draw(model, [0, 3, 1], seed=5, film=film)
    assert torch.equal(before, torch.get_rng_state())
    with torch.random.fork_rng():
        torch.manual_seed(5)
        expected = model.generate(torch.tensor([0, 3, 1]))
    assert torch.equal(images, expected)
    assert len(film.frames) == 4
    assert torch.equal(film.frames[-1], images)


@torch.no_grad()
@pytest.mark.parametrize("scale", [0.0, 1.0, 3.5])
def test_guidance(scale):
    """Velocities are guided as noise is: v_uncond + s (v_cond - v_uncond)."""
    model = make(network=partial(VariantUNet, null_class=True))
    assert null_label(model) == 4
    x, label = normal(3, 1, 8, 8, dtype=torch.float32), torch.tensor([0, 3, 1])
    t = torch.tensor([0.0, 0.3, 0.9])
    cond, uncond = model.model(x, label, t), model.model(x, torch.full((3,), 4), t)
    assert (cond - uncond).abs().max() > 1e-3
    with guided(model, scale):
        found = model.model(x, label, t)
    torch.testing.assert_close(found, uncond + scale * (cond - uncond), rtol=1e-4, atol=1e-5)


# Config


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("fm.logit_std=0", "'fm.logit_std' must be above 0"),
        ("fm.logit_mean=.nan", "'fm.logit_mean' must be a finite number"),
        ("fm.time=normal", "'fm.time' cannot be 'normal'"),
        ("model.timesteps=0", "'model.timesteps' must be at least 1"),
        ("model.beta_schedule=cosine", "'model.beta_schedule' means nothing.*'model_name: FM'"),
        ("model.prediction=v", "'model.prediction' means nothing"),
        ("train_cfg.min_snr_gamma=5", "'train_cfg.min_snr_gamma' means nothing"),
        ("train_cfg.loss=l1", "'train_cfg.loss' means nothing"),
        ("edm.p_mean=0", "'edm.p_mean' means nothing.*'model_name: FM'"),
        ("model_name=DDPM", "'fm.time' means nothing.*'model_name: DDPM'"),
        ("model_name=FMM", "did you mean 'FM'"),
    ],
)
def test_config_mistakes(override, words):
    """Numbers without sense, and keys of another model, are refused by name."""
    with pytest.raises(UserError, match=words):
        load_config("configs/digits_fm.yaml", ["fm.solver=heun", override])


def test_config_becomes_the_model():
    """Each key of the section arrives."""
    plain = build_model(load_config("configs/digits_fm.yaml"))
    assert (plain.timesteps, plain.logit_normal, plain.heun) == (10, (0, 1), False)
    assert build_model(load_config("configs/mnist_fm.yaml")).logit_normal is None
    settings = ["fm.logit_mean=-1", "fm.logit_std=2", "fm.solver=heun"]
    settings += ["fm.prediction=image", "model.label_dropout=0.1", "model.timesteps=5"]
    other = build_model(load_config("configs/digits_fm.yaml", settings))
    assert (other.timesteps, other.logit_normal, other.heun) == (5, (-1, 2), True)
    assert isinstance(other.model, ImageUNet)
    assert null_label(other) == 10
    dit = ["model.network=dit", "model.dim_mults=[1, 2, 4]", "model.attn_levels=[0, 1]"]
    dit += ["model.adagn=false", "fm.prediction=image"]
    assert isinstance(build_model(load_config("configs/digits_fm.yaml", dit)).model, ImageDiT)


def test_an_edition_without_flows_says_so(monkeypatch):
    """Where fm.py was not handed out, a config of a flow gets a sentence."""

    def missing(name, package):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(build.importlib, "import_module", missing)
    with pytest.raises(UserError, match=r"FM is not part of this edition, code/libs/fm\.py"):
        build_model(load_config("configs/digits_fm.yaml"))


# Training


@pytest.fixture
def settings(tmp_path):
    """Overrides that make a tiny run of configs/digits_fm.yaml."""
    return [
        "dataset.subset=0.1",
        "loader.batch_size=32",
        "model.dim=8",
        "model.dim_mults=[1]",
        "model.timesteps=3",
        "model.label_dropout=0.2",
        "train_cfg.num_eval_samples=0",
        "dataset.test_split=null",
        f"output_folder={tmp_path / 'logs'}",
    ]


@pytest.fixture
def make_trainer(settings, tmp_path):
    """Build trainers of that run in tmp_path/run."""

    return partial(make_trainer_of, "digits_fm", tmp_path, *settings)


@pytest.mark.parametrize("time", ["uniform", "logit_normal"])
def test_resume_is_exact(settings, tmp_path, time):
    """N steps, resume, N steps: weights and averages as without the stop."""
    assert_resumes_exactly("digits_fm", tmp_path, *settings, f"fm.time={time}")


@pytest.mark.parametrize("prediction", ["velocity", "image", "bounded"])
def test_loss_falls(make_trainer, prediction):
    """Training lowers the loss of the velocity, whatever the network predicts."""
    trainer = make_trainer(
        "train_cfg.max_steps=30", "train_cfg.warmup_steps=0", f"fm.prediction={prediction}"
    )
    before = trainer.learner.evaluate(trainer.splits.train, 64)
    trainer.fit()
    assert trainer.learner.evaluate(trainer.splits.train, 64) < 0.8 * before
    assert trainer.learner.loss_name == "mean squared error of the velocity"


def test_a_run_draws_and_scores_its_samples(make_trainer, tmp_path):
    """At its end a run draws a grid by `generate` and scores samples; its checkpoint loads."""
    trainer = make_trainer(
        "train_cfg.max_steps=1",
        "train_cfg.num_eval_samples=1",
        "train_cfg.eval_metrics=[grain]",
        "train_cfg.eval_samples=10",
        "dataset.test_split=test",
        "fm.solver=heun",
    )
    trainer.fit()
    assert (tmp_path / "run" / "sample-1.png").is_file()
    loaded = load_model(tmp_path / "run", CPU)
    assert isinstance(loaded.model, FM)
    assert loaded.model.heun
    assert loaded.config.fm.solver == "heun"


def test_another_model_cannot_go_on(make_trainer, tmp_path):
    """Resuming with other times of training is refused; the solver may change."""
    make_trainer("train_cfg.max_steps=1").fit()
    state = checkpoint.read(tmp_path / "run")
    with pytest.raises(UserError, match=r"fm\.time was 'logit_normal' and is 'uniform'"):
        check_same_run(make_trainer("fm.time=uniform").config, state)
    check_same_run(make_trainer("fm.solver=heun").config, state)


def test_latents_are_cached(make_trainer, tmp_path):
    """A latent flow trains on cached latents as on images, and draws images."""
    torch.manual_seed(0)
    vae = TAESD()
    for name, half in (("encoder", vae.encoder), ("decoder", vae.decoder)):
        torch.save(half.state_dict(), tmp_path / f"{name}.pth")
    latent = ["model.use_vae=true", "model.img_shape=[3, 16, 16]", "dataset.subset=0.02"]
    latent += ["model.dim_mults=[1, 2]", "loader.batch_size=8", "train_cfg.max_steps=1"]
    latent += [f"model.vae_{n}_weights={tmp_path / n}.pth" for n in ("encoder", "decoder")]
    losses = []
    for cache in ("false", "true"):
        trainer = make_trainer(*latent, f"dataset.latent_cache={cache}")
        losses.append(trainer.learner.evaluate(trainer.splits.train, 8))
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)  # cached latents are float16
    trainer.fit()
    loaded = load_model(tmp_path / "run", CPU)
    assert draw(loaded.model, [0, 1]).shape == (2, 3, 16, 16)


@pytest.mark.parametrize("network", ["unet", "dit"])
def test_captions_are_read(tmp_path, network):
    """A flow reads texts as tokens, in either network, and draws them with guidance."""
    write_pictures(tmp_path / "data" / "train")
    keys = ["model_name=FM", "model.beta_end=null", "train_cfg.max_steps=4"]
    keys += ["train_cfg.guidance=3", "train_cfg.num_eval_samples=1", f"model.network={network}"]
    if network == "dit":
        keys += ["model.dim_mults=[1, 2, 4]", "model.attn_levels=[0, 1]"]
    trainer = build_trainer(tmp_path / "data", tmp_path, *keys)
    trainer.fit()
    assert any((tmp_path / "run").glob("sample-*.png"))
    model, classes = trainer.learner.model.eval(), trainer.learner.classes
    assert len(classes) == 3
    options = {"t": torch.zeros(2), "noise": torch.ones(2, *model.img_shape)}
    x = torch.rand(2, *model.img_shape)
    one, two = (
        model.compute_loss(x, torch.tensor(labels), **options) for labels in ([1, 2], [2, 1])
    )
    assert one != two


@pytest.mark.slow
def test_scripts(settings, tmp_path):
    """train.py in two processes trains what one trains; sample.py and evaluate.py draw from it."""
    flags = [part for s in settings for part in ("--set", s)]
    flags += ["--set", "train_cfg.max_steps=4", "--device", "cpu"]
    train = ["code/train.py", "configs/digits_fm.yaml", *flags]
    for name, start in (
        ("one", []),
        ("two", ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]),
    ):
        process = run_script(*start, *train, "--output", name)
        assert process.returncode == 0, process.stderr
    run, other = (tmp_path / "logs" / f"digits_fm_{name}" for name in ("one", "two"))
    one, two = (checkpoint.read(folder / "model_final.pth") for folder in (run, other))
    for key, value in one["model"].items():
        torch.testing.assert_close(value, two["model"][key], rtol=1e-4, atol=1e-5)
    grid, film = tmp_path / "grid.png", tmp_path / "film.gif"
    args = [run, "--labels", "1,2", "--num", "1", "--out", grid, "--film", film]
    process = run_script("code/sample.py", *args)
    assert process.returncode == 0, process.stderr
    assert grid.is_file()
    assert film.is_file()
    process = run_script("code/evaluate.py", run, "--num", "20")
    assert process.returncode == 0, process.stderr
    assert process.stdout.strip().splitlines()[-1].startswith("conditional accuracy")
