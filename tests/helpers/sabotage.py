"""Runs on the digits that go wrong, some fifty, and more than thirty that do not: for the doctor.

The mistakes are those of the grader's catalogue, beside settings that spoil a run. Each is in force
while its run trains and while the doctor looks at it.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.scripts import call_script
from libs import edm
from libs.ddpm import DDPM
from libs.doctor.checkup import Report, check_up
from libs.doctor.visit import patient_of
from libs.edm import EDM
from libs.training import diffusion_losses
from libs.training.ema import EMA
from libs.training.updater import Updater
from libs.unet import UNet

SHORT = ["train_cfg.epochs=6", "train_cfg.eval_every=6", "train_cfg.num_eval_samples=0"]


@dataclass(frozen=True)
class Run:
    """A run of a few seconds.

    Attributes:
        kinds: what the doctor may call it, its first finding: kinds of doctor/findings.py.
        config: its name.
        keys: of --set, after those of SHORT.
        owner, name, other: what is replaced by what, as for mock.patch.object.
    """

    kinds: str = ""
    config: str = "digits"
    keys: tuple[str, ...] = ()
    owner: object = None
    name: str = ""
    other: Callable | None = None


def examined(run: Run, folder: Path) -> Report:
    """Train a run in a folder, and have the doctor look at it."""
    keys = [*SHORT, f"output_folder={folder}", *run.keys]
    sets = [part for key in keys for part in ("--set", key)]
    with patched(run):
        done = call_script("code/train.py", f"configs/{run.config}.yaml", "--output", "run", *sets)
        assert done.returncode == 0, done.stderr
        return check_up(patient_of(folder / f"{run.config}_run", torch.device("cpu")))


@contextlib.contextmanager
def patched(run: Run) -> Iterator[None]:
    """Within this context the mistake of a run is in force."""
    if run.other is None:
        yield
        return
    with mock.patch.object(run.owner, run.name, run.other):
        yield


# The mistakes


def rates(model: DDPM, t: Tensor) -> tuple[Tensor, Tensor]:
    """sqrt(alpha_bar) and sqrt(1 - alpha_bar) at t, [B, 1, 1, 1] each."""
    alpha, sigma = model.sqrt_alphas_cumprod[t], model.sqrt_one_minus_alphas_cumprod[t]
    return alpha[:, None, None, None], sigma[:, None, None, None]


def q_sample(mix: Callable[..., Tensor]) -> dict[str, object]:
    """A forward process that mixes image, noise, alpha and sigma otherwise."""

    def other(self, x_start, t, noise=None):
        noise = torch.randn_like(x_start) if noise is None else noise
        return mix(self, x_start, t, noise)

    return {"owner": DDPM, "name": "q_sample", "other": other}


def mixed(mix: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> dict[str, object]:
    return q_sample(lambda self, x, t, noise: mix(x, noise, *rates(self, t)))


def at_time(change: Callable[[DDPM, Tensor], Tensor]) -> dict[str, object]:
    """A forward process at another time than asked for."""

    def mix(self, x, t, noise):
        alpha, sigma = rates(self, change(self, t))
        return alpha * x + sigma * noise

    return q_sample(mix)


def loss(other: Callable[..., Tensor]) -> dict[str, object]:
    """A loss of (model, x_0, x_t, label, t, noise)."""

    def compute_loss(self, x_start, label, t, noise=None):
        noise = torch.randn_like(x_start) if noise is None else noise
        return other(self, x_start, self.q_sample(x_start, t, noise), label, t, noise)

    return {"owner": DDPM, "name": "compute_loss", "other": compute_loss}


def target(other: Callable[..., Tensor]) -> dict[str, object]:
    """A loss that compares with something else than the noise: of (x_0, x_t, noise)."""

    def compare(self, x, x_t, label, t, noise):
        return F.mse_loss(self.model(x_t, label, t), other(x, x_t, noise))

    return loss(compare)


def asked(other: Callable[..., tuple]) -> dict[str, object]:
    """A loss that gives the network other (x, label, t): of (x_0, x_t, label, t)."""

    def compare(self, x, x_t, label, t, noise):
        return F.mse_loss(self.model(*other(x, x_t, label, t)), noise)

    return loss(compare)


def step(mean_of: Callable[..., Tensor], deviation_of: Callable[..., float]) -> dict[str, object]:
    """A step back with another mean of (x, eps, beta, sigma) or deviation of (beta, variance)."""

    def p_sample(self, x, label, t, t_index):
        eps = self.model(x, label, t)
        beta, sigma = self.betas[t_index], self.sqrt_one_minus_alphas_cumprod[t_index]
        mean = mean_of(x, eps, beta, sigma)
        deviation = deviation_of(beta, self.posterior_variance[t_index])
        return mean + (deviation * torch.randn_like(x) if t_index else 0)

    return {"owner": DDPM, "name": "p_sample", "other": torch.no_grad()(p_sample)}


def right_mean(x, eps, beta, sigma):
    return (x - beta / sigma * eps) / (1 - beta).sqrt()


def right_deviation(beta, variance):
    return variance.sqrt()


def loop(start: Callable, times: Callable, labels_of: Callable = lambda labels: labels):
    """A chain from another state, over other times, or of other labels."""

    def p_sample_loop(self, labels):
        x = start(self, labels)
        for t_index in times(self.timesteps):
            t = torch.full_like(labels, t_index)
            x = self.p_sample(x, labels_of(labels), t, t_index)
        return self.postprocess(x)

    return {"owner": DDPM, "name": "p_sample_loop", "other": torch.no_grad()(p_sample_loop)}


def noise_for(model, labels):
    return torch.randn(len(labels), *model.img_shape)


def down(steps):
    return reversed(range(steps))


def blind(part: str) -> dict[str, object]:
    """A network that gets zeros for the embedding of the time or of the label."""
    embed = UNet.embed

    def other(self, label, time):
        found = list(embed(self, label, time))
        found[part == "label"] = 0 * found[part == "label"]
        return tuple(found)

    return {"owner": UNet, "name": "embed", "other": other}


def scaled_loss(change: Callable[[Tensor], Tensor]) -> dict[str, object]:
    """Images in another range: training scales them to [-1, 1], and then something else does."""
    forward = diffusion_losses.TrainingLoss.forward

    def other(self, x, label, time, noise):
        return forward(self, change(x), label, time, noise)

    return {"owner": diffusion_losses.TrainingLoss, "name": "forward", "other": other}


def rescaled(change: Callable[[Tensor], Tensor]) -> dict[str, object]:
    def compare(self, x, x_t, label, t, noise):
        return F.mse_loss(self.model(self.q_sample(change(x), t, noise), label, t), noise)

    return loss(compare)


def last_noise(share: float) -> dict[str, object]:
    """A loop whose last step adds noise, too."""
    own = DDPM.p_sample

    def p_sample(self, x, label, t, t_index):
        x = own(self, x, label, t, t_index)
        return x if t_index else x + share * self.betas[0].sqrt() * torch.randn_like(x)

    return {"owner": DDPM, "name": "p_sample", "other": torch.no_grad()(p_sample)}


def denoiser(
    seen: float = 1.0, skip: float = 1.0, out: float = 1.0, time: float = 1.0
) -> dict[str, object]:
    """An EDM's denoiser with other powers of what it multiplies by, or of its time."""

    def denoise(self, x, label, sigma):
        level = sigma[:, None, None, None]
        total = level**2 + self.sigma_data**2
        c_skip, c_out = self.sigma_data**2 / total, level * self.sigma_data / total.sqrt()
        answer = self.model(x / total.sqrt() ** seen, label, time * sigma.log() / 4)
        return c_skip**skip * x + c_out**out * answer

    return {"owner": EDM, "name": "denoise", "other": denoise}


def loss_of_edm(
    noisy: Callable[..., Tensor] = lambda y, level, noise: y + level * noise,
    weight: Callable[[Tensor, Tensor], Tensor | float] = lambda level, data: (
        (level**2 + data**2) / (level * data) ** 2
    ),
) -> dict[str, object]:
    """An EDM's loss of other noise, (y, level, noise), or with another weight, (level, data)."""

    def compute_loss(self, x_start, label, sigma, noise=None):
        noise = torch.randn_like(x_start) if noise is None else noise
        level = sigma[:, None, None, None]
        error = self.denoise(noisy(x_start, level, noise), label, sigma) - x_start
        return (weight(level, self.sigma_data) * error**2).mean()

    return {"owner": EDM, "name": "compute_loss", "other": compute_loss}


def heun_step(second: Callable[..., Tensor | float]) -> dict[str, object]:
    """A step of an EDM's walk with another second slope: of (denoise, x, sigma, next, slope)."""

    def step(denoise, x, sigma, sigma_next):
        slope = (x - denoise(x, sigma)) / sigma
        x_next = x + (sigma_next - sigma) * slope
        if sigma_next > 0:
            x_next = x + (sigma_next - sigma) * second(denoise, x_next, sigma, sigma_next, slope)
        return x_next

    return {"owner": edm, "name": "heun_step", "other": step}


def kept_average(self):
    self.updates += 1


def labelled(change: Callable[[Tensor], Tensor]) -> dict[str, object]:
    """Training with other labels than the images have."""
    make = Updater.step

    def other(self, rate, images, labels, *drawn):
        return make(self, rate, images, change(labels), *drawn)

    return {"owner": Updater, "name": "step", "other": other}


def half_rolled(labels):
    half = len(labels) // 2
    return torch.cat([labels[:half].roll(7), labels[half:]])


def mixed_up(labels):
    """Classes 3 and 5 by chance."""
    other = torch.where(torch.rand(len(labels)) < 0.5, 8 - labels, labels)
    return torch.where((labels == 3) | (labels == 5), other, labels)


EDM_RUN = {  # as it was when these runs were trained
    "config": "mnist_edm",
    "keys": (
        "dataset.name=Digits",
        "model.img_shape=[1, 8, 8]",
        "loader.batch_size=64",
        "edm.p_mean=-1.2",
        "train_cfg.optimizer=adamw",
    ),
}
WRONG = {
    "rates swapped": Run("diffusion", **mixed(lambda x, n, a, s: s * x + a * n)),
    "no square roots": Run("diffusion", **mixed(lambda x, n, a, s: a**2 * x + s**2 * n)),
    "image never fades": Run("diffusion", **mixed(lambda x, n, a, s: x + s * n)),
    "noise at full strength": Run("diffusion", **mixed(lambda x, n, a, s: a * x + n)),
    "noise subtracted": Run("diffusion", **mixed(lambda x, n, a, s: a * x - s * n)),
    "own noise": Run("diffusion", **mixed(lambda x, n, a, s: a * x + s * torch.randn_like(x))),
    "x_t clamped": Run("diffusion", **mixed(lambda x, n, a, s: (a * x + s * n).clamp(-1, 1))),
    "one step late": Run("diffusion", **at_time(lambda m, t: (t + 1).clamp(max=m.timesteps - 1))),
    "one step early": Run("diffusion", **at_time(lambda m, t: (t - 1).clamp(min=0))),
    "schedule reversed": Run("diffusion", **at_time(lambda model, t: model.timesteps - 1 - t)),
    "time of the first": Run("diffusion", **at_time(lambda model, t: t[:1].expand(len(t)))),
    "predicts the image": Run("loss", **target(lambda x, x_t, n: x)),
    "predicts x_t": Run("loss", **target(lambda x, x_t, n: x_t)),
    "predicts -noise": Run("loss", **target(lambda x, x_t, n: -n)),
    "predicts other noise": Run("loss", **target(lambda x, x_t, n: torch.randn_like(n))),
    "predicts x_t - x_0": Run("loss", **target(lambda x, x_t, n: x_t - x)),
    "loss summed": Run(
        "loss", **loss(lambda m, x, x_t, c, t, n: (m.model(x_t, c, t) - n).square().sum())
    ),
    "loss of the upper half": Run(
        "loss",
        **loss(lambda m, x, x_t, c, t, n: (m.model(x_t, c, t) - n)[:, :, :4].square().mean()),
    ),
    "loss of the first half of a batch": Run(
        "loss", **loss(lambda m, x, x_t, c, t, n: F.mse_loss(m.model(x_t, c, t)[::2], n[::2]))
    ),
    "sees the image": Run("diffusion loss", **asked(lambda x, x_t, c, t: (x, c, t))),
    "trained on class 0": Run("label", **asked(lambda x, x_t, c, t: (x_t, 0 * c, t))),
    "trained at time 0": Run("time", **asked(lambda x, x_t, c, t: (x_t, c, 0 * t))),
    "label unused": Run("label", **blind("label")),
    "time unused": Run("time", **blind("time")),
    "labels shuffled": Run("label", **labelled(lambda labels: labels.roll(7))),
    "half of the labels shuffled": Run("label", **labelled(half_rolled)),
    "flow, half of the labels shuffled": Run("label", "digits_fm", **labelled(half_rolled)),
    "two classes mixed up": Run("label", **labelled(mixed_up)),
    "no noise on the way": Run("chain alike", **step(right_mean, lambda beta, v: 0.0)),
    "variance for deviation": Run("chain", **step(right_mean, lambda beta, v: v)),
    "a little too much noise": Run("chain", **step(right_mean, lambda beta, v: 1.05 * v.sqrt())),
    "noise in the last step": Run("chain", **last_noise(1.0)),
    "mean not scaled": Run("chain", **step(lambda x, e, b, s: x - b / s * e, right_deviation)),
    "noise at full strength, back": Run(
        "chain", **step(lambda x, e, b, s: (x - b * e) / (1 - b).sqrt(), right_deviation)
    ),
    "chain forwards": Run("chain", **loop(noise_for, range)),
    "chain from zeros": Run("chain alike", **loop(lambda m, c: 0 * noise_for(m, c), down)),
    "chain of class 0": Run("label", **loop(noise_for, down, lambda labels: 0 * labels)),
    "EDM, input not scaled": Run("denoiser", **EDM_RUN, **denoiser(seen=0)),
    "EDM, input scaled twice": Run("denoiser", **EDM_RUN, **denoiser(seen=2)),
    "EDM, x not scaled": Run("denoiser", **EDM_RUN, **denoiser(skip=0)),
    "EDM, answer not scaled": Run("denoiser", **EDM_RUN, **denoiser(out=0)),
    "EDM, the same time": Run("time", **EDM_RUN, **denoiser(time=0)),
    "EDM, noise of sigma^2": Run(
        "diffusion", **EDM_RUN, **loss_of_edm(lambda y, level, noise: y + level**2 * noise)
    ),
    "EDM, no weights": Run("loss", **EDM_RUN, **loss_of_edm(weight=lambda level, data: 1.0)),
    "EDM, one slope": Run("chain", **EDM_RUN, **heun_step(lambda d, x, s, s_next, slope: slope)),
    "images in [0, 1]": Run("scale", **rescaled(lambda x: (x + 1) / 2)),
    "images scaled twice": Run("scale", **rescaled(lambda x: 2 * x - 1)),
    "rate too low": Run("rate_low", keys=("train_cfg.lr=1e-6",)),
    "rate too high": Run("rate_high", keys=("train_cfg.lr=0.5",)),
    "rate a little too high": Run("rate_high", keys=("train_cfg.lr=0.1",)),
    "signal left": Run("schedule", keys=("model.beta_end=0.01",)),
    "few steps, small": Run("schedule", keys=("model.timesteps=20",)),
    "average at its start": Run("ema", owner=EMA, name="update", other=kept_average),
    "three images": Run(
        "few", keys=("dataset.subset=0.003", "loader.batch_size=3", "train_cfg.epochs=120")
    ),
}
HEALTHY = {
    **{f"digits, seed {seed}": Run(keys=(f"seed={seed}",)) for seed in range(1, 5)},
    **{f"digits, {n} epochs": Run(keys=(f"train_cfg.epochs={n}",)) for n in (2, 5, 8, 10, 15)},
    "digits, lr 1e-3": Run(keys=("train_cfg.lr=1e-3",)),
    "digits, lr 8e-3": Run(keys=("train_cfg.lr=8e-3",)),
    "digits, constant": Run(keys=("train_cfg.lr_schedule=constant",)),
    "digits, all t alike": Run(keys=("train_cfg.min_snr_gamma=null",)),
    "digits, cosine": Run(keys=("model.beta_schedule=cosine", "model.beta_end=null")),
    "digits, T = 400": Run(keys=("model.timesteps=400", "model.beta_end=0.02")),
    "digits, T = 100": Run(keys=("model.timesteps=100", "model.beta_end=0.1")),
    "digits, T = 1000": Run(keys=("model.timesteps=1000", "model.beta_end=0.02")),
    "digits, batches of 32": Run(keys=("loader.batch_size=32", "train_cfg.epochs=4")),
    "digits, batches of 128": Run(keys=("loader.batch_size=128", "train_cfg.epochs=10")),
    "digits, v": Run(keys=("model.prediction=v",)),
    "digits, x0": Run(keys=("model.prediction=x0",)),
    "digits, Huber loss": Run(keys=("train_cfg.loss=huber",)),
    "digits, large variance": Run(keys=("model.variance_type=fixed_large",)),
    "digits, plain UNet": Run(keys=("model.adagn=false",)),
    "digits, attention": Run(keys=("model.attn_levels=[1]",)),
    "digits, without labels": Run(keys=("model.conditional=false",)),
    "digits, for guidance": Run(keys=("model.label_dropout=0.1",)),
    "digits, slow average": Run(keys=("train_cfg.ema_decay=0.9999",)),
    "digits_fm": Run(config="digits_fm"),
    "digits_fm, uniform": Run(config="digits_fm", keys=("fm.time=uniform",)),
    "digits_few": Run(config="digits_few", keys=("train_cfg.epochs=8",)),
    "digits_dit": Run(config="digits_dit", keys=("train_cfg.epochs=10",)),
    "EDM": Run(**EDM_RUN),
    "EDM, 105 steps": Run(
        config="mnist_edm", keys=(*EDM_RUN["keys"], "train_cfg.max_steps=105", "seed=9")
    ),
    "digits_dit, 105 steps": Run(config="digits_dit", keys=("train_cfg.max_steps=105", "seed=9")),
    "toy_moons": Run(config="toy_moons", keys=("train_cfg.epochs=4",)),
    "toy_gaussians": Run(config="toy_gaussians", keys=("train_cfg.epochs=4",)),
}
