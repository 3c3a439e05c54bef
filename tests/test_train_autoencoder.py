"""Autoencoders of one's own: stages, discriminator, going on, and latents for a diffusion model."""

import importlib
import itertools
import json
import os
import signal
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from helpers.fake_wandb import FakeWandb
from libs.autoencoders import losses
from libs.autoencoders.discriminator import PatchDiscriminator, hinge_generator_loss
from libs.autoencoders.kl import KLAutoencoder
from libs.config import load_config
from libs.runtime import checkpoint, cli
from libs.runtime.device import Precision
from libs.runtime.processes import Processes
from libs.settings.autoencoder import AutoencoderConfig, Stage
from libs.training import autoencoder_learner as learning
from libs.training.autoencoder_learner import AutoencoderLearner, ReconstructionLoss
from libs.training.diffusion_learner import DiffusionLearner
from libs.training.stages import train_stages
from libs.training.trainer import Trainer
from libs.utils import UserError

CPU = torch.device("cpu")
TINY = [
    "autoencoder.ch=8",
    "autoencoder.ch_mult=[1, 2]",
    "discriminator.dim=8",
    "discriminator.num_layers=1",
    "dataset.subset=0.04",  # 60 digits, three batches
    "dataset.test_split=null",
    "loader.batch_size=20",
    "train_cfg.eval_images=20",
    "loader.num_workers=0",
    "features=null",
]
PLAIN = "{epochs: 1, resolution: 8}"
ADVERSARIAL = "{epochs: 1, resolution: 8, disc_start: 1, disc_weight: 0.1, lr: 1.0e-3}"


def make_config(*overrides: str, stages: str = PLAIN) -> AutoencoderConfig:
    """The config of a tiny autoencoder for digits, with overrides as for --set."""
    settings = [*TINY, f"stages=[{stages}]", *overrides]
    return load_config("configs/digits_autoencoder.yaml", settings, AutoencoderConfig)


def make_learner(config: AutoencoderConfig, number: int = 0) -> AutoencoderLearner:
    return AutoencoderLearner(config, number, Precision.pick("fp32", CPU), Processes())


def train(config: AutoencoderConfig, folder: Path, dtype: str = "fp32") -> Path:
    """Train all stages, with a line of output for each step."""
    return train_stages(config, folder, Precision.pick(dtype, CPU), Processes(), 1, 100)


def read(path: Path) -> dict:
    return checkpoint.read(path, kind="autoencoder")


def assert_equal(one, other, where: str = "") -> None:
    """Nested dicts and lists hold the very same tensors and values."""
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_equal(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list):
        for i, pair in enumerate(zip(one, other, strict=True)):
            assert_equal(*pair, f"{where}[{i}]")
    else:
        same = torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
        assert same, where


def at_step(monkeypatch, act) -> None:
    """Have act(learner, number, result) called after each step; None where the step is ahead."""
    step = AutoencoderLearner.step

    def watched(self, number, *args):
        act(self, number, None)
        result = step(self, number, *args)
        act(self, number, result)
        return result

    monkeypatch.setattr(AutoencoderLearner, "step", watched)


# Stages


def test_stages_train_and_hand_on(tmp_path, monkeypatch):
    """Quality rises, the second stage starts where the first ended, and scores.json tells."""
    starts = {}

    def note(learner, number, result):
        if number == 0 and result is None:
            networks = learner.model, learner.discriminator
            starts[learner.number] = [
                {key: value.clone() for key, value in network.state_dict().items()}
                for network in networks
            ]

    at_step(monkeypatch, note)
    stages = "{epochs: 10, resolution: 16}, {epochs: 1, resolution: 16, tanh: true, lr: 1.0e-4}"
    config = make_config(stages=stages)
    final = train(config, tmp_path / "run")
    first = read(tmp_path / "run/stage-1/model_final.pth")
    assert_equal(starts[1], [first["model"], first["discriminator"]])
    assert not torch.equal(
        starts[0][0]["encoder.conv_in.weight"], first["model"]["encoder.conv_in.weight"]
    )
    last = read(final)
    assert last["stage"] == 1
    assert_equal(last["model"], read(tmp_path / "run/stage-2")["model"])

    scores = json.loads((tmp_path / "run/scores.json").read_text())
    assert list(scores) == ["stage 1", "stage 2"]
    for stage in scores.values():
        assert [sorted(stage[when]) for when in ("before", "after")] == [["psnr", "ssim"]] * 2
    assert scores["stage 1"]["after"]["psnr"] > scores["stage 1"]["before"]["psnr"] + 3
    columns, cell = 8, 64 + 4
    with Image.open(tmp_path / "run/stage-1/reconstruction-10.png") as picture:
        assert picture.width > columns * cell + 4  # the rows have names
        assert picture.height == 2 * cell + 4


def test_done_stages_are_not_repeated(tmp_path, monkeypatch, capsys):
    """A run that is started again trains what is left, and leaves the rest as it was."""
    one = make_config("train_cfg.max_steps=1")
    train(one, tmp_path)
    steps = []
    at_step(monkeypatch, lambda learner, number, result: steps.append((learner.number, number)))
    before = (tmp_path / "stage-1/model_final.pth").read_bytes()
    train(one, tmp_path)
    assert steps == []
    train(make_config("train_cfg.max_steps=1", stages=f"{PLAIN}, {PLAIN}"), tmp_path)
    assert steps == [(1, 0)] * 2
    assert (tmp_path / "stage-1/model_final.pth").read_bytes() == before
    assert "stage 1 is done" in capsys.readouterr().out
    assert read(tmp_path / "model_final.pth")["stage"] == 1


@pytest.mark.parametrize(
    ("stages", "dtype"),
    [
        (ADVERSARIAL, "fp32"),
        pytest.param(ADVERSARIAL, "bf16", marks=pytest.mark.slow),
        pytest.param(f"{PLAIN}, {ADVERSARIAL}", "fp32", marks=pytest.mark.slow),
        pytest.param(PLAIN, "fp32", marks=pytest.mark.slow),
    ],
    ids=["adversarial", "bf16", "second stage", "plain"],
)
def test_resume_is_exact(tmp_path, monkeypatch, stages, dtype):
    """Stopped in the middle of an epoch, a run ends with the very state it has without the stop."""
    config = make_config(stages=stages)
    train(config, tmp_path / "straight", dtype)
    last = len(config.stages)
    stop = (last - 1, 1)

    def interrupt(learner, number, result):
        if result is not None and (learner.number, number) == stop:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        at_step(patch, interrupt)
        with pytest.raises(KeyboardInterrupt, match="--resume"):
            train(config, tmp_path / "stopped", dtype)
    assert read(tmp_path / f"stopped/stage-{last}")["step"] == stop[1] + 1
    assert not (tmp_path / "stopped/model_final.pth").exists()
    train(config, tmp_path / "stopped", dtype)
    straight, stopped = (
        read(tmp_path / name / "model_final.pth") for name in ("straight", "stopped")
    )
    for key in ("step", "model", "ema", "optimizer", "discriminator", "adversary", "epoch_losses"):
        assert_equal(straight[key], stopped[key], key)
    trained = stopped["adversary"]["optimizer"]["state"]
    assert bool(trained) == (stages != PLAIN), (
        "a discriminator that took part has an optimizer's state"
    )


def test_stop_in_the_last_step_of_a_stage(tmp_path, monkeypatch):
    """The stage counts as done, and the run goes on with the next one when it is resumed."""
    config = make_config("train_cfg.max_steps=1", stages=f"{PLAIN}, {PLAIN}")

    def interrupt(learner, number, result):
        if result is not None:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        at_step(patch, interrupt)
        with pytest.raises(KeyboardInterrupt, match="--resume"):
            train(config, tmp_path)
    assert [path.parent.name for path in tmp_path.rglob("*.pth")] == ["stage-1"]
    assert read(train(config, tmp_path))["stage"] == 1


def test_another_config_is_refused_in_the_middle(tmp_path, monkeypatch):
    """A stage that was stopped goes on under its own settings only."""

    def interrupt(learner, number, result):
        if result is not None and number == 0:
            os.kill(os.getpid(), signal.SIGINT)

    config = make_config()
    with monkeypatch.context() as patch:
        at_step(patch, interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(config, tmp_path)
    with pytest.raises(UserError, match="stage 1 was different"):
        train(make_config(stages="{epochs: 2, resolution: 8}"), tmp_path)
    with pytest.raises(UserError, match=r"autoencoder\.z_channels was 3 and is 2"):
        train(make_config("autoencoder.z_channels=2"), tmp_path)


# Losses


def test_discriminator_starts_at_its_step(tmp_path, monkeypatch):
    """Before its step the discriminator neither learns nor teaches; from it on, it does both."""
    states, parts = [], []

    def note(learner, number, result):
        if result is not None:
            parts.append(dict(zip(learner.part_names(), result.parts, strict=True)))
            flat = nn.utils.parameters_to_vector(learner.discriminator.parameters())
            states.append(flat.detach().clone())

    at_step(monkeypatch, note)
    train(make_config(stages="{epochs: 2, resolution: 8, disc_start: 3}"), tmp_path)
    assert [torch.equal(*pair) for pair in itertools.pairwise(states)] == [
        True, True, False, False, False,
    ]  # fmt: skip
    adversarial = [
        [part[name] != 0 for name in ("adversarial", "adversarial_weight", "discriminator")]
        for part in parts
    ]
    assert adversarial == [[False] * 3] * 3 + [[True] * 3] * 3


class Distance(nn.Module):
    """Stands in for LPIPS, and counts how often it is asked."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, one, other):
        self.calls += 1
        return (one - other).abs().amax(dim=(1, 2, 3))


def test_losses_are_named_and_measured_alike(tmp_path, monkeypatch):
    """Of an autoencoder the curve shows the distance of reconstructions, for training images as for
    test images, and beside it what the stage minimises."""
    stages = f"{PLAIN}, {{resolution: 8, reconstruction: mse, kl_weight: 0.5, disc_start: 3}}"
    config = make_config("dataset.test_split=test", "train_cfg.eval_images=20", stages=stages)
    learner = make_learner(config, 1)
    assert learner.loss_name == "mean squared error of reconstructions"
    judged = "the discriminator's judgement from step 3"
    assert learner.objective_name == f"mean squared error + 0.5 KL + {judged}"
    learner = make_learner(config)
    assert learner.objective_name == "mean absolute error + 1e-06 KL"
    trainer = Trainer(learner, learner.config, tmp_path, learner.precision, Processes(), 1)
    monkeypatch.setattr(learner, "evaluate", lambda images, batch_size: float(len(images)))
    trainer.fit()
    values = trainer.history.values
    assert values["train_loss"] == values["test_loss"], "as many images of both"
    assert values["loss_name"] == "mean absolute error of reconstructions"
    parts = values["step_parts"]
    assert len(parts) == len(values["step_loss"])
    assert parts[0].keys() == set(learner.part_names())


def test_loss_against_arithmetic():
    """The loss is the weighted sum of its terms; a term without weight is not even computed."""
    torch.manual_seed(0)
    shape = {"in_channels": 1, "ch": 8, "ch_mult": [1, 2], "num_res_blocks": 1, "z_channels": 2}
    autoencoder, judge = KLAutoencoder(**shape), PatchDiscriminator(1, 8, 1)
    images, noise = torch.rand(3, 1, 8, 8) * 2 - 1, torch.randn(3, 2, 4, 4)
    with torch.no_grad():
        posterior = autoencoder.encode(images)
        decoded = autoencoder.decode(posterior.sample(noise))
    distance = Distance()
    off = Stage(kl_weight=0, lpips_weight=0)
    found = ReconstructionLoss(autoencoder, off, distance)(images, noise)
    torch.testing.assert_close(found.loss, F.l1_loss(decoded, images))
    assert distance.calls == 0
    assert found.parts[2:].tolist() == [0, 0, 0]
    assert found.outputs is None

    on = Stage(reconstruction="mse", kl_weight=0.3, lpips_weight=0.2, disc_weight=0.5)
    criterion = ReconstructionLoss(autoencoder, on, distance, judge)
    normal = torch.distributions.Normal(posterior.mean, (posterior.logvar / 2).exp())
    kl = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0))
    expected = F.mse_loss(decoded, images) + 0.2 * distance(decoded, images).mean()
    expected += 0.3 * kl.sum() / images.numel()
    with torch.no_grad():  # without gradients there is no adaptive factor
        found = criterion(images, noise)
        expected += 0.5 * hinge_generator_loss(judge(decoded))
    torch.testing.assert_close(found.loss, expected)
    torch.testing.assert_close(found.outputs, decoded)


def test_accumulation_equals_one_pass(tmp_path, monkeypatch):
    """A batch in two parts gives the weights that it gives in one, of both networks."""
    one = torch.ones(())  # the adaptive factor belongs to each part by itself
    monkeypatch.setattr(losses, "adaptive_weight", lambda *args: one)
    ends = []
    for parts in (1, 2):
        options = f"train_cfg.accumulate={parts}", "train_cfg.max_steps=2", "discriminator.lr=1e-4"
        stage = "{epochs: 1, resolution: 8, disc_start: 0, disc_weight: 0.1, lr: 1.0e-4}"
        config = make_config(*options, "train_cfg.lr_schedule=constant", stages=stage)
        ends.append(read(train(config, tmp_path / str(parts))))
    for name in ("model", "discriminator"):
        once, twice = (torch.cat([v.float().flatten() for v in end[name].values()]) for end in ends)
        apart = (once - twice).abs()
        assert apart.max() <= 4e-4  # two steps of 1e-4 each, in opposite directions
        # Adam takes steps of full length even where the gradient is nothing but rounding
        assert (apart > 2e-5).float().mean() < 1e-3


@pytest.mark.parametrize("poisoned", [ReconstructionLoss, learning.DiscriminatorLoss])
def test_bad_loss_skips_the_step(tmp_path, monkeypatch, capsys, poisoned):
    """A loss that is not a number leaves its network alone, training goes on and says so."""
    forward = poisoned.forward

    def poison(*args):
        found = forward(*args)
        if poisoned is ReconstructionLoss:
            return found._replace(loss=found.loss * torch.nan)
        return found * torch.nan

    monkeypatch.setattr(poisoned, "forward", poison)
    config = make_config("train_cfg.max_steps=1", stages="{resolution: 8, disc_start: 0}")
    learner = make_learner(config)
    before = {key: value.clone() for key, value in learner.model.state_dict().items()}
    judge = {key: value.clone() for key, value in learner.discriminator.state_dict().items()}
    end = read(train(config, tmp_path))
    assert_equal(end["discriminator"], judge)
    moved = not torch.equal(end["model"]["quant_conv.weight"], before["quant_conv.weight"])
    assert moved == (poisoned is not ReconstructionLoss)
    assert all(value.isfinite().all() for value in end["model"].values())
    assert "step 1: the loss or its gradient is NaN" in capsys.readouterr().out


def test_training_without_lpips_weights(tmp_path, monkeypatch, capsys):
    """LPIPS that cannot be had is said once, and training goes on without it."""
    reason = "training goes on without the perceptual loss: get them"
    monkeypatch.setattr(losses, "perceptual_loss", lambda *args, **options: (None, reason))
    stage = "{epochs: 1, resolution: 8, lpips_weight: 1.0}"
    train(make_config("train_cfg.max_steps=1", stages=stage), tmp_path / "without")
    assert capsys.readouterr().out.count(reason) == 1
    parts = []
    distance = Distance()
    monkeypatch.setattr(losses, "perceptual_loss", lambda *args, **options: (distance, ""))
    at_step(monkeypatch, lambda *args: parts.append(args[2] and args[2].parts))
    train(make_config("train_cfg.max_steps=1", stages=stage), tmp_path / "with")
    assert parts[1][2] > 0
    assert distance.calls == 1


# What a diffusion model makes of it


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """The run folder of an autoencoder of two stages, for images of 16x16 and latents of 8x8."""
    folder = tmp_path_factory.mktemp("autoencoder")
    train(make_config("train_cfg.max_steps=6", stages="{epochs: 2, resolution: 16}"), folder)
    return folder


def diffusion_settings(weights: Path, tmp_path: Path, *overrides: str) -> list[str]:
    """Overrides for a tiny model of digits in the latent space of an autoencoder."""
    return [
        "model.use_vae=true",
        "vae.kind=kl",
        f"vae.weights={weights}",
        "model.img_shape=[1, 16, 16]",
        "model.dim=8",
        "model.dim_mults=[1, 2]",
        "model.timesteps=10",
        "model.beta_end=0.5",
        "train_cfg.num_eval_samples=0",
        "dataset.subset=0.02",
        "loader.batch_size=15",
        f"output_folder={tmp_path / 'logs'}",
        *overrides,
    ]


def make_trainer(weights: Path, tmp_path: Path, *overrides: str, state=None) -> Trainer:
    config = load_config(
        "configs/digits.yaml",
        diffusion_settings(weights, tmp_path, "dataset.test_split=null", *overrides),
    )
    precision, processes = Precision.pick("fp32", CPU), Processes()
    learner = DiffusionLearner(config, precision, processes)
    folder = tmp_path / "run"
    return Trainer(learner, config, folder, precision, processes, state=state)


@pytest.mark.slow
def test_diffusion_in_its_latents(trained, tmp_path):
    """Latents are standardized; a diffusion model trains in them, and resumes exactly."""
    straight = make_trainer(trained, tmp_path, "train_cfg.max_steps=4")
    assert straight.learner.model.img_shape == (3, 8, 8)
    splits, vae = straight.learner.splits, straight.learner.model.vae
    images, _ = splits.train.__getitems__([(i, 0) for i in range(len(splits.train))])
    latents = vae.encoder(images)
    torch.testing.assert_close(latents.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(latents.std(dim=(0, 2, 3)), torch.ones(3), atol=1e-3, rtol=0)
    average = read(trained)["ema"]["average"]
    assert torch.equal(vae.encoder.quant_conv.weight, average["quant_conv.weight"])

    straight.fit()
    make_trainer(trained, tmp_path, "train_cfg.max_steps=2").fit()
    state = checkpoint.read(tmp_path / "run")
    resumed = make_trainer(trained, tmp_path, "train_cfg.max_steps=4", state=state)
    assert resumed.step == 2
    resumed.fit()
    assert_equal(straight.learner.state_dict(), resumed.learner.state_dict())
    assert torch.equal(resumed.learner.model.vae.encoder(images), latents), "it stays as it was"


def test_cached_latents_train_like_others(trained, tmp_path):
    """Latents from the cache give the losses that encoding in each step gives."""
    losses = []
    for cache in ("false", "true"):
        options = f"dataset.latent_cache={cache}", "train_cfg.max_steps=3"
        trainer = make_trainer(trained, tmp_path, *options)
        trainer.fit()
        losses.append(trainer.epoch_losses)
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)  # cached latents are float16


def test_samples_need_no_file_of_the_autoencoder(trained, tmp_path, monkeypatch):
    """A checkpoint of a latent model holds its autoencoder: it samples where the file is gone."""
    weights = tmp_path / "autoencoder.pth"
    weights.write_bytes((trained / "model_final.pth").read_bytes())
    make_trainer(weights, tmp_path, "train_cfg.max_steps=1").fit()
    weights.unlink()
    grid = tmp_path / "grid.png"
    run(monkeypatch, "sample", tmp_path / "run", "--num", 1, "--device", "cpu", "--out", grid)
    with Image.open(grid) as picture:
        assert picture.width == 10 * (64 + 4) + 4
        assert picture.height > 64 + 2 * 4  # the columns have names


def published(folder: Path) -> tuple[Path, KLAutoencoder]:
    """A file such as CompVis's, with random weights."""
    torch.manual_seed(1)
    shape = {"in_channels": 1, "ch": 32, "ch_mult": [1, 2], "num_res_blocks": 1, "z_channels": 3}
    autoencoder = KLAutoencoder(**shape)
    torch.save({"state_dict": autoencoder.state_dict()}, folder / "kl.ckpt")
    return folder / "kl.ckpt", autoencoder


def test_published_autoencoder_to_start_from(tmp_path):
    """Training starts from the weights in `vae_ckpt`, a published file or one of our own."""
    path, autoencoder = published(tmp_path)
    options = f"vae_ckpt={path}", "autoencoder.ch=32", "autoencoder.num_groups=32"
    config = make_config(*options, "train_cfg.max_steps=1")
    learner = make_learner(config)
    assert_equal(learner.model.state_dict(), autoencoder.state_dict())
    assert_equal(learner.updater.ema.average, dict(autoencoder.named_parameters()))
    ours = train(config, tmp_path / "run")
    again = make_learner(make_config(f"vae_ckpt={ours}", *options[1:]))
    assert_equal(again.model.state_dict(), read(ours)["model"] | read(ours)["ema"]["average"])


# What is refused, as a user of the scripts sees it


def run(monkeypatch, script: str, *args: object) -> None:
    """Run code/SCRIPT.py in this process."""
    monkeypatch.setattr(sys, "argv", [f"{script}.py", *map(str, args)])
    cli.run(importlib.import_module(script).main)


@pytest.fixture
def refusal(monkeypatch, capsys):
    """A function that runs a script and returns the sentence it ends with, exit code 2."""

    def refusal(script: str, *args: object) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            run(monkeypatch, script, *args)
        sentence = capsys.readouterr().err.strip()
        assert end.value.code == 2, sentence
        assert sentence.startswith("error: ")
        assert "\n" not in sentence
        return sentence

    return refusal


def flags(settings: list[str]) -> list[str]:
    return [part for setting in settings for part in ("--set", setting)]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["stages=[{resolution: 9}]"], ["'stages[0].resolution' 9", "not divisible by 2"]),
        (
            ["stages=[{epochs: 2, resolution: 8}, {epochs: 2, resolution: 8, disc_start: 6}]"],
            ["'stages[1].disc_start' 6 is after the end of the stage", "6 steps"],
        ),
        (
            [
                "discriminator.num_layers=2",
                "stages=[{resolution: 8}, {resolution: 8, disc_start: 0}]",
            ],
            ["'stages[1].resolution' 8 is too small", "12 pixels", "'discriminator.num_layers'"],
        ),
        (
            [
                "lpips.weights=none.pth",
                "stages=[{resolution: 8}, {resolution: 8, lpips_weight: 1}]",
            ],
            ["'lpips.weights'", "none.pth"],
        ),
        (["train_cfg.betas=[0.5]"], ["'train_cfg.betas' must be two numbers"]),
        (["vae_ckpt=none.pth"], ["none.pth"]),
    ],
)  # fmt: skip
def test_impossible_stages_are_refused(refusal, tmp_path, settings, words):
    """A stage that cannot work is refused before the first one is trained."""
    settings = [*TINY, f"output_folder={tmp_path / 'logs'}", "stages=[{resolution: 8}]", *settings]
    sentence = refusal(
        "train_autoencoder", "configs/digits_autoencoder.yaml", "--device", "cpu", *flags(settings)
    )
    assert all(word in sentence for word in words), sentence
    assert not list(tmp_path.rglob("*.pth"))


def test_weights_that_do_not_fit_are_refused(refusal, trained, tmp_path):
    """Channels of latents or images that differ are named with both values and the file."""
    weights = trained / "model_final.pth"
    settings = diffusion_settings(weights, tmp_path, "vae.autoencoder={z_channels: 4}")
    sentence = refusal("train", "configs/digits.yaml", *flags(settings))
    assert "section 'vae.autoencoder'" in sentence
    assert "z_channels is 4 and 3 in the file" in sentence
    assert "model_final.pth" in sentence
    settings = diffusion_settings(weights, tmp_path, "model.img_shape=[3, 16, 16]")
    sentence = refusal("train", "configs/digits.yaml", *flags(settings))
    assert "1 channels, 'model.img_shape' is [3, 16, 16]" in sentence
    path, _ = published(tmp_path)
    options = flags([*TINY, f"vae_ckpt={path}", f"output_folder={tmp_path / 'logs'}"])
    sentence = refusal("train_autoencoder", "configs/digits_autoencoder.yaml", *options)
    assert "section 'autoencoder'" in sentence
    assert "ch is 8 and 32 in the file" in sentence


def test_each_stage_is_a_wandb_run_of_its_own(tmp_path, monkeypatch):
    """Steps start from 0 in each stage, which one run would drop: no id is shared, and names say
    which stage it is."""
    fake = FakeWandb(tmp_path)
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "30")
    two = f"{PLAIN}, {PLAIN}"
    options = "wandb.project=team-07", "train_cfg.max_steps=1"
    train(make_config(*options, stages=two), tmp_path / "own")
    assert [o["name"] for o in fake.started] == ["own/stage-1", "own/stage-2"]
    assert [o["id"] for o in fake.started] == [None, None]
    ids = [read(tmp_path / "own" / f"stage-{n}")["wandb_id"] for n in (1, 2)]
    assert ids == ["made-up-1", "made-up-2"]
    with pytest.raises(UserError, match=r"wandb\.resume_id' names one run, and each stage"):
        make_config("wandb.resume_id=abc", stages=two)


def test_checkpoints_of_another_kind_are_refused(refusal, trained, tmp_path):
    """An autoencoder where a diffusion model is wanted, and the reverse, are told apart."""
    ours = trained / "model_final.pth"
    wanted = "holds a trained autoencoder, and a trained diffusion model"
    for script, *args in (
        ("sample", ours, "--out", tmp_path / "grid.png"),
        ("evaluate", ours),
        ("train", "configs/digits.yaml", "--resume", ours),
    ):
        sentence = refusal(script, *args, "--device", "cpu")
        assert f"model_final.pth {wanted}" in sentence
    make_trainer(trained, tmp_path, "train_cfg.max_steps=1").fit()
    theirs = tmp_path / "run/model_final.pth"
    wanted = "holds a trained diffusion model, and a trained autoencoder"
    settings = flags(diffusion_settings(theirs, tmp_path))
    sentence = refusal("train", "configs/digits.yaml", *settings)
    assert f"model_final.pth {wanted}" in sentence
    for resumed in (theirs, theirs.parent, tmp_path / "nothing"):
        sentence = refusal(
            "train_autoencoder", "configs/digits_autoencoder.yaml", "--resume", resumed
        )
        assert f"--resume {resumed}: " in sentence
        assert "not a run folder with checkpoints of stages" in sentence


def test_configs_of_another_kind_are_refused(refusal):
    """Each training script names the one that a config is for."""
    sentence = refusal("train", "configs/digits_autoencoder.yaml")
    assert "python code/train_autoencoder.py" in sentence
    sentence = refusal("train_autoencoder", "configs/digits.yaml")
    assert "python code/train.py" in sentence


def test_fewer_classes_than_the_model_has_are_refused(refusal, tmp_path):
    """A config for 100 classes on a tree of 3 folders says both numbers."""
    for name in ("cat", "dog", "wild"):
        (tmp_path / "data" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "data" / name / "0.png")
    settings = ["dataset.name=ImageFolder", f"dataset.data_folder={tmp_path / 'data'}"]
    settings += ["dataset.test_split=null", "model.num_classes=100", "model.img_shape=[3, 8, 8]"]
    sentence = refusal("train", "configs/digits.yaml", *flags(settings))
    assert "has 3 classes" in sentence
    assert "'model.num_classes' is 100" in sentence
    assert str(tmp_path / "data") in sentence
