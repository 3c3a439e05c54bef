import argparse
import os

import torch
import torchvision
import yaml

from libs.datasets import make_loader
from libs.ddpm import DDPM


def main(args):
    with open(args.config) as f:
        cfg = yaml.safe_load(f)
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    loader = make_loader(**{k: cfg["dataset"][k] for k in ("data_folder", "split")}, **cfg["loader"])
    model = DDPM(**cfg["model"]).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=cfg["train_cfg"]["lr"])
    out = os.path.join("../logs", cfg["output_folder"])
    os.makedirs(out, exist_ok=True)
    for epoch in range(cfg["train_cfg"]["epochs"]):
        model.train()
        for imgs, labels in loader:
            imgs, labels = imgs.to(device), labels.to(device)
            t = torch.randint(0, model.timesteps, (len(imgs),), device=device).long()
            loss = model.compute_loss(imgs, labels, t)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        imgs = model.p_sample_loop(torch.arange(10, device=device))
        torchvision.utils.save_image((imgs + 1) * 0.5, os.path.join(out, f"{epoch}.png"), nrow=10)
        torch.save(model.state_dict(), os.path.join(out, "last.pth"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("config")
    main(parser.parse_args())
