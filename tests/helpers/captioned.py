"""Three pictures with captions, and tiny runs on them."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from helpers.files import find_asset
from libs.config import load_config
from libs.runtime import checkpoint
from libs.runtime.device import Precision
from libs.runtime.processes import Processes
from libs.training.diffusion_learner import DiffusionLearner
from libs.training.trainer import Trainer

FP32 = Precision("fp32", torch.device("cpu"))
COLOURS = {"red.png": (255, 0, 0), "green.png": (0, 255, 0), "blue.png": (0, 0, 255)}
TEXTS = {
    "red.png": ["a red square", "all is red", "crimson"],
    "green.png": "a green square",
    "blue.png": ["a blue square", "   ", " the sea "],
}
RUN = (
    "model.img_shape=[3,16,16] model.timesteps=10 model.dim=8 model.context_dim=16 "
    "model.dim_mults=[1,2] model.attn_levels=[1] model.context=tokens model.label_dropout=0.3 "
    "dataset.name=COCOCaptions dataset.resize=16 loader.batch_size=3 loader.num_workers=0 "
    "text.width=16 text.layers=1 text.heads=2 dtype=fp32 train_cfg.lr=0.01 "
    "train_cfg.lr_schedule=constant train_cfg.warmup_steps=0 train_cfg.epochs=4 "
    "train_cfg.num_eval_samples=0 train_cfg.eval_every=1 train_cfg.min_snr_gamma=null "
    "model.adagn=false train_cfg.betas=[0.9,0.999]"
).split()


def write_pictures(place: Path) -> Path:
    """Write three pictures with captions.json into a new folder, and return it."""
    place.mkdir(parents=True)
    for name, colour in COLOURS.items():
        Image.new("RGB", (20, 16), colour).save(place / name)
    (place / "captions.json").write_text(json.dumps(TEXTS))
    return place


def build_trainer(data, place, *overrides, name="run", resume=None, precision=FP32):
    """A tiny run on captioned pictures, with these keys overridden."""
    pytest.importorskip("transformers")
    vocabulary = find_asset("pretrained/clip_bpe")
    keys = [f"dataset.data_folder={data}", f"text.vocabulary={vocabulary}"]
    keys += [f"output_folder={place}", "dataset.test_split=null"]
    config = load_config("configs/digits.yaml", [*RUN, *keys, *overrides])
    state = checkpoint.read(resume) if resume else None
    learner = DiffusionLearner(config, precision, Processes())
    return Trainer(learner, config, place / name, precision, Processes(), state=state)
