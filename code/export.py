"""Export a trained model for others: python export.py ../logs/RUN --out DIR

Writes the averaged weights (as safetensors where that package is installed), the config, and a
model card with the data, the scores and the licence.
"""

import argparse
from pathlib import Path

from libs.runtime import cli


def main() -> None:
    parser = argparse.ArgumentParser(description="Export a trained model for others.")
    parser.add_argument("checkpoint", help="a .pth file, or a run folder for its newest one")
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="where to write")
    parser.add_argument("--force", action="store_true", help="overwrite files that exist")
    parser.add_argument("--scores", metavar="FILE", type=Path, help="of evaluate.py --json FILE")
    cli.add_debug_flag(parser)
    args = parser.parse_args()

    import torch

    from libs.models.build import load_model
    from libs.models.export import export
    from libs.utils import shown

    trained = load_model(Path(args.checkpoint), torch.device("cpu"))
    for file in export(trained, args.out, args.scores, args.force):
        print(f"wrote {shown(file)}")


if __name__ == "__main__":
    cli.run(main)
