"""Draw samples from a trained model: python sample.py ../logs/RUN/model_final.pth --out grid.png

The samples come from the sampler of --sampler, else of the run's train_cfg.sampler, else from the
model's own p_sample_loop, with the averaged weights of the checkpoint. A model that was trained on
captions draws --prompt "a red bus", and so does Stable Diffusion 1.x:
python sample.py --sd FILE --prompt "a red bus" --out bus.png
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from libs import cli, sd_flags
from libs.utils import default

if TYPE_CHECKING:  # torch is imported late, so that its absence becomes a sentence
    from torch import Tensor


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Draw samples from a trained model.")
    parser.add_argument(
        "checkpoint", nargs="?", help="a .pth file, or a run folder for its newest one"
    )
    parser.add_argument("--labels", help="classes to draw, such as 0,1,2 or cat,dog (default: all)")
    parser.add_argument("--prompt", action="append", metavar="TEXT", help="draw this (repeatable)")
    parser.add_argument("--negative", metavar="TEXT", help="guide away from this")
    parser.add_argument(
        "--num", type=int, help="pictures of each class or prompt (default: 10, with --sd 1)"
    )
    parser.add_argument("--seed", type=int, default=0, help="same seed, same pictures (default: 0)")
    parser.add_argument(
        "--batch-size",
        type=int,
        help="pictures drawn at once (default: as many as fit into memory, with --sd 4; for the "
        "model's own loop, whose pictures depend on it, 100)",
    )
    parser.add_argument("--out", metavar="FILE", help="write a grid, one class or prompt a column")
    parser.add_argument("--out-dir", metavar="DIR", help="write single files DIR/CLASS/NUMBER.png")
    parser.add_argument(
        "--film", metavar="FILE", help="write the chain x_T ... x_0: a strip (.png) or a .gif"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:0 or mps")
    cli.add_sampler_flags(parser)
    sd_flags.add(parser)
    args = parser.parse_args()
    args.num = default(args.num, 1 if args.sd else 10)
    if args.sd:
        args.batch_size = default(args.batch_size, 4)
    if not (args.checkpoint or args.sd):
        parser.error("name a checkpoint, or Stable Diffusion's file with --sd")
    if min(args.num, default(args.batch_size, 1)) < 1:
        parser.error("--num and --batch-size must be at least 1")
    if not (args.out or args.out_dir or args.film):
        parser.error("say where the pictures go: --out FILE, --out-dir DIR or --film FILE")
    if "," in (args.guidance or "") and (args.out_dir or args.film):
        parser.error("several scales of --guidance are for a grid: give --out FILE alone")
    return args


def written(batches: "Iterator[Tensor]", folder: Path, names: list[str]) -> "Iterator[Tensor]":
    """Pass batches of images on, and write each to folder/NAME/ROW.png, in rows of these names."""
    from libs.visualize import save_image

    drawn = 0
    for batch in batches:
        for image in batch:
            row, column = divmod(drawn, len(names))
            save_image(image, folder / names[column] / f"{row:05d}.png")
            drawn += 1
        yield batch


def main() -> None:
    args = parse_args()
    if args.sd:
        from libs import text_to_image

        return text_to_image.run(args)
    sd_flags.refuse(args)

    import torch

    from libs import checkpoint, runtime, visualize
    from libs.batch_size import fitting_batch_size
    from libs.columns import pick_columns
    from libs.config import shown
    from libs.sampling import Film, Sampler, draw_samples

    device = runtime.pick_device([args.device])
    model, config, classes = checkpoint.load_for_sampling(Path(args.checkpoint), device)
    precision = runtime.Precision.pick(config.dtype, device)
    samplers = Sampler.sweep_from_args(args, model, Sampler.of_run(config.train_cfg))
    guided = samplers[0].guidance is not None
    columns = pick_columns(args, model, config, classes, guided)
    labels = torch.tensor(columns.labels).repeat(args.num)  # row by row

    film = Film(model) if args.film else None
    grids = []
    for sampler in samplers:
        print(f"sampler: {sampler}", flush=True)
        fitting = args.batch_size or fitting_batch_size(model, sampler, precision, of_own=100)
        options = args.seed, fitting, film
        batches = draw_samples(model, labels, precision, *options, sampler=sampler)
        if args.out_dir:
            batches = written(batches, Path(args.out_dir), columns.names)
        images = [batch for batch in batches if args.out]
        if args.out:
            grids.append(columns.grid(torch.cat(images)))
    if args.out:
        visualize.save_image(torch.cat(grids, dim=1), Path(args.out))
    if args.film:
        visualize.save_film(film.frames, Path(args.film))
    for path in filter(None, (args.out_dir, args.film, args.out)):
        print(f"wrote {shown(Path(path).resolve())}")


if __name__ == "__main__":
    cli.run(main)
