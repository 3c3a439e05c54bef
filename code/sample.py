"""Draw samples from a trained model: python sample.py ../logs/RUN/model_final.pth --out grid.png

The samples come from the model's own p_sample_loop, with the averaged weights of the checkpoint.
"""

import argparse
from pathlib import Path

from libs import cli
from libs.utils import UserError


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Draw samples from a trained model.")
    parser.add_argument("checkpoint", help="a .pth file, or a run folder for its newest one")
    parser.add_argument("--labels", help="classes to draw, such as 0,1,2 or cat,dog (default: all)")
    parser.add_argument("--num", type=int, default=10, help="pictures of each class (default: 10)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same pictures (default: 0)")
    parser.add_argument("--sampler", choices=["ddpm"], default="ddpm")
    parser.add_argument("--batch-size", type=int, default=100, help="pictures drawn at once")
    parser.add_argument("--out", metavar="FILE", help="write a grid, one class a column")
    parser.add_argument("--out-dir", metavar="DIR", help="write single files DIR/CLASS/NUMBER.png")
    parser.add_argument(
        "--film", metavar="FILE", help="write the chain x_T ... x_0: a strip (.png) or a .gif"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:0 or mps")
    args = parser.parse_args()
    if min(args.num, args.batch_size) < 1:
        parser.error("--num and --batch-size must be at least 1")
    if not (args.out or args.out_dir or args.film):
        parser.error("say where the pictures go: --out FILE, --out-dir DIR or --film FILE")
    return args


def pick_labels(text: str | None, classes: list[str], num_classes: int) -> list[int]:
    """Turn "0,2" or "cat,wild" into class indices; None means all classes of the data set."""
    if text is None:
        return list(range(len(classes)))
    labels = []
    for entry in text.split(","):
        entry = entry.strip()
        label = classes.index(entry) if entry in classes else entry
        if not str(label).lstrip("-").isdigit() or not 0 <= int(label) < num_classes:
            known = ", ".join(classes[:20]) + (" ..." if len(classes) > 20 else "")
            raise UserError(
                f"--labels: there is no class '{entry}'; use 0 to {num_classes - 1} or {known}"
            )
        labels.append(int(label))
    return labels


def main() -> None:
    args = parse_args()

    import torch

    from libs import checkpoint, runtime, sampling, visualize
    from libs.config import shown

    device = runtime.pick_device([args.device])
    model, config, classes = checkpoint.load_for_sampling(Path(args.checkpoint), device)
    precision = runtime.Precision.pick(config.dtype, device)
    labels = pick_labels(args.labels, classes, config.model.num_classes)
    film = sampling.Film(model) if args.film else None
    # Row by row, one class a column
    batches = sampling.draw_samples(
        model,
        torch.tensor(labels).repeat(args.num),
        precision,
        args.seed,
        args.batch_size,
        film,
    )
    images = []
    drawn = 0
    for batch in batches:
        if args.out_dir:
            for image in batch:
                row, column = divmod(drawn, len(labels))
                name = classes[labels[column]] if labels[column] < len(classes) else labels[column]
                visualize.save_image(image, Path(args.out_dir, str(name), f"{row:05d}.png"))
                drawn += 1
        if args.out:
            images.append(batch)
    if args.out:
        visualize.save_image(visualize.image_grid(torch.cat(images), len(labels)), Path(args.out))
    if args.film:
        visualize.save_film(film.frames, Path(args.film))
    for path in filter(None, (args.out_dir, args.film, args.out)):
        print(f"wrote {shown(Path(path).resolve())}")


if __name__ == "__main__":
    cli.run(main)
