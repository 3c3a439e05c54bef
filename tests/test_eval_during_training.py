"""Scores during training: what they are, that they change nothing, and how best.pth is chosen."""

import json

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from helpers.models import assert_same_state
from helpers.scripts import run_script
from libs.config import load_config
from libs.metrics import lenet, scoring
from libs.metrics.evaluation import Request, gather_evidence
from libs.metrics.networks import Looks
from libs.runtime import checkpoint
from libs.runtime.device import Precision
from libs.runtime.processes import Processes
from libs.samplers.flags import SamplerFlags
from libs.settings.autoencoder import AutoencoderConfig
from libs.training import diffusion_learner
from libs.training.autoencoder_learner import AutoencoderLearner
from libs.training.diffusion_learner import DiffusionLearner
from libs.training.trainer import Trainer
from libs.utils import UserError

CPU = torch.device("cpu")
TINY = "model.dim=8 model.timesteps=4 train_cfg.num_eval_samples=0 loader.batch_size=16".split()
TINY += ["dataset.subset=0.03", "train_cfg.eval_every=1", "loader.num_workers=0"]
TINY += ["dataset.test_split=null", "model.dim_mults=[1]"]
SCORED = ["train_cfg.eval_metrics=[fid, accuracy]", "train_cfg.eval_samples=24"]
STEPS_PER_EPOCH = 2  # 45 digits in batches of 16


@pytest.fixture
def make_trainer(tmp_path, monkeypatch):
    """Build trainers of a tiny digits model, with overrides as for --set."""
    monkeypatch.setattr(lenet, "MIN_STEPS", 1)
    monkeypatch.setattr(lenet, "MIN_EPOCHS", 1)

    def make(*overrides, name="run", state=None):
        settings = [*TINY, f"output_folder={tmp_path / 'logs'}", *overrides]
        config = load_config("configs/digits.yaml", settings)
        precision, processes = Precision.pick("fp32", CPU), Processes()
        learner = DiffusionLearner(config, precision, processes)
        return Trainer(
            learner, config, tmp_path / name, precision, processes, print_freq=1000, state=state
        )

    return make


def read(tmp_path, name="run", file="model_final.pth"):
    return checkpoint.read(tmp_path / name / file)


def test_scores_change_nothing(make_trainer, tmp_path):
    """Training with scores ends with the weights and random states of training without."""
    options = ["train_cfg.epochs=2", "model.dropout=0.1", "dataset.random_flip=true"]
    make_trainer(*options, name="without").fit()
    make_trainer(*options, *SCORED, name="with").fit()
    without, scored = read(tmp_path, "without"), read(tmp_path, "with")
    assert_same_state(without, scored)
    assert torch.equal(without["rng"]["cpu"], scored["rng"]["cpu"])


def test_scores_are_those_of_evaluate(make_trainer, tmp_path, capsys):
    """The last scores are those of evaluate.py; TensorBoard, history and output have all."""
    sampler = ["train_cfg.eval_sampler=ddim", "train_cfg.eval_steps=3"]
    make_trainer("train_cfg.epochs=2", *SCORED, *sampler).fit()
    path = tmp_path / "run" / "model_final.pth"
    sampler = SamplerFlags(sampler="ddim", steps=3)
    request = Request(path, ["fid", "accuracy"], Looks(), sampler, num=24, device="cpu")
    evidence, _ = gather_evidence(request)
    fid, accuracy = (s.samples for s in scoring.score(["fid", "accuracy"], evidence))

    history = json.loads((tmp_path / "run" / "loss_history.json").read_text())
    first, last = history["scores"]
    assert last == pytest.approx({"fid": fid, "accuracy": accuracy}, rel=1e-6)
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    logged = [(e.step, e.value) for e in events.Scalars("score/fid")]
    assert logged == [
        (STEPS_PER_EPOCH, pytest.approx(first["fid"])),
        (2 * STEPS_PER_EPOCH, pytest.approx(last["fid"])),
    ]
    assert f"epoch 2: fid {fid:.4g}, accuracy {accuracy:.4g}" in capsys.readouterr().out


def test_resumed_run_scores_like_an_unbroken_one(make_trainer, tmp_path):
    """After a stop in the second epoch, scores, best scores and weights are as without it."""
    options = [*SCORED, "train_cfg.best_metric=fid", "train_cfg.epochs=3"]
    make_trainer(*options).fit()
    make_trainer(*options, "train_cfg.max_steps=3", "train_cfg.ckpt_steps=3", name="twice").fit()
    state = read(tmp_path, "twice", "step-00000003.pth")  # before the scores of the last step
    make_trainer(*options, name="twice", state=state).fit()
    straight, resumed = read(tmp_path), read(tmp_path, "twice")
    assert_same_state(straight, resumed)
    assert straight["best_scores"] == resumed["best_scores"]
    assert straight["history"]["scores"] == resumed["history"]["scores"]


@pytest.mark.parametrize(
    ("metric", "values", "best"),
    [
        ("fid", [3.0, 2.0, 4.0], 2),
        ("accuracy", [0.1, 0.3, 0.2], 2),
        ("accuracy", [float("nan"), 0.3, 0.2], 2),
    ],
)
def test_best_checkpoint_by_a_score(make_trainer, tmp_path, monkeypatch, metric, values, best):
    """best.pth is the epoch of the lowest FID, or the highest accuracy; NaN is never best."""
    monkeypatch.setattr(diffusion_learner, "SampleScores", lambda *args: None)
    trainer = make_trainer(*SCORED, "train_cfg.epochs=3", f"train_cfg.best_metric={metric}")
    told = iter(values)
    monkeypatch.setattr(trainer.learner, "scores", lambda: {metric: next(told)})
    trainer.fit()
    state = read(tmp_path, file="best.pth")
    assert state["step"] == best * STEPS_PER_EPOCH
    assert state["best_scores"] == {metric: values[best - 1]}


def test_autoencoder_is_kept_by_its_psnr(tmp_path):
    """An autoencoder's best.pth is that of the highest PSNR, which is in the history."""
    tiny = ["autoencoder.ch=4", "stages=[{epochs: 2, resolution: 8}]", "loader.batch_size=32"]
    tiny += [
        "train_cfg.eval_images=20",
        "dataset.subset=0.05",
        "train_cfg.best_metric=psnr",
        "train_cfg.eval_every=1",
    ]
    tiny += [f"output_folder={tmp_path}", "loader.num_workers=0"]
    config = load_config("configs/digits_autoencoder.yaml", tiny, AutoencoderConfig)
    precision, processes = Precision.pick("fp32", CPU), Processes()
    learner = AutoencoderLearner(config, 0, precision, processes)
    trainer = Trainer(learner, learner.config, tmp_path / "run", precision, processes)
    trainer.fit()
    found = [scores["psnr"] for scores in trainer.history.values["scores"]]
    best = checkpoint.read(tmp_path / "run" / "best.pth", kind=learner.kind)
    assert best["best_scores"]["psnr"] == max(found)
    assert best["step"] == trainer.steps_per_epoch * (1 + found.index(max(found)))


def test_few_classes_are_spread_evenly(make_trainer):
    """With eval_classes, samples and the real images beside them are of the same few classes."""
    options = ["train_cfg.eval_classes=3", "train_cfg.eval_samples=12"]
    scores = make_trainer("train_cfg.eval_metrics=fid", *options).learner.sample_scores
    assert scores.labels.bincount().tolist() == [4, 0, 0, 4, 0, 0, 4]
    for images in (scores.real.train, scores.real.held_out):
        assert images.labels.unique().tolist() == [0, 3, 6]


def test_older_checkpoint_goes_on(make_trainer, tmp_path):
    """A checkpoint from before there were scores is resumed, its epochs without any."""
    make_trainer("train_cfg.epochs=1").fit()
    state = read(tmp_path)
    del state["best_scores"], state["history"]["scores"]
    trainer = make_trainer("train_cfg.epochs=2", *SCORED, state=state)
    trainer.fit()
    old, new = trainer.history.values["scores"]
    assert old is None
    assert new.keys() == {"fid", "accuracy"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["best_metric=fid"], "best_metric' fid is not measured: add fid"),
        (["best_metric=recall", "eval_metrics=fid"], "add pr to 'train_cfg.eval_metrics'"),
        (["best_metric=psnr", "eval_metrics=fid"], "it is for autoencoders"),
        (["best_metric=lpips", "eval_metrics=lpips"], "best_metric' cannot be 'lpips'"),
        (["eval_metrics=fidd"], "did you mean 'fid'"),
        (["eval_classes=11"], "must not be above 'model.num_classes', 10"),
        (["eval_classes=4", "eval_samples=3"], "must not be above 'train_cfg.eval_samples', 3"),
        (["eval_sampler=heun", "eval_steps=201"], "above 'model.timesteps', 200"),
        (["eval_steps=5"], "set 'train_cfg.eval_sampler'"),
        (["eval_sampler=ddim", "eval_steps=900"], "above 'model.timesteps', 200"),
        (["sampler=ddin"], "did you mean 'ddim'"),
        (["sampler_steps=5"], "set 'train_cfg.sampler', e.g. to ddim"),
        (["sampler=own", "sampler_steps=5"], "own sampler has its own steps"),
        (["sampler=ddim", "eval_steps=5"], "set 'train_cfg.eval_sampler'"),
        (["sampler=ddim", "sampler_steps=900"], "above 'model.timesteps', 200"),
        (["sampler=ddim", "sampler_steps=0"], "sampler_steps' must be at least 1"),
        (["sampler_eta=0.5"], r"sampler_eta' is the noise of ddim, dpm\+\+, deis: set"),
        (["sampler=ddpm", "sampler_eta=0.5"], r"sampler_eta' is the noise of ddim, dpm\+\+, deis"),
        (["sampler=ddim", "sampler_eta=1.5"], "sampler_eta' must be at least 0 and at most 1"),
        (["sampler_spacing=leading"], r"sampler_spacing' is for ddpm, ddim, dpm\+\+, deis: set"),
        (["num_eval_classes=0"], "num_eval_classes' must be at least 1"),
        (
            ["warmup_epochs=2"],
            "warmup_steps' 50 and .*warmup_epochs' 2 exclude each other: set one",
        ),
        (["warmup_epochs=-1", "warmup_steps=0"], "warmup_epochs' must be at least 0"),
        (["eval_metrics=fid", "best_metric=fid", "keep_best_model=false"], "chooses best.pth"),
        (["eval_samples=0"], "eval_samples' must be at least 1"),
    ],
)
def test_contradictions_are_refused(settings, words):
    """A config that asks for scores that cannot be is refused with its keys."""
    with pytest.raises(UserError, match=words):
        load_config("configs/digits.yaml", [f"train_cfg.{setting}" for setting in settings])


def test_scores_that_need_labels_are_refused():
    """Accuracy and a choice of classes are for models with labels."""
    for setting in ("eval_metrics=accuracy", "eval_classes=2"):
        with pytest.raises(UserError, match=r"needs a model with labels.*model\.conditional"):
            load_config("configs/digits.yaml", ["model.conditional=false", f"train_cfg.{setting}"])


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("eval_metrics=fid", "psnr and ssim are always measured"),
        ("best_metric=fid", "choose psnr or ssim"),
        ("sampler=ddim", "sampler' is for the samples of a diffusion model"),
        ("num_eval_classes=3", "num_eval_classes' is for the samples of a diffusion model"),
        ("keep_last_model=false", "stages each start from the model_final.pth"),
        ("warmup_steps=5\ntrain_cfg.warmup_epochs=1", "exclude each other"),
        ("guidance=3", "guidance' is for the samples of a diffusion model"),
    ],
)
def test_scores_of_the_other_kind_are_refused(setting, words):
    """An autoencoder draws nothing that could be scored."""
    settings = f"train_cfg.{setting}".split("\n")
    with pytest.raises(UserError, match=words):
        load_config("configs/digits_autoencoder.yaml", settings, AutoencoderConfig)


def test_what_only_the_data_tells_is_refused_before_training(make_trainer, tmp_path):
    """Too few samples, and weights that are not there, end the run before its first step."""
    with pytest.raises(UserError, match=r"metric is needs.*raise 'train_cfg\.eval_samples'"):
        make_trainer("train_cfg.eval_metrics=is", "train_cfg.eval_samples=5")
    options = ["train_cfg.eval_metrics=lpips", f"train_cfg.alexnet_weights={tmp_path / 'none.pth'}"]
    pytest.importorskip("lpips", reason="lpips is not installed")
    with pytest.raises(UserError, match=r"train_cfg\.alexnet_weights: there is no file.*none\.pth"):
        make_trainer(*options)


@pytest.mark.slow
def test_two_processes_score_like_one(tmp_path):
    """What two processes draw together scores as what one draws."""
    found = []
    for name, launch in (
        ("one", []),
        ("two", ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "--"]),
    ):
        sampler = ["train_cfg.eval_sampler=ddim", "train_cfg.eval_steps=3"]
        settings = [*TINY, *SCORED, *sampler, "train_cfg.epochs=1", f"output_folder={tmp_path}"]
        settings += ["train_cfg.eval_samples=300"]  # more than one batch
        overrides = [part for s in settings for part in ("--set", s)]
        process = run_script(
            *launch, "code/train.py", "configs/digits.yaml", "--output", name, *overrides
        )
        assert process.returncode == 0, process.stdout + process.stderr
        assert process.stdout.count("epoch 1: fid") == 1
        history = json.loads((tmp_path / f"digits_{name}" / "loss_history.json").read_text())
        found.append(history["scores"][0])
    assert found[1] == pytest.approx(found[0], rel=1e-2)
