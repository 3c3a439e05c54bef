"""Draws 500 samples of each class: python eval.py CONFIG CHECKPOINT"""

import sys

import torch
import yaml

from libs.ddpm import DDPM
from libs.fm import FM


def main(config, checkpoint):
    with open(config) as f:
        cfg = yaml.safe_load(f)
    model = {"DDPM": DDPM, "FM": FM}[cfg["model_type"]](**cfg["model"])
    model.load_state_dict(torch.load(checkpoint, map_location="cpu"))
    model.eval()
    for label in range(cfg["model"]["num_classes"]):
        imgs = torch.cat([model.generate(torch.full((100,), label)) for _ in range(5)])
        torch.save(imgs, f"samples_{label}.pt")


if __name__ == "__main__":
    main(*sys.argv[1:3])
