"""The ablation: each model has one part more, what is done is not done again."""

import itertools
import json

import pytest
import torch

from helpers.scripts import assert_refused, run_script
from libs.tiny_autoencoder import TAESD

TRAINED = ("ddpm", "vae", "guidance", "transformer")


@pytest.fixture
def ablation(tmp_path):
    """Run the ablation of a tiny latent config whose autoencoder has random weights."""
    torch.manual_seed(0)
    vae = TAESD()
    torch.save(vae.encoder.state_dict(), tmp_path / "encoder.pth")
    torch.save(vae.decoder.state_dict(), tmp_path / "decoder.pth")
    settings = "model.dim=8 model.dim_mults=[1,2] model.attn_levels=[] model.bottleneck_depth=1 "
    settings += "model.timesteps=3 dataset.subset=0.02 loader.batch_size=8 loader.num_workers=0 "
    settings += "model.img_shape=[3,16,16] model.use_vae=true train_cfg.num_eval_samples=0"
    settings = [*settings.split(), f"output_folder={tmp_path / 'logs'}"]
    settings += [
        f"model.vae_{part}_weights={tmp_path / part}.pth" for part in ("encoder", "decoder")
    ]

    def run(*args, extra=()):
        overrides = [part for s in [*settings, *extra] for part in ("--set", s)]
        options = ["--num", "20", "--steps", "2", "--out", tmp_path / "out", "--device", "cpu"]
        script = ["benchmarks/ablation.py", "configs/digits.yaml"]
        return run_script(*script, *options, "--epochs", "1", *overrides, *args, timeout=300)

    return run


@pytest.mark.slow
def test_parts_are_added_one_by_one(ablation, tmp_path):
    """Four models of one budget, two samplers each; a repeat trains and draws nothing."""
    process = ablation()
    assert process.returncode == 0, process.stdout + process.stderr
    configs = {}
    for name in TRAINED:
        state = torch.load(tmp_path / "out" / name / "model_final.pth", weights_only=True)
        configs[name] = state["config"]
        assert state["step"] == 3  # 30 images in batches of 8
    differences = []
    for one, other in itertools.pairwise(TRAINED):
        a, b = configs[one], configs[other]
        differences.append(
            {
                key
                for part in ("model", "train_cfg")
                for key in a[part]
                if a[part][key] != b[part][key]
            }
        )
    weights = {"vae_encoder_weights", "vae_decoder_weights"}
    assert differences == [{"use_vae", *weights}, {"label_dropout", "guidance"}, {"bottleneck"}]

    results = json.loads((tmp_path / "out" / "ablation.json").read_text(encoding="utf-8"))
    assert [r["model"] for r in results[::2]] == [
        "DDPM", "+ VAE", "+ guidance", "+ transformer"
    ]  # fmt: skip
    assert [r["sampler"].split(",")[0] for r in results] == ["own", "ddim"] * 4
    assert ["guidance 3" in r["sampler"] for r in results] == [False] * 4 + [True] * 4
    assert all(r["scores"]["fid"] > 0 and r["scores"]["is"] >= 1 for r in results)
    table = (tmp_path / "out" / "ablation.md").read_text(encoding="utf-8")
    assert all(f"| {r['model']} | {r['sampler']} |" in table for r in results)

    finals = [tmp_path / "out" / name / "model_final.pth" for name in TRAINED]
    written = [path.stat().st_mtime_ns for path in finals]
    again = ablation()
    assert again.stdout.count("is trained already") == 4
    assert [path.stat().st_mtime_ns for path in finals] == written
    assert json.loads((tmp_path / "out" / "ablation.json").read_text(encoding="utf-8")) == results

    other = ablation(extra=["train_cfg.lr=1e-3"])
    assert_refused(other, "trained with other settings", "--out")


@pytest.mark.slow
def test_ablation_of_a_model_on_pixels_is_refused(ablation):
    """A config without an autoencoder has no parts to take away."""
    assert_refused(ablation(extra=["model.use_vae=false"]), "model.use_vae: true")
