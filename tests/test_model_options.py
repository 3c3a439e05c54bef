"""The options of the model that change nothing by default: each matters and trains."""

import json

import pytest
import torch

from helpers.files import ROOT
from helpers.models import make_model
from helpers.scripts import assert_refused, call_script, run_script
from libs import config as configs
from libs.models.variants import AdaGNResBlock, null_label
from libs.runtime import strict_yaml
from libs.runtime.device import Precision
from libs.runtime.processes import Processes
from libs.training.diffusion_learner import DiffusionLearner

SMALL = {"img_shape": (1, 8, 8), "timesteps": 10, "dim": 8, "context_dim": 8, "num_classes": 3}
FP32 = Precision("fp32", torch.device("cpu"))


def make(**options):
    torch.manual_seed(0)
    return make_model(**SMALL, dim_mults=(1, 2), attn_levels=(0,), **options)


def stirred(ddpm):
    """With weights that let every input matter: fresh networks answer 0."""
    for parameter in ddpm.model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return ddpm.eval()


def answer(ddpm, label, t=(3, 3)):
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return ddpm.model(x, torch.tensor(label), torch.tensor(t))


def test_adagn_is_scale_and_shift():
    """The block's output, written out: normalise, scale by 1 + s, shift, then the rest."""
    torch.manual_seed(0)
    block = AdaGNResBlock(8, 16, 8, groups=4)
    for parameter in block.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    x, t_emb = torch.randn(2, 8, 4, 4), torch.randn(2, 16)
    emb = block.emb_layers(t_emb)
    scale, shift = emb[:, :8, None, None], emb[:, 8:, None, None]
    norm, silu, _, conv = block.out_layers
    groups = block.in_layers(x).reshape(2, 4, -1)
    h = (groups - groups.mean(-1, keepdim=True)) / (groups.var(-1, False, True) + 1e-5).sqrt()
    h = h.reshape(2, 8, 4, 4) * norm.weight[:, None, None] + norm.bias[:, None, None]
    expected = x + conv(silu(h * (1 + scale) + shift))
    torch.testing.assert_close(block(x, t_emb), expected, atol=1e-5, rtol=1e-4)


def test_adagn_carries_the_label_without_attention():
    """The class reaches the output through the residual blocks alone."""
    torch.manual_seed(0)
    with_label = stirred(make_model(**SMALL, dim_mults=(1, 2), attn_levels=(), adagn=True))
    with_label.model.mid_attn.transformer_blocks[0].attn2.to_out[0].weight.data.zero_()
    one, other = answer(with_label, [0, 0]), answer(with_label, [0, 1])
    assert torch.equal(one[0], other[0])
    assert (one[1] - other[1]).abs().max() > 1e-3


def test_unconditional_model_passes_over_labels():
    """Whatever the labels, even beyond the classes, the answer is the same."""
    ddpm = stirred(make(conditional=False))
    assert torch.equal(answer(ddpm, [0, 1]), answer(ddpm, [2, 7]))
    assert null_label(ddpm) is None
    assert not torch.equal(answer(stirred(make()), [0, 1]), answer(stirred(make()), [2, 1]))


def test_null_label_is_one_class_more():
    """Label dropout adds a row to the embedding, and changes nothing else."""
    plain, dropped = make().state_dict(), make(label_dropout=0.1).state_dict()
    differ = [name for name in plain if plain[name].shape != dropped[name].shape]
    assert differ == ["model.label_embd.embedding.weight"]
    assert null_label(make(label_dropout=0.1)) == 3


def learner(**model):
    """A learner of a tiny config, and the labels that its network gets."""
    section = {**SMALL, "img_shape": [1, 8, 8], "num_classes": 10}
    section |= {"dim_mults": [1, 2], "attn_levels": [0], **model}
    config = configs.Config(model=configs.ModelConfig(**section))
    strict_yaml.resolve_paths(config, ROOT / "configs")
    config.train_cfg.channels_last = False
    learner = DiffusionLearner(config, FP32, Processes())
    seen = []
    learner.model.model.register_forward_pre_hook(lambda _, args: seen.append(args[1]))
    return learner, seen


def test_labels_are_dropped_in_training():
    """A share of the labels is replaced by the null label, other ones in each step, repeatably."""
    images, labels = torch.rand(400, 1, 8, 8), torch.arange(400) % 3
    runs = []
    for _ in range(2):
        trained, seen = learner(label_dropout=0.25, dim_mults=[1], attn_levels=[])
        for number in range(2):
            trained.step(number, 10, images, labels)
        runs.append(seen)
    first, second = (labels_ == 10 for labels_ in runs[0])
    assert 60 < first.sum() < 140
    assert not torch.equal(first, second)
    assert torch.equal(runs[0][0][~first], labels[~first])
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


def test_without_dropout_every_label_arrives():
    """The default drops none."""
    trained, seen = learner()
    trained.step(0, 10, torch.rand(8, 1, 8, 8), torch.arange(8) % 3)
    assert torch.equal(seen[0], torch.arange(8) % 3)


@pytest.mark.parametrize(
    "options",
    [
        {"adagn": True, "label_dropout": 0.5},
        {"conditional": False, "prediction": "x0"},
        {"prediction": "v", "beta_schedule": "sigmoid", "rescale_betas": True},
        {"resblocks_per_level": 2, "dropout": 0.1, "resample": "avg"},
        {"attention": "linear", "resample": "max"},
        {"bottleneck": "transformer", "bottleneck_depth": 2, "bottleneck_heads": 4},
    ],
    ids=str,
)
def test_every_option_trains(options):
    """A few steps on one batch lower its loss."""
    torch.manual_seed(0)
    trained, _ = learner(**options)
    trained.config.train_cfg.lr = 1e-2
    images, labels = torch.full((16, 1, 8, 8), 0.8), torch.arange(16) % 3
    losses = [trained.step(n, 100, images, labels).loss for n in range(16)]
    assert sum(losses[-4:]) < 0.8 * sum(losses[:4])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["model.label_dropout=0.1", "model.conditional=false"], ["model.label_dropout", "labels"]),
        (["train_cfg.guidance=3"], ["train_cfg.guidance", "model.label_dropout"]),
        (["model.prediction=noise"], ["model.prediction", "eps"]),
        (["train_cfg.loss=l2"], ["train_cfg.loss", "l1"]),
        (["model.beta_schedule=sigmod"], ["beta_schedule", "sigmoid"]),
        (
            ["model.bottleneck=transformer", "model.bottleneck_heads=7"],
            ["model.bottleneck_heads", "model.dim", "7"],
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, words):
    """One sentence that names the keys."""
    args = [part for setting in settings for part in ("--set", setting)]
    assert_refused(call_script("code/train.py", "configs/digits.yaml", *args), *words)


@pytest.mark.slow
def test_run_with_guidance(digits_args, tmp_path):
    """Training with dropped labels, held-out images and guidance leaves losses and a grid."""
    settings = [
        "model.label_dropout=0.1",
        "model.adagn=true",
        "train_cfg.guidance=3",
        "train_cfg.num_eval_samples=1",
        "train_cfg.loss=huber",
        "train_cfg.min_snr_gamma=5",
        "model.prediction=v",
        "dataset.val_fraction=0.1",
        "train_cfg.epochs=2",
        "train_cfg.eval_every=1",
    ]
    args = [part for setting in settings for part in ("--set", setting)]
    process = run_script(*digits_args, *args, "--output", "g")
    assert process.returncode == 0, process.stderr
    folder = tmp_path / "logs" / "digits_g"
    history = json.loads((folder / "loss_history.json").read_text())
    assert {"train_loss", "val_loss", "test_loss", "epochs"} <= history.keys()
    assert all(len(history[k]) == 2 and None not in history[k] for k in ("val_loss", "test_loss"))
    assert (folder / "sample-2.png").is_file()
