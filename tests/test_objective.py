"""Other targets, distances and weights: each against its formula written out in numpy."""

import numpy as np
import pytest
import torch

from libs.ddpm import DDPM
from libs.objective import min_snr_weights, training_loss

SMALL = {"img_shape": (1, 8, 8), "timesteps": 20, "dim": 8, "context_dim": 8, "num_classes": 3}


def make(prediction="eps", **options):
    torch.manual_seed(0)
    ddpm = DDPM(**SMALL, attn_levels=(), prediction=prediction, **options).eval()
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
@pytest.mark.parametrize("gamma", [None, 5.0])
def test_loss_is_its_formula(prediction, distance, gamma):
    """Target, distance and min-SNR weight of each sample, recomputed in float64."""
    ddpm = make(prediction)
    x, label, t, noise = batch()
    with torch.no_grad():
        loss = training_loss(ddpm, x, label, t, noise, distance, gamma).item()
        x_t = ddpm.q_sample(x, t, noise)
        options = {} if prediction == "eps" else {"raw": True}
        predicted = ddpm.model(x_t, label, t, **options).double().numpy()
    a = alpha_bar(t)
    x, noise = x.double().numpy(), noise.double().numpy()
    target = {"eps": noise, "x0": x, "v": np.sqrt(a) * noise - np.sqrt(1 - a) * x}[prediction]
    d = np.abs(predicted - target)
    d = {"mse": d**2, "l1": d, "huber": np.where(d < 1, d**2 / 2, d - 0.5)}[distance]
    snr = (a / (1 - a)).reshape(-1)
    weight = np.ones(4)
    if gamma is not None:
        weight = np.minimum(snr, gamma) / {"eps": snr, "x0": 1.0, "v": snr + 1}[prediction]
    assert loss == pytest.approx((weight * d.mean(axis=(1, 2, 3))).mean(), rel=1e-4)


def test_plain_options_are_compute_loss():
    """Noise, squared and unweighted, is what DDPM's own loss gives."""
    ddpm = make()
    torch.testing.assert_close(training_loss(ddpm, *batch()), ddpm.compute_loss(*batch()))


def test_latent_models_diffuse_latents():
    """With a VAE the images are encoded first, and no gradient reaches the encoder."""
    torch.manual_seed(0)
    ddpm = DDPM((3, 16, 16), 5, 8, 8, 2, (1, 2), (), use_vae=True, prediction="v")
    images, label, t = torch.rand(2, 3, 16, 16), torch.tensor([0, 1]), torch.tensor([0, 4])
    noise = torch.randn(2, 4, 2, 2)
    training_loss(ddpm, images, label, t, noise).backward()
    assert all(p.grad is None for p in ddpm.vae.parameters())
    assert ddpm.model.final_conv[-1].weight.grad.abs().sum() > 0


def test_weights_of_the_three_targets_agree():
    """The same weighting, seen by different targets: x0's is SNR times eps's, v's between them."""
    snr = torch.logspace(-3, 3, 7)
    weights = {p: min_snr_weights(snr, 5.0, p) for p in ("eps", "x0", "v")}
    torch.testing.assert_close(weights["x0"], weights["eps"] * snr)
    torch.testing.assert_close(weights["v"] * (snr + 1), weights["x0"])


def test_unknown_prediction_is_refused():
    """A typing mistake names the choices."""
    with pytest.raises(ValueError, match="unknown prediction 'noise'"):
        make("noise")
