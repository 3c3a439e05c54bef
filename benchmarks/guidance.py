"""What guidance does to a text model: python benchmarks/guidance.py logs/RUN/model_final.pth

Draws the same captions from the same noise at each scale, and scores the samples by CLIP: how well
they show their captions, and how alike those of one caption are. Writes to --out: guidance.json;
guidance.png, with a scale per row and a caption per column; scales.png, each metric against the
scale, beside that of real images.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import kit

# isort: split

from libs.metrics import FEATURES, PUBLISHED_CLIP, parse_metrics
from libs.runtime import cli
from libs.samplers import flags
from libs.utils import save_json

if TYPE_CHECKING:  # torch is imported late, so that --help is fast
    from libs.metrics.evidence import Score

SHOWN = 8  # captions in the picture


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare scales of guidance on a text model.")
    parser.add_argument("checkpoint", type=Path, help="a .pth file, or a run folder")
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
    cli.add_debug_flag(parser)
    flags.add(parser)
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
    from libs.metrics.evaluation import Request, gather_evidence
    from libs.metrics.networks import Looks
    from libs.runtime.visualize import captioned_grid, save_image, with_margins
    from libs.samplers.guidance import parse_scale

    cli.check_writable(None, args.out)
    scores, rows, captions = {}, [], []
    scales = args.scales.split(",")
    for scale in scales:
        parse_scale(scale)
    for scale in scales:
        given = vars(args) | {"guidance": scale, "metrics": names}
        looks, sampler = cli.taken(given, Looks), cli.taken(given, flags.SamplerFlags)
        request = cli.taken(given, Request, looks=looks, sampler=sampler)
        evidence, setup = gather_evidence(request)
        found = scoring.score(names, evidence)
        print(f"guidance {scale}\n{report.table(found, setup)}\n{setup.floor}", flush=True)
        scores[scale] = found
        texts = evidence.captioned.texts[:SHOWN] if evidence.captioned else [""] * SHOWN
        rows.append(evidence.samples[: len(texts)].float() / 255)
        captions += texts
    results = {scale: {s.name: s.samples for s in found} for scale, found in scores.items()}
    save_json(results | {"real": {s.name: s.real for s in found}}, args.out / "guidance.json")
    picture = captioned_grid(torch.cat(rows), captions, len(rows[0]))
    picture = with_margins(picture, beside=[f"guidance {scale}" for scale in scores])
    save_image(picture, args.out / "guidance.png")
    plot(scores, args.out / "scales.png")
    print(f"wrote guidance.json, guidance.png and scales.png to {args.out}")


def plot(scores: "dict[str, list[Score]]", file: Path) -> None:
    """Draw each metric against the scale of guidance, with a line where real images are."""
    scales = sorted(scores, key=float)
    metrics = scores[scales[0]]
    figure = kit.new_figure(4.5 * len(metrics), 3.6)
    for i, axes in enumerate(figure.subplots(1, len(metrics), squeeze=False)[0]):
        values, errors = zip(
            *((scores[s][i].samples, scores[s][i].error) for s in scales), strict=True
        )
        shown = None if None in errors else errors
        axes.errorbar([float(s) for s in scales], values, shown, marker="o", label="samples")
        if metrics[i].real is not None:
            axes.axhline(metrics[i].real, color="0.6", linestyle="--", label="real images")
        axes.set(xlabel="scale of guidance", ylabel=metrics[i].name)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(file, dpi=130)


if __name__ == "__main__":
    cli.run(main)
