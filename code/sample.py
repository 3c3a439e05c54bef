"""Draw samples from a trained model: python sample.py ../logs/RUN/model_final.pth

Without --out, a grid is written into the run's folder.

The samples come from the sampler of --sampler, else of the run's train_cfg.sampler, else from the
model's own p_sample_loop, with the averaged weights of the checkpoint. A model that was trained on
captions draws --prompt "a red bus", and so does Stable Diffusion 1.x:
python sample.py --sd FILE --prompt "a red bus" --out bus.png

Editing, around the sampler ddim: python sample.py ../logs/RUN --from digit.png --strength 0.6
"""

import argparse
from pathlib import Path

from libs.runtime import cli
from libs.samplers import edit_flags
from libs.samplers import flags as of_sampler
from libs.text_to_image import flags as of_sd
from libs.utils import default, slug, unused


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
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="write a grid with a class or prompt per column (default: a new file in the run's "
        "folder)",
    )
    parser.add_argument("--out-dir", metavar="DIR", help="write single files DIR/CLASS/NUMBER.png")
    parser.add_argument(
        "--film", metavar="FILE", help="write the chain x_T ... x_0: a strip (.png) or a .gif"
    )
    parser.add_argument("--force", action="store_true", help="overwrite files that exist")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:0 or mps")
    cli.add_debug_flag(parser)
    of_sampler.add(parser)
    edit_flags.add(parser)
    of_sd.add(parser)
    args = parser.parse_args()
    args.num = default(args.num, 1 if args.sd else 10)
    if args.sd:
        args.batch_size = default(args.batch_size, 4)
    if not (args.checkpoint or args.sd):
        parser.error("name a checkpoint, or Stable Diffusion's file with --sd")
    if min(args.num, default(args.batch_size, 1)) < 1:
        parser.error("--num and --batch-size must be at least 1")
    if "," in (args.guidance or "") and (args.out_dir or args.film):
        parser.error("several scales of --guidance are for a grid: give --out FILE alone")
    return args


def main() -> None:
    args = parse_args()
    cli.check_pictures({"--out": args.out, "--film": args.film}, args.force)
    sampler_flags = cli.taken(vars(args), of_sampler.SamplerFlags)
    if edit_flags.wanted(vars(args)):
        from libs.samplers.edits import edit

        return edit(cli.taken(vars(args), edit_flags.EditRequest, sampler=sampler_flags))
    if args.sd:
        from libs.text_to_image.draw import run

        return run(cli.taken(vars(args), of_sd.Request, sampler=sampler_flags))
    of_sd.refuse(vars(args))

    import torch

    from libs.models.build import load_model
    from libs.runtime.device import Precision, pick_device
    from libs.runtime.outputs import Outputs
    from libs.samplers.columns import Wanted, pick_columns
    from libs.samplers.draw import draw_samples, fitting_batch_size
    from libs.samplers.film import Film
    from libs.samplers.sampler import Sampler

    device = pick_device([args.device])
    trained = load_model(Path(args.checkpoint), device)
    model, config, file = trained.model, trained.config, trained.path
    precision = Precision.pick(config.dtype, device)
    samplers = Sampler.sweep_from_flags(sampler_flags, model, Sampler.of_run(config.train_cfg))
    guided = samplers[0].guidance is not None
    columns = pick_columns(trained, cli.taken(vars(args), Wanted), guided)
    labels = torch.tensor(columns.labels).repeat(args.num)  # row by row
    scales = [f"{sampler.guidance:g}" for sampler in samplers if len(samplers) > 1]
    if not (args.out or args.out_dir or args.film):
        name = slug(" ".join([file.stem, str(samplers[0]), *scales[1:]]))
        args.out = unused(file.parent / f"samples-{name}-seed-{args.seed}.png")
    outputs = Outputs(columns.names, args.num, args.out, args.film, args.out_dir, args.force)

    film = Film(model) if args.film else None
    blocks = []
    for sampler in samplers:
        print(f"sampler: {sampler}", flush=True)
        fitting = args.batch_size or fitting_batch_size(model, sampler, precision, of_own=100)
        options = args.seed, fitting, film
        blocks += outputs.take(draw_samples(model, labels, precision, *options, sampler=sampler))
    grid = columns.grid(blocks, [f"guidance {scale}" for scale in scales]) if blocks else None
    outputs.finish(grid, film.frames if film else ())


if __name__ == "__main__":
    cli.run(main)
