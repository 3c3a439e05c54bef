"""Other targets, distances and weights: each against its formula written out in numpy."""

import numpy as np
import pytest
import torch
from scipy import stats

from helpers.files import ROOT
from helpers.models import make_model
from libs.config import load_config
from libs.models.targets import min_snr_weights, partly_uniform, training_loss
from libs.runtime.device import Precision
from libs.runtime.processes import Processes
from libs.training.diffusion_learner import DiffusionLearner
from libs.training.diffusion_losses import TrainingLoss

SMALL = {"img_shape": (1, 8, 8), "timesteps": 20, "dim": 8, "context_dim": 8, "num_classes": 3}


def make(prediction="eps", **options):
    torch.manual_seed(0)
    ddpm = make_model(**SMALL, attn_levels=(), prediction=prediction, **options).eval()
    for parameter in ddpm.model.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return ddpm


def batch(seed=1):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(4, 1, 8, 8, generator=generator)
    noise = torch.randn(4, 1, 8, 8, generator=generator)
    return x, torch.tensor([0, 1, 2, 0]), torch.tensor([0, 3, 10, 19]), noise


def alpha_bar(t):
    """Of the default linear schedule with T = 20, in float64."""
    return np.cumprod(1 - np.linspace(1e-4, 0.02, 20))[np.asarray(t)][:, None, None, None]


@pytest.mark.parametrize("prediction", ["v", "x0"])
def test_network_answers_with_the_noise_that_its_prediction_implies(prediction):
    """A network that predicts the truth answers with the very noise that was mixed in."""
    ddpm = make(prediction)
    x, label, t, noise = batch()
    a, s = np.sqrt(alpha_bar(t)), np.sqrt(1 - alpha_bar(t))
    truth = {"v": a * noise.numpy() - s * x.numpy(), "x0": x.numpy()}[prediction]
    raw = torch.nn.Module()
    raw.forward = lambda *_: torch.from_numpy(truth).float()
    ddpm.model.final_conv = raw
    answer = ddpm.model(ddpm.q_sample(x, t, noise), label, t)
    torch.testing.assert_close(answer, noise, atol=2e-4, rtol=1e-3)


@pytest.mark.parametrize("prediction", ["eps", "v", "x0"])
@pytest.mark.parametrize("distance", ["mse", "l1", "huber"])
def test_loss_is_its_formula(prediction, distance):
    """Target and distance of each sample, recomputed in float64."""
    ddpm = make(prediction)
    x, label, t, noise = batch()
    with torch.no_grad():
        loss = training_loss(ddpm, x, label, t, noise, distance).item()
        x_t = ddpm.q_sample(x, t, noise)
        options = {} if prediction == "eps" else {"raw": True}
        predicted = ddpm.model(x_t, label, t, **options).double().numpy()
    a = alpha_bar(t)
    x, noise = x.double().numpy(), noise.double().numpy()
    target = {"eps": noise, "x0": x, "v": np.sqrt(a) * noise - np.sqrt(1 - a) * x}[prediction]
    d = np.abs(predicted - target)
    d = {"mse": d**2, "l1": d, "huber": np.where(d < 1, d**2 / 2, d - 0.5)}[distance]
    assert loss == pytest.approx(d.mean(), rel=1e-4)


def test_plain_options_are_compute_loss():
    """Noise, and its squared error, is what DDPM's own loss gives."""
    ddpm = make()
    torch.testing.assert_close(training_loss(ddpm, *batch()), ddpm.compute_loss(*batch()))


def test_latent_models_diffuse_latents():
    """With a VAE the images are encoded first, and no gradient reaches the encoder."""
    torch.manual_seed(0)
    settings = SMALL | {"img_shape": (3, 16, 16), "timesteps": 5, "dim_mults": (1, 2)}
    ddpm = make_model(**settings, attn_levels=(), use_vae=True, prediction="v")
    images, label, t = torch.rand(2, 3, 16, 16), torch.tensor([0, 1]), torch.tensor([0, 4])
    noise = torch.randn(2, 4, 2, 2)
    training_loss(ddpm, images, label, t, noise).backward()
    assert all(p.grad is None for p in ddpm.vae.parameters())
    assert ddpm.model.final_conv[-1].weight.grad.abs().sum() > 0


@pytest.mark.parametrize("gamma", [1.0, 5.0])
@pytest.mark.parametrize("prediction", ["eps", "v", "x0"])
def test_min_snr_weights_are_their_formula(prediction, gamma):
    """min(SNR, gamma), over SNR for the noise and SNR + 1 for v (Hang et al. 2023, section 3.4)."""
    a = alpha_bar(range(20)).reshape(-1)
    snr = a / (1 - a)
    weights = np.minimum(snr, gamma) / {"eps": snr, "x0": 1.0, "v": snr + 1}[prediction]
    found = min_snr_weights(make(prediction), gamma).double().numpy()
    np.testing.assert_allclose(found, weights, rtol=1e-4)


def learner(*settings):
    config = load_config(ROOT / "configs/digits.yaml", ["model.dim=8", *settings])
    return DiffusionLearner(config, Precision.pick("fp32", torch.device("cpu")), Processes())


@pytest.mark.parametrize(("gamma", "share"), [("2", 0.0), ("2", 0.3), ("null", 0.0)])
def test_time_steps_come_up_as_often_as_they_count(gamma, share):
    """A training batch's t have the frequencies of the weights, or all the same one (chi^2)."""
    settings = ["model.timesteps=20", "model.beta_end=0.3", f"train_cfg.min_snr_gamma={gamma}"]
    settings.append(f"train_cfg.uniform_share={share}")
    images, labels = torch.rand(4000, 1, 8, 8), torch.zeros(4000, dtype=torch.long)
    _, _, t, _ = learner(*settings).prepare(3, images, labels)
    a = np.cumprod(1 - np.linspace(1e-4, 0.3, 20))
    weights = np.ones(20) if gamma == "null" else np.minimum(1, 2 * (1 - a) / a)
    expected = (1 - share) * weights / weights.sum() + share / 20
    counts = np.bincount(t.numpy(), minlength=20)
    assert stats.chisquare(counts, 4000 * expected).pvalue > 1e-3


def test_the_faintest_noise_comes_up_where_a_share_is_uniform():
    """Of mnist_cpu's draws, each time step gets at least its part of the uniform share."""
    ddpm = make()
    weights = min_snr_weights(ddpm, 0.3)
    found = partly_uniform(weights, 0.2)
    assert found.sum().item() == pytest.approx(1, abs=1e-5)
    assert (found >= 0.2 / 20).all()
    assert found[0] / found[-1] > 10 * weights[0] / weights[-1]


@pytest.mark.parametrize("name", ["digits", "mnist_cpu", "mnist", "afhq"])
def test_the_homework_trains_and_draws_by_the_functions_that_students_write(name):
    """Nothing in these configs goes past compute_loss or p_sample_loop."""
    config = load_config(ROOT / "configs" / f"{name}.yaml")
    ddpm = make()
    assert TrainingLoss(ddpm, config).objective.compute_loss == ddpm.compute_loss
    assert config.train_cfg.guidance is None
    assert config.train_cfg.eval_sampler in (None, "own")
