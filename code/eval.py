"""FID against the test images: python eval.py ../configs/mnist.yaml ../logs/RUN/model_final.pth

Draws 500 samples of each class, with the sampler of the config. Each batch is kept as soon as it is
drawn, so that a call that was stopped goes on where it was, and the same call again draws nothing.
"""

import argparse
from pathlib import Path

from libs.metrics import FEATURES
from libs.runtime import cli


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="FID of a trained model against the test images.")
    parser.add_argument("config", help="of the run: its data, and the sampler that draws")
    parser.add_argument("checkpoint", help="a .pth file, or a run folder for its newest one")
    parser.add_argument("--per-class", type=int, default=500, help="samples (default: 500)")
    parser.add_argument(
        "--features",
        choices=FEATURES,
        default="lenet",
        help="of lenet, fitted on the run's data (default), or inception, as in published FIDs",
    )
    parser.add_argument("--inception-weights", metavar="FILE", type=Path, help="no download")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same samples (default: 0)")
    parser.add_argument("--batch-size", type=int, default=250, help="drawn at once (default: 250)")
    parser.add_argument(
        "--fresh", action="store_true", help="draw, even if an earlier call has kept the samples"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:0 or mps")
    cli.add_debug_flag(parser)
    args = parser.parse_args()
    if min(args.per_class, args.batch_size) < 1:
        parser.error("--per-class and --batch-size must be at least 1")
    return args


def main() -> None:
    args = parse_args()
    from libs.config import load_config
    from libs.metrics.networks import Looks
    from libs.metrics.per_class import Drawing, fid_per_class

    looks = Looks(args.features, args.inception_weights)
    drawing = cli.taken(vars(args), Drawing)
    found = fid_per_class(load_config(args.config), Path(args.checkpoint), drawing, looks)
    print(
        f"FID {found.samples:.3f}: {found.num_samples} samples, {args.per_class} per class, and "
        f"{found.num_test} test images, as {args.features} sees them"
    )
    print(f"FID {found.train:.3f}: as many training images")


if __name__ == "__main__":
    cli.run(main)
