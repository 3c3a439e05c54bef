"""Draw the figures of docs/assignment.md: python instructor/figures.py --run logs/RUN

RUN is a run of configs/digits.yaml, whose model draws the reverse chain. The sketch of latent
diffusion needs TAESD's weights, which download_dataset.sh puts into pretrained/. Both show
scikit-learn's digits.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "code"))

import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Polygon
from torch import Tensor

from libs import datasets
from libs.config import DatasetConfig
from libs.ddpm import DDPM
from libs.models.build import load_model
from libs.runtime import cli
from libs.schedules import make_betas
from libs.tiny_autoencoder import TAESD
from libs.utils import UserError

FORWARD, REVERSE, INK = "#1f6fb4", "#c4501b", "#333333"
SHARES = (0.0, 0.08, 0.2, 0.35, 0.55, 1.0)  # of T: the states that are shown
LATENT_SIZE = 128  # pixels of the image that is encoded


def real_digit(label: int) -> Tensor:
    """The first training image of this class, [1, 8, 8] in [0, 1]."""
    digits = datasets.load_splits(DatasetConfig(name="Digits"), [1, 8, 8], 10).train
    for i in range(len(digits)):
        images, labels = digits.__getitems__([(i, 0)])
        if labels[0] == label:
            return images[0]
    raise UserError(f"there is no digit {label}")


def chains(model: DDPM, image: Tensor, label: int, seed: int) -> tuple[list[Tensor], list[Tensor]]:
    """States of the forward chain from an image in [0, 1], and of a reverse chain, x_0 first."""
    torch.manual_seed(seed)
    times = [round(share * model.timesteps) for share in SHARES]
    x_0, labels = 2 * image[None] - 1, torch.tensor([label])
    noise = torch.randn_like(x_0)
    forward = [x_0] + [model.q_sample(x_0, torch.tensor([t - 1]), noise) for t in times[1:]]
    x, states = torch.randn_like(x_0), {}
    states[model.timesteps] = x
    for t in reversed(range(model.timesteps)):
        x = model.p_sample(x, labels, torch.tensor([t]), t)
        states[t] = x
    return [state[0] for state in forward], [states[t][0] for t in times]


def draw_chains(model: DDPM, path: Path, label: int = 0, seed: int = 0) -> None:
    """Write the figure of the forward and the reverse process."""
    rows = chains(model, real_digit(label), label, seed)
    figure = Figure(figsize=(9.6, 4.1), facecolor="white")
    axes = canvas(figure, 9.6, 4.1)
    names = ["$x_0$", *(["$x_t$"] * (len(SHARES) - 2)), "$x_T$"]
    side, gap, left = 1.15, 0.48, 0.15
    for row, (states, bottom) in enumerate(zip(rows, (2.32, 0.42), strict=True)):
        colour = (FORWARD, REVERSE)[row]
        for column, state in enumerate(states):
            x = left + column * (side + gap)
            picture(axes, state, x, bottom, side)
            axes.text(x + side / 2, bottom - 0.2, names[column], ha="center", va="center", size=12)
            if column:
                ends = (x - gap + 0.06, x - 0.06)
                arrow(axes, *(ends if row == 0 else ends[::-1]), bottom + side / 2, colour)
    text = r"forward process $q(x_t \mid x_{t-1})$: add a little noise, $T$ times"
    axes.text(left, 3.75, text, color=FORWARD, size=13, va="center")
    text = r"reverse process $p_\theta(x_{t-1} \mid x_t)$: a network removes it again, step by step"
    axes.text(left, 1.8, text, color=REVERSE, size=13, va="center")
    save(figure, path)


def draw_latent(vae: TAESD, path: Path, label: int = 3, seed: int = 0) -> None:
    """Write the sketch of latent diffusion; latents and reconstruction are computed, not drawn."""
    torch.manual_seed(seed)
    image = F.interpolate(real_digit(label)[None], LATENT_SIZE, mode="bicubic").clamp(0, 1)
    image = 1 - image.expand(1, 3, -1, -1)  # ink on paper
    alpha_bar = (1 - make_betas("quadratic", 1000, 0.00085, 0.012)).cumprod(0).float()
    with torch.no_grad():
        z_0 = vae.encoder(image)
        noise = torch.randn_like(z_0)
        z = [a.sqrt() * z_0 + (1 - a).sqrt() * noise for a in (alpha_bar[249], alpha_bar[-1])]
        decoded = vae.decoder(z_0).clamp(0, 1)
    figure = Figure(figsize=(9.6, 4.6), facecolor="white")
    axes = canvas(figure, 9.6, 4.6)
    states = (("$z_0$", z_0), ("$z_t$", z[0]), ("$z_T$", z[1]))
    rows = ((2.75, image, "encoder", FORWARD), (0.45, decoded, "decoder", REVERSE))
    for bottom, shown, name, colour in rows:
        forward, middle = name == "encoder", bottom + 0.65
        picture(axes, shown[0].mean(0, keepdim=True) * 2 - 1, 0.3, bottom, 1.3, "gray")
        axes.text(0.95, bottom - 0.2, "image, 3 x 128 x 128", ha="center", va="center", size=11)
        coder(axes, 2.2, 3.5, middle, f"{name}\n(frozen)")
        ends = [(1.65, 2.15), (3.55, 4.15)]
        for column, (label_, state) in enumerate(states):
            x = 4.2 + column * 1.9
            latents(axes, state[0], x, bottom, 1.3)
            text = f"{label_}, 4 x 16 x 16" if column == 0 else label_
            axes.text(x + 0.65, bottom - 0.2, text, ha="center", va="center", size=11)
            ends += [(x - 0.55, x - 0.05)] if column else []
        for left, right in ends:
            arrow(axes, *((left, right) if forward else (right, left)), middle, colour)
    text = "training: encode an image, add noise to its latents, learn to predict that noise"
    axes.text(0.3, 4.28, text, color=FORWARD, size=13, va="center")
    text = "drawing: start from noise, remove it step by step, decode what is left"
    axes.text(0.3, 1.98, text, color=REVERSE, size=13, va="center")
    save(figure, path)


def canvas(figure: Figure, width: float, height: float) -> Axes:
    """Axes over the whole figure that count in inches."""
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    return axes


def picture(
    axes: Axes, image: Tensor, x: float, y: float, side: float, cmap: str = "gray_r"
) -> None:
    """Show an image [1, H, W] in [-1, 1] with its lower left corner at (x, y)."""
    extent = (x, x + side, y, y + side)
    axes.imshow(image[0].numpy(), cmap=cmap, vmin=-1, vmax=1, extent=extent, aspect="auto")
    square = np.array([(x, y), (x + side, y), (x + side, y + side), (x, y + side)])
    axes.add_patch(Polygon(square, fill=False, edgecolor="0.6", lw=0.8))


def latents(axes: Axes, z: Tensor, x: float, y: float, side: float) -> None:
    """Show the four channels of latents [4, H, W] as four small pictures in a square."""
    for channel, (row, column) in enumerate([(1, 0), (1, 1), (0, 0), (0, 1)]):
        half = side / 2
        picture(axes, z[channel : channel + 1] / 2, x + column * half, y + row * half, half)


def coder(axes: Axes, x_0: float, x_1: float, middle: float, text: str) -> None:
    """A trapezoid between x_0, on the image's side, and x_1, on that of the latents."""
    points = [(x_0, middle - 0.65), (x_0, middle + 0.65)]
    points += [(x_1, middle + 0.35), (x_1, middle - 0.35)]
    axes.add_patch(Polygon(points, facecolor="#eef2f6", edgecolor=INK, lw=1.2))
    axes.text((x_0 + x_1) / 2, middle, text, ha="center", va="center", size=11, color=INK)


def arrow(axes: Axes, x_0: float, x_1: float, y: float, colour: str) -> None:
    """A level arrow from x_0 to x_1."""
    ends = (x_0, y), (x_1, y)
    style = {"arrowstyle": "-|>", "mutation_scale": 14, "color": colour, "lw": 1.6}
    axes.add_patch(FancyArrowPatch(*ends, **style))


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, the same bytes for the same figure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130, metadata={"Software": None})
    print(f"wrote {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the figures of docs/assignment.md.")
    parser.add_argument("--run", type=Path, required=True, help="a run of configs/digits.yaml")
    parser.add_argument("--weights", type=Path, default=ROOT / "pretrained", help="TAESD's folder")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/images", help="where they go")
    args = parser.parse_args()
    files = [args.weights / f"taesd_{part}.pth" for part in ("encoder", "decoder")]
    if missing := [str(file) for file in files if not file.is_file()]:
        raise UserError(f"{' and '.join(missing)}: not there; run sh ./download_dataset.sh taesd")
    model = load_model(args.run, torch.device("cpu")).model
    if list(model.img_shape) != [1, 8, 8] or not isinstance(model, DDPM):
        raise UserError(f"{args.run} is not a run of configs/digits.yaml")
    draw_chains(model, args.out / "ddpm.png")
    draw_latent(TAESD(*map(str, files)).eval(), args.out / "latent.png")


if __name__ == "__main__":
    cli.run(main)
