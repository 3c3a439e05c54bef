"""Score a trained model: python evaluate.py ../logs/RUN/model_final.pth --metrics accuracy

accuracy: a classifier, fitted on the run's real training images, looks at conditional samples; the
score is the share that it gives the class they were drawn for.
"""

import argparse
import json
from pathlib import Path

from libs import cli
from libs.utils import UserError, did_you_mean

METRICS = ("accuracy",)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Score a trained model.")
    parser.add_argument("checkpoint", help="a .pth file, or a run folder for its newest one")
    parser.add_argument("--metrics", default="accuracy", help=f"of {', '.join(METRICS)}")
    parser.add_argument("--num", type=int, default=500, help="samples to draw (default: 500)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same samples (default: 0)")
    parser.add_argument("--batch-size", type=int, default=250, help="samples drawn at once")
    parser.add_argument("--json", metavar="FILE", help="also write the scores to a file")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:0 or mps")
    args = parser.parse_args()
    if min(args.num, args.batch_size) < 1:
        parser.error("--num and --batch-size must be at least 1")
    return args


def main() -> None:
    args = parse_args()
    for name in args.metrics.split(","):
        if name not in METRICS:
            hint = did_you_mean(name, METRICS) or f"; choose from {', '.join(METRICS)}"
            raise UserError(f"--metrics: there is no metric '{name}'{hint}")

    import torch

    from libs import checkpoint, datasets, runtime, sampling
    from libs.metrics import lenet

    device = runtime.pick_device([args.device])
    model, config, classes = checkpoint.load_for_sampling(Path(args.checkpoint), device)
    precision = runtime.Precision.pick(config.dtype, device)
    shape = config.model.img_shape
    train = datasets.load_dataset(config.dataset, "train", shape).plain()
    net = lenet.fit_lenet(train, shape, device)

    labels = torch.arange(args.num) % len(classes)
    samples = sampling.draw_samples(model, labels, precision, args.seed, args.batch_size)
    pairs = zip(samples, labels.split(args.batch_size), strict=True)
    scores = {"conditional accuracy": lenet.accuracy(net, pairs, device)}
    if datasets.has_test_split(config.dataset):
        test = datasets.load_dataset(config.dataset, "test", shape).plain()
        real = lenet.accuracy_on(net, test, device)
        print(f"accuracy of the classifier on {len(test)} real test images {real:.3f}")
        scores["classifier accuracy on real test images"] = real
    if args.json:
        Path(args.json).write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")
    print(f"conditional accuracy {scores['conditional accuracy']:.3f}")


if __name__ == "__main__":
    cli.run(main)
