"""Score a trained model: python evaluate.py ../logs/RUN/model_final.pth --metrics fid,memorization

Each score has beside it that of real images which the model has not seen. Samples and features are
kept in logs/feature_cache: a second call with the same flags draws nothing, unless code that draws
has changed. Several GPUs share the drawing:
torchrun --nproc_per_node 2 -- code/evaluate.py CHECKPOINT
"""

import argparse
from pathlib import Path

from libs.metrics import FEATURES, METRICS, OF_CLASSES, PUBLISHED_CLIP, parse_metrics
from libs.runtime import cli
from libs.samplers import flags
from libs.utils import UserError, default, did_you_mean


def parse_args() -> argparse.Namespace:
    listed = "\n".join(f"  {name:14}{meaning}" for name, meaning in METRICS.items())
    parser = argparse.ArgumentParser(
        description="Score a trained model.",
        epilog=f"metrics:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "checkpoint", type=Path, help="a .pth file, or a run folder for its newest one"
    )
    parser.add_argument(
        "--metrics",
        help=f"such as fid,kid (default: of {','.join(OF_CLASSES)} those that suit the model)",
    )
    parser.add_argument(
        "--features",
        default="lenet",
        metavar="NAME",
        help="of lenet, fitted on the run's data (default), or inception, as in published FIDs",
    )
    parser.add_argument("--inception-weights", metavar="FILE", type=Path, help="no download")
    parser.add_argument("--alexnet-weights", metavar="FILE", type=Path, help="no download (lpips)")
    parser.add_argument(
        "--clip",
        metavar="NAME",
        default=PUBLISHED_CLIP,
        help="folder or name on Hugging Face's hub",
    )
    parser.add_argument("--num", type=int, default=500, help="samples to draw (default: 500)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same samples (default: 0)")
    parser.add_argument(
        "--batch-size",
        type=int,
        help="samples drawn at once (default: as many as fit into memory; for the model's own "
        "loop, whose samples depend on it, 250)",
    )
    parser.add_argument(
        "--fresh", action="store_true", help="draw, even if an earlier call has kept the samples"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write the scores to a file")
    parser.add_argument(
        "--out", metavar="DIR", type=Path, help="write report.md, samples.png, memorization.png"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:0 or mps")
    cli.add_debug_flag(parser)
    flags.add(parser)
    args = parser.parse_args()
    if min(args.num, default(args.batch_size, 1)) < 1:
        parser.error("--num and --batch-size must be at least 1")
    return args


def main() -> None:
    args = parse_args()
    names = None if args.metrics is None else parse_metrics(args.metrics)
    if args.features not in FEATURES:
        hint = did_you_mean(args.features, FEATURES) or f"; choose from {', '.join(FEATURES)}"
        raise UserError(f"--features: there are no features '{args.features}'{hint}")

    from libs.metrics import report, scoring
    from libs.metrics.evaluation import Request, gather_evidence
    from libs.metrics.networks import Looks

    cli.check_writable(args.json, args.out)
    given = vars(args) | {"metrics": names}
    looks, sampler = cli.taken(given, Looks), cli.taken(given, flags.SamplerFlags)
    found = gather_evidence(cli.taken(given, Request, looks=looks, sampler=sampler))
    if found is None:  # not the main process
        return
    evidence, setup = found
    scores = scoring.score(setup.metrics, evidence)
    if setup.metrics != ["accuracy"]:
        print(f"{report.table(scores, setup)}\n{setup.floor}{setup.looks}")
    if evidence.verdict:
        print(report.memorization_line(evidence))
    if evidence.nearly_equal:
        print(report.equality_line(evidence, setup))
    page = report.write_to_page(scores, setup, evidence, Path(setup.checkpoint).parent)
    if page is not None:
        print(f"the run's page: {page}")
    for score in scores:
        if score.name == "conditional accuracy":
            if score.real is not None:
                number = f"{setup.held_out_images} real {setup.held_out} images"
                print(f"accuracy of the classifier on {number} {score.real:.3f}")
            print(f"conditional accuracy {score.samples:.3f}")
    report.write(scores, setup, evidence, args.json, args.out)


if __name__ == "__main__":
    cli.run(main)
