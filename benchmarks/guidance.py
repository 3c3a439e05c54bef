"""What guidance does to a text model: python benchmarks/guidance.py logs/RUN/model_final.pth

Draws the same captions from the same noise at each scale, and scores the samples by CLIP: how well
they show their captions, and how alike those of one caption are. Writes guidance.json, and
guidance.png with a scale a row and a caption a column, to --out.
"""

import argparse
import json
from argparse import Namespace
from pathlib import Path

import kit  # noqa: F401

# isort: split

from libs import cli
from libs.metrics import FEATURES, PUBLISHED_CLIP, parse_metrics

SHOWN = 8  # captions in the picture


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare scales of guidance on a text model.")
    parser.add_argument("checkpoint", help="a .pth file, or a run folder")
    parser.add_argument("--scales", default="1,2,3,5,7.5,10", help="default: 1,2,3,5,7.5,10")
    parser.add_argument("--metrics", default="clip,retrieval,consistency", help="of evaluate.py")
    parser.add_argument("--clip", default=PUBLISHED_CLIP, metavar="NAME", help="as of evaluate.py")
    parser.add_argument("--features", default="inception", choices=FEATURES, help="for fid")
    parser.add_argument("--inception-weights", metavar="FILE", type=Path, help="no download")
    parser.add_argument("--num", type=int, default=64, help="samples of each (default: 64)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch-size", type=int, default=64, help="samples drawn at once")
    parser.add_argument("--out", type=Path, default=Path("logs/guidance"), metavar="DIR")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:0 or mps")
    cli.add_sampler_flags(parser)
    args = parser.parse_args()
    if args.guidance is not None:
        parser.error("the scales are those of --scales")
    if min(args.num, args.batch_size) < 1:
        parser.error("--num and --batch-size must be at least 1")
    return args


def main() -> None:
    args = parse_args()
    names = parse_metrics(args.metrics)

    import torch

    from libs.metrics import report, scoring
    from libs.metrics.evaluation import gather_evidence
    from libs.visualize import captioned_grid, save_image

    cli.check_writable(None, args.out)
    results, rows, captions = {}, [], []
    for scale in args.scales.split(","):
        flags = vars(args) | {"guidance": scale, "alexnet_weights": None}
        evidence, setup = gather_evidence(Namespace(**flags), names)
        scores = scoring.score(names, evidence)
        print(f"guidance {scale}\n{report.table(scores, setup)}\n{setup.floor}", flush=True)
        results[scale] = {score.name: score.samples for score in scores}
        texts = evidence.captioned.texts[:SHOWN] if evidence.captioned else [""] * SHOWN
        rows.append(evidence.samples[: len(texts)].float() / 255)
        captions += [f"{scale}: {text}" for text in texts]
    (args.out / "guidance.json").write_text(json.dumps(results, indent=1) + "\n")
    picture = captioned_grid(torch.cat(rows), captions, len(rows[0]))
    save_image(picture, args.out / "guidance.png")
    print(f"wrote {args.out / 'guidance.json'} and guidance.png")


if __name__ == "__main__":
    cli.run(main)
