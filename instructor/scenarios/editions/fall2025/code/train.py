import argparse
import os

import torch
import yaml
from torchvision.utils import save_image

from libs.datasets import build_dataloader, build_dataset
from libs.ddpm import DDPM
from libs.fm import FM
from libs.utils import AverageMeter, save_checkpoint


def main(args):
    with open(args.config) as f:
        cfg = yaml.safe_load(f)
    device = torch.device(f"cuda:{cfg['devices'][0]}" if torch.cuda.is_available() else "cpu")
    model_cfg = cfg["model"]
    dataset = build_dataset(
        img_size=model_cfg["img_shape"][1:], use_vae=model_cfg["use_vae"], **cfg["dataset"]
    )
    loader = build_dataloader(dataset, **cfg["loader"])
    model = {"DDPM": DDPM, "FM": FM}[cfg["model_type"]](**model_cfg).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=cfg["train_cfg"]["lr"])
    out = os.path.join("../logs", cfg["output_folder"])
    os.makedirs(out, exist_ok=True)
    for epoch in range(cfg["train_cfg"]["epochs"]):
        meter = AverageMeter()
        model.train()
        for imgs, labels in loader:
            loss = model.compute_loss(imgs.to(device), labels.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            meter.update(loss.item(), len(imgs))
        print(epoch, meter.avg)
        model.eval()
        labels = torch.arange(cfg["train_cfg"]["num_eval_samples"], device=device)
        save_image(model.generate(labels % model_cfg["num_classes"]), f"{out}/{epoch}.png")
        save_checkpoint(model.state_dict(), os.path.join(out, "last.pth"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("config")
    main(parser.parse_args())
