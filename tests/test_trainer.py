"""The training loop in one process: what it writes, skips, refuses, and goes on from."""

import errno
import json
import math
import os
import re
import sys
from argparse import Namespace
from itertools import pairwise
from unittest import mock

import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from helpers.fake_wandb import FakeWandb
from libs import ddim
from libs.config import WandbConfig, load_config
from libs.ddpm import DDPM
from libs.metrics import in_training
from libs.models import build
from libs.runtime import checkpoint, device, progress
from libs.runtime.device import Precision
from libs.runtime.processes import Processes
from libs.tiny_autoencoder import TAESD
from libs.training import diffusion_learner, run_log
from libs.training.diffusion_learner import DiffusionLearner
from libs.training.diffusion_losses import TrainingLoss
from libs.training.learner import StepResult
from libs.training.objectives import objective_of
from libs.training.run_folder import check_same_run, choose
from libs.training.run_log import History, RunLog
from libs.training.trainer import Trainer
from libs.utils import NOT_ASKED, UserError

CPU = torch.device("cpu")
STEPS_PER_EPOCH = 5  # 180 digits in batches of 32


@pytest.fixture
def make_trainer(tmp_path):
    """Build trainers of a tiny digits model in tmp_path/run, with overrides as for --set."""

    def make(*overrides, dtype="fp32", state=None, ckpt_freq=5, print_freq=100, base="digits"):
        tiny = ["model.dim=8", "model.dim_mults=[1]", "model.timesteps=10"]
        tiny += ["train_cfg.num_eval_samples=0"]
        tiny += ["dataset.subset=0.12", "loader.batch_size=32", "train_cfg.eval_images=32"]
        folder = f"output_folder={tmp_path / 'logs'}"
        config = load_config(f"configs/{base}.yaml", [*tiny, folder, *overrides])
        precision = Precision.pick(dtype, CPU)
        processes = Processes()
        learner = DiffusionLearner(config, precision, processes)
        freqs = print_freq, ckpt_freq
        return Trainer(learner, config, tmp_path / "run", precision, processes, *freqs, state)

    return make


@pytest.fixture
def tiny_autoencoder(tmp_path):
    """Overrides for a latent model whose autoencoder has random weights."""
    torch.manual_seed(0)
    vae = TAESD()
    torch.save(vae.encoder.state_dict(), tmp_path / "encoder.pth")
    torch.save(vae.decoder.state_dict(), tmp_path / "decoder.pth")
    return [
        "model.use_vae=true",
        "model.img_shape=[3, 16, 16]",
        "model.dim_mults=[1, 2]",
        f"model.vae_encoder_weights={tmp_path / 'encoder.pth'}",
        f"model.vae_decoder_weights={tmp_path / 'decoder.pth'}",
        "dataset.subset=0.02",
        "loader.batch_size=8",
    ]


def weights(trainer):
    return {k: v.clone() for k, v in trainer.learner.model.state_dict().items()}


def assert_equal(a, b):
    assert a.keys() == b.keys()
    for key in a:
        assert torch.equal(a[key], b[key]), key


@pytest.mark.curve
def test_run_folder_holds_everything(make_trainer, tmp_path):
    """A run leaves config, checkpoints, samples, history, curve and TensorBoard events."""
    overrides = ["train_cfg.epochs=3", "train_cfg.num_eval_samples=2", "dataset.val_fraction=0.1"]
    trainer = make_trainer(*overrides, "train_cfg.eval_every=2", ckpt_freq=2, print_freq=5)
    assert trainer.fit() == tmp_path / "run" / "model_final.pth"
    names = {p.name for p in (tmp_path / "run").iterdir()}
    expected = "config.yaml model_final.pth epoch-0002.pth best.pth sample-2.png sample-3.png"
    assert names >= {*expected.split(), "loss_history.json", "training_curve.png"}

    history = json.loads((tmp_path / "run" / "loss_history.json").read_text())
    assert history["epochs"] == [1, 2, 3]
    assert all(0 < loss < 2 for loss in history["epoch_loss"])
    for name in ("train_loss", "val_loss", "test_loss"):
        assert history[name][0] is None, "epoch 1 is not one of every two"
        assert all(0 < loss < 2 for loss in history[name][1:])

    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    for tag in ("loss", "learning_rate", "images_per_second", "grad_norm"):
        assert [e.step for e in events.Scalars(f"train/{tag}")] == [5, 10, 15]
    assert [e.step for e in events.Images("samples")] == [10, 15]

    columns, rows, cell = 10, 2, 64 + 4
    width, height = Image.open(tmp_path / "run" / "sample-3.png").size
    assert width == columns * cell + 4
    assert 0 < height - (rows * cell + 4) < 30  # names of the classes are above


def test_config_yaml_repeats_the_run(make_trainer, tmp_path):
    """The config.yaml of a run folder loads to the very config of the run."""
    trainer = make_trainer("train_cfg.max_steps=1")
    trainer.fit()
    assert load_config(str(tmp_path / "run" / "config.yaml")) == trainer.config


def test_loss_falls(make_trainer):
    """Training lowers the test loss."""
    trainer = make_trainer("train_cfg.epochs=10", "train_cfg.eval_every=1", "train_cfg.lr=3e-3")
    trainer.fit()
    losses = trainer.history.values["test_loss"]
    assert losses[-1] < 0.8 * losses[0]


def test_same_seed_same_weights(make_trainer):
    """Two runs of one config end with equal weights, those of another seed differ."""
    runs = []
    for seed in (0, 0, 1):
        trainer = make_trainer("train_cfg.max_steps=3", f"seed={seed}")
        trainer.fit()
        runs.append(weights(trainer))
    assert_equal(runs[0], runs[1])
    assert not torch.equal(runs[0]["model.conv_in.weight"], runs[2]["model.conv_in.weight"])


@pytest.mark.parametrize(
    ("stop_at", "options"),
    [
        pytest.param(STEPS_PER_EPOCH, [], marks=pytest.mark.slow),
        (STEPS_PER_EPOCH + 2, ["model.dropout=0.1"]),
    ],
)
def test_resume_is_exact(make_trainer, tmp_path, stop_at, options):
    """N steps, resume, N steps: weights, averages, optimizer and history as without the stop."""
    last = [f"train_cfg.max_steps={2 * stop_at}", *options]
    straight = make_trainer(*last)
    straight.fit()
    make_trainer(f"train_cfg.max_steps={stop_at}", *options).fit()
    state = checkpoint.read(tmp_path / "run" / "model_final.pth")
    resumed = make_trainer(*last, state=state)
    assert resumed.step == stop_at
    resumed.fit()
    assert_equal(weights(straight), weights(resumed))
    assert_equal(straight.learner.updater.ema.average, resumed.learner.updater.ema.average)
    moments = [t.learner.updater.optimizer.state_dict()["state"] for t in (straight, resumed)]
    for one, two in zip(*(m.values() for m in moments), strict=True):
        assert_equal(one, two)
    assert straight.epoch_losses == resumed.epoch_losses


def test_checkpoint_frequency_changes_nothing(make_trainer):
    """Saving and drawing samples in between does not disturb the training."""
    plain = make_trainer("train_cfg.max_steps=7")
    plain.fit()
    busy = make_trainer(
        "train_cfg.max_steps=7",
        "train_cfg.num_eval_samples=1",
        "train_cfg.ckpt_steps=2",
        "dataset.test_split=null",
        ckpt_freq=1,
    )
    busy.fit()
    assert_equal(weights(plain), weights(busy))


def test_accumulation_equals_one_pass(make_trainer):
    """A batch in four parts gives the weights that it gives in one."""
    runs = []
    for parts in (1, 4):
        trainer = make_trainer("train_cfg.max_steps=4", f"train_cfg.accumulate={parts}")
        trainer.fit()
        runs.append(weights(trainer))
    for key in runs[0]:
        torch.testing.assert_close(runs[0][key], runs[1][key], atol=1e-4, rtol=1e-3)


def test_gradient_is_clipped(make_trainer, monkeypatch):
    """Gradients reach the optimizer with at most the norm of clip_grad_norm."""
    trainer = make_trainer("train_cfg.clip_grad_norm=0.01", "train_cfg.max_steps=2")
    norms = []
    step = trainer.learner.updater.optimizer.step

    def record(*args, **kwargs):
        grads = [p.grad for p in trainer.learner.updater.ema.parameters.values()]
        norms.append(torch.nn.utils.get_total_norm(grads).item())
        return step(*args, **kwargs)

    monkeypatch.setattr(trainer.learner.updater.optimizer, "step", record)
    trainer.fit()
    assert norms == pytest.approx([0.01, 0.01], rel=1e-3)


@pytest.mark.slow
def test_bf16_trains_close_to_fp32(make_trainer):
    """bf16 lowers the loss as fp32 does."""
    losses = {}
    for dtype in ("fp32", "bf16"):
        trainer = make_trainer("train_cfg.max_steps=22", "train_cfg.eval_every=1", dtype=dtype)
        trainer.fit()
        losses[dtype] = trainer.history.values["test_loss"]
        assert trainer.learner.model.betas.dtype == torch.float32
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.05)


def poison(monkeypatch, bad_steps, value=float("nan")):
    """Make the loss of these steps a bad number."""
    forward, calls = TrainingLoss.forward, iter(range(10**6))

    def poisoned(self, *args):
        factor = value if next(calls) in bad_steps else 1.0
        return forward(self, *args) * factor

    monkeypatch.setattr(TrainingLoss, "forward", poisoned)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_bad_loss_skips_the_step(make_trainer, monkeypatch, capsys, value):
    """A loss that is not a number changes no weight, and training goes on."""
    trainer = make_trainer("train_cfg.max_steps=1", "dataset.test_split=null")
    before = weights(trainer)
    poison(monkeypatch, {0}, value)
    trainer.fit()
    assert_equal(before, weights(trainer))
    assert trainer.learner.updater.ema.updates == 0
    assert "step 1: the loss or its gradient is NaN or infinite" in capsys.readouterr().out

    monkeypatch.setattr(trainer.learner, "evaluate", lambda *args: value)
    monkeypatch.setattr(trainer, "_held_out", lambda: {"test": trainer.splits.train.plain()})
    assert trainer._evaluate() == {}
    assert f"train {value:.4f}, test {value:.4f}\n" in capsys.readouterr().out

    trainer = make_trainer("train_cfg.max_steps=12", "dataset.test_split=null")
    poison(monkeypatch, set(range(1, 10)), value)
    trainer.fit()
    assert trainer.bad_steps == 0
    assert trainer.learner.updater.ema.updates == 12 - 9


def test_ten_bad_losses_end_the_run(make_trainer, monkeypatch):
    """Ten bad losses in a row stop with a sentence that names the step and likely causes."""
    trainer = make_trainer("train_cfg.max_steps=40", "dataset.test_split=null")
    poison(monkeypatch, set(range(3, 40)))
    with pytest.raises(UserError, match=r"up to step 13, were NaN.*learning rate"):
        trainer.fit()


def test_old_checkpoints_are_removed(make_trainer, tmp_path):
    """keep_last_n numbered checkpoints stay, besides best and final."""
    overrides = ["train_cfg.max_steps=9", "train_cfg.ckpt_steps=2", "train_cfg.keep_last_n=2"]
    make_trainer(*overrides, "dataset.val_fraction=0.1").fit()
    names = sorted(p.name for p in (tmp_path / "run").glob("*.pth"))
    assert names == ["best.pth", "model_final.pth", "step-00000006.pth", "step-00000008.pth"]


@pytest.mark.parametrize(
    ("best", "last", "names"),
    [
        ("true", "false", ["best.pth", "epoch-0002.pth"]),
        ("false", "true", ["epoch-0001.pth", "model_final.pth"]),
        ("false", "false", ["epoch-0002.pth"]),
    ],
)
def test_a_run_keeps_what_its_config_says(make_trainer, tmp_path, best, last, names):
    """Without keep_last_model the last step is one of the keep_last_n numbered checkpoints: it is
    never lost. Without keep_best_model the best is noted, but not kept."""
    overrides = ["train_cfg.epochs=2", "train_cfg.keep_last_n=1", "dataset.val_fraction=0.1"]
    overrides += [f"train_cfg.keep_best_model={best}", f"train_cfg.keep_last_model={last}"]
    trainer = make_trainer(*overrides, ckpt_freq=1)
    final = trainer.fit()
    assert sorted(p.name for p in (tmp_path / "run").glob("*.pth")) == names
    assert final.name == names[-1]
    assert checkpoint.read(tmp_path / "run")["step"] == trainer.last_step
    assert trainer.best_val_loss is not None


def test_a_last_checkpoint_in_mid_epoch_is_numbered_by_its_step(make_trainer):
    """Its name says how far the run got."""
    final = make_trainer("train_cfg.max_steps=3", "train_cfg.keep_last_model=false").fit()
    assert final.name == "step-00000003.pth"
    state = checkpoint.read(final)
    trainer = make_trainer("train_cfg.max_steps=4", "train_cfg.keep_last_model=false", state=state)
    assert trainer.fit().name == "step-00000004.pth"


def test_best_checkpoint_has_the_lowest_loss(make_trainer, tmp_path):
    """best.pth is written by the lowest validation loss; without validation there is none."""
    trainer = make_trainer(
        "train_cfg.epochs=3", "train_cfg.eval_every=1", "dataset.val_fraction=0.2"
    )
    trainer.fit()
    best = checkpoint.read(tmp_path / "run" / "best.pth")
    assert best["best_val_loss"] == min(trainer.history.values["val_loss"])
    assert make_trainer().best_val_loss is None


def test_validation_loss_repeats(make_trainer):
    """The validation loss uses the same t and noise every time."""
    trainer = make_trainer("dataset.val_fraction=0.2")
    val = trainer.splits.val
    assert trainer.learner.evaluate(val, 128) == trainer.learner.evaluate(val, 128)


def test_resume_past_the_end_is_refused(make_trainer, tmp_path):
    """A finished run says that nothing is left and how to train longer."""
    make_trainer("train_cfg.epochs=1").fit()
    state = checkpoint.read(tmp_path / "run")
    with pytest.raises(UserError, match=r"nothing left to do.*train_cfg\.epochs"):
        make_trainer("train_cfg.epochs=1", state=state)


def test_checkpoint_of_another_config_is_refused(make_trainer, tmp_path):
    """Resuming with another model or batch size names what differs."""
    make_trainer("train_cfg.max_steps=1").fit()
    state = checkpoint.read(tmp_path / "run")
    other = make_trainer("model.dim=16", "loader.batch_size=64").config
    with pytest.raises(UserError, match=r"model\.dim was 8 and is 16.*batch_size was 32"):
        check_same_run(other, state)
    check_same_run(make_trainer("train_cfg.lr=1").config, state)


def test_latent_training_leaves_the_autoencoder_alone(make_trainer, tiny_autoencoder):
    """The autoencoder is not part of the optimizer and keeps its weights."""
    trainer = make_trainer(*tiny_autoencoder, "train_cfg.max_steps=2", "dataset.test_split=null")
    ddpm = trainer.learner.model
    before = {k: v.clone() for k, v in ddpm.vae.state_dict().items()}
    trained = {id(p) for g in trainer.learner.updater.optimizer.param_groups for p in g["params"]}
    assert trained == {id(p) for p in ddpm.model.parameters()}
    trainer.fit()
    assert_equal(before, ddpm.vae.state_dict())


def test_latent_cache_trains_like_no_cache(make_trainer, tiny_autoencoder):
    """Without augmentation, cached latents give the losses that encoding each step gives."""
    losses = []
    for cache in ("false", "true"):
        options = [f"dataset.latent_cache={cache}", "dataset.test_split=test"]
        trainer = make_trainer(*tiny_autoencoder, *options, "train_cfg.max_steps=3")
        trainer.fit()
        losses.append([*trainer.epoch_losses, *trainer.history.values["test_loss"]])
        assert trainer.learner.model.use_vae
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)  # cached latents are float16


def test_batch_larger_than_the_data(make_trainer, capsys):
    """A data set smaller than the batch gives smaller batches and says so."""
    trainer = make_trainer("dataset.subset=0.02", "loader.batch_size=64")
    assert trainer.batch_size == len(trainer.splits.train) == 30
    assert "batch size 30 instead of 64" in capsys.readouterr().out


def test_older_model_without_new_arguments(make_trainer, monkeypatch):
    """A DDPM written before an option existed is built as long as the option is not set."""
    taken = []

    class Older(torch.nn.Module):
        def __init__(
            self, img_shape=(3, 32, 32), timesteps=100, dim=64, context_dim=64, num_classes=10,
            dim_mults=(1, 2, 4), attn_levels=(0, 1), use_vae=False, vae_encoder_weights=None,
            vae_decoder_weights=None,
        ):  # fmt: skip
            super().__init__()
            taken.append(dim)

    monkeypatch.setattr(build, "DDPM", Older)
    build.build_model(load_config("configs/mnist.yaml"))
    assert taken == [64]


def test_pictures_are_drawn_as_the_run_says(make_trainer, monkeypatch):
    """Checkpoints of a run with many classes and time steps need not wait for all of them."""
    drawn = []

    def draw(model, labels, precision, seed, sampler, **others):
        drawn.append((str(sampler), labels.tolist()))
        return [torch.zeros(len(labels), 1, 8, 8)]

    monkeypatch.setattr(diffusion_learner, "draw_samples", draw)
    monkeypatch.setattr(in_training, "load_networks", lambda *_: None)
    options = ["train_cfg.num_eval_samples=2", "train_cfg.eval_metrics=accuracy"]
    all_classes = make_trainer(*options).learner.picture().grid
    keys = ["num_eval_classes=3", "sampler=dpm++", "sampler_steps=4", "sampler_eta=1"]
    trainer = make_trainer(*options, *(f"train_cfg.{key}" for key in keys))
    three_classes = trainer.learner.picture().grid
    assert drawn == [
        ("own, all steps", 2 * list(range(10))),
        ("dpm++, 4 steps, eta 1", [0, 3, 6, 0, 3, 6]),
    ]
    (_, *tall), (_, *wide) = three_classes.shape, all_classes.shape
    assert tall[0] / tall[1] > wide[0] / wide[1]  # three columns, not ten
    assert str(trainer.learner.score_sampler) == "dpm++, 4 steps, eta 1"
    assert str(make_trainer(
        *options, "train_cfg.sampler=ddim", "train_cfg.sampler_steps=4",
        "train_cfg.eval_sampler=ddpm", "train_cfg.eval_steps=2",
    ).learner.score_sampler) == "ddpm, 2 steps"  # fmt: skip


def test_a_sampler_that_is_still_to_be_written_is_refused_at_once(make_trainer, monkeypatch):
    """Not at the first checkpoint, and after every resume again; and so is one that nobody writes
    in this homework."""
    says = {"write me": "written yet", NOT_ASKED: "part of this homework"}
    for words, key in zip(says, ("sampler", "eval_sampler"), strict=True):
        stub = mock.Mock(side_effect=NotImplementedError(words))
        monkeypatch.setattr(ddim, "sample_ddim", stub)
        sentence = rf"ddim is not {says[words]}, code/libs/ddim\.py.* own"
        with pytest.raises(UserError, match=sentence):
            make_trainer(f"train_cfg.{key}=ddim")
    make_trainer("train_cfg.sampler=dpm++")


@pytest.fixture
def fake_wandb(monkeypatch, tmp_path):
    """A function that replaces the package by a FakeWandb."""

    def install(**errors):
        fake = FakeWandb(tmp_path / "run", **errors)
        monkeypatch.setitem(sys.modules, "wandb", fake)
        return fake

    for name in ("WANDB_SILENT", "WANDB_INIT_TIMEOUT"):  # set by the run: gone after the test
        monkeypatch.setenv(name, os.environ.get(name, "true" if "SILENT" in name else "30"))
    return install


def test_wandb_mirrors_tensorboard(make_trainer, fake_wandb, tmp_path, capsys):
    """With a project in the config, numbers and pictures also go to Weights & Biases."""
    fake = fake_wandb()
    overrides = ["wandb.project=team-07", "wandb.entity=ada", "wandb.resume_id=abc"]
    make_trainer(*overrides, "train_cfg.max_steps=2", "train_cfg.num_eval_samples=1").fit()
    (options,) = fake.started
    assert (options["project"], options["entity"], options["id"]) == ("team-07", "ada", "abc")
    assert options["name"] == "run"  # the folder's
    assert options["config"]["train_cfg"]["max_steps"] == 2
    names = {name for _, values in fake.logged for name in values}
    assert {"train/loss", "train/learning_rate", "test/loss", "samples"} <= names
    assert "Weights & Biases: https://wandb.ai/ada/team-07/runs/1" in capsys.readouterr().out


def test_a_resumed_run_goes_on_in_the_same_wandb_run(make_trainer, fake_wandb, tmp_path):
    """A checkpoint holds the run's id; a run in another folder is another one, a resume_id wins."""
    fake = fake_wandb()
    overrides = ["wandb.project=team-07", "wandb.run_name=first", "train_cfg.num_eval_samples=0"]
    final = make_trainer(*overrides, "train_cfg.max_steps=1").fit()
    state = checkpoint.read(final)
    assert state["wandb_id"] == "made-up-1"
    make_trainer(*overrides, "train_cfg.max_steps=2", state=state).fit()
    assert (fake.started[1]["id"], fake.started[1]["resume"]) == ("made-up-1", "allow")
    assert fake.started[1]["name"] == "first"
    assert checkpoint.read(final)["wandb_id"] == "made-up-1"

    elsewhere = state | {"path": tmp_path / "other" / "model_final.pth"}
    old = {key: value for key, value in state.items() if key != "wandb_id"}  # an earlier version's
    for other in (elsewhere, old):
        assert make_trainer("train_cfg.max_steps=2", state=other).wandb_id is None
    options = tmp_path, WandbConfig("team-07", resume_id="abc"), {}, 1
    assert RunLog(*options, enabled=True, wandb_id="made-up-1").wandb_id == "abc"
    assert fake.started[2]["id"] == "abc"


def test_a_run_without_wandb_keeps_the_id(make_trainer, fake_wandb, monkeypatch):
    """Where the package is missing for a while, the next resumed run finds the first one's run."""
    fake_wandb()
    options = ["wandb.project=team-07"]
    state = checkpoint.read(make_trainer(*options, "train_cfg.max_steps=1").fit())
    monkeypatch.setitem(sys.modules, "wandb", None)
    final = make_trainer(*options, "train_cfg.max_steps=2", state=state).fit()
    assert checkpoint.read(final)["wandb_id"] == state["wandb_id"] == "made-up-1"


@pytest.mark.parametrize(
    "reason", ["No API key configured. Use `wandb login` to log in.", "no route to host\nmore", ""]
)
def test_wandb_that_cannot_be_reached_keeps_the_run_for_later(
    make_trainer, fake_wandb, capsys, reason
):
    """Without a key or a network: a sentence, the numbers in files, and the training goes on."""
    fake = fake_wandb(error=RuntimeError(reason))
    final = make_trainer("wandb.project=team-07", "train_cfg.max_steps=1").fit()
    output = capsys.readouterr().out
    first_line = reason.split("\n")[0].rstrip(".") or "RuntimeError"
    assert f"Weights & Biases: {first_line}; keeping the run in" in output
    assert "upload the run with: wandb sync" in output
    assert "offline-run-1" in output
    assert [options.get("mode") for options in fake.started] == [None, "offline"]
    assert fake.logged
    assert checkpoint.read(final)["wandb_id"] == "made-up-2"


def test_wandb_that_fails_later_does_not_end_the_run(make_trainer, fake_wandb, capsys):
    """Numbers that it does not take any more are missed there alone, and said to be once."""
    fake_wandb(log_error=OSError("the service is gone"))
    overrides = ["wandb.project=team-07", "train_cfg.max_steps=3", "train_cfg.num_eval_samples=1"]
    trainer = make_trainer(*overrides, print_freq=1)
    trainer.fit()
    output = capsys.readouterr().out
    assert output.count("takes no more numbers: the service is gone") == 1
    assert len(trainer.history.values["step_loss"]) == 3


def test_processes_but_the_first_leave_wandb_alone(fake_wandb, tmp_path):
    """Only the main process has a run there."""
    fake = fake_wandb()
    log = RunLog(tmp_path, WandbConfig(project="team-07"), {}, 0, enabled=False, wandb_id="abc")
    log.scalars({"train/loss": 1.0}, 1)
    log.image("samples", torch.zeros(3, 2, 2, dtype=torch.uint8), 1)
    log.close()
    assert not fake.started


@pytest.mark.slow
def test_the_real_wandb_without_a_key(make_trainer, monkeypatch, tmp_path, capsys):
    """The package itself, with no key, keeps the run for `wandb sync`, and goes on under its id."""
    pytest.importorskip("wandb", reason="wandb is not installed")
    import wandb

    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "30")
    for name in ("HOME", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    options = ["wandb.project=team-07", "train_cfg.num_eval_samples=1"]
    try:
        final = make_trainer(*options, "train_cfg.max_steps=1").fit()
        state = checkpoint.read(final)
        make_trainer(*options, "train_cfg.max_steps=2", state=state).fit()
    finally:
        wandb.teardown()
    files = sorted((tmp_path / "run" / "wandb").glob("offline-run-*/run-*.wandb"))
    assert [file.name for file in files] == 2 * [f"run-{state['wandb_id']}.wandb"]
    assert all(file.stat().st_size > 0 for file in files)
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*/files/media/images/samples_*.png"))
    output = capsys.readouterr().out
    assert output.count("Weights & Biases: No API key configured") == 2
    assert output.count("upload the run with: wandb sync") == 2


def test_wandb_is_optional(make_trainer, monkeypatch, capsys):
    """Without the package, the run says so and goes on."""
    monkeypatch.setitem(sys.modules, "wandb", None)
    make_trainer("wandb.project=team-07", "train_cfg.max_steps=1").fit()
    assert "pip install wandb" in capsys.readouterr().out


def test_training_and_held_out_losses_are_measured_alike(make_trainer, monkeypatch, tmp_path):
    """A loss that depends on t alone shows no gap between images, though training draws t by
    min-SNR weights and drops labels: a gap would be told as overfitting."""

    def of_t(self, x, label, t, noise):
        return t.float().mean() + 0 * self.model.model.conv_in.weight.sum()

    monkeypatch.setattr(TrainingLoss, "forward", of_t)
    options = ["train_cfg.min_snr_gamma=2", "model.label_dropout=0.1", "dataset.val_fraction=0.2"]
    options += ["train_cfg.eval_images=64", "train_cfg.eval_every=2", "train_cfg.epochs=3"]
    options += ["dataset.subset=0.24"]
    trainer = make_trainer(*options)
    trainer.fit()
    history = json.loads((tmp_path / "run" / "loss_history.json").read_text())
    assert history["train_loss"] == history["test_loss"] == history["val_loss"]
    assert history["train_loss"][0] is None, "epoch 1 is not one of every two"
    uniform = (trainer.learner.model.timesteps - 1) / 2
    assert history["train_loss"][1:] == pytest.approx(2 * [uniform], rel=0.2)
    assert min(history["epoch_loss"]) > 1.2 * uniform, "min-SNR draws large t more often"
    assert history["loss_name"] == "mean squared error of the noise"
    assert history["objective_name"] == f"{history['loss_name']}, t drawn by min-SNR weights"
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    for tag in ("train/evaluated_loss", "validation/loss", "test/loss"):
        assert [e.value for e in events.Scalars(tag)] == pytest.approx(history["train_loss"][1:])


def test_without_held_out_images_nothing_is_measured_beside(make_trainer, monkeypatch):
    """There is nothing to compare with: the training loss is the mean over the epoch's batches."""
    trainer = make_trainer("train_cfg.max_steps=2", "dataset.test_split=null")
    monkeypatch.setattr(trainer.learner, "evaluate", None)
    trainer.fit()
    values = trainer.history.values
    assert values["train_loss"] == values["epoch_loss"] != [None]


@pytest.mark.parametrize(
    ("overrides", "loss", "objective"),
    [
        (["train_cfg.min_snr_gamma=null"], "mean squared error of the noise", None),
        (
            ["model.prediction=v", "train_cfg.loss=l1"],
            "mean absolute error of v",
            "mean absolute error of v, t drawn by min-SNR weights",
        ),
        (
            ["model.prediction=x0", "train_cfg.loss=huber", "train_cfg.min_snr_gamma=null"],
            "Huber loss of x_0",
            None,
        ),
        (
            [f"model{key}" for key in ("_name=EDM", ".timesteps=100", ".beta_end=null")],
            "squared error of the denoised image, with EDM's weights",
            None,
        ),
    ],
)
def test_losses_are_named(make_trainer, overrides, loss, objective):
    """The curve's titles say what was measured, and what training minimised."""
    if "model_name=EDM" in overrides:
        overrides = [*overrides, "train_cfg.min_snr_gamma=null"]  # it has no such weights
    learner = make_trainer(*overrides).learner
    assert (learner.loss_name, learner.objective_name) == (loss, objective or loss)


class DrawsT(DDPM):
    """As in some editions: compute_loss draws t itself."""

    def compute_loss(self, x_start, label, noise=None):
        t = torch.randint(self.timesteps, (len(x_start),))
        return super().compute_loss(x_start, label, t, noise)


def test_a_loss_that_draws_t_is_measured_at_the_times_of_any_other(make_trainer):
    """Its curves and its losses by noise level do not depend on what compute_loss drew, and the
    title of the curve does not claim min-SNR's weights."""
    learner = make_trainer().learner
    model, config = learner.model, learner.config
    for parameter in model.parameters():  # a new network answers 0 at all times
        parameter.data += 0.1 * torch.randn_like(parameter)
    batch = torch.rand(4, 1, 8, 8), torch.tensor([0, 1, 2, 0]), torch.tensor([0, 3, 6, 9])
    noise = torch.randn(4, 1, 8, 8)
    expected = TrainingLoss(model, config)(*batch, noise)
    model.__class__ = DrawsT
    loss = TrainingLoss(model, config)
    assert loss.eval()(*batch, noise) == expected
    assert len({loss.train()(*batch, noise).item() for _ in range(9)}) > 1, "in training it draws"
    assert objective_of(model, config).drawn == ", t drawn by compute_loss"


def test_history_of_an_earlier_checkpoint():
    """Its train_loss was a mean over batches, which is not measured as the others are."""
    old = {"epochs": [1, 2], "train_loss": [0.5, 0.4], "val_loss": [None] * 2}
    old |= {"test_loss": [None, 0.6], "step_epochs": [0.5], "step_loss": [0.7]}
    values = History("a", "b", old).values
    assert (values["epoch_loss"], values["train_loss"]) == ([0.5, 0.4], [None, None])
    assert (values["scores"], values["step_parts"]) == ([None, None], [None])
    again = History("a", "b", values)
    again.add_epoch(3.0, 0.3, {"train": 0.4, "test": 0.5})
    assert again.values["train_loss"] == [None, None, 0.4]
    old["test_loss"] = [None, None]
    assert History("a", "b", old).values["train_loss"] == [0.5, 0.4]


FINE = StepResult(0.5, 1.0, 1e-3, True)  # a step of which only the result counts


class Clock:
    """A clock that stands still unless work is done; it notes when lines are printed."""

    def __init__(self, monkeypatch):
        self.time, self.lines = 1000.0, []
        monkeypatch.setattr(progress, "now", lambda: self.time)
        monkeypatch.setattr(progress, "last_line", None)
        monkeypatch.setattr(
            progress.tqdm, "write", lambda text: self.lines.append((self.time, text))
        )

    def takes(self, seconds, work):
        """The same work, which takes so long."""

        def slow(*args, **kwargs):
            self.time += seconds
            return work(*args, **kwargs)

        return slow


def test_time_left_includes_evaluation_and_drawing(make_trainer, monkeypatch):
    """Before the first of them a line speaks of training alone; after that it tells, to the second,
    what the run still takes."""
    options = ["train_cfg.max_steps=40", "train_cfg.eval_every=1", "train_cfg.ckpt_steps=4"]
    options += ["dataset.subset=0.24"]  # 11 steps per epoch
    trainer = make_trainer(*options, ckpt_freq=2, print_freq=5)
    clock, learner = Clock(monkeypatch), trainer.learner
    monkeypatch.setattr(learner, "step", clock.takes(2, lambda *args: FINE))
    monkeypatch.setattr(learner, "evaluate", clock.takes(50, lambda *args: 1.0))
    monkeypatch.setattr(learner, "picture", clock.takes(400, lambda: None))
    monkeypatch.setattr(checkpoint, "save", clock.takes(7, lambda state, path: None))
    trainer.fit()
    told = [(when, text) for when, text in clock.lines if text.endswith(" left")]
    assert len(told) == 8
    for number, (when, text) in enumerate(told):
        left = text.split("images/s  ")[1].removesuffix(" left")
        if number < 4:  # the first picture is drawn after 22 steps
            assert left.endswith(" of training"), text
            continue
        assert left == progress.duration(clock.time - when), text


def test_a_run_without_a_terminal_is_never_silent_for_long(make_trainer, monkeypatch):
    """With steps of 12 s, and evaluations and pictures that take minutes, there is a line at least
    every half minute, and none where another one was just printed."""
    options = ["train_cfg.max_steps=13", "train_cfg.num_eval_samples=1", "model.timesteps=9"]
    trainer = make_trainer(*options, "train_cfg.eval_images=128")
    clock, learner = Clock(monkeypatch), trainer.learner
    began = clock.time
    monkeypatch.setattr(learner, "step", clock.takes(12, lambda *args: FINE))
    forward = TrainingLoss.forward
    monkeypatch.setattr(TrainingLoss, "forward", clock.takes(12, forward))
    monkeypatch.setattr(DDPM, "p_sample", clock.takes(12, DDPM.p_sample))
    # The doctor's chain, whose network answers at once, would count as if it were a real one.
    monkeypatch.setattr(learner, "findings", lambda *args: [])
    trainer.fit()
    times = [began, *(when for when, _ in clock.lines), clock.time]
    gaps = [b - a for a, b in pairwise(times)]
    assert max(gaps) <= progress.SILENCE + 12
    text = "\n".join(line for _, line in clock.lines)
    for words in ("training: 96 of 416 images, loss ", "evaluating: ", "sampling: "):
        assert words in text, text
    bars = [b - a for (a, _), (b, line) in pairwise(clock.lines) if re.match(r"\w+: \d+ of", line)]
    assert min(bars) >= progress.SILENCE


def test_bf16_that_becomes_slow_is_left(make_trainer, monkeypatch):
    """Where steps suddenly take three times as long and bf16 is measured to be the cause, the run
    goes on in fp32 and says so; while bf16 is still faster, it looks again once a minute."""
    trainer = make_trainer("train_cfg.epochs=26", dtype="bf16")
    precision, clock = trainer.precision, Clock(monkeypatch)
    precision.by_speed = True
    looks, formats = [], []

    def gain():
        looks.append(clock.time)
        return 1.5 if len(looks) < 3 else 0.5

    def step(number, *args):
        clock.time += 2 if number < 100 else 6
        formats.append(precision.name)
        return FINE

    monkeypatch.setattr(device, "bf16_gain", gain)
    monkeypatch.setattr(trainer.learner, "step", step)
    monkeypatch.setattr(trainer.learner, "evaluate", lambda *args: 1.0)
    trainer.fit()
    gaps = [later - earlier for earlier, later in pairwise(looks)]
    assert len(looks) == 3
    assert all(60 <= gap <= 66 for gap in gaps)
    assert formats == ["bf16"] * 121 + ["fp32"] * 9
    said = [text for _, text in clock.lines if "bf16" in text]
    assert said == [
        "step 121 took 3.0 times as long as the fastest, and bf16 is slower than fp32 now: going "
        "on in fp32 (dtype: auto; dtype: bf16 keeps it)"
    ]


@pytest.mark.parametrize("with_tqdm", [True, False])
def test_bar_without_a_terminal(monkeypatch, capsys, with_tqdm):
    """Lines come after half a minute without one, also where tqdm is not installed."""
    time = 0.0
    monkeypatch.setattr(progress, "now", lambda: time)
    monkeypatch.setattr(progress, "last_line", None)
    if not with_tqdm:
        monkeypatch.setattr(progress, "tqdm", None)
    with progress.progress_bar(10, "encoding images", "image", 2) as bar:
        for _ in range(4):
            time += 16
            bar.update(2)
    with progress.progress_bar(0, "downloading", "byte", enabled=False) as silent:
        time += 100
        silent.update(5)
    with progress.progress_bar(0, "downloading", "byte") as unknown:
        unknown.update(5)
    lines = ["encoding images: 6 of 10 images", "encoding images: 10 of 10 images"]
    assert capsys.readouterr().out.splitlines() == [*lines, "downloading: 5 bytes"]


def test_bar_on_a_terminal(monkeypatch, capsys):
    """There, tqdm draws, and no lines come between."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with progress.progress_bar(3, "training", "img") as bar:
        assert isinstance(bar, progress.tqdm)
        bar.update()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_advice_against_nan_fits_the_run(make_trainer, monkeypatch, dtype):
    """Half precision is blamed only where it is used, and checkpoints are named only where there
    are some."""
    bad = StepResult(math.nan, math.nan, 1e-3, False)
    monkeypatch.setattr(DiffusionLearner, "step", lambda *args: bad)
    options = ["train_cfg.max_steps=10", "dataset.test_split=null"]
    with pytest.raises(UserError, match=r"learning rate.* or a mistake in compute_loss$") as first:
        make_trainer(*options, dtype=dtype).fit()
    assert ("half precision (dtype is bf16" in str(first.value)) == (dtype == "bf16")
    with pytest.raises(UserError, match=r"compute_loss; earlier .* intact.*--resume"):
        make_trainer(*options, "train_cfg.ckpt_steps=2", dtype=dtype).fit()


def no_space(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_full_disk_keeps_the_last_checkpoint(make_trainer, monkeypatch, tmp_path):
    """A checkpoint that cannot be written ends the run with a sentence; earlier ones stay good, and
    are spoken of only if they are there."""
    options = ["train_cfg.max_steps=1", "dataset.test_split=null"]
    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", no_space)
        with pytest.raises(UserError, match=r"could not save .*No space left.*disk space$"):
            make_trainer(*options).fit()
    make_trainer(*options).fit()
    before = (tmp_path / "run" / "model_final.pth").read_bytes()
    state = checkpoint.read(tmp_path / "run")
    trainer = make_trainer("train_cfg.max_steps=2", *options[1:], state=state)
    monkeypatch.setattr(torch, "save", no_space)
    with pytest.raises(UserError, match=r"could not save .*intact.*--resume"):
        trainer.fit()
    assert (tmp_path / "run" / "model_final.pth").read_bytes() == before
    assert not list((tmp_path / "run").glob("*.partial"))
    denied = PermissionError(errno.EACCES, "Permission denied")
    monkeypatch.setattr(torch, "save", mock.Mock(side_effect=denied))
    with pytest.raises(UserError, match="make the folder writable"):
        checkpoint.save({}, tmp_path / "run" / "x.pth")


def test_a_run_goes_on_without_what_it_can_spare(make_trainer, monkeypatch, capsys, tmp_path):
    """Pictures, curves, numbers and TensorBoard's events that cannot be written are told of, one
    sentence each, and the trained model is there."""
    trainer = make_trainer("train_cfg.max_steps=2", "train_cfg.num_eval_samples=1", print_freq=1)
    monkeypatch.setattr("libs.training.trainer.save_image", no_space)
    monkeypatch.setattr(run_log, "save_training_curve", no_space)
    monkeypatch.setattr(run_log.json, "dumps", no_space)
    monkeypatch.setattr("torch.utils.tensorboard.SummaryWriter.add_scalar", no_space)
    assert trainer.fit().is_file()
    said = [line for line in capsys.readouterr().out.splitlines() if "No space left" in line]
    names = "events.out.tfevents* loss_history.json training_curve.png sample-1.png".split()
    assert len(said) == len(names), said
    for name, line in zip(names, said, strict=True):
        assert f"{name} (No space left on device): going on without it" in line


def test_tensorboard_shows_the_config(make_trainer, tmp_path):
    """What distinguishes runs side by side is in the TEXT tab, as YAML."""
    make_trainer("train_cfg.max_steps=1", "dataset.test_split=null").fit()
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    (entry,) = events.Tensors("config/text_summary")
    assert b"timesteps: 10" in entry.tensor_proto.string_val[0]


def test_smallest_data(make_trainer, capsys):
    """One training image is trained on, and told of; parts of a batch are counted in."""
    one = make_trainer("dataset.subset=0.0001", "train_cfg.epochs=1")
    assert "batch size 1 instead of 32: there is 1 training image\n" in capsys.readouterr().out
    assert one.fit().is_file()
    options = "dataset.subset=0.02", "train_cfg.accumulate=4"
    make_trainer(*options)
    words = (
        "batch size 28 instead of 32: there are 30 training images, and a batch has 4 equal parts"
    )
    assert words in capsys.readouterr().out
    with pytest.raises(
        UserError, match="there is 1 training image, too few for a batch in 4 parts"
    ):
        make_trainer("dataset.subset=0.0001", "train_cfg.accumulate=4")


@pytest.mark.parametrize(
    "name", ["../../x", "/tmp/x", "a/b", "a\\b", "", " ", "..", ".", "a\nb", "a\0b", "x" * 300]
)
def test_name_of_a_run_is_a_plain_name(tmp_path, name):
    """A name that leads elsewhere, or that is none, is refused with a sentence; a plain one is the
    end of the folder's name."""
    config = Namespace(output_folder=tmp_path)
    with pytest.raises(UserError, match=r"--output .*--set output_folder"):
        choose(config, "digits", name, None)
    with pytest.raises(UserError, match="--output"):
        choose(config, "digits", name, tmp_path / "model_final.pth")
    assert choose(config, "digits", "first-2.b", None) == tmp_path / "digits_first-2.b"
